"""Who has approved or allowed may still end it, while it waits for others: one verdict that settles."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("approvals", "0043_look_up_in_public")]
    operations = [
        migrations.AddConstraint(
            model_name="signature",
            constraint=models.UniqueConstraint(
                fields=["approval", "signer"],
                condition=Q(verdict="approve"),
                name="one_approving_signature_per_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="signature",
            constraint=models.UniqueConstraint(
                fields=["approval"],
                condition=~Q(verdict="approve"),
                name="one_signature_ends_it",
            ),
        ),
        migrations.RemoveConstraint(model_name="signature", name="one_signature_per_person"),
        migrations.AddConstraint(
            model_name="callsignature",
            constraint=models.UniqueConstraint(
                fields=["approval", "signer"],
                condition=Q(verdict="allow"),
                name="one_permission_per_person",
            ),
        ),
        migrations.RemoveConstraint(
            model_name="callsignature", name="one_call_signature_per_person"
        ),
    ]
