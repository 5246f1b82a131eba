"""Makes one proposal of a round's work: merge, check, warn, verify, and write its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import Count

from agents import cautions, omissions, planning, storable
from agents.cautions import reach
from agents.events import Kind
from agents.lifecycle import StepState, TaskState
from agents.models import Claim, FileChange, Hunk, Proposal, Step
from agents.models.proposals import ProposalKind, RaisedTo
from agents.models.tasks import Rule
from agents.runtime.contract import NeedsHuman
from agents.workspace import claims as checking
from agents.workspace.authorship import Contribution, attribute
from agents.workspace.checks import CheckReport, run_checks
from agents.workspace.colouring import colours_of
from agents.workspace.git import Store
from projects.failpoints import failpoint
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection

    from agents.materials import Material
    from agents.messages import ProposalDraft, StatedClaim
    from agents.models import Task
    from agents.workspace.diffs import FileDiff, HunkDiff
    from agents.writing import Writes

_CLAIM_EVIDENCE = 500  # characters


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """The merged work of a round with everything our own runs found out about it."""

    material: Material
    store: Store
    base: str
    head: str
    tree: str
    diffs: list[FileDiff]
    authors: list[list[Contribution | None]]
    colours: list[list[str]]  # of each file's hunks
    checks: CheckReport
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        """Tell whether a merge is proposed, or a report."""
        return bool(self.diffs) and self.material.outcome == "change"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One claim with the step that made it and our verdict."""

    claim: StatedClaim
    step: Step | None
    verdict: str
    evidence: str


def prepare(
    material: Material, *, stopped: Callable[[], bool] = lambda: False
) -> Assembly | NeedsHuman:
    """Merge onto main as it is now, diff, attribute, check and scan. Blocks: git and a sandbox.

    `stopped` is asked while the checks run: they end at once when it says so.
    Raises RepositoryUnreachable, NoSuchBranch, GitFailed.
    """
    task = material.step.task
    store = Store.of(task.project)
    base = store.fetch()
    merged = _merge(store, material, base)
    if isinstance(merged, NeedsHuman):
        return merged
    tree = store.tree_of(merged)
    diffs = store.diff(base, merged)
    change = bool(diffs) and material.outcome == "change"
    authors = attribute(store, base, merged, material.contributions, diffs)
    return Assembly(
        material=material,
        store=store,
        base=base,
        head=merged,
        tree=tree,
        diffs=diffs,
        authors=authors,
        colours=colours_of(diffs if change else ()),
        checks=run_checks(task.project, store, tree, stopped=stopped) if change else CheckReport(),
        warnings=_warnings(material, store, merged, diffs),
    )


def verify(assembly: Assembly, draft: ProposalDraft) -> list[Verified]:
    """Check every claim of the draft, and those of agents it left out. Blocks: git.

    A claim an aggregator drops would otherwise be a claim nobody checks, and one it words anew
    would be shown as the agent's: what an agent claimed is taken from the agent's own result.
    """
    stated: dict[tuple[str, str], tuple[StatedClaim, Step | None]] = {}
    theirs = [
        (claim, step) for step in assembly.material.latest for claim in planning.claims_of(step)
    ]
    for claim in draft.claims:
        own, author = next(((c, s) for c, s in theirs if _same(c, claim)), (claim, None))
        stated.setdefault(_signature(own), (own, author))
    for claim, author in theirs:
        stated.setdefault(_signature(claim), (claim, author))
    return [_verified(assembly, claim, author) for claim, author in stated.values()]


def versions_before(tasks: Collection[uuid.UUID]) -> dict[tuple[uuid.UUID, int], int]:
    """Count the proposals each round of these tasks has had, by task and round."""
    if not tasks:
        return {}
    return {(task, number): many for task, number, many in _VERSIONS(tasks=list(tasks))}


_VERSIONS: Prepared[Any] = Prepared(
    lambda: (
        Proposal.objects.filter(task__any=Given("tasks"))
        .order_by()
        .values_list("task", "round")
        .annotate(Count("pk"))
    )
)


def publish(
    writes: Writes,
    step: Step,
    version: int,
    *,
    assembly: Assembly,
    draft: ProposalDraft,
    verified: list[Verified],
) -> None:
    """Write the proposal, finish the locked step and put the task up for review."""
    task = step.task
    proposal = _proposal(step, version, assembly, draft)
    writes.add([proposal])
    _write_files(writes, proposal, assembly)
    writes.add(
        Claim(
            proposal=proposal,
            position=position,
            step=one.step,
            text=storable.text(one.claim.text),
            check_spec=storable.dumped(one.claim.check),
            verdict=one.verdict,
            evidence=storable.text(one.evidence)[:_CLAIM_EVIDENCE],
        )
        for position, one in enumerate(verified)
    )
    said = {"status": "done", "summary": proposal.summary}
    done = storable.dumped(draft)
    writes.move_step(step, StepState.DONE, kind=Kind.STEP_FINISHED, data=said, result=done)
    facts = {"proposal": str(proposal.pk), "round": proposal.round, "version": proposal.version}
    facts |= {"kind": proposal.kind, "title": proposal.title, "added": proposal.added}
    facts |= {"removed": proposal.removed, "files": len(assembly.diffs) if assembly.changes else 0}
    writes.move_task(task, TaskState.REVIEW, kind=Kind.PROPOSAL_READY, data=facts)
    failpoint("proposal.published")


def _merge(store: Store, material: Material, base: str) -> str | NeedsHuman:
    """Merge the leaves one by one, and main last when it has moved."""
    task = material.step.task
    heads: list[tuple[str, Step | None]] = [(leaf.result_commit, leaf) for leaf in material.leaves]
    if not heads:
        heads = [(material.head_before or base, None)]
    merged = heads[0][0]
    for commit, leaf in [*heads[1:], (base, None)]:
        if store.is_ancestor(commit, merged):
            continue
        if store.is_ancestor(merged, commit):
            merged = commit
            continue
        merge = store.merge(merged, commit)
        if merge.conflicts:
            return _conflict(material, merge.conflicts, merged, commit, leaf)
        message = f"Merge the work on {task.label}\n\nCountersign-Task: {task.pk}"
        # One moment for all tries, so that a repeated merge is the same commit.
        merged = store.commit(
            merge.tree,
            parents=[merged, commit],
            message=message,
            author=material.step.agent.name,
            at=material.step.created_at,
        )
    return merged


def _conflict(
    material: Material, paths: list[str], ours: str, theirs: str, leaf: Step | None
) -> NeedsHuman:
    files = [cautions.shown(path) for path in paths]
    whose = leaf.agent.name if leaf else "main, which has moved since,"
    listed = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return NeedsHuman(
        rule=Rule.CONFLICT,
        detail=f"The work so far and that of {whose} change the same lines in {listed}. "
        "Nothing was thrown away.",
        evidence={
            "files": files,
            "ours": ours,
            "theirs": theirs,
            "step": leaf.key if leaf else "",
        },
    )


def _warnings(
    material: Material, store: Store, head: str, diffs: list[FileDiff]
) -> list[dict[str, Any]]:
    whole = [*omissions.warnings(material.left_out), *_about_the_outcome(material, diffs)]
    if not diffs or material.outcome != "change":
        return whole
    beyond = reach.look(
        store, head, diffs, contributions=material.contributions, steps=material.latest
    )
    return cautions.warnings_of(store, diffs, also=[*whole, *beyond])


def _about_the_outcome(material: Material, diffs: list[FileDiff]) -> list[dict[str, Any]]:
    if material.outcome == "change" and not diffs:
        none = "Main has already what was changed" if material.contributions else "No file changed"
        text = f"The plan was to change files. {none}, so this is a report."
        return [cautions.warning("no_change", "", 0, text)]
    if material.outcome == "report" and diffs:
        text = f"A report was asked for; the {len(diffs)} files that changed are left out."
        return [cautions.warning("left_out", "", 0, text)]
    return []


def _signature(claim: StatedClaim) -> tuple[str, str]:
    check = claim.check
    if check.kind == "none":
        return "none", claim.text
    return check.kind, f"{check.path}\0{sorted(check.paths)}\0{check.text}"


def _same(one: StatedClaim, other: StatedClaim) -> bool:
    return one.text == other.text or _signature(one) == _signature(other)


def _verified(assembly: Assembly, claim: StatedClaim, author: Step | None) -> Verified:
    head = assembly.head if assembly.changes else assembly.base
    verdict, evidence = checking.verify(
        claim,
        store=assembly.store,
        base=assembly.base,
        head=head,
        checks=assembly.checks,
        warnings=assembly.warnings,
    )
    return Verified(claim=claim, step=author, verdict=verdict, evidence=evidence)


def _proposal(step: Step, version: int, assembly: Assembly, draft: ProposalDraft) -> Proposal:
    task, change = step.task, assembly.changes
    reports = [draft.report, *(planning.report_of(each) for each in assembly.material.latest)]
    reports.append(draft.summary)
    return Proposal(
        task=task,
        round=task.round,
        version=version,
        kind=ProposalKind.CHANGE if change else ProposalKind.REPORT,
        title=storable.text(draft.title),
        summary=storable.text(omissions.told(draft.summary, assembly.material.left_out)),
        report="" if change else storable.text(next((r for r in reports if r.strip()), "")),
        base_commit=assembly.base,
        head_commit=assembly.head if change else "",
        tree=assembly.tree if change else "",
        added=sum(file.added for file in assembly.diffs) if change else 0,
        removed=sum(file.removed for file in assembly.diffs) if change else 0,
        checks=storable.plain(assembly.checks.model_dump(mode="json")) if change else {},
        warnings=storable.plain(assembly.warnings),
        model=task.model,
        **_raised(task, draft, version),
    )


def _raised(task: Task, draft: ProposalDraft, version: int) -> dict[str, str]:
    """Return the gravest risk a version of this round was given: asked anew, a model lowers none."""
    risk = draft.raised_risk
    found: list[tuple[str, str]] = [(risk.to, storable.text(risk.why))] if risk else []
    if version > 1:
        before = Proposal.objects.filter(task=task, round=task.round).exclude(raised_to="")
        found += before.order_by("-version").values_list("raised_to", "raised_why")
    if not found:
        return {}
    to, why = max(found, key=lambda each: RaisedTo.values.index(each[0]))
    return {"raised_to": to, "raised_why": why}


def _write_files(writes: Writes, proposal: Proposal, assembly: Assembly) -> None:
    if not assembly.changes:
        return
    rows, hunks = [], []
    found = zip(assembly.diffs, assembly.authors, assembly.colours, strict=True)
    for position, (diff, authors, colours) in enumerate(found):
        row = _file(proposal, position, diff)
        rows.append(row)
        hunks += [
            _hunk(row, at, *each)
            for at, each in enumerate(zip(diff.hunks, authors, colours, strict=True))
        ]
    writes.add(rows)
    writes.add(hunks)


def _file(proposal: Proposal, position: int, diff: FileDiff) -> FileChange:
    return FileChange(
        proposal=proposal,
        position=position,
        path=cautions.shown(diff.path),
        old_path=cautions.shown(diff.old_path),
        status=diff.status,
        old_mode=diff.old_mode,
        new_mode=diff.new_mode,
        old_blob=diff.old_blob,
        new_blob=diff.new_blob,
        binary=diff.binary,
        added=diff.added,
        removed=diff.removed,
    )


def _hunk(
    row: FileChange, position: int, hunk: HunkDiff, author: Contribution | None, colours: str
) -> Hunk:
    return Hunk(
        file=row,
        position=position,
        old_start=hunk.old_start,
        old_lines=hunk.old_lines,
        new_start=hunk.new_start,
        new_lines=hunk.new_lines,
        section=hunk.section,
        text=hunk.text,
        digest=hunk.digest,
        colours=colours,
        author_step=author.step if author else None,
        author_attempt=author.attempt if author else None,
    )
