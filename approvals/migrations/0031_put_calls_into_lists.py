"""Calls of tools stand in lists like changes: with risk and agent, decided, and put off."""

import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0018_notice_withdrawn_calls'),
        ('approvals', '0030_order_by_risk'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CallSnooze',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('until', models.DateTimeField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RemoveIndex(
            model_name='callapproval',
            name='call_pending',
        ),
        migrations.AddField(
            model_name='callapproval',
            name='agent',
            field=models.GeneratedField(db_persist=True, expression=django.db.models.fields.json.KeyTextTransform('slug', django.db.models.fields.json.KeyTextTransform('agent', 'snapshot')), help_text='Who asks, as it was sealed.', output_field=models.CharField(max_length=60)),
        ),
        migrations.AddField(
            model_name='callapproval',
            name='risk',
            field=models.GeneratedField(db_persist=True, expression=models.Case(models.When(models.Q(('snapshot__tool__read_only', True)), then=models.Value('low')), models.When(models.Q(('snapshot__call__idempotent', True)), then=models.Value('medium')), default=models.Value('high')), help_text='By what the tool says of itself, as it was sealed.', output_field=models.CharField(choices=[('low', 'Low'), ('medium', 'Medium'), ('high', 'High')], max_length=6)),
        ),
        migrations.AddField(
            model_name='callapproval',
            name='risk_rank',
            field=models.GeneratedField(db_persist=True, expression=models.Case(models.When(models.Q(('snapshot__tool__read_only', True)), then=models.Value(2)), models.When(models.Q(('snapshot__call__idempotent', True)), then=models.Value(1)), default=models.Value(0)), output_field=models.SmallIntegerField()),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'expires_at', 'id'], include=('task', 'requester', 'single_person', 'requested_at', 'risk', 'agent'), name='call_pending'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'risk_rank', 'expires_at', 'id'], include=('task', 'requester', 'single_person', 'requested_at', 'agent'), name='call_pending_by_risk'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('decided_at__isnull', False), ('free', False)), fields=['project', '-decided_at', '-id'], include=('requester', 'risk', 'agent'), name='call_decided'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('decided_by__isnull', False)), fields=['decided_by', 'decided_at'], name='call_decided_by'),
        ),
        migrations.AddField(
            model_name='callsnooze',
            name='approval',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='snoozes', to='approvals.callapproval'),
        ),
        migrations.AddField(
            model_name='callsnooze',
            name='person',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='callsnooze',
            constraint=models.UniqueConstraint(fields=('person', 'approval'), name='one_call_snooze_per_person'),
        ),
        migrations.AddConstraint(
            model_name='callsnooze',
            constraint=models.CheckConstraint(condition=models.Q(('until__gt', models.F('at'))), name='call_snooze_ends_later'),
        ),
    ]
