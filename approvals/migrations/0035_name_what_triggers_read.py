"""The triggers of signatures that hold read the house's own tables, whatever a session calls by their names."""

from __future__ import annotations

from django.db import migrations

NAMES = ("follow_what_fell_stale", "copy_as_given")
FIX = "ALTER FUNCTION {}() SET search_path = pg_catalog, public, pg_temp"
FREE = "ALTER FUNCTION {}() RESET search_path"


class Migration(migrations.Migration):
    dependencies = [("approvals", "0034_standing_grants")]
    operations = [migrations.RunSQL(FIX.format(name), FREE.format(name)) for name in NAMES]
