"""Colours of lines are found when a hunk is written, while nobody waits for its page."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0020_give_calls_a_default'),
    ]

    operations = [
        migrations.AddField(
            model_name='hunk',
            name='colours',
            field=models.TextField(blank=True, db_default='', default='', help_text='Of its lines, as `lexing` finds them; no part of a seal.'),
        ),
    ]
