"""A new policy asks for every file of what is medium risk, too; those there stay as they are."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0054_read_whole_what_is_dangerous'),
    ]

    operations = [
        migrations.AlterField(
            model_name='policy',
            name='every_file_from',
            field=models.CharField(choices=[('rules', 'Where a rule asks for it'), ('high', 'High risk'), ('medium', 'Medium and high risk'), ('low', 'Any risk')], db_default='rules', default='medium', help_text='Each who approves has marked every file as viewed. Sealed, as the above.', max_length=6, verbose_name='every file is viewed of'),
        ),
    ]
