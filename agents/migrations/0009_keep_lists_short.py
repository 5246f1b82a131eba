"""Indexes each list reads the first rows of a project by, instead of those of foreign keys."""

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agents.models.fields

# After 20,000 new tasks, however many there are: their words are filed, and lists need not look at rows.
VACUUMED_EARLY = """
ALTER TABLE agents_task SET (
    autovacuum_vacuum_insert_threshold = 20000, autovacuum_vacuum_insert_scale_factor = 0
)
"""
NO_LONGER = """
ALTER TABLE agents_task RESET (
    autovacuum_vacuum_insert_threshold, autovacuum_vacuum_insert_scale_factor
)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0008_keep_each_model_call'),
        ('projects', '0002_append_only'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='task',
            name='task_of_requester',
        ),
        migrations.RemoveIndex(
            model_name='task',
            name='task_open',
        ),
        migrations.AlterField(
            model_name='task',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to='projects.project'),
        ),
        migrations.AlterField(
            model_name='task',
            name='requester',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='tasks', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(condition=models.Q(('state', 'open')), fields=['task'], name='escalation_open'),
        ),
        migrations.AddIndex(
            model_name='escalation',
            index=models.Index(condition=models.Q(('choice', 'take_over')), fields=['resolved_by', 'task'], name='escalation_taken_over'),
        ),
        migrations.AddIndex(
            model_name='hold',
            index=models.Index(condition=models.Q(('scope__in', ['everything', 'agent'])), fields=['scope'], name='hold_wide'),
        ),
        migrations.AddIndex(
            model_name='step',
            index=models.Index(condition=models.Q(('state__in', ['done', 'cancelled']), _negated=True), fields=['state', 'task'], name='step_not_done'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['project', 'state', '-id'], name='task_in_state'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(fields=['requester', 'project', 'state', '-id'], name='task_of_requester'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=models.Index(condition=models.Q(('state__in', ['cancelled', 'done', 'failed', 'rejected']), _negated=True), fields=['state', 'id'], name='task_open'),
        ),
        migrations.AddIndex(
            model_name='task',
            index=django.contrib.postgres.indexes.GinIndex(agents.models.fields.TitleWords(), gin_pending_list_limit=262144, name='task_title_words'),
        ),
        migrations.RunSQL(VACUUMED_EARLY, NO_LONGER),
    ]
