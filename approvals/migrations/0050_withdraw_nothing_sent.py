"""Nothing is withdrawn that was sent; rows from before may break this, so they are not looked at."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0049_read_newest_signatures'),
    ]

    operations = [
        AddConstraintNotValid(
            model_name='effect',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'withdrawn'), _negated=True), ('sent_at__isnull', True), _connector='OR'), name='effect_withdrawn_unsent'),
        ),
    ]
