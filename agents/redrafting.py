"""What was said of a change still holds when merging it again changed nothing, or a person edited it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agents import cautions, planning
from agents.events import Kind
from agents.lifecycle import StepKind, StepState
from agents.messages import ProposalDraft
from agents.models import Event, Proposal, Step, StepDependency

if TYPE_CHECKING:
    from agents.assembling import Assembly
    from agents.models import FileChange
    from agents.workspace.diffs import FileDiff


def earlier_draft(assembly: Assembly) -> ProposalDraft | None:
    """Return the draft of the proposal before in this round, if the change has the same hunks.

    Then no model is asked again; what it claimed is verified anew. Nor is one when a person edited
    the change: they read it. None for a step that comes after other work, or has a person's note.
    """
    step = assembly.material.step
    if step.key == planning.ASSEMBLE or step.feedback or not assembly.changes:
        return None
    edited = step.key.startswith(planning.EDITED)
    if not edited and StepDependency.objects.filter(step=step).exists():
        return None
    same_round = {"task": step.task_id, "round": step.task.round}
    proposal = Proposal.objects.filter(**same_round).order_by("-version").first()
    if proposal is None or _noted_since(proposal):
        return None
    if not edited and not _says_the_same(proposal, assembly):
        return None
    drafted = Step.objects.filter(**same_round, kind=StepKind.ASSEMBLE, state=StepState.DONE)
    last = drafted.order_by("-pk").first()
    try:
        return ProposalDraft.model_validate(last.result) if last else None
    except ValidationError:
        return None  # of a version before this one


def _says_the_same(proposal: Proposal, assembly: Assembly) -> bool:
    checks = assembly.checks.model_dump(mode="json")
    found = [(proposal.checks.get(name), checks[name]) for name in ("ran", "exit_code")]
    warned = [warning["kind"] for warning in proposal.warnings]
    return (
        all(before == now for before, now in found)
        and sorted(warned) == sorted(warning["kind"] for warning in assembly.warnings)
        and _proposed(proposal) == _merged(assembly)
    )


def _noted_since(proposal: Proposal) -> bool:
    said = Event.objects.filter(task=proposal.task_id, kind=Kind.MESSAGE, data__from="person")
    return said.filter(at__gt=proposal.created_at).exists()


def _proposed(proposal: Proposal) -> list[tuple[Any, ...]]:
    return sorted(_of_row(file) for file in proposal.files.prefetch_related("hunks"))


def _merged(assembly: Assembly) -> list[tuple[Any, ...]]:
    return sorted(_of_diff(file) for file in assembly.diffs)


def _of_row(file: FileChange) -> tuple[Any, ...]:
    digests = [hunk.digest for hunk in file.hunks.all()]  # in their order
    return (file.path, file.old_path, *_kind(file), digests)


def _of_diff(file: FileDiff) -> tuple[Any, ...]:
    digests = [hunk.digest for hunk in file.hunks]
    return (cautions.shown(file.path), cautions.shown(file.old_path), *_kind(file), digests)


def _kind(file: FileChange | FileDiff) -> tuple[str, ...]:
    # A file without lines is what its blob says.
    return file.status, file.old_mode, file.new_mode, file.new_blob if file.binary else ""
