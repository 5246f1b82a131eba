"""Puts a text into every place where a page shows what agents, tools, repositories and people wrote."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from django.db.models import Value

from agents import notes
from agents.lifecycle import TaskState
from agents.models import Agent, Escalation, Step
from approvals import sealing
from projects.models import Project, User
from tests import console_fixtures as fixtures
from tests.approval_fixtures import GREEN

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT, _NAME, _NOTE = 180, 80, 4000
_ADDRESSES = frozenset(
    {"href", "src", "srcset", "action", "formaction", "data", "poster", "background", "xlink:href"}
)
_OURS = ("/", "#", "?")
# What marks a hidden character, and what the allow-list of Markdown may make of a text.
_MADE = {
    *(("span", name) for name in ("", "class", "title")),
    *((tag, "") for tag in ("p", "em", "strong", "code", "pre", "ul", "ol", "li", "br", "hr")),
    *((tag, "") for tag in ("table", "thead", "tbody", "tr", "th", "td", "blockquote")),
    *((f"h{level}", "") for level in range(1, 7)),
    *(("code", "class"), ("pre", "class"), ("div", "class"), ("div", ""), ("ol", "start")),
}


def fill(project: Project, requester: User, lead: User, texts: Sequence[str]) -> list[str]:
    """Write a task at work, one in review, one that asks and a lesson; return the pages of them."""
    joined = " ".join(texts)
    name, short = joined[:_NAME], joined[:_SHORT]
    running = fixtures.running_task(project, requester, title=short)
    _write_team(running, texts)
    notes.add_note(running.task, text=joined[:_NOTE], by=requester)
    stopped = fixtures.stopped_task(project, requester)
    Escalation.objects.filter(task=stopped.task).update(detail=Value("\n".join(texts)))
    reviewed = _reviewed(project, requester, texts)
    fixtures.make_lesson(project, lead, state="proposed", content="\n".join(texts)[:600])
    Project.objects.filter(pk=project.pk).update(name=Value(name))
    User.objects.filter(pk=requester.pk).update(first_name=Value(name), last_name="")
    Agent.objects.filter(slug="coder").update(name=Value(name), description=Value(short))
    task, asking = running.task.number, stopped.task.number
    return [
        *("/tasks", "/inbox", "/inbox?tab=with-agents", "/memory", "/operations", "/new"),
        *(f"/tasks/T-{task}", f"/tasks/T-{task}/live", f"/tasks/T-{task}/trace"),
        *(f"/tasks/T-{asking}", f"/review/T-{reviewed}/r1", f"/tasks/T-{reviewed}"),
        *("/jump?q=T-", "/settings"),
    ]


def _write_team(made: fixtures.Made, texts: Sequence[str]) -> None:
    coder = made.steps["coder"]
    for text in texts:
        fixtures.say(coder, text)
        # Arguments, result and the tool's own name are the agent's and the server's words.
        fixtures.use_tool(coder, text[:_NAME], text[:_SHORT], path=text[:_SHORT], why=text[:_SHORT])
    Step.objects.filter(task=made.task).update(title=Value(" ".join(texts)[:_SHORT]))


def _reviewed(project: Project, requester: User, texts: Sequence[str]) -> int:
    joined, short = "\n\n".join(texts)[:30_000], " ".join(texts)[:_SHORT]
    task = fixtures.make_task(
        project, requester, state=TaskState.REVIEW, title=short, request=joined
    )
    steps = fixtures.make_team(task)
    said = {"title": short, "summary": joined}
    checks = {**GREEN, "command": short, "output_tail": joined, "failed": 1}
    proposal = fixtures.make_proposal(task, steps, checks=checks, **said)
    for position, text in enumerate(texts):
        line = text.replace("\n", " ")
        path = f"docs/{position}/{line[:_SHORT]}"
        hunk = f"-old\n+{line}\n"
        fixtures.make_file(proposal, position, path, hunk, steps["writer"])
        _claim(proposal, position, steps, text)
    sealing.seal(proposal)
    return task.number


def _claim(proposal, position, steps, text) -> None:
    from agents.models import Claim

    Claim.objects.create(
        proposal=proposal,
        position=position,
        step=steps["coder"],
        text=text[:300],
        verdict="contradicted",
        evidence=text[:300],
    )


class Drawn(HTMLParser):
    """What a page is made of: each element with each attribute, and where it leads."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.made: set[tuple[str, str]] = set()
        self.leads: set[str] = set()
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.made |= {(tag, name) for name, _ in attrs} | {(tag, "")}
        for name, value in attrs:
            if name in _ADDRESSES or name.startswith(("hx-", "data-hx-")):
                self.leads.add(value or "")
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script and data.strip():
            self.scripts.append(data)

    def beyond(self, plain: Drawn) -> set[tuple[str, str]]:
        """Return what a page of plain words has not."""
        return self.made - plain.made - _MADE

    def away(self, plain: Drawn) -> set[str]:
        """Return the addresses that lead elsewhere, or run, and are none of a page of plain words."""
        led = self.leads - plain.leads
        return {each for each in led if not each.startswith(_OURS) or each.startswith("//")}
