"""What triggers read and write is found where it is ours: no temporary table passes for it."""

from __future__ import annotations

from django.db import migrations

FUNCTIONS = (
    "extend_as_sealed",
    "list_approval",
    "move_listed",
    "end_claim",
    "end_call_claim",
    "extend_call_as_sealed",
)


def of_each(change: str) -> str:
    """Return the statements that change each of them so."""
    return ";\n".join(f"ALTER FUNCTION {name}() {change}" for name in FUNCTIONS)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0042_count_permissions")]
    operations = [
        migrations.RunSQL(
            of_each("SET search_path = pg_catalog, public, pg_temp"),
            of_each("RESET search_path"),
        )
    ]
