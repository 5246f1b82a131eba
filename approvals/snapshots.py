"""Builds what is sealed: everything the review page shows and the executor does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from agents import meters, takeovers
from agents.lifecycle import StepKind
from agents.models import Claim, FileChange, Hunk, Step
from agents.models.proposals import ProposalKind
from agents.workspace.addresses import without_secrets
from approvals import handwork, requirements, risk, wording
from approvals.exceptions import TooLarge
from approvals.models import SEAL_OF_APPROVAL, Edit
from memory.models import MemoryUse
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from agents.models import Proposal, Task
    from approvals.models import Policy, PolicyRule
    from projects.models import Project

    _Agents = dict[uuid.UUID, list[dict[str, Any]]]

VERSION = 1
MAX_DIFF_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rows say of proposals and their tasks."""

    claims: dict[uuid.UUID, list[dict[str, Any]]]  # by proposal
    agents: _Agents  # who worked on it, by proposal
    planners: _Agents
    memories: dict[uuid.UUID, list[dict[str, Any]]]  # by task
    used: dict[uuid.UUID, meters.Used]  # by task
    editors: dict[uuid.UUID, list[dict[str, Any]]]  # by task

    @classmethod
    def read(cls, proposals: Sequence[Proposal]) -> Facts:
        """Read them; the number of statements does not grow with the number of proposals."""
        tasks = [proposal.task_id for proposal in proposals]
        return cls(
            claims=_claims(proposals),
            agents=_agents(proposals, _WORKED),
            planners=_agents(proposals, _PLANNERS),
            memories=_memories(tasks),
            used=meters.used_by([proposal.task for proposal in proposals]),
            editors=_editors(tasks),
        )


def build(
    proposal: Proposal,
    facts: Facts,
    *,
    policy: Policy,
    rules: Sequence[PolicyRule],
    nonce: str,
    now: datetime,
) -> dict[str, Any]:
    """Return the snapshot of a proposal; raises TooLarge, never leaves a line out."""
    task = proposal.task
    project = task.project
    snapshot: dict[str, Any] = {
        "version": VERSION,
        "task": _task(task),
        "requester": {"id": str(task.requester_id), "name": task.requester.display_name},
        "round": proposal.round,
        "proposal": _proposal(proposal),
        "files": files_of(proposal),
        "claims": facts.claims.get(proposal.pk, []),
        "checks": proposal.checks,
        "warnings": proposal.warnings,  # of its files; others are added below
        "agents": facts.agents.get(proposal.pk, []),
        "planned_by": facts.planners.get(proposal.pk, []),
        "memories": facts.memories.get(task.pk, []),
        "usage": _usage(task, facts.used[task.pk]),
        "single_person": project.single_person,
        "nonce": nonce,
    }
    if editors := facts.editors.get(task.pk):
        snapshot["edited_by"] = editors
        snapshot["edited_lines"] = handwork.lines_of(proposal, snapshot["files"])
    snapshot["effects"] = [_effect(proposal, files=len(snapshot["files"]))]
    snapshot["warnings"] = [*wording.warnings(snapshot), *proposal.warnings]
    level, reasons = risk.score(
        snapshot,
        money_paths=policy.money_paths,
        protected_paths=policy.protected_paths,
        checks_expected=bool(project.checks_command),
    )
    snapshot["risk"] = {"level": str(level), "reasons": reasons}
    required = requirements.of(policy, rules, snapshot)
    snapshot["policy"] = {"id": str(policy.pk), "version": policy.version, **required.seal()}
    snapshot["expires_at"] = (now + timedelta(hours=required.expires_hours)).isoformat()
    plain: dict[str, Any] = without_floats(snapshot)
    return plain


def without_floats(value: Any) -> Any:
    """Return the value with every float as a decimal text: jsonb and JSON disagree on floats."""
    if isinstance(value, dict):
        return {str(key): without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_floats(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{Decimal(repr(value)).normalize():f}"
    return value


def files_of(proposal: Proposal) -> list[dict[str, Any]]:
    """Return every file with every hunk, in order; raises TooLarge."""
    if proposal.kind == ProposalKind.REPORT:
        return []
    hunks: dict[Any, list[dict[str, Any]]] = {}
    size = 0
    people = _people(proposal)
    rows = (
        Hunk.objects.filter(file__proposal=proposal)
        .select_related("author_step__agent", "author_attempt")
        .order_by("file__position", "position")
    )
    for hunk in rows.iterator(chunk_size=500):
        size += len(hunk.text.encode())
        if size > MAX_DIFF_BYTES:
            raise TooLarge(
                f"The change is larger than {MAX_DIFF_BYTES // 1024**2} MiB, more than a person can"
                " read, so it is not put up for sign-off. Nothing was merged and the agents' work"
                " is kept. Stop the task and ask for smaller parts, one task each."
            )
        hunks.setdefault(hunk.file_id, []).append(_hunk(hunk, people))
    files = FileChange.objects.filter(proposal=proposal).order_by("position")
    return [{**_file(file), "hunks": hunks.get(file.pk, [])} for file in files]


def _file(file: FileChange) -> dict[str, Any]:
    return {
        "id": str(file.pk),
        "path": file.path,
        "old_path": file.old_path,
        "status": file.status,
        "binary": file.binary,
        "added": file.added,
        "removed": file.removed,
        "old_mode": file.old_mode,
        "new_mode": file.new_mode,
        "old_blob": file.old_blob,
        "new_blob": file.new_blob,
    }


def _people(proposal: Proposal) -> dict[Any, str]:
    """Return who took over or edited steps of this change, by step."""
    steps = set(Hunk.objects.filter(file__proposal=proposal).values_list("author_step", flat=True))
    edits = Edit.objects.filter(step__in=steps).select_related("person")
    people = {**takeovers.people(steps), **{edit.step_id: edit.person for edit in edits}}
    return {step: by.display_name for step, by in people.items()}


def _hunk(hunk: Hunk, people: dict[Any, str]) -> dict[str, Any]:
    return {
        "id": str(hunk.pk),
        "old_start": hunk.old_start,
        "old_lines": hunk.old_lines,
        "new_start": hunk.new_start,
        "new_lines": hunk.new_lines,
        "section": hunk.section,
        "text": hunk.text,
        "author": _author(hunk, people),
    }


def _author(hunk: Hunk, people: dict[Any, str]) -> dict[str, Any] | None:
    step, attempt = hunk.author_step, hunk.author_attempt
    if step is None:
        return None
    # The agent stays: what is sent back goes to it.
    by = {"person": people[step.pk]} if step.pk in people else {}
    return by | {
        "agent": step.agent.slug,
        "name": step.agent.name,
        "step": str(step.pk),
        "title": step.title,
        "attempt": attempt.number if attempt else step.attempt,
        "round": step.round,
    }


def _effect(proposal: Proposal, *, files: int) -> dict[str, Any]:
    task = proposal.task
    if proposal.kind == ProposalKind.REPORT:
        return {
            "kind": "deliver",
            "to": task.requester.display_name,
            "to_id": str(task.requester_id),
            "title": proposal.title,
            "reversible": False,
        }
    return {
        "kind": "git.merge",
        "repository": without_secrets(task.project.repository),
        "project": task.project.name,
        "branch": task.project.main_branch,
        "base": proposal.base_commit,
        "head": proposal.head_commit,
        "tree": proposal.tree,
        "files": files,
        "added": proposal.added,
        "removed": proposal.removed,
        "reversible": True,
    }


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": str(task.pk),
        "number": task.number,
        "label": task.label,
        "title": task.title,
        "request": task.request,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "id": str(proposal.pk),
        "version": proposal.version,
        "kind": proposal.kind,
        "title": proposal.title,
        "summary": proposal.summary,
        "report": proposal.report,
        "model": proposal.model,
        **_raised(proposal),
    }


def _raised(proposal: Proposal) -> dict[str, Any]:
    if not proposal.raised_to:
        return {}
    return {"raised_risk": {"to": proposal.raised_to, "why": proposal.raised_why}}


def _claims(proposals: Sequence[Proposal]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    found: dict[uuid.UUID, list[dict[str, Any]]] = {}
    rows = _CLAIMS(proposals=[proposal.pk for proposal in proposals])
    for proposal, text, verdict, evidence, agent in rows:
        claim = {"text": text, "agent": agent or "", "verdict": verdict, "evidence": evidence}
        found.setdefault(proposal, []).append(claim)
    return found


_CLAIMS: Prepared[Any] = Prepared(
    lambda: (
        Claim.objects.filter(proposal__any=Given("proposals"))
        .order_by("position")
        .values_list("proposal", "text", "verdict", "evidence", "step__agent__slug")
    )
)


def _agents(proposals: Sequence[Proposal], steps: Prepared[Any]) -> _Agents:
    """List whose steps these are in each, each version once."""
    worked: dict[uuid.UUID, list[tuple[int, dict[str, Any]]]] = {}
    for task, number, version, *agent in steps(tasks=[each.task_id for each in proposals]):
        facts = {**dict(zip(_SHOWN, agent, strict=True)), "version": version}
        worked.setdefault(task, []).append((number, facts))
    return {
        proposal.pk: list(
            {
                (facts["slug"], facts["version"]): facts
                for number, facts in worked.get(proposal.task_id, [])
                if number <= proposal.round
            }.values()
        )
        for proposal in proposals
    }


_SHOWN = ("slug", "name", "colour", "icon")  # of an agent
_PLANNED = Q(kind=StepKind.ROUTE)  # by who is no addressee: a note on the work goes to who did it


def _tried(which: Q) -> QuerySet[Any, Any]:
    steps = Step.objects.filter(which, task__any=Given("tasks"), attempt__gt=0)
    named = (f"agent__{name}" for name in _SHOWN)
    return steps.order_by("round", "id").values_list("task", "round", "version__number", *named)


_WORKED: Prepared[Any] = Prepared(lambda: _tried(~_PLANNED))
_PLANNERS: Prepared[Any] = Prepared(lambda: _tried(_PLANNED))


def _memories(tasks: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """List what was recalled by id: its text never changes, and can still be forgotten."""
    found: dict[uuid.UUID, dict[str, None]] = {}
    for task, memory in _USES(tasks=list(tasks)):
        found.setdefault(task, {})[str(memory)] = None
    return {task: [{"id": memory} for memory in memories] for task, memories in found.items()}


_USES: Prepared[Any] = Prepared(
    lambda: (
        MemoryUse.objects.filter(task__any=Given("tasks"))
        .order_by("id")
        .values_list("task", "memory_id")
    )
)


def _editors(tasks: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """List who edited what was proposed, each once, in the order in which they first did."""
    found: dict[uuid.UUID, dict[str, str]] = {}
    for edit in _EDITS(tasks=list(tasks)):
        known = found.setdefault(edit.approval.task_id, {})
        known.setdefault(str(edit.person_id), edit.person.display_name)
    return {
        task: [{"id": pk, "name": name} for pk, name in people.items()]
        for task, people in found.items()
    }


_EDITS: Prepared[Any] = Prepared(
    lambda: (
        Edit.objects.filter(approval__task__any=Given("tasks"))
        .select_related("person", "approval")
        .defer(*SEAL_OF_APPROVAL)
        .order_by("pk")
    )
)


def _usage(task: Task, used: meters.Used) -> dict[str, Any]:
    return {
        "seconds": int(used.seconds),  # of the agents; waiting for people is no work
        "usd": f"{task.usd:f}",
        "tokens": task.input_tokens + task.output_tokens,
        "turns": task.model_calls,
    }


def same_repository(project: Project, effect: dict[str, Any]) -> bool:
    """Tell whether the project still points where the sealed effect goes."""
    return (without_secrets(project.repository), project.main_branch) == (
        effect["repository"],
        effect["branch"],
    )
