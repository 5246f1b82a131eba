"""The lists of what waits and of what was decided are narrowed by risk and requester within their index."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0015_tell_of_routing'),
        ('approvals', '0020_seal_calls'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='approval',
            name='approval_pending',
        ),
        migrations.RemoveIndex(
            model_name='approval',
            name='approval_over',
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'expires_at', 'id'], include=('task', 'policy', 'requester', 'single_person', 'requested_at', 'risk'), name='approval_pending'),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['project', '-decided_at', '-id'], include=('requester', 'risk'), name='approval_over'),
        ),
    ]
