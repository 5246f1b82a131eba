"""Collects from rows what an agent is told of its step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import branches, cautions, omissions, storable
from agents.lifecycle import StepKind, StepState
from agents.limits import Limits
from agents.models import Delegation, Step
from agents.models.delegations import MAX_DEPTH

if TYPE_CHECKING:
    from agents.assembling import Assembly
    from agents.runtime.contract import (
        AgentFacts,
        AnswerBrief,
        AssembleBrief,
        FeedbackFacts,
        NeedFacts,
        RouteBrief,
        WorkBrief,
    )
    from agents.runtime.gathering import Gathered, Roster

_PATHS = 200  # of a large repository; shallow ones first


def route(step: Step, paths: list[str], roster: Roster) -> RouteBrief:
    """Return what the router is told."""
    task, project = step.task, step.task.project
    return {
        "request": task.request,
        "context": task.context,
        "project": project.slug,
        "agents": _agents(step, roster),
        "files": sorted(sorted(paths, key=lambda path: (path.count("/"), path))[:_PATHS]),
        "files_total": len(paths),
        "checks_command": project.checks_command,
        "max_steps": Limits.frozen(task.limits).steps,
        "bundled": project.bundled,
    }


def work(step: Step, gathered: Gathered) -> WorkBrief:
    """Return what a specialist is told."""
    task, project = step.task, step.task.project
    return {
        "request": task.request,
        "project": project.slug,
        "key": step.key,
        "title": step.title,
        "instructions": step.instructions,
        "acceptance": step.acceptance,
        "files": step.files,
        "outcome": gathered.plans.get(task.pk, {}).get("outcome", "change"),
        "needs": [need_facts(need) for need in gathered.needs.get(step.pk, [])],
        "round": step.round,
        "feedback": _feedback(step),
        "earlier": _earlier(step),
        "colleagues": _colleagues(step, gathered.roster),
        "checks_command": project.checks_command,
        "bundled": project.bundled,
    }


def answer(step: Step, roster: Roster) -> AnswerBrief:
    """Return what an agent is told that another one asks."""
    task, project = step.task, step.task.project
    asked = Delegation.objects.select_related("asker", "from_agent").get(answerer=step)
    return {
        "request": task.request,
        "project": project.slug,
        "asker": asked.from_agent.slug,
        "step": asked.asker.title,
        "goal": asked.goal,
        "question": asked.question,
        "colleagues": _colleagues(step, roster),
        "checks_command": project.checks_command,
        "bundled": project.bundled,
    }


def assemble(step: Step, assembly: Assembly) -> AssembleBrief:
    """Return what the aggregator is told."""
    task, changes = step.task, assembly.changes
    return {
        "title": task.title,
        "request": task.request,
        "project": task.project.slug,
        "outcome": assembly.material.outcome if changes else "report",
        "round": step.round,
        "steps": [
            need_facts(each) for each in (*assembly.material.latest, *assembly.material.left_out)
        ],
        "feedback": _feedback(step),
        "files": _changed(assembly) if changes else [],
        "added": sum(file.added for file in assembly.diffs) if changes else 0,
        "removed": sum(file.removed for file in assembly.diffs) if changes else 0,
        "checks": storable.plain(assembly.checks.model_dump(mode="json")) if changes else {},
        "warnings": storable.plain(assembly.warnings),
        "bundled": task.project.bundled,
    }


def need_facts(step: Step) -> NeedFacts:
    """Return what a finished step left behind."""
    return {
        "key": step.key,
        "agent": step.agent.slug,
        "title": step.title,
        "round": step.round,
        "result": omissions.result_of(step),
    }


def _agents(step: Step, roster: Roster) -> list[AgentFacts]:
    return [
        {
            "slug": colleague.slug,
            "name": colleague.name,
            "description": colleague.description,
            "tools": [each.tool for each in roster.granted(colleague.agent_id)],
        }
        for colleague in roster.specialists(step.task)
    ]


def _colleagues(step: Step, roster: Roster) -> list[AgentFacts]:
    """Return the agents a step may ask, or give an extra step: as deep as steps may go."""
    return _agents(step, roster) if step.depth < MAX_DEPTH else []


def _feedback(step: Step) -> list[FeedbackFacts]:
    return [
        {
            "note": item.get("note", ""),
            "path": item.get("path", ""),
            "hunk": item.get("hunk", ""),
            "hunk_of": item.get("hunk_of", 0),
            "by": item.get("by", ""),
            "round": item.get("round", step.round),
            "place": item.get("place", ""),
            "line": item.get("line", ""),
        }
        for item in step.feedback
    ]


def _earlier(step: Step) -> dict[str, Any] | None:
    if step.round == 1:
        return None
    before = step.task.steps.filter(
        branches.is_of(step.key), kind=StepKind.WORK, round__lt=step.round, state=StepState.DONE
    )
    return before.order_by("-round", "-id").values_list("result", flat=True).first()


def _changed(assembly: Assembly) -> list[dict[str, Any]]:
    return [
        {
            "path": cautions.shown(file.path),
            "status": file.status,
            "added": file.added,
            "removed": file.removed,
            "agents": sorted({one.step.agent.slug for one in authors if one is not None}),
        }
        for file, authors in zip(assembly.diffs, assembly.authors, strict=True)
    ]
