"""Calls of tools outside are sealed and decided; what was sealed stays, a decision is append-only."""

import django.db.models.deletion
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


SIGNATURES = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON approvals_callsignature
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
SEAL = """
CREATE TRIGGER sealed BEFORE UPDATE ON approvals_callapproval FOR EACH ROW WHEN (
    OLD.snapshot IS DISTINCT FROM NEW.snapshot OR OLD.digest <> NEW.digest OR OLD.nonce <> NEW.nonce
    OR OLD.call_id <> NEW.call_id OR OLD.requester_id <> NEW.requester_id OR OLD.free <> NEW.free
    OR OLD.single_person <> NEW.single_person OR (OLD.state <> 'pending' AND OLD.edited <> NEW.edited)
) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0017_ask_before_calling'),
        ('approvals', '0018_comments_on_lines'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CallApproval',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('single_person', models.BooleanField(default=False, help_text='Sealed from the project: the requester may sign.')),
                ('free', models.BooleanField(default=False, help_text='Sealed: the tool needs no permission.')),
                ('state', models.CharField(choices=[('pending', 'Waits for permission'), ('allowed', 'Allowed'), ('calling', 'Calling'), ('done', 'Called'), ('failed', 'Failed'), ('unknown', 'Unknown'), ('refused', 'Refused'), ('expired', 'Expired'), ('withdrawn', 'Withdrawn')], default='pending', max_length=9)),
                ('snapshot', models.JSONField(help_text='What the page shows and what is called; sealed.')),
                ('digest', models.CharField(help_text="SHA-256 of the snapshot's canonical JSON.", max_length=64)),
                ('nonce', models.CharField(max_length=64, unique=True)),
                ('edited', models.TextField(blank=True, help_text='The arguments as a person changed them: these are called.')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('expires_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('reason', models.TextField(blank=True, help_text='The note, or why it ended undecided.')),
                ('worker', models.CharField(blank=True, max_length=80)),
                ('sent_at', models.DateTimeField(help_text='From then on it may have landed.', null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('call', models.OneToOneField(help_text='Its row of the ledger.', on_delete=django.db.models.deletion.PROTECT, related_name='approval', to='agents.toolcall')),
                ('decided_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='projects.project')),
                ('requester', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('step', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='agents.step')),
                ('task', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='agents.task')),
            ],
        ),
        migrations.CreateModel(
            name='CallSignature',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('single_person', models.BooleanField(default=False)),
                ('verdict', models.CharField(choices=[('allow', 'Allow'), ('refuse', 'Refuse')], max_length=6)),
                ('digest', models.CharField(help_text='Of what is called: edited, if it was.', max_length=64)),
                ('nonce', models.CharField(max_length=64)),
                ('note', models.TextField(blank=True)),
                ('address', models.GenericIPAddressField(null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('key', models.CharField(default='', help_text='Whose mark it is.', max_length=16)),
                ('mark', models.CharField(default='', help_text='Ed25519.', max_length=88)),
                ('approval', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='signature', to='approvals.callapproval')),
                ('requester', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(fields=['project', '-id'], name='call_of_project'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(fields=['project', 'state', '-id'], name='call_in_state'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['project', 'expires_at', 'id'], name='call_pending'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('state', 'pending')), fields=['expires_at'], name='call_due'),
        ),
        migrations.AddIndex(
            model_name='callapproval',
            index=models.Index(condition=models.Q(('state__in', ['allowed', 'calling'])), fields=['id'], name='call_to_make'),
        ),
        migrations.AddConstraint(
            model_name='callapproval',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['pending', 'allowed', 'calling', 'done', 'failed', 'unknown', 'refused', 'expired', 'withdrawn'])), name='call_state_known'),
        ),
        migrations.AddConstraint(
            model_name='callapproval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('state', 'pending')), models.Q(models.Q(('state', 'pending'), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='call_decided_at_iff_over'),
        ),
        migrations.AddConstraint(
            model_name='callapproval',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('pending', 'expired', 'withdrawn')), ('free', True), ('decided_by__isnull', False), _connector='OR'), name='call_decision_has_a_person'),
        ),
        migrations.AddConstraint(
            model_name='callapproval',
            constraint=models.CheckConstraint(condition=models.Q(('decided_by__isnull', True), models.Q(('decided_by', models.F('requester')), _negated=True), ('single_person', True), _connector='OR'), name='requester_never_allows'),
        ),
        migrations.AddConstraint(
            model_name='callsignature',
            constraint=models.CheckConstraint(condition=models.Q(('verdict__in', ['allow', 'refuse'])), name='call_verdict_known'),
        ),
        migrations.AddConstraint(
            model_name='callsignature',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('signer', models.F('requester')), _negated=True), ('single_person', True), _connector='OR'), name='requester_never_signs_a_call'),
        ),
        migrations.RunSQL(SIGNATURES, "DROP TRIGGER append_only ON approvals_callsignature"),
        migrations.RunSQL(SEAL, "DROP TRIGGER sealed ON approvals_callapproval"),
    ]
