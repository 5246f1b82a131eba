"""Filters of the inbox that a person has named."""

import django.db.models.deletion
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0023_be_out_of_office'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=40)),
                ('query', models.CharField(blank=True, max_length=300)),
                ('sort', models.CharField(choices=[('due', 'Due first'), ('oldest', 'Oldest first'), ('newest', 'Newest first')], default='due', max_length=6)),
                ('position', models.PositiveSmallIntegerField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('person', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('person', 'position'), name='one_view_per_key'), models.UniqueConstraint(fields=('person', 'name'), name='one_view_per_name'), models.CheckConstraint(condition=models.Q(('position__range', (1, 9))), name='view_has_a_key'), models.CheckConstraint(condition=models.Q(('name', ''), _negated=True), name='view_has_a_name'), models.CheckConstraint(condition=models.Q(('sort__in', ['due', 'oldest', 'newest'])), name='view_sort_known')],
            },
        ),
    ]
