"""A message that is sent again waits anew: it is not given up for the time it waited before."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notices', '0002_list_deliveries_by_webhook'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='waits_since',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, help_text='Created, or sent again by an admin.'),
        ),
        # Of those few on their way; others begin anew when they are sent again.
        migrations.RunSQL(
            "UPDATE notices_delivery SET waits_since = created_at WHERE state IN ('waiting', 'sending')",
            migrations.RunSQL.noop,
        ),
    ]
