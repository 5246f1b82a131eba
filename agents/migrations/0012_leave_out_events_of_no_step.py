"""An index of the events of steps alone, made and put in place of the old one while all goes on.

Django would drop the foreign key and check it anew, with the log and all steps locked meanwhile.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

_MAKE_OLD = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS agents_event_step_id_a94fdf39 ON agents_event (step_id)'
_DROP_OLD = 'DROP INDEX CONCURRENTLY IF EXISTS agents_event_step_id_a94fdf39'
# What a run that was cut short has left behind.
_DROP_HALF = 'DROP INDEX CONCURRENTLY IF EXISTS event_of_step'


class Migration(migrations.Migration):

    atomic = False
    dependencies = [
        ('agents', '0011_let_crowds_arrive'),
    ]

    operations = [
        migrations.RunSQL(_DROP_HALF, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name='event',
            index=models.Index(condition=models.Q(('step__isnull', False)), fields=['step'], name='event_of_step'),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_DROP_OLD, _MAKE_OLD)],
            state_operations=[
                migrations.AlterField(
                    model_name='event',
                    name='step',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='agents.step'),
                ),
            ],
        ),
    ]
