"""Which pages and lists are measured, as whom, and from how deep a place."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

LEAD, REQUESTER, ADMIN, NOBODY = "person-1", "person-2", "admin", ""
_DEEP = """
SELECT id, number FROM agents_task WHERE number >= (SELECT max(number) FROM agents_task) / 3
AND project_id IN (SELECT project_id FROM projects_membership member
    JOIN projects_user person ON person.id = member.user_id WHERE username = %s)
AND state = %s ORDER BY number LIMIT 1
"""
_PLACE = """
SELECT (extract(epoch FROM {at}) * 1000000)::bigint || '.' || id FROM approvals_approval
WHERE project_id = (SELECT project_id FROM projects_membership member
    JOIN projects_user person ON person.id = member.user_id
    JOIN projects_project project ON project.id = member.project_id
    WHERE username = %s AND role = 'lead' ORDER BY slug LIMIT 1)
AND {of} ORDER BY {at} OFFSET %s LIMIT 1
"""
_MEMORY = "SELECT id FROM memory_memory ORDER BY id OFFSET %s LIMIT 1"
_CALL = """
SELECT id FROM approvals_callapproval WHERE state = 'pending'
AND project_id IN (SELECT project_id FROM projects_membership member
    JOIN projects_user person ON person.id = member.user_id WHERE username = %s AND role = 'lead')
ORDER BY id LIMIT 1
"""
_GRANT = """
SELECT id FROM approvals_standinggrant WHERE project_id IN
    (SELECT project_id FROM projects_membership member
     JOIN projects_user person ON person.id = member.user_id WHERE username = %s AND role = 'lead')
ORDER BY id OFFSET (SELECT count(*) / 10 FROM approvals_standinggrant) LIMIT 1
"""
_WEBHOOK = """
SELECT hook.id FROM notices_webhook hook JOIN projects_project project ON project.id = hook.project_id
WHERE slug = %s ORDER BY hook.id LIMIT 1
"""
_PROJECT = "project-0"
# Of a filter that many, some, few and none fit.
_TYPED = (
    *("agent:coder", "agent:tester", "agent:tech-writer", "agent:router"),
    *("risk:high", "requester:person-2", "requester:person-77", "agent:tester requester:person-2"),
    *("agent:tester cost:>0.80", "requester:person-2 cost:>0.80", "agent:coder cost:>0.898"),
    *("state:rejected", "state:expired agent:coder", "state:pending agent:coder risk:high"),
    *("cost:>0.80", "cost:>0.898", "cost:>100", "due:<1h", "kind:call", "kind:call risk:low"),
)
_BY_AGE = (
    *(
        "agent:coder",
        "agent:tester cost:>0.80",
        "risk:high",
        "risk:low",
        "cost:>0.80",
        "cost:>0.898",
    ),
    *("cost:>100", "risk:high cost:>0.80", "risk:high cost:>0.898", "due:<1h", "risk:low due:<1h"),
)
_OFTEN = frozenset({"home", "new task", "tasks active", "tasks done", "inbox"})


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One address, as one person; `fragment` is asked by htmx."""

    name: str
    path: str
    who: str
    fragment: bool = False

    @property
    def api(self) -> bool:
        """Tell whether a token is sent instead of the session."""
        return self.path.startswith("/api/")


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Rows deep in the lists."""

    project: Any
    review: int
    done: int
    stopped: int
    running: int
    task: Any
    due: str
    decided: str
    memory: Any
    call: Any
    grant: Any
    webhook: Any
    approval: Any
    approvals: Any


def pages(database: psycopg.Connection[Any], *, quick: bool = False) -> list[Measured]:
    """Return every page and list, with places of this database; `quick` each as one person only."""
    found = _places(database)
    every = [*_console(found), *_api(found), *_admin(found), *_probes()]
    return [page for page in every if not quick or page.who != REQUESTER or page.name in _OFTEN]


def _places(database: psycopg.Connection[Any]) -> _Places:
    def one(statement: str, *given: Any) -> Any:
        row = database.execute(statement, given).fetchone()
        assert row is not None, statement
        return row

    rows = {
        state: one(_DEEP, LEAD, state)
        for state in ("review", "done", "needs_human", "working")
        if state != "working"
    }
    working = one(
        "SELECT number FROM agents_task task JOIN projects_project project ON"
        " project.id = task.project_id WHERE state = 'working' AND slug = %s LIMIT 1",
        _PROJECT,
    )
    many = one("SELECT count(*) / 20 FROM agents_task")[0]
    waiting = "state = 'pending'"
    return _Places(
        project=one("SELECT id FROM projects_project WHERE slug = %s", _PROJECT)[0],
        review=rows["review"][1],
        done=rows["done"][1],
        stopped=rows["needs_human"][1],
        running=working[0],
        task=rows["done"][0],
        due=one(_PLACE.format(at="expires_at", of=waiting), LEAD, many // 2)[0],
        decided=one(_PLACE.format(at="decided_at", of="decided_at IS NOT NULL"), LEAD, many)[0],
        memory=one(_MEMORY, many // 3)[0],
        call=one(_CALL, LEAD)[0],
        grant=one(_GRANT, LEAD)[0],
        webhook=one(_WEBHOOK, _PROJECT)[0],
        approval=one("SELECT id FROM approvals_approval WHERE task_id = %s", rows["review"][0])[0],
        approvals=one("SELECT id FROM approvals_approval ORDER BY id OFFSET %s LIMIT 1", many * 4)[
            0
        ],
    )


def _console(at: _Places) -> Iterator[Measured]:
    for who in (LEAD, REQUESTER):
        for name, path in _lists(at):
            yield Measured(name=name, path=path, who=who)
        for name, path in (("shell live", "/live"), ("inbox live", "/inbox/live")):
            yield Measured(name=name, path=path, who=who, fragment=True)
    for name, path in _single(at):
        yield Measured(name=name, path=path, who=LEAD)


def _lists(at: _Places) -> Iterator[tuple[str, str]]:
    yield "home", "/"
    yield "new task", "/new"
    for tab in ("active", "sign-off", "done"):
        for more in ("", "&mine=1", f"&project={_PROJECT}", f"&mine=1&project={_PROJECT}"):
            yield f"tasks {tab}{more}", f"/tasks?tab={tab}{more}"
        yield f"tasks {tab}, deep", f"/tasks?tab={tab}&after={at.task}"
        yield f"tasks {tab}, deep, back", f"/tasks?tab={tab}&before={at.task}"
    yield "inbox", "/inbox"
    yield "inbox, deep", f"/inbox?after={at.due}"
    yield "inbox, deep, back", f"/inbox?before={at.due}"
    yield "inbox with agents", "/inbox?tab=with-agents"
    yield "inbox with agents, deep", f"/inbox?tab=with-agents&after={at.task}"
    yield "inbox snoozed", "/inbox?tab=snoozed"
    yield "inbox decided", "/inbox?tab=decided"
    yield "inbox decided, deep", f"/inbox?tab=decided&after={at.decided}"
    yield "inbox by risk", "/inbox?sort=risk"
    yield "inbox by risk, deep", f"/inbox?sort=risk&after=2.{at.due}"
    for typed in _TYPED:
        for tab in ("needs-you", "decided"):
            yield f"inbox {tab} {typed}", f"/inbox?{urlencode({'tab': tab, 'q': typed})}"
    yield from _narrowed()
    for state in ("", "proposed", "active", "retired"):
        yield f"memory {state}".strip(), f"/memory?state={state}"
    yield "memory of a project", f"/memory?project={_PROJECT}"
    yield "notifications", "/notifications"
    yield "notifications unread", "/notifications?tab=unread"
    yield "memory, deep", f"/memory?after={at.memory}"
    yield "settings", "/settings"
    for words in ("", "rounding", "gateway 4077", "T-77", "nothing is called so"):
        yield f"jump {words!r}", f"/jump?q={words.replace(' ', '+')}"


def _narrowed() -> Iterator[tuple[str, str]]:
    for sort, typed in product(("newest", "oldest"), _BY_AGE):
        yield f"inbox {sort} {typed}", f"/inbox?{urlencode({'sort': sort, 'q': typed})}"
    for typed in ("cost:>0.80", "cost:>100", "cost:<0.001", "requester:person-2 cost:>100"):
        narrowed = urlencode({"tab": "with-agents", "q": typed})
        yield f"inbox with agents {typed}", f"/inbox?{narrowed}"


def _single(at: _Places) -> Iterator[tuple[str, str]]:
    yield "operations", "/operations"
    for name, number in (
        ("review", at.review),
        ("done", at.done),
        ("stopped", at.stopped),
        ("running", at.running),
    ):
        yield f"task page, {name}", f"/tasks/T-{number}"
    yield "task page, events", f"/tasks/T-{at.done}?tab=events"
    yield "task page, errors", f"/tasks/T-{at.done}?tab=errors"
    yield "task page, live", f"/tasks/T-{at.running}/live"
    yield "review page", f"/review/T-{at.review}/r1"
    yield "review page, live", f"/review/T-{at.review}/r1/live"
    yield "call page", f"/calls/{at.call}"
    yield "policy", f"/projects/{at.project}/policy"
    for tab in ("in-force", "ended"):
        yield f"standing grants {tab}", f"/standing-grants?tab={tab}"
        yield f"standing grants {tab}, deep", f"/standing-grants?tab={tab}&after={at.grant}"
    yield "standing grant", f"/standing-grants/{at.grant}"


def _api(at: _Places) -> Iterator[Measured]:
    for path in (
        *("tasks", "tasks?mine=true", f"tasks?project={_PROJECT}", "tasks?limit=200"),
        *(
            f"tasks?state={state}"
            for state in ("queued", "review", "needs_human", "failed", "done")
        ),
        f"tasks?state=failed&project={_PROJECT}&mine=true",
        f"tasks/{at.task}",
        f"tasks/{at.task}/events",
        f"tasks/{at.task}/events?after=5",
        *("approvals", f"approvals?project={_PROJECT}"),
        *(f"approvals?state={state}" for state in ("pending", "approved", "rejected", "expired")),
        f"approvals/{at.approval}",
        *("memories", "memories?state=proposed", f"memories?project={_PROJECT}&kind=lesson"),
        *("holds", "holds?scope=task"),
        *("calls", "calls?state=pending", f"calls?project={_PROJECT}", "standing-grants"),
        *(f"standing-grants?in_force={word}" for word in ("true", "false")),
        f"standing-grants?project={_PROJECT}",
    ):
        for who in (LEAD, REQUESTER):
            if who == LEAD or not path.startswith(("tasks/", "approvals/")):
                name = path.replace(str(at.task), "ID").replace(str(at.approval), "ID")
                yield Measured(name=f"api {name}", path=f"/api/v1/{path}", who=who)


def _admin(at: _Places) -> Iterator[Measured]:
    lists = {
        "agents/task": ("", "state__exact=failed", "q=rounding", f"q=T-{at.done}", "p=3"),
        "agents/step": ("", "state__exact=failed"),
        "agents/attempt": ("", "state__exact=lost"),
        "agents/modelcall": ("", "model__exact=openai:large"),
        "agents/toolcall": ("",),
        "agents/event": ("", "kind__exact=escalation.raised", f"task__id__exact={at.task}"),
        "agents/escalation": ("", "state__exact=open"),
        "agents/proposal": ("", f"task__id__exact={at.task}"),
        "agents/hold": ("",),
        "approvals/approval": ("", "state__exact=expired", "state__exact=pending&risk__exact=high"),
        "approvals/signature": ("", "verdict__exact=reject"),
        "approvals/effect": ("", "state__exact=failed"),
        "approvals/standinggrant": ("",),
        "notices/delivery": ("", f"webhook__id__exact={at.webhook}", "by=email"),
        "approvals/callapproval": ("", "state__exact=pending", "risk__exact=high"),
        "memory/memory": ("", "state__exact=proposed", "q=gateway"),
        "projects/auditentry": ("", "q=nobody", "p=5"),
        "projects/user": ("",),
        "projects/project": ("",),
    }
    yield Measured(name="admin", path="/admin/", who=ADMIN)
    for model, queries in lists.items():
        for query in queries:
            name = f"admin {model} {query}".strip().replace(str(at.task), "ID")
            yield Measured(name=name, path=f"/admin/{model}/?{query}", who=ADMIN)


def _probes() -> Iterator[Measured]:
    for path in ("/metrics", "/readyz"):
        yield Measured(name=path.strip("/"), path=path, who=NOBODY)
