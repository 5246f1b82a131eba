"""A policy says what follows when nobody decides on a call in time; the call is never made."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0047_list_what_waits_by_age'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='call_at_expiry',
            field=models.CharField(choices=[('go_on', 'The agent goes on without it'), ('ask', 'A person is asked how its step goes on')], db_default='go_on', default='go_on', help_text='Nothing is called in any case. Sealed: it holds for calls that are put up from now on.', max_length=5, verbose_name='when nobody decides on a call in time'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('call_at_expiry__in', ['go_on', 'ask'])), name='call_at_expiry_known'),
        ),
    ]
