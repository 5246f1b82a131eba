"""Makes the audit log append-only, and the function other append-only tables use."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
AUDIT = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON projects_auditentry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON projects_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE projects_auditentry ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE projects_auditentry ENABLE ALWAYS TRIGGER never_emptied;
"""


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial")]
    operations = [
        migrations.RunSQL(REFUSE, "DROP FUNCTION refuse_change() CASCADE"),
        migrations.RunSQL(AUDIT, migrations.RunSQL.noop),
    ]
