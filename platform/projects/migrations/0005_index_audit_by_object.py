"""An index of the audit log by what it is about, made while all goes on."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# What a run that was cut short has left behind.
_DROP_HALF = 'DROP INDEX CONCURRENTLY IF EXISTS audit_of_object'


class Migration(migrations.Migration):

    atomic = False
    dependencies = [
        ('projects', '0004_audit_append'),
    ]

    operations = [
        migrations.RunSQL(_DROP_HALF, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['object_id'], name='audit_of_object'),
        ),
    ]
