"""What is put off may wait for main to move; an index has those that do, which are few."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0051_note_looks_outside'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='snooze',
            name='main_moves',
            field=models.BooleanField(db_default=False, default=False, help_text='It ends when main moves, if that is earlier.'),
        ),
        migrations.AddIndex(
            model_name='snooze',
            index=models.Index(condition=models.Q(('main_moves', True)), fields=['until'], name='snoozed_until_main_moves'),
        ),
    ]
