"""Whether an approval is stale for nothing but a main that moved."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0011_snoozes'),
    ]

    operations = [
        migrations.AddField(
            model_name='approval',
            name='main_moved',
            field=models.BooleanField(default=False, editable=False, help_text='It is stale for that alone; else what was signed did not hold.'),
        ),
        # Of those there are, the sentence tells.
        migrations.RunSQL(
            "UPDATE approvals_approval SET main_moved = true "
            "WHERE state = 'stale' AND reason LIKE '% has moved to %'",
            migrations.RunSQL.noop,
        ),
    ]
