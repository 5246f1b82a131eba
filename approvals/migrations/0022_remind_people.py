"""Who is reminded of what waits, when, and whether the end of its time is put off."""

import django.contrib.postgres.fields
import django.db.models.deletion
import projects.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0019_edits'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Reminder',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('share', models.PositiveSmallIntegerField(choices=[(50, '50 %'), (100, '100 %')])),
                ('due_at', models.DateTimeField(help_text='Later by the time of holds.')),
                ('extends', models.DurationField(help_text='From the start, the time to decide ends so much later: it is sealed.', null=True)),
                ('told_at', models.DateTimeField(null=True)),
                ('to', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, help_text='Who was told.', size=None)),
            ],
        ),
        migrations.AddField(
            model_name='policy',
            name='extend_hours',
            field=models.PositiveIntegerField(blank=True, help_text='Once, and the people named below are told; all tech leads if there are none. Empty: it expires. Time alone never approves.', null=True, verbose_name='at the end, extend by hours'),
        ),
        migrations.AddField(
            model_name='policy',
            name='remind_half',
            field=models.CharField(choices=[('nobody', 'Nobody'), ('leads', 'All tech leads who may sign'), ('people', 'The people named below')], db_default='leads', default='leads', max_length=6, verbose_name='at half of the time, remind'),
        ),
        migrations.AddField(
            model_name='policy',
            name='remind_people',
            field=models.ManyToManyField(blank=True, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='people to remind'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('remind_half__in', ['nobody', 'leads', 'people'])), name='reminds_somebody_known'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('extend_hours__isnull', True), ('extend_hours__range', (1, 2160)), _connector='OR'), name='extends_by_1_h_to_90_days'),
        ),
        migrations.AddField(
            model_name='reminder',
            name='approval',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='reminders', to='approvals.approval'),
        ),
        migrations.AddIndex(
            model_name='reminder',
            index=models.Index(condition=models.Q(('told_at__isnull', True)), fields=['due_at'], name='reminder_due'),
        ),
        migrations.AddConstraint(
            model_name='reminder',
            constraint=models.UniqueConstraint(fields=('approval', 'share'), name='one_reminder_per_share'),
        ),
        migrations.AddConstraint(
            model_name='reminder',
            constraint=models.CheckConstraint(condition=models.Q(('share__in', [50, 100])), name='share_known'),
        ),
        migrations.AddConstraint(
            model_name='reminder',
            constraint=models.CheckConstraint(condition=models.Q(('extends__isnull', True), ('share', 100), _connector='OR'), name='the_end_extends'),
        ),
    ]
