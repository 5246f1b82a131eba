"""What a tech lead allowed beforehand: it stays as it was marked, and its uses are counted once."""

import datetime

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


GRANTS = """
CREATE TRIGGER marked BEFORE UPDATE ON approvals_standinggrant FOR EACH ROW WHEN (
    OLD.id <> NEW.id OR OLD.project_id <> NEW.project_id OR OLD.agent_id IS DISTINCT FROM NEW.agent_id
    OR OLD.server <> NEW.server OR OLD.tool <> NEW.tool OR OLD.pin <> NEW.pin
    OR OLD.patterns <> NEW.patterns OR OLD.origin_id <> NEW.origin_id
    OR OLD.granted_by_id <> NEW.granted_by_id OR OLD.at <> NEW.at OR OLD.expires_at <> NEW.expires_at
    OR OLD.max_hits <> NEW.max_hits OR OLD.key <> NEW.key OR OLD.mark <> NEW.mark
    OR NOT NEW.hits - OLD.hits BETWEEN 0 AND 1
    OR (OLD.revoked_at IS NOT NULL AND (
        OLD.revoked_at IS DISTINCT FROM NEW.revoked_at OR OLD.revoked_by_id IS DISTINCT FROM NEW.revoked_by_id
        OR OLD.hits <> NEW.hits))
) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE DELETE ON approvals_standinggrant
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
USES = """
CREATE FUNCTION count_standing_use() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM approvals_standinggrant WHERE id = NEW.grant_id AND hits = NEW.number
        AND revoked_at IS NULL AND expires_at > NEW.at
    ) THEN
        RAISE EXCEPTION 'a standing grant is not used as it is counted'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER counted BEFORE INSERT ON approvals_standinguse
    FOR EACH ROW EXECUTE FUNCTION count_standing_use();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON approvals_standinguse
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
UNCOUNTED = """
DROP TRIGGER append_only ON approvals_standinguse;
DROP FUNCTION count_standing_use() CASCADE;
"""
UNMARKED = """
DROP TRIGGER kept ON approvals_standinggrant;
DROP TRIGGER marked ON approvals_standinggrant;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0017_ask_before_calling'),
        ('approvals', '0033_hold_as_signed'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='StandingGrant',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('server', models.CharField(max_length=60)),
                ('tool', models.CharField(max_length=120)),
                ('pin', models.JSONField(help_text='The tool as it was sealed with the call; any other asks.')),
                ('patterns', models.TextField(help_text='What each argument may be, as one JSON text.')),
                ('at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('max_hits', models.PositiveSmallIntegerField()),
                ('hits', models.PositiveSmallIntegerField(default=0)),
                ('used_at', models.DateTimeField(help_text='Last.', null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('key', models.CharField(help_text='Whose mark it is.', max_length=16)),
                ('mark', models.CharField(help_text='Ed25519.', max_length=88)),
            ],
        ),
        migrations.CreateModel(
            name='StandingUse',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveSmallIntegerField(help_text='Which of the uses it is, from 1.')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name='policy',
            name='standing_grants',
            field=models.CharField(choices=[('none', 'None'), ('repeatable', 'Tools marked as only reading, or as idempotent'), ('any', 'Any tool, also one whose calls cannot be taken back')], db_default='repeatable', default='repeatable', help_text='With it a tech lead lets further calls through that are like the one allowed.', max_length=10, verbose_name='tools a standing grant may be for'),
        ),
        migrations.AddConstraint(
            model_name='policy',
            constraint=models.CheckConstraint(condition=models.Q(('standing_grants__in', ['none', 'repeatable', 'any'])), name='remembers_tools_known'),
        ),
        migrations.AddField(
            model_name='standinggrant',
            name='agent',
            field=models.ForeignKey(db_index=False, help_text="Whose calls; empty: any agent's.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent'),
        ),
        migrations.AddField(
            model_name='standinggrant',
            name='granted_by',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='standinggrant',
            name='origin',
            field=models.OneToOneField(help_text='The call decided.', on_delete=django.db.models.deletion.PROTECT, related_name='remembered_as', to='approvals.callapproval'),
        ),
        migrations.AddField(
            model_name='standinggrant',
            name='project',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='standing_grants', to='projects.project'),
        ),
        migrations.AddField(
            model_name='standinggrant',
            name='revoked_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='standinguse',
            name='approval',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='standing_use', to='approvals.callapproval'),
        ),
        migrations.AddField(
            model_name='standinguse',
            name='grant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='approvals.standinggrant'),
        ),
        migrations.AddIndex(
            model_name='standinggrant',
            index=models.Index(fields=['project', '-id'], name='grant_of_project'),
        ),
        migrations.AddIndex(
            model_name='standinggrant',
            index=models.Index(condition=models.Q(('revoked_at__isnull', True)), fields=['project', 'server', 'tool', 'expires_at'], name='grant_open'),
        ),
        migrations.AddConstraint(
            model_name='standinggrant',
            constraint=models.CheckConstraint(condition=models.Q(('max_hits__range', (1, 1000))), name='grant_of_1_to_1000_uses'),
        ),
        migrations.AddConstraint(
            model_name='standinggrant',
            constraint=models.CheckConstraint(condition=models.Q(('hits__lte', models.F('max_hits'))), name='grant_used_as_often_as_allowed'),
        ),
        migrations.AddConstraint(
            model_name='standinggrant',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('at')), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('at'), '+', models.Value(datetime.timedelta(days=30))))), name='grant_ends_within_30_days'),
        ),
        migrations.AddConstraint(
            model_name='standinggrant',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('revoked_at__isnull', True), ('revoked_by__isnull', True)), models.Q(('revoked_at__isnull', False), ('revoked_by__isnull', False)), _connector='OR'), name='grant_revoked_by_a_person'),
        ),
        migrations.AddConstraint(
            model_name='standinguse',
            constraint=models.UniqueConstraint(fields=('grant', 'number'), name='each_use_counts_once'),
        ),
        migrations.AddConstraint(
            model_name='standinguse',
            constraint=models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='uses_count_from_one'),
        ),
        migrations.RunSQL(GRANTS, UNMARKED),
        migrations.RunSQL(USES, UNCOUNTED),
    ]
