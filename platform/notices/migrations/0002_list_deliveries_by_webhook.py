"""The log of one webhook is read from the end of an index that has its order."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notices', '0001_people_are_told'),
    ]

    operations = [
        migrations.AlterField(
            model_name='delivery',
            name='webhook',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='notices.webhook'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(condition=models.Q(('webhook__isnull', False)), fields=['webhook', 'id'], name='delivery_of_webhook'),
        ),
    ]
