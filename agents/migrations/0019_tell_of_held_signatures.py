"""An event says that signatures hold on a main that has moved."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0018_notice_withdrawn_calls'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='event',
            name='event_kind_known',
        ),
        migrations.AlterField(
            model_name='event',
            name='kind',
            field=models.CharField(choices=[('task.submitted', 'Submitted'), ('task.state', 'State changed'), ('task.planned', 'Planned'), ('task.paused', 'Paused'), ('task.resumed', 'Resumed'), ('step.added', 'Step added'), ('step.state', 'Step state changed'), ('step.started', 'Step started'), ('message', 'Message'), ('tool.started', 'Tool started'), ('tool.finished', 'Tool finished'), ('step.finished', 'Step finished'), ('delegation.asked', 'Asked another agent'), ('delegation.answered', 'Answered an agent'), ('memory.recalled', 'Memory recalled'), ('limit.warned', 'Limit near'), ('escalation.raised', 'Needs a person'), ('escalation.resolved', 'A person decided how to go on'), ('call.asked', 'Asks to use a tool'), ('call.decided', 'A tool call was decided'), ('proposal.ready', 'Proposal ready'), ('approval.requested', 'Sign-off requested'), ('approval.assigned', 'Assigned'), ('approval.reminded', 'Reminded'), ('approval.signatures_held', 'Signatures hold'), ('approval.signed', 'Signed'), ('approval.decided', 'Decided'), ('effect.started', 'Carrying out'), ('effect.finished', 'Carried out'), ('round.started', 'Next round'), ('task.finished', 'Finished')], max_length=30),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['task.submitted', 'task.state', 'task.planned', 'task.paused', 'task.resumed', 'step.added', 'step.state', 'step.started', 'message', 'tool.started', 'tool.finished', 'step.finished', 'delegation.asked', 'delegation.answered', 'memory.recalled', 'limit.warned', 'escalation.raised', 'escalation.resolved', 'call.asked', 'call.decided', 'proposal.ready', 'approval.requested', 'approval.assigned', 'approval.reminded', 'approval.signatures_held', 'approval.signed', 'approval.decided', 'effect.started', 'effect.finished', 'round.started', 'task.finished'])), name='event_kind_known'),
        ),
    ]
