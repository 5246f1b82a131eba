"""Who is reminded of a call that waits; its time is put off by what was sealed, and by nothing else."""

import django.contrib.postgres.fields
import django.db.models.deletion
import projects.ids
from django.db import migrations, models


AS_SEALED = """
CREATE FUNCTION extend_call_as_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.extends IS DISTINCT FROM (
        SELECT (snapshot #>> '{policy,reminders,extend_hours}')::int * interval '1 hour'
        FROM approvals_callapproval WHERE id = NEW.approval_id
    ) THEN
        RAISE EXCEPTION 'the time to decide is put off otherwise than was sealed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER as_sealed BEFORE INSERT ON approvals_callreminder
    FOR EACH ROW WHEN (NEW.extends IS NOT NULL) EXECUTE FUNCTION extend_call_as_sealed();
"""
KEPT = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_callreminder FOR EACH ROW WHEN (
    OLD.extends IS DISTINCT FROM NEW.extends OR OLD.approval_id <> NEW.approval_id
    OR OLD.share <> NEW.share
) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0040_assign_calls'),
    ]

    operations = [
        migrations.CreateModel(
            name='CallReminder',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('share', models.PositiveSmallIntegerField(choices=[(50, '50 %'), (100, '100 %')])),
                ('due_at', models.DateTimeField(help_text='Later by the time of holds.')),
                ('extends', models.DurationField(help_text='As of a reminder of an approval.', null=True)),
                ('told_at', models.DateTimeField(null=True)),
                ('to', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, help_text='Who was told.', size=None)),
                ('approval', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='reminders', to='approvals.callapproval')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('told_at__isnull', True)), fields=['due_at'], name='call_reminder_due')],
                'constraints': [models.UniqueConstraint(fields=('approval', 'share'), name='one_call_reminder_per_share'), models.CheckConstraint(condition=models.Q(('share__in', [50, 100])), name='call_share_known'), models.CheckConstraint(condition=models.Q(('extends__isnull', True), ('share', 100), _connector='OR'), name='the_end_extends_a_call')],
            },
        ),
        migrations.RunSQL(AS_SEALED, "DROP FUNCTION extend_call_as_sealed() CASCADE"),
        migrations.RunSQL(KEPT, "DROP TRIGGER sealed ON approvals_callreminder"),
    ]
