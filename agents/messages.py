"""What agents say to each other: validated, versioned messages, never free text.

Unknown fields are refused. The models see these schemas as their output types, so
every description below is part of a prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_STEPS = 8
MAX_EXTRA_STEPS = 3  # of one result
MAX_ASKED = 500  # things that people ask of one step; `asking` refuses more

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Line = Annotated[str, Field(min_length=1, max_length=200)]
Path = Annotated[str, Field(min_length=1, max_length=300)]


class Message(BaseModel):
    """Anything one agent hands to another."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanStep(Message):
    """One sub-task for one agent."""

    id: Slug = Field(description="A short id, unique in the plan, e.g. fix-rounding.")
    agent: Slug = Field(
        description="The slug of the agent who does it, from the list you were given."
    )
    title: Line = Field(description="What will be done, as a short imperative sentence.")
    instructions: str = Field(
        min_length=1,
        max_length=4_000,
        description="Everything the agent must know. It sees neither the request nor the other steps.",
    )
    depends_on: list[Slug] = Field(
        default_factory=list,
        max_length=MAX_STEPS,
        description="Ids of steps whose result it needs. Leave empty to run in parallel.",
    )
    files: list[Path] = Field(
        default_factory=list, max_length=40, description="Paths or globs it is expected to change."
    )
    acceptance: str = Field(
        default="", max_length=400, description="When it is done, checkable if possible."
    )


class Plan(Message):
    """The router's answer: a DAG of one to eight steps."""

    version: Literal[1] = 1
    title: Line = Field(description="The request in at most ten words, as a title for people.")
    outcome: Literal["change", "report"] = Field(
        description="change: files of the repository change. report: the answer is a text, no file changes."
    )
    steps: list[PlanStep] = Field(min_length=1, max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _is_a_dag(self) -> Plan:
        _check_order(self.steps)
        return self


def _check_order(steps: Sequence[PlanStep]) -> None:
    """Raise ValueError unless the steps can be done one after the other."""
    ids = [step.id for step in steps]
    if len(set(ids)) != len(ids):
        raise ValueError("two steps have the same id")
    done: set[str] = set()
    left = {step.id: set(step.depends_on) for step in steps}
    unknown = {need for needs in left.values() for need in needs} - set(ids)
    if unknown:
        raise ValueError(f"depends_on names unknown steps: {', '.join(sorted(unknown))}")
    while left:
        free = [key for key, needs in left.items() if needs <= done]
        if not free:
            raise ValueError(f"steps depend on each other in a circle: {', '.join(sorted(left))}")
        done.update(free)
        for key in free:
            del left[key]


class ExtraStep(PlanStep):
    """A sub-task that a specialist found to be needed as well."""

    instructions: str = Field(
        min_length=1,
        max_length=4_000,
        description="Everything the agent must know. It begins with the files as you leave them "
        "and sees your result, nothing else.",
    )
    depends_on: list[Slug] = Field(
        default_factory=list,
        max_length=MAX_EXTRA_STEPS,
        description="Ids of other extra steps of this result. It follows your own step in any case.",
    )


class Check(Message):
    """How a claim can be checked by the platform. Choose `none` when it cannot."""

    kind: Literal[
        "checks_pass", "file_unchanged", "only_files", "text_present", "text_absent", "none"
    ] = Field(
        description=(
            "checks_pass: the project's checks pass on the merged tree. "
            "file_unchanged: `path` is byte-identical to main. "
            "only_files: nothing outside the globs in `paths` changed. "
            "text_present / text_absent: the change brings `text` into the files matching `paths` / "
            "leaves none of it there. The reviewer reads what was checked beside your words: a "
            "check that fits nothing, as `only_files` of everything, proves nothing."
        )
    )
    path: str = Field(default="", max_length=300, description="One file, for file_unchanged.")
    paths: list[Path] = Field(
        default_factory=list,
        max_length=20,
        description="Files or globs: `docs/**` is all below docs, `docs/*` only what lies in it, "
        "`*.md` that name in any folder. Empty, for a text: every file.",
    )
    text: str = Field(
        default="", max_length=300, description="Exact text, with capitals; no pattern."
    )


class StatedClaim(Message):
    """One statement a reviewer may rely on; it will be checked and the verdict shown."""

    text: Annotated[str, Field(min_length=1, max_length=300)]
    check: Check


class Evidence(Message):
    """Where a statement comes from."""

    path: Path
    line: int = Field(default=0, ge=0)
    quote: str = Field(default="", max_length=400)


class FeedbackAnswer(Message):
    """What a specialist says to one of the numbered things people asked for in this round."""

    number: int = Field(ge=1, le=MAX_ASKED, description="The number it has in your instructions.")
    verdict: Literal["done", "disagree"] = Field(
        description="disagree: you did not do it as asked, because it would be wrong."
    )
    text: str = Field(
        min_length=1,
        max_length=1_000,
        description="What you did about it and where, or why it would be wrong. The person who "
        "asked reads it beside what they wrote.",
    )


class StepResult(Message):
    """A specialist's result."""

    version: Literal[1] = 1
    status: Literal["done", "blocked"] = Field(
        description="blocked: you cannot go on without a person; say in `summary` what you need."
    )
    summary: str = Field(
        min_length=1, max_length=2_000, description="What you did and found, in plain words."
    )
    claims: list[StatedClaim] = Field(default_factory=list, max_length=10)
    evidence: list[Evidence] = Field(default_factory=list, max_length=20)
    answers: list[FeedbackAnswer] = Field(
        default_factory=list,
        max_length=MAX_ASKED,
        description="One for each numbered thing people asked for; empty when nobody asked.",
    )
    report: str = Field(
        default="",
        max_length=20_000,
        description="Markdown, only when the plan's outcome is a report.",
    )
    extra_steps: list[ExtraStep] = Field(
        default_factory=list,
        max_length=MAX_EXTRA_STEPS,
        description="Almost always empty. Work the request needs, that nobody was given and that "
        "is not yours to do: it becomes steps of other agents before anything is proposed.",
    )

    @model_validator(mode="after")
    def _extra_steps_are_a_dag(self) -> StepResult:
        _check_order(self.extra_steps)
        return self


class Question(Message):
    """What one agent asks another; it waits until the answer is there."""

    agent: Slug = Field(description="The slug of the agent you ask, from the list you were given.")
    goal: str = Field(
        min_length=1,
        max_length=300,
        description="In one sentence: what you need the answer for. The same goal twice is refused.",
    )
    question: str = Field(
        min_length=1,
        max_length=4_000,
        description="One question that stands alone: the other agent sees your files as they are "
        "now, but not your conversation.",
    )


class Answer(Message):
    """What the asked agent says; it changes nothing."""

    version: Literal[1] = 1
    status: Literal["answered", "cannot"] = Field(
        description="cannot: the files do not show it, or it is a person's decision; say why."
    )
    answer: str = Field(
        min_length=1, max_length=6_000, description="The answer first, then what it rests on."
    )
    evidence: list[Evidence] = Field(default_factory=list, max_length=10)


class RaisedRisk(Message):
    """A danger of the whole change that its paths and sizes do not show."""

    to: Literal["medium", "high"]
    why: Annotated[Line, StringConstraints(strip_whitespace=True)] = Field(
        description="What may go wrong and for whom, in one plain sentence."
    )


class ProposalDraft(Message):
    """The aggregator's answer: what a tech lead reads first."""

    version: Literal[1] = 1
    title: Line = Field(description="What would land, as an imperative sentence.")
    summary: str = Field(
        min_length=1,
        max_length=3_000,
        description="Why, what changed, what was not done. Plain words, no praise.",
    )
    claims: list[StatedClaim] = Field(
        default_factory=list,
        max_length=10,
        description="The agents' claims that matter to the decision, in their words, without duplicates.",
    )
    report: str = Field(
        default="",
        max_length=20_000,
        description="Markdown, only when the plan's outcome is a report.",
    )
    raised_risk: RaisedRisk | None = Field(
        default=None,
        description="Only for a danger that nobody sees from the files; it never lowers the risk.",
    )
