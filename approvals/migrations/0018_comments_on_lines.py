"""The lines comments stand on."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0014_append_to_lists'),
        ('approvals', '0017_assign_approvals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='comment',
            name='anchor',
            field=models.CharField(blank=True, db_default='', default='', help_text='SHA-256 of the line.', max_length=64),
        ),
        migrations.AddField(
            model_name='comment',
            name='line',
            field=models.PositiveIntegerField(help_text='Of that side; none: on all of it.', null=True),
        ),
        migrations.AddField(
            model_name='comment',
            name='quote',
            field=models.CharField(blank=True, db_default='', default='', help_text='How it begins.', max_length=400),
        ),
        migrations.AddField(
            model_name='comment',
            name='side',
            field=models.CharField(blank=True, choices=[('old', 'as it was'), ('new', 'as proposed')], db_default='', default='', max_length=3),
        ),
        migrations.AddConstraint(
            model_name='comment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('anchor', ''), ('line__isnull', True), ('quote', ''), ('side', '')), models.Q(('anchor__regex', '^[0-9a-f]{64}$'), ('hunk__isnull', False), ('line__gt', 0), ('line__isnull', False), ('side__in', ['old', 'new'])), _connector='OR'), name='comment_on_a_line_names_it'),
        ),
    ]
