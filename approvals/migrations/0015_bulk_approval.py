"""Whether approvals may be given together: a policy allows it, a rule forbids it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0012_why_stale'),
    ]

    operations = [
        migrations.AddField(
            model_name='policy',
            name='bulk_allowed',
            field=models.BooleanField(db_default=True, default=True, help_text='Low risk, reversible and green: may be approved together with others like it.'),
        ),
        migrations.AddField(
            model_name='policyrule',
            name='bulk_forbidden',
            field=models.BooleanField(db_default=False, default=False, help_text='Each is approved by itself, on its review page.'),
        ),
    ]
