"""A policy may have one who approves what is high risk alone type the task's label.

Versions from before ask for nothing typed: each goes on to say what was sealed and signed under it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0052_snooze_until_main_moves'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='typed_confirmation',
            field=models.BooleanField(db_default=False, default=True, help_text="Where one signature is enough, who approves types the task's label. Sealed: it holds for what is put up from now on.", verbose_name='approving high risk is typed'),
        ),
    ]
