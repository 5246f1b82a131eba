"""Indexes of lists grow at the end of each group: at its front, pages split and stayed half empty."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0013_analyze_less_of_tasks'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='task',
            name='task_of_project',
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='task_in_state',
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='task_of_requester',
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['project', 'id'], name='task_of_project'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['project', 'state', 'id'], name='task_in_state'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['requester', 'project', 'state', 'id'], name='task_of_requester'),
        ),
    ]
