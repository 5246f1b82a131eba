"""Calls of tools outside wait in the ledger, and some of them for a person's permission."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0016_take_changes_back'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='event',
            name='event_kind_known',
        ),
        migrations.RemoveConstraint(
            model_name='toolcall',
            name='tool_call_state_known',
        ),
        migrations.AddField(
            model_name='tool',
            name='asks',
            field=models.CharField(choices=[('writes', 'Unless it only reads'), ('always', 'Always'), ('never', 'Never')], db_default='writes', default='writes', help_text="When a call waits for a tech lead's permission. Bundled tools never ask.", max_length=6, verbose_name='asks first'),
        ),
        migrations.AlterField(
            model_name='attempt',
            name='state',
            field=models.CharField(choices=[('running', 'Running'), ('finished', 'Finished'), ('escalated', 'Escalated'), ('released', 'Released'), ('asking', 'Waits for an answer'), ('lost', 'Lost'), ('failed', 'Failed'), ('cancelled', 'Stopped')], default='running', max_length=9),
        ),
        migrations.AlterField(
            model_name='event',
            name='kind',
            field=models.CharField(choices=[('task.submitted', 'Submitted'), ('task.state', 'State changed'), ('task.planned', 'Planned'), ('task.paused', 'Paused'), ('task.resumed', 'Resumed'), ('step.added', 'Step added'), ('step.state', 'Step state changed'), ('step.started', 'Step started'), ('message', 'Message'), ('tool.started', 'Tool started'), ('tool.finished', 'Tool finished'), ('step.finished', 'Step finished'), ('delegation.asked', 'Asked another agent'), ('delegation.answered', 'Answered an agent'), ('memory.recalled', 'Memory recalled'), ('limit.warned', 'Limit near'), ('escalation.raised', 'Needs a person'), ('escalation.resolved', 'A person decided how to go on'), ('call.asked', 'Asks to use a tool'), ('call.decided', 'A tool call was decided'), ('proposal.ready', 'Proposal ready'), ('approval.requested', 'Sign-off requested'), ('approval.assigned', 'Assigned'), ('approval.reminded', 'Reminded'), ('approval.signed', 'Signed'), ('approval.decided', 'Decided'), ('effect.started', 'Carrying out'), ('effect.finished', 'Carried out'), ('round.started', 'Next round'), ('task.finished', 'Finished')], max_length=30),
        ),
        migrations.AlterField(
            model_name='toolcall',
            name='state',
            field=models.CharField(choices=[('started', 'Started'), ('waiting', 'Waiting'), ('asked', 'Needs permission'), ('done', 'Done'), ('failed', 'Failed'), ('refused', 'Refused'), ('unknown', 'Unknown')], default='started', max_length=7),
        ),
        migrations.AddIndex(
            model_name='toolcall',
            index=models.Index(condition=models.Q(('state__in', ['waiting', 'asked'])), fields=['attempt'], name='tool_call_open'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['task.submitted', 'task.state', 'task.planned', 'task.paused', 'task.resumed', 'step.added', 'step.state', 'step.started', 'message', 'tool.started', 'tool.finished', 'step.finished', 'delegation.asked', 'delegation.answered', 'memory.recalled', 'limit.warned', 'escalation.raised', 'escalation.resolved', 'call.asked', 'call.decided', 'proposal.ready', 'approval.requested', 'approval.assigned', 'approval.reminded', 'approval.signed', 'approval.decided', 'effect.started', 'effect.finished', 'round.started', 'task.finished'])), name='event_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='tool',
            constraint=models.CheckConstraint(condition=models.Q(('asks__in', ['writes', 'always', 'never'])), name='tool_asks_known'),
        ),
        migrations.AddConstraint(
            model_name='toolcall',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['started', 'waiting', 'asked', 'done', 'failed', 'refused', 'unknown'])), name='tool_call_state_known'),
        ),
    ]
