"""A policy may let who edited a change sign it alone."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0035_end_claims'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='editors_alone',
            field=models.BooleanField(db_default=False, default=False, help_text='Above low risk, too: nobody else need sign what somebody edited in the review.', verbose_name='who edited may sign alone'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='alone_until',
            field=models.DateTimeField(help_text='Until then, later by the time of holds, nobody else is asked; empty: others must sign too, or it is over.', null=True),
        ),
    ]
