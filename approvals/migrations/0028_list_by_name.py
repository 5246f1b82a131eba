"""Lists of approvals by agent and by requester, in the orders an inbox is read in."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0027_keep_cost_and_rank'),
        ('projects', '0005_index_audit_by_object'),
    ]

    operations = [
        migrations.CreateModel(
            name='Listed',
            fields=[
                ('pk', models.CompositePrimaryKey('approval_id', 'under', blank=True, editable=False, primary_key=True, serialize=False)),
                ('under', models.CharField(help_text='agent:SLUG or requester:ID.', max_length=80)),
                ('risk_rank', models.SmallIntegerField()),
                ('expires_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('approval', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='approvals.approval')),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.project')),
            ],
            options={
                'indexes': [
                    models.Index(condition=models.Q(('decided_at', None)), fields=['project', 'under', 'expires_at', 'approval'], name='listed_by_due'),
                    models.Index(condition=models.Q(('decided_at', None)), fields=['project', 'under', 'risk_rank', 'expires_at', 'approval'], name='listed_by_risk'),
                    models.Index(condition=models.Q(('decided_at', None)), fields=['project', 'under', 'approval'], name='listed_by_age'),
                    models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['project', 'under', '-decided_at', '-approval'], name='listed_over'),
                ],
            },
        ),
    ]
