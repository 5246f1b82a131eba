"""Indexes each list reads the first rows of a project by, instead of those of foreign keys."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('memory', '0003_text_digest_and_erasure'),
        ('projects', '0002_append_only'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='memory',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='memories', to='projects.project'),
        ),
        migrations.AddIndex(
            model_name='memory',
            index=models.Index(fields=['project', 'state', '-id'], include=('kind', 'owner'), name='memory_in_state'),
        ),
        migrations.AddIndex(
            model_name='memory',
            index=models.Index(condition=models.Q(('source_task__isnull', False)), fields=['source_task'], name='memory_of_task'),
        ),
    ]
