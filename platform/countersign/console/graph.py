"""The run as a picture: router, specialists by dependency, aggregator, sign-off, effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.lifecycle import StepKind, StepState, TaskState
from approvals.lifecycle import ApprovalState, EffectState
from countersign.console import looks
from countersign.templatetags.console import duration, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.models import Attempt, Step, Task
    from approvals.models import Approval, Edit, Effect

_NARROW, _WIDE = 5, 6  # shares of the width; the CSS classes graph-narrow and graph-wide
_INSET = 0.065  # of a column's width on each side; the CSS padding of a node's cell

# Words that fit a narrow box.
_SIGN_OFF = {
    ApprovalState.PENDING: "waits",
    ApprovalState.APPROVED: "approved",
    ApprovalState.CHANGES_REQUESTED: "sent back",
    ApprovalState.REJECTED: "rejected",
    ApprovalState.STALE: "stale",
    ApprovalState.EXPIRED: "expired",
    ApprovalState.WITHDRAWN: "withdrawn",
}


_NODES: dict[str, str] = {StepKind.WORK: "node-work", StepKind.ANSWER: "node-work node-answer"}


@dataclass(frozen=True, kw_only=True)
class Node:
    """One box of the run."""

    key: str
    name: str
    title: str
    look: looks.Look
    note: str = ""
    agent: Any = None
    step: Step | None = None
    person: str = ""
    icon: str = ""
    began: bool = False
    done: bool = False
    active: bool = False

    @property
    def css(self) -> str:
        """The classes that say how it stands."""
        stands = "node-active" if self.active else "" if self.began else "node-idle"
        work = _NODES.get(self.step.kind, "") if self.step else ""
        return " ".join(filter(None, [work, stands, f"node-{self.look.tone}"]))


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One decorative line, as an SVG path in a 100 by 100 box."""

    path: str
    tone: str


@dataclass
class Graph:
    """Columns of nodes from left to right, and the lines between them."""

    columns: list[tuple[str, list[Node | None]]]  # None keeps a lane free
    edges: list[Edge] = field(default_factory=list)
    rows: int = 1


def graph_of(
    task: Task,
    steps: Sequence[Step],
    attempts: dict[object, Attempt],
    *,
    seconds: dict[object, float],
    approval: Approval | None,
    edit: Edit | None,
    effect: Effect | None,
    signers: str,
    kind: str,
) -> Graph:
    """Return the run of one round; `steps` are those of the round and the route step."""
    route = [step for step in steps if step.kind == StepKind.ROUTE][-1:]
    work = [step for step in steps if step.kind == StepKind.WORK]
    answers = [step for step in steps if step.kind == StepKind.ANSWER]
    assemble = [step for step in steps if step.kind == StepKind.ASSEMBLE][-1:]
    columns: list[tuple[str, list[Node | None]]] = [
        ("narrow", [_node(step, attempts, seconds) for step in route])
    ]
    columns += [
        ("wide", [_node(step, attempts, seconds) if step else None for step in level])
        for level in _levels(work, answers)
    ] or [("wide", [_unplanned()])]
    columns.append(("wide", [_node(step, attempts, seconds) for step in assemble] or [_assembly()]))
    columns.append(("narrow", [_sign_off(task, approval, edit, signers)]))
    columns.append(("narrow", [_effect(task, effect, kind)]))
    graph = Graph(columns=[column for column in columns if column[1]])
    graph.rows = max(len(nodes) for _, nodes in graph.columns)
    graph.edges = list(_edges(graph, steps))
    return graph


def _levels(work: Sequence[Step], answers: Sequence[Step]) -> list[list[Step | None]]:
    """Return the steps by dependency depth; a step lies in the lane of what it needs first.

    An answer lies below who asked for it.
    """
    ids = {step.pk for step in work}
    needs = {
        step.pk: [row.needs_id for row in step.dependencies.all() if row.needs_id in ids]
        for step in work
    }
    depth: dict[object, int] = {}
    for _ in work:
        for step in work:
            depth[step.pk] = 1 + max((depth.get(need, 0) for need in needs[step.pk]), default=-1)
    lanes: dict[object, int] = {}
    taken: set[tuple[int, int]] = set()
    for first in sorted(work, key=lambda step: depth[step.pk]):
        wanted = min((lanes[need] for need in needs[first.pk]), default=0)
        for step in _with_answers(first, answers):
            depth[step.pk] = depth[first.pk]
            while (depth[step.pk], wanted) in taken:
                wanted += 1
            lanes[step.pk] = wanted
            taken.add((depth[step.pk], wanted))
    rows = 1 + max(lanes.values(), default=0)
    levels: list[list[Step | None]] = [
        [None] * rows for _ in range(1 + max(depth.values(), default=-1))
    ]
    for step in (*work, *answers):
        if step.pk in lanes:
            levels[depth[step.pk]][lanes[step.pk]] = step
    return levels


def _with_answers(step: Step, answers: Sequence[Step]) -> list[Step]:
    """Return a step and below it the answers to its questions, each with those to its own."""
    asked = [answer for answer in answers if answer.asked_by_id == step.pk]
    return [step, *(each for answer in asked for each in _with_answers(answer, answers))]


def _node(step: Step, attempts: dict[object, Attempt], seconds: dict[object, float]) -> Node:
    attempt = attempts.get(step.pk)
    look = looks.of_step(step, word=_step_word(step, attempt))
    notes = []
    if step.finished_at and step.pk in seconds and step.kind != StepKind.ANSWER:
        notes.append(str(duration(seconds[step.pk])))
    if attempt and attempt.usd:
        notes.append(str(usd(attempt.usd)))
    return Node(
        key=str(step.pk),
        name=step.agent.name,
        title=looks.title_of(step),
        look=look,
        note=", ".join(notes),
        agent=step.agent,
        step=step,
        began=step.state not in {StepState.WAITING, StepState.READY},
        done=step.state == StepState.DONE,
        active=step.state == StepState.LEASED,
    )


def _step_word(step: Step, attempt: Attempt | None) -> str:
    if step.state == StepState.LEASED and attempt is not None:
        return f"turn {min(attempt.turns + 1, step.max_turns)} of {step.max_turns}"
    if step.state == StepState.WAITING:
        every = [row.needs for row in step.dependencies.all()]
        open_ = [need for need in every if need.state != StepState.DONE and not need.left_out]
        needs = [short_name(need.agent.name) for need in open_]
        if len(needs) > 2:
            return f"waits for {len(needs)} steps"
        return f"waits for {', '.join(dict.fromkeys(needs))}" if needs else "waits"
    if step.kind == StepKind.ANSWER and step.state == StepState.DONE:
        return "answered" if (step.result or {}).get("status") == "answered" else "could not say"
    return looks.of_step(step).word.lower()


def short_name(name: str) -> str:
    """Return an agent's name as the narrow boxes of the run show it."""
    return name.removesuffix(" agent")


def _unplanned() -> Node:
    look = looks.Look(word="after the plan", icon="circle-dashed", tone="muted")
    return Node(key="plan", name="Specialists", title="", look=look, icon="users")


def _assembly() -> Node:
    look = looks.Look(word="makes one proposal", icon="circle-dashed", tone="muted")
    return Node(key="assemble", name="Aggregator", title="", look=look, icon="blocks")


def _sign_off(task: Task, approval: Approval | None, edit: Edit | None, signers: str) -> Node:
    if approval is None:
        look = looks.Look(word=f"by {signers}", icon="pen-line", tone="ink")
        return Node(key="sign", name="Sign-off", title="", look=look, icon="pen-line")
    word = "edited" if edit else _SIGN_OFF[ApprovalState(approval.state)]
    look = looks.of_approval(approval, word=word, edit=edit)
    by = edit.person if edit else approval.decided_by
    return Node(
        key="sign",
        name="Sign-off",
        title=f"by {by.display_name}" if by else "",
        look=look,
        icon="pen-line",
        person=by.display_name if by else "",
        began=True,
        done=approval.state == ApprovalState.APPROVED,
        active=approval.state == ApprovalState.PENDING and task.state == TaskState.REVIEW,
    )


def _effect(task: Task, effect: Effect | None, kind: str) -> Node:
    name, icon = ("Deliver", "send") if kind == "report" else ("Merge", "git-merge")
    if effect is None:
        look = looks.Look(word="after sign-off", icon="circle-dashed", tone="muted")
        return Node(key="effect", name=name, title="", look=look, icon=icon)
    look = looks.of_effect(effect)
    return Node(
        key="effect",
        name=name,
        title="",
        look=looks.Look(word=look.word.lower(), icon=look.icon, tone=look.tone, spins=look.spins),
        icon=icon,
        began=effect.state != EffectState.WITHDRAWN,
        done=effect.state == EffectState.DONE,
        active=look.spins,
    )


def _edges(graph: Graph, steps: Sequence[Step]) -> list[Edge]:
    places = _places(graph)
    edges = []
    for start, end in _pairs(graph, steps):
        if start.key not in places or end.key not in places:
            continue
        (_, x1, y1), (x2, _, y2) = places[start.key], places[end.key]
        middle = (x1 + x2) / 2
        path = f"M{x1:.2f} {y1:.2f}C{middle:.2f} {y1:.2f} {middle:.2f} {y2:.2f} {x2:.2f} {y2:.2f}"
        tone = "run" if start.done and end.active else "ok" if start.done and end.began else "idle"
        edges.append(Edge(path=path, tone=tone))
    edges += [_question(places, step) for step in steps if _is_drawn(places, step)]
    return edges


def _is_drawn(places: dict[str, tuple[float, float, float]], step: Step) -> bool:
    both = {str(step.pk), str(step.asked_by_id)} <= places.keys()
    return step.kind == StepKind.ANSWER and both


def _question(places: dict[str, tuple[float, float, float]], step: Step) -> Edge:
    """Return the line from who asked down to who answers; boxes lie on top of it."""
    (left, right, above), (_, _, below) = places[str(step.asked_by_id)], places[str(step.pk)]
    x = left + (right - left) / 5
    tone = {StepState.DONE: "ok", StepState.LEASED: "run"}.get(StepState(step.state), "idle")
    return Edge(path=f"M{x:.2f} {above:.2f}V{below:.2f}", tone=tone)


def _places(graph: Graph) -> dict[str, tuple[float, float, float]]:
    """Return left edge, right edge and centre of each node, in hundredths."""
    shares = [_WIDE if width == "wide" else _NARROW for width, _ in graph.columns]
    unit = 100 / sum(shares)
    places, left = {}, 0.0
    for share, (_, nodes) in zip(shares, graph.columns, strict=True):
        width = share * unit
        inset = width * _INSET
        for index, node in enumerate(nodes):
            if node is None:
                continue
            centre = ((graph.rows - len(nodes)) / 2 + index + 0.5) / graph.rows * 100
            places[node.key] = (left + inset, left + width - inset, centre)
        left += width
    return places


def _pairs(graph: Graph, steps: Sequence[Step]) -> list[tuple[Node, Node]]:
    nodes = {node.key: node for _, column in graph.columns for node in column if node}
    work = {str(step.pk) for step in steps if step.kind == StepKind.WORK} or {"plan"}
    needed = {
        (str(row.needs_id), str(step.pk))
        for step in steps
        for row in step.dependencies.all()
        if {str(row.needs_id), str(step.pk)} <= work
    }
    routes = [key for key, node in nodes.items() if node.step and node.step.kind == StepKind.ROUTE]
    roots = work - {end for _, end in needed}
    leaves = work - {start for start, _ in needed}
    assembly = next(node.key for node in graph.columns[-3][1] if node)
    pairs = [
        *((route, root) for route in routes for root in sorted(roots)),
        *sorted(needed),
        *((leaf, assembly) for leaf in sorted(leaves)),
        (assembly, "sign"),
        ("sign", "effect"),
    ]
    return [(nodes[start], nodes[end]) for start, end in pairs]
