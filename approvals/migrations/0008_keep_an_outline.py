"""Keeps the short parts of a snapshot beside it; adding them writes the table anew."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0007_keep_lists_short'),
    ]

    operations = [
        migrations.AddField(
            model_name='approval',
            name='outline',
            field=models.GeneratedField(db_persist=True, expression=models.Func(models.F('snapshot'), template="(%(expressions)s - '{files,memories,warnings}'::text[] #- '{proposal,report}')"), help_text='The snapshot without its long parts; the database keeps it for lists.', output_field=models.JSONField()),
        ),
    ]
