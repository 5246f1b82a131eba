"""What is typed into an address or a form comes back as text, in every page that shows it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from django.test import Client

from agents.models import Hunk
from approvals import policies
from approvals.models import Approval, Remember
from projects.models import Project, User
from tests.payloads.drawn import Drawn
from tests.payloads.hidden import EVERY
from tests.payloads.payloads import PAYLOADS
from tests.payloads.typed import addresses, forms
from tests.routes.world import World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db
PLAIN = "Round half to even."
# One holds every one; what would lead away stands at the start of two others.
TEXTS = (" ".join(PAYLOADS[:-1]), "javascript:window.zz=1", "//evil.example/zz")

# What is too long is refused where a short text is taken, and what cannot be seen is said.
LONG = f"{PLAIN}\u200b " * (len(TEXTS[0]) // len(PLAIN))


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():
        made = make_world()
        project = Project.objects.get(slug="acme")
        policies.change(project, by=User.objects.get(username="lead"), standing_grants=Remember.ANY)
        reviewed = Approval.objects.get(pk=made.names["reviewed_id"])
        made.names["hunk"] = Hunk.objects.filter(file__proposal=reviewed.proposal).first().pk
        yield made
        transaction.set_rollback(True)


def asked(world: World, text: str) -> dict[str, Drawn]:
    """Return what every address with a text in it answers."""
    client, pages = world.clients["lead"], {}
    for (name, page), (_, plain) in zip(
        _numbered(addresses(world, text)), _numbered(addresses(world, PLAIN)), strict=True
    ):
        answer = (Client() if "/sign-in" in page else client).get(page)
        assert answer.status_code in {200, 302, 400, 403, 404}, page
        _stays_here(answer)
        pages[f"{name} {plain}"] = Drawn(answer.getvalue().decode())
    return pages


def sent(world: World, text: str) -> dict[str, Drawn]:
    """Return what every form with a text in it answers; what it changed is taken back."""
    pages = {}
    for name, address, form in forms(world, text):
        client = Client() if "/sign-in" in address else world.clients["lead"]
        with transaction.atomic():
            answer = client.post(address, form)
            _stays_here(answer)
            if answer.status_code == 302:
                answer = client.get(answer.headers["Location"])
            transaction.set_rollback(True)
        assert answer.status_code < 500 or answer.status_code == 503, name  # git is away
        pages[name] = Drawn(answer.getvalue().decode())
    return pages


def _numbered(pages: Iterator[str]) -> Iterator[tuple[int, str]]:
    yield from enumerate(pages)


def _stays_here(answer) -> None:
    to = answer.headers.get("Location", "/")
    assert to.startswith(("/", "?")), to
    assert not to.startswith(("//", "/\\", "/\t")), to


@pytest.mark.parametrize("read", [asked, sent])
def test_an_answer_is_made_of_the_same_whatever_is_typed(world, read):
    plain, long, wrong = read(world, PLAIN), read(world, LONG), {}
    for text in TEXTS:
        for at, page in read(world, text).items():
            found = [
                (page.beyond(was), page.away(was), page.scripts != was.scripts)
                for was in (plain[at], long[at])
            ]
            if all(map(any, found)):
                wrong[text[:60], at] = found
    assert wrong == {}, list(wrong.items())[:5]


@pytest.mark.parametrize("read", [asked, sent])
def test_what_cannot_be_seen_is_marked_in_every_answer(world, read):
    plain, pages = read(world, PLAIN), read(world, EVERY)
    left = {at: page.unmarked - plain[at].unmarked for at, page in pages.items()}
    assert {at: found for at, found in left.items() if found} == {}
