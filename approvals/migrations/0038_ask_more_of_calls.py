"""A rule may be for tools, and a call may need several permissions, also for somebody who is away.

It cannot be taken back once any call has two signatures: before it there was room for one.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0037_bound_standing_grants'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='callsignature',
            name='on_behalf_of',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text='Absent people it counts for, each with the delegation.'),
        ),
        migrations.AddField(
            model_name='policyrule',
            name='tools',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=300), blank=True, db_default=[], default=list, help_text='Globs of server/tool, one per line, of which one is called. Empty: any.', size=None),
        ),
        migrations.AlterField(
            model_name='callsignature',
            name='approval',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='signatures', to='approvals.callapproval'),
        ),
        migrations.AlterField(
            model_name='policyrule',
            name='paths',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=300), blank=True, default=list, help_text='Globs, one per line, of which one is changed. Empty: any proposal or call.', size=None),
        ),
        migrations.AddConstraint(
            model_name='callsignature',
            constraint=models.UniqueConstraint(fields=('approval', 'signer'), name='one_call_signature_per_person'),
        ),
        migrations.AddConstraint(
            model_name='callsignature',
            constraint=models.UniqueConstraint(condition=models.Q(('verdict', 'refuse')), fields=('approval',), name='one_refusal_per_call'),
        ),
    ]
