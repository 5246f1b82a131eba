"""When people are out of office, who stands in for them, and for whom somebody signed."""

import django.db.models.deletion
import projects.ids
from django.conf import settings
from django.db import migrations, models


DELEGATIONS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON approvals_delegation
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
KEPT = """
CREATE TRIGGER kept BEFORE DELETE ON approvals_absence
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
STATED = """
CREATE TRIGGER stated BEFORE UPDATE ON approvals_absence FOR EACH ROW WHEN (
    OLD.ended_at IS NOT NULL OR OLD.id <> NEW.id OR OLD.person_id <> NEW.person_id OR OLD.at <> NEW.at
    OR OLD.begins_at <> NEW.begins_at OR OLD.ends_at <> NEW.ends_at
) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0022_remind_people'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='signature',
            name='on_behalf_of',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list, help_text='Absent people it counts for, each with the delegation.'),
        ),
        migrations.CreateModel(
            name='Absence',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('begins_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('at', models.DateTimeField(help_text='When it was said.')),
                ('ended_at', models.DateTimeField(help_text='The person was back earlier.', null=True)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='absences', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Delegation',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(help_text='Whose mark it is.', max_length=16)),
                ('mark', models.CharField(help_text='Ed25519.', max_length=88)),
                ('absence', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='delegations', to='approvals.absence')),
                ('delegate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('person', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='projects.project')),
            ],
        ),
        migrations.AddIndex(
            model_name='absence',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['person', 'ends_at'], name='absence_open'),
        ),
        migrations.AddConstraint(
            model_name='absence',
            constraint=models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('begins_at'))), name='absence_ends_later'),
        ),
        migrations.AddConstraint(
            model_name='absence',
            constraint=models.CheckConstraint(condition=models.Q(('begins_at__gte', models.F('at'))), name='absence_is_not_backdated'),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(fields=['delegate', 'project'], name='delegation_to'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.UniqueConstraint(fields=('absence', 'project'), name='one_delegate_per_project'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(('person', models.F('delegate')), _negated=True), name='nobody_stands_in_for_themselves'),
        ),
        migrations.RunSQL(DELEGATIONS, "DROP TRIGGER append_only ON approvals_delegation"),
        migrations.RunSQL(KEPT, "DROP TRIGGER kept ON approvals_absence"),
        migrations.RunSQL(STATED, "DROP TRIGGER stated ON approvals_absence"),
    ]
