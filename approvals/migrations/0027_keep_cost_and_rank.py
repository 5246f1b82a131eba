"""Keeps the cost and the place of the risk beside a snapshot; adding them writes the table anew, once."""

from django.conf import settings
from django.db import migrations, models

# One statement: each by itself would write the table once more.
ADD = """
ALTER TABLE approvals_approval
ADD COLUMN risk_rank smallint GENERATED ALWAYS AS (
    CASE WHEN risk = 'high' THEN 0 WHEN risk = 'medium' THEN 1 WHEN risk = 'low' THEN 2 ELSE NULL END
) STORED NOT NULL,
ADD COLUMN cost numeric(12, 6) GENERATED ALWAYS AS (
    (CAST(snapshot #>> '{usage,usd}' AS numeric))
) STORED NULL,
ADD COLUMN cost_class smallint GENERATED ALWAYS AS (
    width_bucket(CAST(snapshot #>> '{usage,usd}' AS numeric),
                 '{0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100}'::numeric[])
) STORED NULL
"""
REMOVE = """
ALTER TABLE approvals_approval DROP COLUMN risk_rank, DROP COLUMN cost, DROP COLUMN cost_class
"""
FIELDS = [
    migrations.AddField(
        model_name='approval',
        name='risk_rank',
        field=models.GeneratedField(db_persist=True, expression=models.Case(models.When(risk='high', then=models.Value(0)), models.When(risk='medium', then=models.Value(1)), models.When(risk='low', then=models.Value(2))), output_field=models.SmallIntegerField()),
    ),
    migrations.AddField(
        model_name='approval',
        name='cost',
        field=models.GeneratedField(db_persist=True, expression=models.Func(models.F('snapshot'), template="(CAST(%(expressions)s #>> '{usage,usd}' AS numeric))"), help_text='US dollars.', output_field=models.DecimalField(decimal_places=6, max_digits=12, null=True)),
    ),
    migrations.AddField(
        model_name='approval',
        name='cost_class',
        field=models.GeneratedField(db_persist=True, expression=models.Func(models.F('snapshot'), template="width_bucket(CAST(%(expressions)s #>> '{usage,usd}' AS numeric), '{0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100}'::numeric[])"), help_text='Those of about the same cost are listed together.', output_field=models.SmallIntegerField(null=True)),
    ),
]


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0018_notice_withdrawn_calls'),
        ('approvals', '0026_extend_as_sealed'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(ADD, REMOVE, state_operations=FIELDS),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'risk_rank', 'expires_at', 'id'], include=('task', 'policy', 'requester', 'single_person', 'requested_at'), name='approval_pending_by_risk'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'cost_class', 'expires_at', 'id'], include=('task', 'policy', 'requester', 'single_person', 'requested_at', 'cost'), name='approval_pending_by_cost'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'cost_class', 'risk_rank', 'expires_at', 'id'], include=('task', 'policy', 'requester', 'single_person', 'requested_at', 'cost'), name='approval_pending_by_both'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['project', 'risk_rank', '-decided_at', '-id'], name='approval_over_by_risk'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['project', 'cost_class', '-decided_at', '-id'], include=('cost',), name='approval_over_by_cost'),
        ),
    ]
