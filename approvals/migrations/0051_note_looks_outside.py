"""What may have landed and is held is looked for now and then: when it was last, is kept."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0050_withdraw_nothing_sent'),
    ]

    operations = [
        migrations.AddField(
            model_name='effect',
            name='looked_at',
            field=models.DateTimeField(help_text='When it was held and last looked for.', null=True),
        ),
    ]
