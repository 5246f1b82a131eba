"""Rows of lists by name say what else they are narrowed by; of what was not approved there is a list."""

from django.db import migrations, models

# A table with a new column in each row would be written anew: it is emptied and filled instead.
# First what it is of is locked, as those do who read and write both; else they wait for each other.
ADD = """
LOCK TABLE approvals_approval IN ACCESS EXCLUSIVE MODE;
TRUNCATE approvals_listed;
ALTER TABLE approvals_listed ADD COLUMN cost numeric(12, 6) NULL,
ADD COLUMN requester uuid NOT NULL, ADD COLUMN state varchar(17) NOT NULL
"""
REMOVE = """
ALTER TABLE approvals_listed DROP COLUMN cost, DROP COLUMN requester, DROP COLUMN state
"""
STATES = [('pending', 'Waits for a signature'), ('approved', 'Approved'), ('changes_requested', 'Sent back'), ('rejected', 'Rejected'), ('stale', 'Stale'), ('expired', 'Expired'), ('withdrawn', 'Withdrawn')]
FIELDS = [
    migrations.AddField(
        model_name='listed',
        name='cost',
        field=models.DecimalField(decimal_places=6, max_digits=12, null=True),
    ),
    migrations.AddField(model_name='listed', name='requester', field=models.UUIDField()),
    migrations.AddField(
        model_name='listed',
        name='state',
        field=models.CharField(choices=STATES, max_length=17),
    ),
]
NAMES = """
    SELECT 'requester:' || {0}.requester_id AS under
    UNION SELECT 'agent:' || (worked ->> 'slug')
    FROM jsonb_array_elements({0}.outline -> 'agents') worked
"""
BEFORE = ("project_id", "risk_rank", "expires_at", "decided_at")
NOW = (*BEFORE, "cost", "requester_id", "state")


def listing(columns: tuple[str, ...]) -> str:
    """Return the function that puts a new approval into its lists."""
    return f"""
CREATE OR REPLACE FUNCTION list_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO approvals_listed (approval_id, under, {named(columns)})
    SELECT NEW.id, named.under, {', '.join(f'NEW.{each}' for each in columns)}
    FROM ({NAMES.format("NEW")}) named;
    RETURN NULL;
END $$;
"""


def named(columns: tuple[str, ...]) -> str:
    """Return the columns as the lists call them."""
    return ", ".join(columns).replace("requester_id", "requester")


KEEP = f"""
{listing(NOW)}
CREATE OR REPLACE FUNCTION move_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_listed SET decided_at = NEW.decided_at, state = NEW.state
    WHERE approval_id = NEW.id;
    RETURN NULL;
END $$;
DROP TRIGGER listed_over ON approvals_approval;
CREATE TRIGGER listed_over AFTER UPDATE OF decided_at, state ON approvals_approval FOR EACH ROW
    WHEN ((OLD.decided_at, OLD.state) IS DISTINCT FROM (NEW.decided_at, NEW.state))
    EXECUTE FUNCTION move_listed();
"""
FORGET = f"""
{listing(BEFORE)}
CREATE OR REPLACE FUNCTION move_listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_listed SET decided_at = NEW.decided_at WHERE approval_id = NEW.id;
    RETURN NULL;
END $$;
DROP TRIGGER listed_over ON approvals_approval;
CREATE TRIGGER listed_over AFTER UPDATE OF decided_at ON approvals_approval FOR EACH ROW
    WHEN (OLD.decided_at IS DISTINCT FROM NEW.decided_at) EXECUTE FUNCTION move_listed();
"""
FILL = f"""
INSERT INTO approvals_listed (approval_id, under, {named(NOW)})
SELECT approval.id, named.under, {', '.join(f'approval.{each}' for each in NOW)}
FROM approvals_approval approval CROSS JOIN LATERAL ({NAMES.format("approval")}) named
"""
INDEXES = {
    'listed_by_due': dict(
        fields=['project', 'under', 'expires_at', 'approval'],
        include=('risk_rank', 'cost', 'requester'),
        condition=models.Q(('decided_at', None)),
    ),
    'listed_by_risk': dict(
        fields=['project', 'under', 'risk_rank', 'expires_at', 'approval'],
        include=('cost', 'requester'),
        condition=models.Q(('decided_at', None)),
    ),
    'listed_by_age': dict(
        fields=['project', 'under', 'approval'],
        include=('risk_rank', 'expires_at', 'cost', 'requester'),
        condition=models.Q(('decided_at', None)),
    ),
    'listed_over': dict(
        fields=['project', 'under', '-decided_at', '-approval'],
        include=('risk_rank', 'state', 'cost', 'requester'),
        condition=models.Q(('decided_at__isnull', False)),
    ),
}


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0038_ask_more_of_calls'),
    ]

    operations = [
        migrations.RunSQL(ADD, REMOVE, state_operations=FIELDS),
        *(migrations.RemoveIndex(model_name='listed', name=name) for name in INDEXES),
        *(
            migrations.AddIndex(model_name='listed', index=models.Index(name=name, **index))
            for name, index in INDEXES.items()
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False), models.Q(('state', 'approved'), _negated=True)), fields=['project', 'state', '-decided_at', '-id'], include=('requester', 'risk_rank', 'cost'), name='approval_over_by_state'),
        ),
        migrations.RunSQL(KEEP, FORGET),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
