"""What follows an approval that fell stale, whose signatures hold; a policy says whether they do."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0019_tell_of_held_signatures'),
        ('approvals', '0031_put_calls_into_lists'),
    ]

    operations = [
        migrations.AddField(
            model_name='approval',
            name='follows',
            field=models.OneToOneField(editable=False, help_text='The same change on an earlier main, whose signatures hold.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='follower', to='approvals.approval'),
        ),
        migrations.AddField(
            model_name='policy',
            name='signatures_hold',
            field=models.BooleanField(db_default=True, default=True, help_text='The same change is merged onto the new main and checked; who signed it is not asked again. Sealed: it holds for what is put up from now on.', verbose_name='when main moved in other files, signatures hold'),
        ),
        migrations.AddField(
            model_name='signature',
            name='carried_from',
            field=models.OneToOneField(editable=False, help_text='The signature this copies: given to what the approval follows. It has the mark.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='carried_to', to='approvals.signature'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('follows__isnull', True), models.Q(('follows', models.F('id')), _negated=True), _connector='OR'), name='approval_follows_another'),
        ),
        migrations.AddConstraint(
            model_name='signature',
            constraint=models.CheckConstraint(condition=models.Q(('carried_from__isnull', True), ('verdict', 'approve'), _connector='OR'), name='only_approving_signatures_hold'),
        ),
    ]
