"""Who holds what waits for permission; once that is over, the claim keeps nobody from being asked."""

import django.db.models.deletion
import django.db.models.functions.datetime
import projects.ids
from django.conf import settings
from django.db import migrations, models


END = """
CREATE FUNCTION end_call_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE approvals_callassignment SET alone_until = NULL
    WHERE approval_id = NEW.id AND alone_until IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER claimed_over AFTER UPDATE OF decided_at ON approvals_callapproval FOR EACH ROW
    WHEN (OLD.decided_at IS NULL AND NEW.decided_at IS NOT NULL) EXECUTE FUNCTION end_call_claim();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0039_narrow_lists_by_name'),
        ('projects', '0005_index_audit_by_object'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CallAssignment',
            fields=[
                ('id', models.UUIDField(default=projects.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('alone_until', models.DateTimeField(help_text='As of an assignment of what waits for a signature.', null=True)),
                ('approval', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='assignments', to='approvals.callapproval')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('holder', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.project')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('alone_until__isnull', False)), fields=['project', 'alone_until'], include=('approval', 'holder'), name='call_assignment_alone')],
                'constraints': [models.UniqueConstraint(fields=('approval',), name='one_holder_per_call')],
            },
        ),
        migrations.RunSQL(END, "DROP FUNCTION end_call_claim() CASCADE"),
    ]
