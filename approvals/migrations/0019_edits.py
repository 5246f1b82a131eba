"""What people edited themselves before they approved it."""

import django.db.models.deletion
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0016_take_changes_back'),
        ('approvals', '0021_index_what_narrows'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Edit',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('path', models.TextField()),
                ('head_commit', models.CharField(help_text='What was sealed.', max_length=64)),
                ('result_commit', models.CharField(help_text='The edit, on top of it.', max_length=64)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('approval', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='edit', to='approvals.approval')),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('step', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.step')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('head_commit', models.F('result_commit')), _negated=True), name='edit_changes_something'), models.CheckConstraint(condition=models.Q(('path', ''), _negated=True), name='edit_names_its_file')],
            },
        ),
    ]
