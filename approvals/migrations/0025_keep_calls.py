"""A sealed call is never removed, like an approval."""

from __future__ import annotations

from django.db import migrations

KEPT = """
CREATE TRIGGER never_removed BEFORE DELETE ON approvals_callapproval
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("approvals", "0024_saved_views")]
    operations = [
        migrations.RunSQL(KEPT, "DROP TRIGGER never_removed ON approvals_callapproval"),
    ]
