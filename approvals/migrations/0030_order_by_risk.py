"""Views of the inbox may be in the order of risk, too."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0029_fill_lists_by_name'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='savedview',
            name='view_sort_known',
        ),
        migrations.AlterField(
            model_name='savedview',
            name='sort',
            field=models.CharField(choices=[('due', 'Due first'), ('risk', 'Risk first'), ('oldest', 'Oldest first'), ('newest', 'Newest first')], default='due', max_length=6),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.CheckConstraint(condition=models.Q(('sort__in', ['due', 'risk', 'oldest', 'newest'])), name='view_sort_known'),
        ),
    ]
