"""“Allow and remember” on the page of a call, the pages of standing grants, and their end."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import policies
from approvals.calls.undoing import undo
from approvals.models import CallApproval, StandingGrant
from tests.api_fixtures import by_session
from tests.approval_fixtures import past_triggers
from tests.call_fixtures import park, working_step
from tests.standing_fixtures import asks, let_any, standing_grant

pytestmark = pytest.mark.django_db

EVIL = '</code><script>x</script><img src="//evil.example/x"> I-\u202e9'


@pytest.fixture
def waiting(tool, project, requester, lead) -> CallApproval:
    let_any(project, lead)
    return park(working_step(project, requester), "I-1")[0]


def _text(client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status
    return answer.content.decode()


def _plain(html: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def _agreed(html: str) -> str:
    found = re.search('name="agreed" value="([0-9a-f]{64})"', html)
    assert found
    return found[1]


def _send(client, row: CallApproval, **facts: str):
    seal = {"digest": row.digest, "nonce": row.nonce, "confirmation": row.task.label}
    form = {**seal, "verdict": "remember", **facts}
    return client.post(f"/calls/{row.pk}/decide", form)


def _state(row: CallApproval) -> str:
    return CallApproval.objects.values_list("state", flat=True).get(pk=row.pk)


# Arguments by name: 0 is cents, 1 is invoice.
WIDER = {"as-1": "prefix", "says-1": "I-", "whose": "any", "hours": "72", "max_hits": "3"}


def test_it_begins_with_exactly_this_call_and_says_so(client, waiting, lead):
    client.force_login(lead)
    text = _text(client, f"/calls/{waiting.pk}")
    said = _plain(text)
    assert "For a day, at most 10 times, Code agent calls pay at Pay without asking when" in said
    assert "cents is exactly 900 invoice is exactly I-1 and there is no other argument." in said
    assert _send(client, waiting, agreed=_agreed(text)).status_code == 302
    grant = StandingGrant.objects.get()
    assert (grant.max_hits, grant.agent) == (10, waiting.step.agent)
    assert _state(waiting) == "allowed"
    page = _text(client, f"/calls/{waiting.pk}")
    assert f"/standing-grants/{grant.pk}" in page


def test_what_was_widened_is_shown_before_it_is_agreed_to(client, waiting, lead):
    client.force_login(lead)
    first = _agreed(_text(client, f"/calls/{waiting.pk}"))
    answer = _send(client, waiting, agreed=first, **WIDER)
    assert answer.status_code == 200
    text = answer.content.decode()
    said = _plain(text)
    assert "For 3 days, at most 3 times, any agent in" in said
    assert "invoice begins with I- (here: I-1 )" in said
    assert _state(waiting) == "pending"
    assert not StandingGrant.objects.exists()
    assert _send(client, waiting, agreed=_agreed(text), **WIDER).status_code == 302
    grant = StandingGrant.objects.get()
    assert (grant.max_hits, grant.agent) == (3, None)


def test_looking_decides_nothing_and_keeps_what_was_set(client, waiting, lead):
    client.force_login(lead)
    answer = _send(client, waiting, **{**WIDER, "verdict": "look"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert 'value="I-"' in text
    assert re.search(r'<option value="prefix"\s+selected>', text)
    assert _state(waiting) == "pending"


@pytest.mark.parametrize(
    "facts",
    [
        {"as-1": "prefix", "says-1": "J-"},
        {"as-1": "glob", "says-1": "**"},
        {"as-1": "regex", "says-1": "."},
        {"as-0": "prefix", "says-0": "9"},
        {"hours": "100000"},
        {"hours": "x"},
        {"max_hits": ""},
        {"max_hits": "-1"},
        {"max_hits": "1001"},
        {"max_hits": "\u0663"},
        {"as-1": "prefix", "says-1": "I-\x00"},
    ],
)
def test_what_is_wrong_is_said_and_decides_nothing(client, waiting, lead, facts):
    client.force_login(lead)
    answer = _send(client, waiting, **facts)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
    assert _state(waiting) == "pending"


def test_who_may_not_decide_remembers_nothing(client, waiting, requester, stranger):
    client.force_login(requester)
    assert 'id="remember"' not in _text(client, f"/calls/{waiting.pk}")
    for verdict in ("look", "remember"):
        assert _send(client, waiting, verdict=verdict).status_code == 403
    client.force_login(stranger)
    assert _send(client, waiting).status_code == 404
    assert not StandingGrant.objects.exists()


def test_another_digest_is_refused(client, waiting, lead):
    client.force_login(lead)
    agreed = _agreed(_text(client, f"/calls/{waiting.pk}"))
    assert _send(client, waiting, agreed=agreed, digest="0" * 64).status_code == 422
    assert not StandingGrant.objects.exists()


def test_where_the_policy_does_not_let_it_the_page_says_why(client, tool, project, requester, lead):
    (row,) = park(working_step(project, requester), "I-1")
    client.force_login(lead)
    text = _text(client, f"/calls/{row.pk}")
    assert "Calls of this tool cannot be taken back" in text
    assert 'value="remember"' not in text
    assert _send(client, row).status_code == 400


def test_what_is_used_up_ended_when_it_was_used_last(client, grant, lead):
    used = grant.at + timedelta(minutes=1)
    past_triggers(
        "UPDATE approvals_standinggrant SET hits = max_hits, used_at = %s WHERE id = %s",
        used,
        grant.pk,
    )
    client.force_login(lead)
    row = _text(client, "/standing-grants?tab=ended").partition(f'id="grant-{grant.pk}"')[2]
    ended = row.partition("<dt>Ended</dt>")[2].partition("</dd>")[0]
    assert f"{used:%Y-%m-%dT%H:%M}" in ended


def test_grants_are_listed_read_and_revoked(client, grant, project, requester, lead):
    (row,) = asks(project, requester, "I-2")
    client.force_login(lead)
    said = _plain(_text(client, "/standing-grants"))
    assert "pay at Pay" in said
    assert "1 of 10" in said
    page = _text(client, f"/standing-grants/{grant.pk}")
    assert f"/calls/{row.pk}" in page
    assert "Calls it let through" in page
    call = _plain(_text(client, f"/calls/{row.pk}"))
    assert "by a standing grant of Dana Kim , use 1" in call
    answer = client.post(f"/standing-grants/{grant.pk}/revoke", {"next": "/standing-grants"})
    assert answer["Location"] == "/standing-grants"
    assert "Revoked: pay at Pay." in str(next(iter(get_messages(answer.wsgi_request))))
    assert "Nothing goes through beforehand." in _text(client, "/standing-grants")
    ended = _plain(_text(client, "/standing-grants?tab=ended"))
    assert "Revoked" in ended
    assert "revoked by Dana Kim" in ended
    assert 'value="Revoke"' not in ended


def test_while_the_call_it_was_made_with_can_be_undone_it_is_not_in_force(
    client, tool, project, requester, lead
):
    policies.change(project, by=lead, call_undo_seconds=300)
    grant = standing_grant(project, requester, lead)
    client.force_login(lead)
    for url in ("/standing-grants", f"/standing-grants/{grant.pk}"):
        main = _plain(_text(client, url).partition("<main")[2])
        look = re.compile(r"pay at Pay (?:Revoke pay at Pay )?From \d\d:\d\d:\d\d (?:by|cents) ")
        assert look.search(main), main
    assert re.search(r"Nothing goes through before \d\d:\d\d:\d\d\.", main)
    read = by_session(lead)("GET", f"/api/v1/standing-grants/{grant.pk}").json()
    assert read["state"] == "active"
    assert read["begins_at"] > read["at"]
    undo(grant.origin_id, by=lead)
    assert "From" not in _plain(_text(client, f"/standing-grants/{grant.pk}").partition("<main")[2])


def test_a_grant_in_force_says_so(client, grant, lead):
    client.force_login(lead)
    assert "In force by Dana Kim" in _plain(_text(client, f"/standing-grants/{grant.pk}"))
    assert (
        by_session(lead)("GET", f"/api/v1/standing-grants/{grant.pk}").json()["begins_at"] is None
    )


def test_a_requester_sees_them_and_has_no_button(client, grant, requester, stranger):
    client.force_login(requester)
    text = _text(client, "/standing-grants")
    assert "pay" in text
    assert "/revoke" not in text
    client.post(f"/standing-grants/{grant.pk}/revoke")
    assert StandingGrant.objects.get().revoked_at is None
    client.force_login(stranger)
    assert str(grant.pk) not in _text(client, "/standing-grants")
    _text(client, f"/standing-grants/{grant.pk}", 404)
    assert client.post(f"/standing-grants/{grant.pk}/revoke").status_code == 404
    assert client.post(f"/standing-grants/{uuid.uuid4()}/revoke").status_code == 404


def test_what_agents_write_is_shown_as_text(client, tool, project, requester, lead):
    let_any(project, lead)
    (row,) = park(working_step(project, requester), EVIL)
    client.force_login(lead)
    text = _text(client, f"/calls/{row.pk}")
    assert _send(client, row, agreed=_agreed(text)).status_code == 302
    grant = StandingGrant.objects.get()
    for url in (f"/calls/{row.pk}", "/standing-grants", f"/standing-grants/{grant.pk}"):
        shown = text + _text(client, url)
        assert "<script>x" not in shown
        assert '<img src="//evil' not in shown
    assert "U+202E" in _text(client, "/standing-grants")


def test_a_long_value_is_cut_in_its_line_and_can_be_read_whole(
    client, tool, project, requester, lead
):
    let_any(project, lead)
    long = "I-" + "0123456789 " * 60 + "\u202e and pay it twice"
    (row,) = park(working_step(project, requester), long)
    client.force_login(lead)
    text = _text(client, f"/calls/{row.pk}")
    assert _send(client, row, agreed=_agreed(text)).status_code == 302
    grant = StandingGrant.objects.get()
    for page in (text, _text(client, f"/standing-grants/{grant.pk}")):
        assert f"invoice is exactly {long[:200]}…" in _plain(page)
        fold = page.partition(f"Show all {len(long)} characters")[2].partition("</details>")[0]
        assert _plain(fold).endswith("and pay it twice")
        assert "U+202E" in fold
    listed = _text(client, "/standing-grants")
    assert "pay it twice" not in listed
    assert f'<a href="/standing-grants/{grant.pk}">read all of it</a>' in listed


def test_a_grant_with_tampered_patterns_is_still_a_page(client, grant, lead):
    from tests.approval_fixtures import past_triggers

    past_triggers("UPDATE approvals_standinggrant SET patterns = '[1]'")
    client.force_login(lead)
    _text(client, "/standing-grants")
    _text(client, f"/standing-grants/{grant.pk}")


def test_the_pages_cost_few_statements(client, tool, project, requester, lead):
    grant = standing_grant(project, requester, lead)
    asks(project, requester, *(f"I-{n}" for n in range(8)))
    for number in range(5):
        (row,) = park(working_step(project, requester), f"J-{number}")
        client.force_login(lead)
        agreed = _agreed(_text(client, f"/calls/{row.pk}"))
        assert _send(client, row, agreed=agreed).status_code == 302
    for url in ("/standing-grants", f"/standing-grants/{grant.pk}"):
        client.get(url)
        with CaptureQueriesContext(connection) as asked:
            client.get(url)
        assert len(asked) <= 12, (url, [each["sql"][:80] for each in asked])


def test_the_admin_looks_and_changes_nothing(client, grant, project, requester, admin):
    asks(project, requester, "I-2")
    client.force_login(admin)
    page = "/admin/approvals/standinggrant/"
    assert "pay" in _text(client, page)
    assert "begins" not in _text(client, f"{page}{grant.pk}/change/")
    assert client.post(f"{page}{grant.pk}/change/", {"max_hits": 99}).status_code == 403
    assert client.post(f"{page}{grant.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_decided_list_says_what_a_grant_did_and_counts_it_for_nobody(
    client, grant, project, requester, lead
):
    from django.utils import timezone

    from approvals.calls import selectors

    (row,) = asks(project, requester, "I-2")
    client.force_login(lead)
    text = _plain(_text(client, "/inbox?tab=decided"))
    assert "Allowed by a standing grant" in text
    today = timezone.now() - timedelta(days=1)
    assert [each.pk for each in selectors.decided_since(lead.pk, today)] == [grant.origin_id]
    assert row.decided_by == lead
