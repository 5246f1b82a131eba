"""What functions of the audit log read and write is found where it is ours, as in `approvals.0043`."""

from __future__ import annotations

from django.db import migrations

SET = """
ALTER FUNCTION refuse_change() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION audit_append(json) SET search_path = pg_catalog, public, pg_temp;
"""
RESET = """
ALTER FUNCTION refuse_change() RESET search_path;
ALTER FUNCTION audit_append(json) RESET search_path;
"""


class Migration(migrations.Migration):
    dependencies = [("projects", "0005_index_audit_by_object")]
    operations = [migrations.RunSQL(SET, RESET)]
