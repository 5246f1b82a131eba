"""Task numbers from a sequence; events and published agent versions never change."""

from django.db import migrations

EVENTS = """
CREATE TRIGGER append_only BEFORE UPDATE ON agents_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
VERSIONS = """
CREATE TRIGGER published_is_final BEFORE UPDATE ON agents_agentversion
    FOR EACH ROW WHEN (OLD.published_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_initial"), ("projects", "0002_append_only")]
    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE agents_task_number OWNED BY agents_task.number",
            "DROP SEQUENCE agents_task_number",
        ),
        migrations.RunSQL(EVENTS, "DROP TRIGGER append_only ON agents_event"),
        migrations.RunSQL(VERSIONS, "DROP TRIGGER published_is_final ON agents_agentversion"),
    ]
