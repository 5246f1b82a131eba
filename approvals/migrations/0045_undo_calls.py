"""A call may wait for its undo window, and is put before a person again when that was undone.

It cannot be taken back once a call was undone: before it there was room for one seal.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0044_let_signers_end_it'),
        ('agents', '0022_let_models_raise_the_risk'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='call_undo_seconds',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='0 to 300: a call of a tool waits this long after its last permission.'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('call_undo_seconds__lte', 300)), name='call_undo_window_up_to_300_s'),
        ),
        migrations.AlterField(
            model_name='callapproval',
            name='call',
            field=models.ForeignKey(help_text='Its row of the ledger.', on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='agents.toolcall'),
        ),
        migrations.AddConstraint(
            model_name='callapproval',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'withdrawn'), _negated=True), fields=('call',), name='one_seal_per_call'),
        ),
    ]
