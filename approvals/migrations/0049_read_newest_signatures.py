"""What a person signed last is read by an index, made while others sign."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False  # an index cannot be made concurrently within a transaction

    dependencies = [
        ('approvals', '0048_choose_what_expiry_of_calls_does'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name=model,
            index=models.Index(fields=['signer', '-id'], name=name),
        )
        for model, name in [
            ('signature', 'signature_newest_of'),
            ('callsignature', 'call_signature_newest_of'),
        ]
    ]
