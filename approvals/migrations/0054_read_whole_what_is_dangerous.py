"""A policy says of which risk on every file is viewed by each who approves.

Versions from before ask it where a rule does: each goes on to say what was sealed under it.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0053_type_what_is_dangerous'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='every_file_from',
            field=models.CharField(choices=[('rules', 'Where a rule asks for it'), ('high', 'High risk'), ('medium', 'Medium and high risk'), ('low', 'Any risk')], db_default='rules', default='high', help_text='Each who approves has marked every file as viewed. Sealed, as the above.', max_length=6, verbose_name='every file is viewed of'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('every_file_from__in', ['rules', 'high', 'medium', 'low'])), name='every_file_from_known'),
        ),
    ]
