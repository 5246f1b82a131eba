"""What the runtime hands to the thinking part, and the frozen outcomes it takes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from agents.models.tasks import Rule

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from agents.grants import Pinned
    from agents.messages import Answer, Plan, ProposalDraft, Question, StepResult
    from agents.models import Attempt, Step
    from agents.runtime.ledger import Known
    from agents.workspace.files import Workspace
    from agents.workspace.scope import Scope


class AgentFacts(TypedDict):
    """An agent as the router may choose it."""

    slug: str
    name: str
    description: str
    tools: list[str]


class FeedbackFacts(TypedDict):
    """What a person asked of a step."""

    note: str
    path: str
    hunk: str  # the unified-diff lines it is about, or empty
    hunk_of: int  # the number of the thing that carries the hunk instead, or 0
    by: str
    round: int
    place: str  # which line of the hunk it is about, or empty
    line: str  # what stands there


class NeedFacts(TypedDict):
    """What a step this one depends on, or contributes, left behind."""

    key: str
    agent: str
    title: str
    round: int
    result: dict[str, Any]  # a StepResult


class RouteBrief(TypedDict):
    """Data for the router's prompt."""

    request: str
    context: dict[str, Any]
    project: str
    agents: list[AgentFacts]
    files: list[str]  # paths on main, cut to a sensible number
    files_total: int
    checks_command: str
    max_steps: int
    bundled: bool  # the demo repository that comes with Countersign


class WorkBrief(TypedDict):
    """Data for a specialist's prompt."""

    request: str
    project: str
    key: str
    title: str
    instructions: str
    acceptance: str
    files: list[str]
    outcome: str  # change or report
    needs: list[NeedFacts]
    round: int
    feedback: list[FeedbackFacts]
    earlier: dict[str, Any] | None  # this agent's result of the round before
    colleagues: list[AgentFacts]  # whom it may ask or give an extra step
    checks_command: str
    bundled: bool


class AnswerBrief(TypedDict):
    """Data for the prompt of an agent that is asked something."""

    request: str
    project: str
    asker: str  # the slug of who asks
    step: str  # the title of what the asker is at
    goal: str
    question: str
    colleagues: list[AgentFacts]
    checks_command: str
    bundled: bool


class AssembleBrief(TypedDict):
    """Data for the aggregator's prompt."""

    title: str  # of the task, as the plan gave it
    request: str
    project: str
    outcome: str
    round: int
    steps: list[NeedFacts]  # the latest of each key
    feedback: list[FeedbackFacts]
    files: list[dict[str, Any]]  # {"path", "status", "added", "removed", "agents"}
    added: int
    removed: int
    checks: dict[str, Any]  # a CheckReport
    warnings: list[dict[str, Any]]
    bundled: bool


@dataclass(frozen=True, kw_only=True)
class Work:
    """One attempt of one step, ready to be thought about.

    `step` comes with task.project, agent and version.model_profile loaded. `attempt.checkpoint`,
    `.turns` and `.seen_seq` are already those of the attempt it resumes; its ledger rows stay with
    the attempts along `attempt.resumes`.
    """

    step: Step
    attempt: Attempt
    output: type[Plan] | type[StepResult] | type[Answer] | type[ProposalDraft]
    brief: RouteBrief | WorkBrief | AnswerBrief | AssembleBrief
    workspace: Workspace | None
    scope: Scope | None
    known: dict[str, Known]  # the tools it may call, by name
    deadline: float  # on time.monotonic()'s clock
    remembers: bool  # there may be something to remind it of
    draining: Callable[[], bool] = lambda: False  # asked before each turn: end with Interrupted
    outside: dict[str, Pinned] = field(default_factory=dict)  # of the known tools: those not ours


@dataclass(frozen=True)
class Finished:
    """The model gave a validated answer."""

    output: Plan | StepResult | Answer | ProposalDraft


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The model asked another agent; the step goes on from its checkpoint with the answer."""

    call: uuid.UUID  # the ledger row that the answer will be the result of
    question: Question
    commit: str = ""  # the asker's files as they are now, or empty without a workspace
    tree: str = ""  # of that commit


@dataclass(frozen=True)
class Waits:
    """Calls of tools outside are in the ledger; the step goes on when all of them are answered."""


@dataclass(frozen=True, kw_only=True)
class NeedsHuman:
    """A limit tripped or nothing helps any more; a person chooses how to go on."""

    rule: Rule
    detail: str  # one sentence: what happened and what was kept
    evidence: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()  # of Choice; empty: what fits the rule


@dataclass(frozen=True, kw_only=True)
class TryAgain:
    """Trouble that time may heal; goes on from the checkpoint.

    After `escalations.TRIES` in a row it becomes an escalation by `rule`.
    """

    reason: str
    after_seconds: float = 0.0  # 0: the runtime's own backoff
    rule: Rule = Rule.MODEL_UNREACHABLE
    counts: bool = True  # False: nothing was tried, it only waits


@dataclass(frozen=True)
class Interrupted:
    """Drained, cancelled, or the lease was lost; the step is given back if it is still ours."""


Outcome = Finished | Asked | Waits | NeedsHuman | TryAgain | Interrupted
