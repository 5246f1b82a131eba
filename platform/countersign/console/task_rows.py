"""The rows a task page is made of, read together: its run, what came of it, who may sign it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper
from django.db.models.fields.json import KeyTextTransform, KeyTransform

from agents import meters, reverting, takeovers
from agents.events import Kind
from agents.lifecycle import EscalationState, TaskState
from agents.models import (
    Agent,
    AgentVersion,
    Attempt,
    Claim,
    Escalation,
    Event,
    FileChange,
    Proposal,
    Step,
    StepDependency,
    ToolCall,
)
from approvals import counting, deadlines
from approvals.calls import selectors as calls_asked
from approvals.lifecycle import SignatureVerdict
from approvals.models import SEAL, Approval, CallApproval, Edit, Effect, Signature
from countersign.console import queueing, signers, timeline
from countersign.console.meters import UNPRICED
from countersign.console.sentences import LONG
from memory.lifecycle import MemoryState
from memory.models import Memory, MemoryUse
from projects import across, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet

    from agents.models import Task
    from projects.models import User
    from projects.together import Found

# Of what is sealed only this: the rest may be long.
_TITLE = KeyTextTransform("title", KeyTransform("proposal", "outline"))
_MOST = 100_000  # events of one task; a number that is surely whole


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Everything of one task but its events."""

    steps: list[Step]
    tries: dict[object, list[Attempt]]
    calls: list[ToolCall]
    questions: list[Escalation]
    asking: list[CallApproval]  # calls that need permission
    undoable: list[Any]  # calls whose permission can be undone still
    approval: Approval | None  # with whether it `asks` this person, and they `did_part` of it
    edit: Edit | None  # which ended that approval
    proposal: Proposal | None
    effect: Effect | None
    uses: list[MemoryUse]
    lesson: Memory | None
    reverted_by: Task | None
    signers: list[Any]  # people who may sign, each with whether they `signed` that approval
    agreed: list[Signature]  # that approved it, one by one or together, with their signers
    lapsed: set[UUID]  # of agreed, who signed those that did not count when it was approved
    seconds: float
    errors: int
    unpriced: bool


def read(task: Task, user: User, *, calls: bool) -> Rows:
    """Read them for this person; the tool calls only for who shows them."""
    events = Event.objects.filter(task=task)
    numbers = {
        "seconds": meters.seconds_of(task),
        "errors": across.counted(events.filter(timeline.TROUBLE), _MOST),
        "unpriced": across.counted(events.filter(UNPRICED), 1),
    }
    found = together.read({**_of_run(task, user, calls=calls), **_of_outcome(task, user)}, numbers)
    steps = _linked(task, found)
    approval, proposal, effect = _outcome(task, found)
    agreed = _agreed(found)
    return Rows(
        steps=steps,
        tries=_tries(found),
        calls=_calls(found),
        questions=_questions(task, found, steps),
        asking=found.rows("asking") if task.state == TaskState.NEEDS_HUMAN else [],
        undoable=found.rows("undoable"),
        approval=approval,
        edit=_edit(found),
        proposal=proposal,
        effect=effect,
        uses=_uses(found),
        lesson=found.first("lesson"),
        reverted_by=found.first("reverted_by"),
        signers=_signers(task, approval, found),
        agreed=agreed,
        lapsed=_lapsed(found, agreed),
        seconds=found.number("seconds") or 0.0,
        errors=found.number("errors"),
        unpriced=bool(found.number("unpriced")),
    )


def read_steps(task: Task) -> list[Step]:
    """Read the steps with their agents alone."""
    return list(Step.objects.filter(task=task).select_related("agent").order_by("round", "id"))


def _of_run(task: Task, user: User, *, calls: bool) -> Mapping[str, QuerySet[Any]]:
    steps = Step.objects.filter(task=task)
    attempts = Attempt.objects.filter(step__task=task).defer("checkpoint").order_by("number")
    lists: dict[str, QuerySet[Any]] = {
        "steps": queueing.with_ahead(steps.order_by("round", "id"), task),
        "agents": Agent.objects.filter(pk__in=steps.order_by().values("agent")),
        "versions": AgentVersion.objects.filter(pk__in=steps.order_by().values("version")),
        "needs": StepDependency.objects.filter(step__task=task),
        "attempts": attempts,
        "undoable": calls_asked.undoable_of(task, user),
    }
    if calls:
        made = ToolCall.objects.filter(attempt__step__task=task).defer("result")
        lists["calls"] = made.order_by("started_at")
    if task.state == TaskState.NEEDS_HUMAN:
        asked = Escalation.objects.filter(task=task, state=EscalationState.OPEN)
        lists["questions"] = asked.order_by("raised_at")
        lists["asking"] = calls_asked.of_task(task)
    return lists


def _of_outcome(task: Task, user: User) -> Mapping[str, QuerySet[Any]]:
    approval = Approval.objects.filter(task=task).order_by("-pk")[:1]
    asks = counting.asks_again(Signature.objects.all(), user.pk)
    agreed = Signature.objects.filter(
        approval__in=approval.values("pk"), verdict=SignatureVerdict.APPROVE
    )
    proposal = Proposal.objects.filter(task=task).order_by("-round", "-version")[:1]
    effects = Effect.objects.filter(approval__task=task).order_by("-approval__id", "-position")
    edits = Edit.objects.filter(approval__in=approval.values("pk"))
    uses = MemoryUse.objects.filter(task=task.pk, memory__project=task.project_id)
    kept = Memory.objects.filter(project=task.project_id, source_task=task.pk)
    return {
        "approvals": approval.defer(*SEAL).annotate(
            sealed_title=_TITLE,
            sealed_policy=KeyTransform("policy", "outline"),
            asks=ExpressionWrapper(asks, output_field=BooleanField()),
            did_part=takeovers.did_part(user, task="task_id"),
        ),
        "people": signers.people(approval.values("decided_by")),
        "edits": edits,
        "edited_by": signers.people(edits.values("person")),
        "signed": Proposal.objects.filter(pk__in=approval.values("proposal")).defer("report"),
        "proposals": proposal,
        "claims": Claim.objects.filter(proposal__in=proposal.values("pk")).order_by("position"),
        "files": FileChange.objects.filter(proposal__in=proposal.values("pk")).only("proposal"),
        "effects": deadlines.with_window(effects)[:1],
        "uses": uses.order_by("-rank", "-id"),
        "memories": Memory.objects.filter(
            project=task.project_id, pk__in=uses.order_by().values("memory")
        ).defer("search"),
        "lesson": kept.exclude(state=MemoryState.ERASED)
        .defer("search")
        .order_by("recorded_at")[:1],
        "signers": signers.of(task, Signature.objects.filter(approval__in=approval.values("pk"))),
        "agreed": agreed.only("signer", "on_behalf_of").order_by("pk"),
        "agreed_by": signers.people(agreed.values("signer")),
        "last_counted": _last_counted(task),
        "reverted_by": reverting.of(task).defer(*LONG),
    }


def _by_key(rows: Iterable[Any]) -> dict[Any, Any]:
    return {row.pk: row for row in rows}


def _linked(task: Task, found: Found) -> list[Step]:
    """Return the steps with their agents, versions and what they need."""
    steps: list[Step] = found.rows("steps")
    known = _by_key(steps)
    agents, versions = _by_key(found.rows("agents")), _by_key(found.rows("versions"))
    needs: dict[Any, list[StepDependency]] = {}
    for row in found.rows("needs"):
        row.step, row.needs = known[row.step_id], known[row.needs_id]
        needs.setdefault(row.step_id, []).append(row)
    for step in steps:
        step.task, step.project = task, task.project
        step.agent, step.version = agents[step.agent_id], versions[step.version_id]
        step.asked_by = known.get(step.asked_by_id)
        together.keep(step, "dependencies", needs.get(step.pk, ()))
    together.keep(task, "steps", steps)
    return steps


def _tries(found: Found) -> dict[object, list[Attempt]]:
    tries: dict[object, list[Attempt]] = {}
    for row in found.rows("attempts"):
        tries.setdefault(row.step_id, []).append(row)
    return tries


def _calls(found: Found) -> list[ToolCall]:
    attempts = _by_key(found.rows("attempts"))
    for call in found.rows("calls"):
        call.attempt = attempts[call.attempt_id]
    return found.rows("calls")


def _questions(task: Task, found: Found, steps: list[Step]) -> list[Escalation]:
    known = _by_key(steps)
    for row in found.rows("questions"):
        row.step = known.get(row.step_id)
        row.task = task
    return found.rows("questions")


def _outcome(task: Task, found: Found) -> tuple[Approval | None, Proposal | None, Effect | None]:
    approval, proposal, effect = (found.first(n) for n in ("approvals", "proposals", "effects"))
    if approval is not None:
        approval.task, approval.proposal = task, found.first("signed")
        approval.decided_by = found.first("people")
    if proposal is not None:
        together.keep(proposal, "claims", found.rows("claims"))
        together.keep(proposal, "files", found.rows("files"))
    return approval, proposal, effect


def _signers(task: Task, approval: Approval | None, found: Found) -> list[Any]:
    """Return who may sign it: see rights.who_may."""
    alone = task.project.single_person and (approval is None or approval.single_person)
    return [person for person in found.rows("signers") if alone or not person.worked]


def _agreed(found: Found) -> list[Signature]:
    people = _by_key(found.rows("agreed_by"))
    for row in found.rows("agreed"):
        row.signer = people[row.signer_id]
    return found.rows("agreed")


def _last_counted(task: Task) -> QuerySet[Event]:
    """Return what was said when signatures were counted last, at a signature, where who had signed
    approved again, or where signatures went over to a new main; looked for from the end, where it is by then."""
    if task.state not in {TaskState.EXECUTING, TaskState.DONE}:
        return Event.objects.none()
    kinds = [Kind.APPROVAL_SIGNED, Kind.APPROVAL_DECIDED, Kind.SIGNATURES_HELD]
    counted = Event.objects.filter(task=task, kind__in=kinds, data__has_key="signed")
    return counted.only("data").order_by("-seq")[:1]


def _lapsed(found: Found, agreed: list[Signature]) -> set[UUID]:
    last = found.first("last_counted")
    data = last.data if last else {}
    if "lapsed_people" in data:
        return {UUID(key) for key in data["lapsed_people"]}
    names = data.get("lapsed", [])  # all that was told before keys were
    return {row.signer_id for row in agreed if row.signer.display_name in names}


def _edit(found: Found) -> Edit | None:
    edit: Edit | None = found.first("edits")
    if edit is not None:
        edit.person = found.rows("edited_by")[0]
    return edit


def _uses(found: Found) -> list[MemoryUse]:
    """Return which lessons were put before which agents, each once."""
    memories, seen = _by_key(found.rows("memories")), {}
    for use in found.rows("uses"):
        use.memory = memories[use.memory_id]
        seen[use.memory_id] = use
    return list(reversed(seen.values()))
