"""A lead who asked for the work signs none of it: by no page and no endpoint, one by one or in bulk.

The same requests by another lead are signed, so what refuses them is who sends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

from approvals import policies, sealing
from approvals.models import CallSignature, Signature
from projects.models import Membership
from tests import call_fixtures
from tests.approval_fixtures import make_change

if TYPE_CHECKING:
    from projects.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def change(project, requester, lead, bare, tmp_path):
    """One that may be approved in bulk."""
    policies.change(project, by=lead, money_paths=[])
    return sealing.seal(make_change(project, requester, tmp_path))


@pytest.fixture
def call(project, requester):
    call_fixtures.make_tool()
    return call_fixtures.waiting_call(project, requester)


def seen(row) -> dict[str, str]:
    return {"digest": row.digest, "nonce": row.nonce}


def typed(row) -> dict[str, str]:
    return {**seen(row), "confirmation": row.task.label}


def signed_in(by: User) -> Client:
    client = Client()
    client.force_login(by)
    return client


def as_json(by: User, address: str, sent: object) -> None:
    signed_in(by).post(f"/api/v1/{address}", sent, content_type="application/json")


# What is sent, and the words for it.
WAYS = {
    "change, page": lambda by, change, _: signed_in(by).post(
        f"/review/T-{change.task.number}/r1/decide", {"verdict": "approve", **seen(change)}
    ),
    "change, API": lambda by, change, _: as_json(
        by, f"approvals/{change.pk}/signatures", {"verdict": "approve", **seen(change)}
    ),
    "bulk, page": lambda by, change, _: signed_in(by).post(
        "/inbox/selected/approve", {"item": f"{change.pk} {change.digest} {change.nonce}"}
    ),
    "bulk, API": lambda by, change, _: as_json(
        by, "approvals/bulk", {"items": [{"id": str(change.pk), **seen(change)}]}
    ),
    "call, page": lambda by, _, call: signed_in(by).post(
        f"/calls/{call.pk}/decide", {"verdict": "allow", **typed(call)}
    ),
    "call, API": lambda by, _, call: as_json(
        by, f"calls/{call.pk}/decision", {"verdict": "allow", **typed(call)}
    ),
}


def signatures() -> int:
    return Signature.objects.count() + CallSignature.objects.count()


@pytest.mark.parametrize("way", WAYS)
def test_who_asked_signs_nothing_though_they_became_a_lead(
    change, call, requester, second_lead, way
):
    Membership.objects.filter(user=requester).update(role="lead")
    WAYS[way](requester, change, call)
    assert signatures() == 0
    WAYS[way](second_lead, change, call)
    assert signatures() == 1
