"""Every page that is declared, at an address with rows behind it, and what else may be met on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from django.urls import resolve

from approvals import policies, sealing
from approvals.policies import Rule
from projects.models import Membership, Project, Role, User
from tests import call_fixtures
from tests.approval_fixtures import make_change, make_repository
from tests.payloads.console import make_everything
from tests.routes import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from approvals.models import Approval
    from tests.routes.world import World

# What htmx asks for and puts into a page that is open: no pages of their own.
PIECES = {
    f"console:{name}"
    for name in (
        *("live", "inbox_live", "task_live", "task_earlier", "trace_live", "call_live"),
        *("review_live", "main_moved"),
    )
}
LEAD_ON = {"console:home"}
# For machines.
TEXTS = {"healthz", "readyz", "metrics", "api:schema"}
_LATER = {"console:sign_in", "console:selected_done", "console:around"}  # are come to from others


@dataclass(frozen=True, kw_only=True)
class Made:
    """The rows, and the pages of them."""

    world: World
    of_lead: list[str]
    change: Approval  # its files are in git


def make(folder: Path) -> Made:
    """Write one of everything a page shows."""
    world, pages = make_everything()
    project = Project.objects.get(slug="acme")
    requester, lead = (User.objects.get(username=name) for name in ("requester", "lead"))
    change = _change(folder, requester, lead)
    pages += [_signed_once(project, requester), *_of_change(change)]
    shown = [page for page in pages if _route(page) not in PIECES | LEAD_ON | _LATER]
    return Made(world=world, of_lead=list(dict.fromkeys(shown)), change=change)


def _signed_once(project: Project, requester: User) -> str:
    """Return the page of a call that waits for a second signature."""
    second = User.objects.get(username="second")
    rules = [Rule(name="Paying", tools=["pay/*"], signatures_needed=2)]
    policies.change(project, by=second, rules=rules)
    call = call_fixtures.waiting_call(project, requester)
    call_fixtures.decided(call, second)
    return f"/calls/{call.pk}"


def _change(folder: Path, requester: User, lead: User) -> Approval:
    """Return a change of a project of its own that git knows: elsewhere commits are made up."""
    project = Project.objects.create(slug="in-git", name="in/git", repository="/nowhere.git")
    second = User.objects.get(username="second")
    for person, role in ((requester, Role.REQUESTER), (lead, Role.LEAD), (second, Role.LEAD)):
        Membership.objects.create(project=project, user=person, role=role)
    make_repository(folder, project)
    return sealing.seal(make_change(project, requester, folder))


def _of_change(change: Approval) -> Iterator[str]:
    review = f"/review/{change.task.label}/r1"
    yield review
    yield f"{review}/edit?{urlencode({'path': change.snapshot['files'][0]['path']})}"


def not_looked_at(addresses: Iterable[str]) -> set[str]:
    """Return the routes of the console, and those open to all, that answer a GET and are in no list."""
    declared = {
        line.route
        for line in table.lines()
        if line.method == "GET" and (line.area in {"console", "open"})
    }
    return declared - {_route(address) for address in addresses} - PIECES - LEAD_ON - TEXTS


def _route(address: str) -> str:
    return resolve(urlsplit(address).path).view_name
