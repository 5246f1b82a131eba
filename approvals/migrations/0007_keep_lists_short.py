"""Indexes each list reads the first rows of a project by, instead of those of foreign keys."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

PUT_UP_AGAIN = """
UPDATE approvals_approval approval SET replaced = true
WHERE state IN ('stale', 'expired') AND EXISTS (
    SELECT FROM approvals_approval newer WHERE newer.task_id = approval.task_id AND newer.id > approval.id)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0009_keep_lists_short'),
        ('approvals', '0006_effect_sent_at'),
        ('projects', '0002_append_only'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='approval',
            name='approval_pending',
        ),
        migrations.AddField(
            model_name='approval',
            name='replaced',
            field=models.BooleanField(default=False, editable=False, help_text='It ended undecided, and its task was put up again since.'),
        ),
        migrations.RunSQL(PUT_UP_AGAIN, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='approval',
            name='decided_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='decided_approvals', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='approval',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='projects.project'),
        ),
        migrations.AlterField(
            model_name='approval',
            name='requester',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='requested_approvals', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['project', '-id'], name='approval_of_project'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['project', 'state', '-id'], name='approval_in_state'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'expires_at', 'id'], include=('task', 'policy', 'requester', 'single_person', 'requested_at'), name='approval_pending'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['project', '-decided_at', '-id'], name='approval_over'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_by__isnull', False)), fields=['decided_by', 'decided_at'], name='approval_decided_by'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('replaced', False), ('state__in', ['stale', 'expired'])), fields=['project', '-id'], include=('task', 'requester'), name='approval_unanswered'),
        ),
        migrations.AddIndex(
            model_name='effect',
            index=models.Index(condition=models.Q(('state', 'done'), _negated=True), fields=['state', 'approval'], name='effect_not_done'),
        ),
    ]
