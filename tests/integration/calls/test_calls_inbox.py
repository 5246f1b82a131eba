"""Calls of tools are rows of the inbox like changes: decided, put off, narrowed, paged, looked at."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from agents.models import Tool
from agents.models.tools import Asks
from approvals import sealing, selectors, snoozing
from approvals.calls import carrying
from approvals.calls import selectors as calls
from approvals.exceptions import DecisionConflict
from approvals.models import CallApproval, CallSnooze, Risk
from projects.across import Mine
from projects.exceptions import InvalidInput, NotAllowed
from projects.keyset import Order, Page, Place, merged
from projects.models import AuditEntry
from tests.approval_fixtures import make_report
from tests.call_fixtures import decided, end_time, park, working_step

pytestmark = pytest.mark.django_db
MOST = 12
EVIL = '</pre><script>x</script><img src="//evil.example/x"> I-\u202e9'


@pytest.fixture
def text(client, lead):
    """Return what an inbox of the lead shows, within the statements a page may make."""
    client.force_login(lead)

    def opened(**query: str) -> str:
        answer = client.get("/inbox", query)
        assert answer.status_code == 200
        return answer.content.decode()

    return opened


def _rows(page: str) -> list[str]:
    return re.findall(r'id="row-([0-9a-f-]+)"', page)


def _later(**span: int):
    return timezone.now() + timedelta(**span)


def test_what_was_decided_stands_among_changes_with_its_end_and_by_whom(
    text, server, waiting, project, requester, lead
):
    before = sealing.seal(make_report(project, requester))
    before.move("withdrawn", decided_at=timezone.now())
    decided(waiting, lead, edited='{"invoice": "I-1", "cents": 1}')
    carrying.make_due("effects")
    after = sealing.seal(make_report(project, requester))
    after.move("withdrawn", decided_at=timezone.now())
    page = text(tab="decided", at=str(waiting.pk))
    assert _rows(page) == [str(row.pk) for row in (after, waiting, before)]
    assert "Allowed with other arguments" in page
    assert "{&quot;cents&quot;:1,&quot;invoice&quot;:&quot;I-1&quot;}" in page
    assert "allowed with other arguments by Dana" in page
    assert "Paid I-1." in page
    assert "You decided 1 today." in page


def test_what_was_refused_says_why(text, waiting, lead):
    decided(waiting, lead, "refuse", note="Ask for the invoice first.")
    page = text(tab="decided")
    assert "Refused" in page
    assert "Ask for the invoice first." in page


def test_a_call_that_is_made_is_with_agents(text, waiting, lead):
    assert "Tools are called" not in text(tab="with-agents")
    decided(waiting, lead)
    page = text(tab="with-agents")
    assert "Tools are called" in page
    assert re.search(r'With agents <span class="count">2</span>', page)  # its task, and it
    assert "<strong>Allowed</strong> by Dana" in page
    assert str(waiting.pk) in _rows(page)
    assert str(waiting.pk) not in text()


def test_changes_and_calls_are_paged_as_one_list(text, tool, project, requester, lead):
    made = {str(row.pk) for row in park(working_step(project, requester), *map(str, range(26)))}
    made |= {str(sealing.seal(make_report(project, requester)).pk) for _ in range(2)}
    first = text()
    after = re.search(r"after=([0-9.a-f-]+)", first)[1]
    second = text(after=after)
    assert (len(_rows(first)), len(_rows(second))) == (selectors.ROWS, 3)
    assert set(_rows(first)) | set(_rows(second)) == made
    before = re.search(r"before=([0-9.a-f-]+)", second)[1]
    assert set(_rows(text(before=before))) == set(_rows(first))
    oldest = [*_rows(text(sort="oldest"))]
    assert oldest == sorted(made)[: selectors.ROWS]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("back", [True, False])
def test_two_lists_make_one_page_in_both_directions(newest_first, back, waiting):
    order = Order(newest_first=newest_first)
    keys = sorted((CallApproval(pk=f"{n:032x}") for n in range(9)), key=order.key)
    way = keys if newest_first == back else keys[::-1]
    place = Place(key=way[0].pk, back=back)
    reading = way[1:]
    one, others = reading[0::2][:3], reading[1::2][:4]
    page = Page(
        rows=one[::-1] if back else one, before="more" if back else "", after="" if back else "more"
    )
    found = merged(page, others, order=order, place=place, limit=3)
    assert found.rows == (reading[:3][::-1] if back else reading[:3])
    assert found.before == order.place(found.rows[0])
    assert found.after == order.place(found.rows[-1])


@pytest.mark.parametrize(
    ("query", "call", "change"),
    [
        ("kind:call", True, False),
        ("kind:proposal", False, True),
        ("kind:call kind:proposal", True, True),
        ("risk:high", True, False),
        ("risk:low", False, True),
        ("agent:coder kind:call", True, False),
        ("agent:tester", False, False),
        ("requester:mira", True, True),
        ("due:<1m", False, False),
        ("cost:>0", False, False),
        ("due:>1h kind:call", True, False),
        ("state:pending", True, True),
        ("state:pending kind:call", True, False),
        ("state:allowed", False, False),
    ],
)
def test_the_filter_narrows_calls_as_it_does_changes(
    text, waiting, project, requester, lead, query, call, change
):
    made = sealing.seal(make_report(project, requester))
    assert made.risk == "low"
    shown = _rows(text(q=query))
    assert (str(waiting.pk) in shown, str(made.pk) in shown) == (call, change)


def test_the_state_of_a_call_narrows_what_is_made_and_what_was_decided(text, waiting, lead):
    decided(waiting, lead)
    key = str(waiting.pk)
    assert key in _rows(text(tab="with-agents", q="state:allowed"))
    assert key not in _rows(text(tab="with-agents", q="state:calling"))
    assert key in _rows(text(tab="decided", q="state:allowed state:done"))
    assert key not in _rows(text(tab="decided", q="state:refused"))


def test_by_risk_calls_stand_among_changes(text, waiting, project, requester, lead):
    change = sealing.seal(make_report(project, requester))
    page = text(sort="risk")
    assert _rows(page) == [str(waiting.pk), str(change.pk)]
    assert page.index("High risk") < page.index(str(waiting.pk)) < page.index("Low risk")


def test_a_kind_that_is_none_is_refused_in_words(text):
    assert "“cat” is no kind: write kind:proposal or kind:call." in text(q="kind:cat")


@pytest.mark.parametrize(
    ("facts", "risk"),
    [({"read_only": True}, Risk.LOW), ({"idempotent": True}, Risk.MEDIUM), ({}, Risk.HIGH)],
)
def test_the_risk_of_a_call_is_what_its_sealed_tool_may_do(
    tool, project, requester, lead, facts, risk
):
    Tool.objects.update(asks=Asks.ALWAYS, **facts)
    (row,) = park(working_step(project, requester), "I-1")
    assert (row.risk, row.agent) == (risk, "coder")


def test_a_call_is_put_off_for_one_person(text, waiting, lead, second_lead):
    snoozing.snooze(waiting, by=lead, until=_later(hours=4))
    assert str(waiting.pk) not in text()
    page = text(tab="snoozed")
    assert _rows(page) == [str(waiting.pk)]
    assert "Wake now" in page
    assert re.search(r'Snoozed <span class="count">1</span>', page)
    assert selectors.count_needs_you(lead, cap=500) == 0
    assert selectors.count_needs_you(second_lead, cap=500) == 1
    assert snoozing.wake(waiting, by=lead)
    assert not snoozing.wake(waiting, by=lead)
    assert _rows(text()) == [str(waiting.pk)]
    acts = AuditEntry.objects.filter(object_id=str(waiting.pk), actor=lead).order_by("id")
    assert list(acts.values_list("action", flat=True)) == ["call.snoozed", "call.woken"]


def test_the_later_snooze_of_a_call_counts_and_none_outlasts_its_time(waiting, lead):
    snoozing.snooze(waiting, by=lead, until=_later(hours=1))
    kept = snoozing.snooze(waiting, by=lead, until=_later(days=900))
    (row,) = CallSnooze.objects.all()
    assert row.until == kept.until == waiting.expires_at - timedelta(hours=1)


def test_only_who_is_asked_puts_a_call_off_and_only_while_it_waits(waiting, requester, lead):
    with pytest.raises(NotAllowed):
        snoozing.snooze(waiting, by=requester, until=_later(hours=1))
    with pytest.raises(InvalidInput):
        snoozing.snooze(waiting, by=lead, until=_later(hours=-1))
    decided(waiting, lead, "refuse", note="No.")
    with pytest.raises(DecisionConflict):
        snoozing.snooze(waiting, by=lead, until=_later(hours=1))
    assert not CallSnooze.objects.exists()


def test_a_call_is_put_off_and_woken_by_the_forms(client, waiting, lead, stranger):
    client.force_login(lead)
    answer = client.post(f"/calls/{waiting.pk}/snooze", {"for": "hour"}, follow=True)
    assert "comes back in 1 h" in answer.content.decode()
    answer = client.post(f"/calls/{waiting.pk}/wake", follow=True)
    assert "waits for you again" in answer.content.decode()
    client.force_login(stranger)
    for act in ("snooze", "wake"):
        assert client.post(f"/calls/{waiting.pk}/{act}", {"for": "hour"}).status_code == 404


def test_a_call_is_put_off_over_the_api(client, waiting, lead):
    client.force_login(lead)
    url = reverse("api:call_snooze", args=[waiting.pk])
    until = {"until": _later(hours=1).isoformat()}
    assert client.post(url, until, content_type="application/json").status_code == 200
    assert calls.put_off(lead.pk, Mine.of(lead)).count() == 1
    assert client.delete(url).status_code == 204
    assert calls.put_off(lead.pk, Mine.of(lead)).count() == 0
    row = client.get(reverse("api:call", args=[waiting.pk])).json()
    assert row["risk"] == "high"


def test_a_closer_look_shows_the_sealed_arguments_as_text_and_caps_them(
    text, tool, project, requester, lead
):
    (row,) = park(working_step(project, requester), EVIL + "y" * 3_000, said=EVIL)
    page = text(at=str(row.pk))
    assert 'id="peek"' in page
    assert "<script>x" not in page
    assert '<img src="//evil' not in page
    assert "U+202E" in page
    assert "more characters on its page." in page
    assert "what it does cannot be taken back from here" in page


def test_a_call_can_not_be_selected_with_others_and_says_so(text, waiting, project, requester):
    change = sealing.seal(make_report(project, requester))
    page = text()
    assert f'value="{change.pk}"' in page
    assert f'value="{waiting.pk}"' not in page
    assert "Calls are decided one by one" in page


def test_an_open_inbox_is_told_of_new_calls_and_marks_what_was_decided(
    client, text, tool, project, requester, second_lead
):
    first = park(working_step(project, requester), "A")[0]
    address = unescape(re.search(r'data-live="([^"]+)"', text())[1])
    park(working_step(project, requester), "B")
    decided(first, second_lead)
    news = client.get(address).content.decode()
    assert "1 new, press <kbd>.</kbd> to show" in news
    assert f'id="due-{first.pk}"' in news
    assert "Allowed" in news


def test_every_tab_asks_little_with_calls_in_it(
    client, text, tool, project, requester, lead, django_assert_max_num_queries
):
    rows = park(working_step(project, requester), "A", "B", "C", "D", "E")
    decided(rows[0], lead)
    decided(rows[1], lead, "refuse", note="No.")
    snoozing.snooze(rows[2], by=lead, until=_later(hours=1))
    made = sealing.seal(make_report(project, requester))
    sealing.seal(make_report(project, requester)).move("withdrawn", decided_at=timezone.now())
    for tab in ("needs-you", "with-agents", "snoozed", "decided"):
        for at in (rows[0], rows[2], rows[3], made):
            text(tab=tab)
            with django_assert_max_num_queries(MOST, info=tab):
                page = text(tab=tab, at=str(at.pk))
        assert _rows(page), tab
    address = unescape(re.search(r'data-live="([^"]+)"', text())[1])
    decided(rows[3], lead)
    with django_assert_max_num_queries(MOST):
        client.get(address)


def test_calls_wait_in_the_order_they_are_due_for_who_goes_through_them(
    tool, project, requester, lead
):
    one, two, three = park(working_step(project, requester), "A", "B", "C")
    mine = Mine.of(lead)
    assert calls.neighbours(lead, mine, two) == (one, three)
    end_time(one)
    assert calls.neighbours(lead, mine, two) == (None, three)


@pytest.mark.parametrize(
    ("listed", "index"), [("decided", "call_decided"), ("waiting", "call_pending")]
)
def test_what_narrows_calls_is_read_from_one_index_alone(waiting, lead, listed, index):
    mine = Mine.of(lead)
    found = calls.decided(mine) if listed == "decided" else calls.waiting(lead.pk, mine)
    order = selectors.BY_DECISION if listed == "decided" else selectors.BY_DUE
    narrowed = found.rows.filter(risk="low", agent="tester", requester=waiting.requester)
    rows = narrowed.filter(project=waiting.project).order_by(*order.fields()).values("pk")
    with connection.cursor() as cursor:
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    assert f"Index Only Scan using {index}" in rows[:26].explain()
