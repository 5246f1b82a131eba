"""Who puts a proposal together may say of a danger, and so raise its risk."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0021_keep_colours_of_hunks'),
    ]

    operations = [
        migrations.AddField(
            model_name='proposal',
            name='raised_to',
            field=models.CharField(blank=True, choices=[('medium', 'Medium'), ('high', 'High')], db_default='', default='', help_text='The least risk it has, as who put it together says.', max_length=6),
        ),
        migrations.AddField(
            model_name='proposal',
            name='raised_why',
            field=models.CharField(blank=True, db_default='', default='', max_length=200),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('raised_to', ''), ('raised_why', '')), models.Q(('raised_to__in', ['medium', 'high']), models.Q(('raised_why', ''), _negated=True)), _connector='OR'), name='raised_risk_says_why'),
        ),
    ]
