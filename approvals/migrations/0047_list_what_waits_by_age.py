"""What waits of a risk or a cost is read by age, too."""

from django.db import migrations, models

WAITS = models.Q(('state', 'pending'))
SIGNING = ['task', 'policy', 'requester', 'single_person', 'requested_at', 'expires_at']
INDEXES = {
    'approval_pending_by_risk_age': dict(fields=['project', 'risk_rank', 'id'], include=SIGNING),
    'approval_pending_by_cost_age': dict(
        fields=['project', 'cost_class', 'id'], include=[*SIGNING, 'cost', 'risk_rank']
    ),
}


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0046_keep_undo_windows'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(name=name, condition=WAITS, **index),
        )
        for name, index in INDEXES.items()
    ]
