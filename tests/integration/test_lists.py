"""Lists that move: no row twice, none missed, no OFFSET, no seal loaded, few queries, nobody else's."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.lifecycle import TaskState
from agents.models import Hold, HoldScope, Task
from approvals import sealing
from approvals.calls import selectors as call_selectors
from approvals.models import Approval
from approvals.selectors import BY_DECISION, BY_DUE, count_needs_you, decided, needs_you
from countersign.console import finding
from projects import keyset
from projects.across import Across, Mine
from projects.keyset import Order, Place
from projects.models import Membership, Project
from tests import console_fixtures as fixtures
from tests.approval_fixtures import make_report, past_triggers

pytestmark = pytest.mark.django_db
NEWEST = Order()


@pytest.fixture
def second_project(requester, lead) -> Project:
    """Return another project of the same people."""
    made = Project.objects.create(slug="other", name="acme/other", repository="/nowhere.git")
    for person, role in ((requester, "requester"), (lead, "lead")):
        Membership.objects.create(user=person, project=made, role=role)
    return made


def _tasks(user, place=None, limit=3):
    listed = Across(rows=Task.objects.all(), projects=Mine.of(user).projects)
    return keyset.page(listed, lambda rows: rows, order=NEWEST, place=place, limit=limit)


def _on(order: Order, page, way: str) -> Place | None:
    return Place.of(order, {way: getattr(page, way)})


def test_pages_over_projects_show_each_task_once_while_new_ones_come(
    project, second_project, requester
):
    made = [
        fixtures.make_task(where, requester, title=f"{where.slug} {n}")
        for n in range(5)
        for where in (project, second_project)
    ]
    seen, page = [], _tasks(requester)
    while True:
        seen += page.rows
        fixtures.make_task(project, requester, title="New")  # comes before all pages
        if not page.after:
            break
        page = _tasks(requester, _on(NEWEST, page, "after"))
    assert seen == sorted(made, key=lambda task: task.pk, reverse=True)


def test_the_way_back_leads_over_the_same_rows(project, second_project, requester):
    for n in range(7):
        fixtures.make_task(project if n % 2 else second_project, requester)
    first = _tasks(requester)
    second = _tasks(requester, _on(NEWEST, first, "after"))
    third = _tasks(requester, _on(NEWEST, second, "after"))
    assert (first.before, third.after) == ("", "")
    assert _tasks(requester, _on(NEWEST, third, "before")) == second
    again = _tasks(requester, _on(NEWEST, second, "before"))
    assert (again.rows, again.before) == (first.rows, "")


def test_what_is_due_at_the_same_moment_is_neither_missed_nor_shown_twice(
    project, second_project, requester, lead
):
    sealed = [
        sealing.seal(make_report(where, requester))
        for _ in range(4)
        for where in (project, second_project)
    ]
    past_triggers("UPDATE approvals_approval SET expires_at = now() + interval '1 hour'")
    seen: list[Approval] = []
    asked = needs_you(lead, limit=3)
    seen += asked.pending
    gone = next(row for row in sealed if row not in seen)
    gone.move("withdrawn", decided_at=timezone.now())
    while asked.page.after:
        asked = needs_you(lead, place=_on(BY_DUE, asked.page, "after"), limit=3)
        seen += asked.pending
    assert sorted(row.pk for row in seen) == sorted(row.pk for row in sealed if row != gone)
    back = needs_you(lead, place=_on(BY_DUE, asked.page, "before"), limit=3)
    assert {row.pk for row in back.pending}.isdisjoint(row.pk for row in asked.pending)


def test_decided_rows_of_one_moment_are_paged_by_id(project, requester, lead):
    sealed = [sealing.seal(make_report(project, requester)) for _ in range(5)]
    moment = timezone.now()
    for row in sealed:
        row.move("withdrawn", decided_at=moment)
    first = decided(lead, limit=2)
    second = decided(lead, place=_on(BY_DECISION, first, "after"), limit=2)
    third = decided(lead, place=_on(BY_DECISION, second, "after"), limit=2)
    keys = [row.pk for page in (first, second, third) for row in page.rows]
    assert keys == sorted((row.pk for row in sealed), reverse=True)
    assert decided(lead, place=_on(BY_DECISION, third, "before"), limit=2).rows == second.rows


@pytest.mark.parametrize("given", ["x", "1", "1.x", "9" * 40 + ".x", "0.00000000", "é.é"])
def test_a_place_that_is_none_is_the_first_page(client, project, requester, lead, given):
    made = fixtures.reviewed_task(project, requester)
    client.force_login(lead)
    for path in ("/inbox", "/tasks?tab=sign-off"):
        for way in ("after", "before"):
            answer = client.get(
                path, {way: given, "tab": "sign-off"} if "tasks" in path else {way: given}
            )
            assert made.task.title in answer.content.decode(), (path, way)


def test_a_place_in_a_foreign_project_opens_nothing(client, project, requester, stranger):
    made = [fixtures.reviewed_task(project, requester) for _ in range(2)]
    client.force_login(stranger)
    for path in ("/tasks?tab=sign-off", "/inbox?tab=with-agents", "/inbox?tab=decided", "/memory"):
        for way in ("after", "before"):
            page = client.get(f"{path}&{way}={made[0].task.pk}".replace("/memory&", "/memory?"))
            assert made[1].task.label not in page.content.decode()
    place = Place(key=made[0].approval.pk, moment=made[0].approval.expires_at)
    assert needs_you(stranger, place=place).pending == []


def test_the_projects_of_one_who_was_switched_off_are_none(project, requester):
    fixtures.make_task(project, requester)
    requester.is_active = False
    assert Mine.of(requester).projects == ()
    assert _tasks(requester).rows == []
    assert count_needs_you(requester, cap=10) == 0


def _as_they_are(rows):
    return rows


def test_a_list_that_is_not_kept_any_more_is_gone_at_once(project, requester):
    listed = Across(rows=Task.objects.all(), projects=Mine.of(requester).projects)
    assert listed.filter(Q()) is listed
    listed.first(_as_they_are, ["-id"], 3)
    listed.count(3)
    left = weakref.ref(listed)
    gc.disable()  # what only all rubbish is looked through for would stay
    try:
        del listed
        assert left() is None
    finally:
        gc.enable()


def test_what_is_kept_of_a_list_is_of_one_person(project, requester, lead):
    mine = Mine.of(requester)
    theirs = [call_selectors.at_work(person.pk, mine) for person in (requester, lead, requester)]
    assert theirs[0] is theirs[2]
    assert theirs[0] is not theirs[1]


def test_a_count_ends_at_its_cap(project, second_project, requester):
    for where in (project, second_project, project):
        fixtures.make_task(where, requester)
    listed = Across(
        rows=Task.objects.all(), projects=Mine.of(requester).projects, states=(TaskState.QUEUED,)
    )
    assert [listed.count(cap) for cap in (1, 2, 3, 10)] == [1, 2, 3, 3]


def _some_of_everything(project, requester, lead) -> None:
    for _ in range(4):
        fixtures.reviewed_task(project, requester)
        fixtures.running_task(project, requester)
        fixtures.stopped_task(project, requester)
        fixtures.make_lesson(project, lead)
        done = fixtures.reviewed_task(project, requester)
        done.approval.move("withdrawn", decided_at=timezone.now())
        Task.objects.filter(pk=done.task.pk).update(state="done", finished_at=timezone.now())
        stale = fixtures.reviewed_task(project, requester)
        stale.approval.move("stale", decided_at=timezone.now(), reason="Main moved.")
        paused = fixtures.running_task(project, requester)
        Hold.objects.create(scope=HoldScope.TASK, task=paused.task, placed_by=lead)


LISTS = [
    *("/tasks", "/tasks?mine=1", "/tasks?project=acme-billing&mine=1", "/tasks?tab=sign-off"),
    *("/tasks?tab=done", "/inbox", "/inbox?tab=with-agents", "/inbox?tab=decided", "/inbox/live"),
    *("/memory", "/memory?state=active", "/operations", "/new", "/live", "/jump"),
    *("/jump?q=billing", "/jump?q=no+such+words", "/settings"),
]
API_LISTS = [
    *("tasks", "tasks?mine=true&state=review", "approvals", "approvals?state=pending"),
    *("memories?state=active&kind=lesson", "holds?scope=task"),
]


def test_no_list_takes_more_than_twelve_queries_an_offset_or_a_seal(
    client, project, requester, lead
):
    _some_of_everything(project, requester, lead)
    client.force_login(lead)
    for path in [*LISTS, *(f"/api/v1/{path}" for path in API_LISTS)]:
        client.get(path)  # the session is written once
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get(path).status_code == 200, path
        statements = [query["sql"] for query in asked.captured_queries]
        assert len(statements) <= 12, (path, len(statements), statements)
        assert not any(" OFFSET " in sql for sql in statements), path
        peeked = path.startswith("/inbox")  # one row is looked at whole, beside the list
        seals = [sql for sql in statements if '"approvals_approval"."snapshot",' in sql]
        assert len(seals) <= peeked, (path, seals)
        listed = path.startswith(("/inbox", "/review"))
        outlines = [sql for sql in statements if '"approvals_approval"."outline",' in sql]
        assert listed or not outlines, (path, outlines)


def test_pages_are_walked_by_their_links(client, project, requester, lead):
    made = [fixtures.reviewed_task(project, requester, title=f"Work {n:02}") for n in range(32)]
    client.force_login(lead)
    first = client.get("/inbox")
    listed = first.context["listed"]
    assert (len(listed.rows), listed.before) == (25, "")
    assert f"after={listed.after}" in first.content.decode()
    second = client.get("/inbox", {"after": listed.after})
    rows = [row.task_id for row in (*listed.rows, *second.context["listed"].rows)]
    assert sorted(rows) == sorted(row.task.pk for row in made)
    back = client.get("/inbox", {"before": second.context["listed"].before})
    assert [row.pk for row in back.context["listed"].rows] == [row.pk for row in listed.rows]
    assert "Due sooner" in second.content.decode()
    assert "Due sooner" not in back.content.decode()


def test_what_ended_undecided_is_asked_until_it_is_put_up_again(project, requester, lead):
    made = fixtures.reviewed_task(project, requester)
    made.approval.move("stale", decided_at=timezone.now(), reason="Main moved.")
    assert needs_you(lead).again == [made.approval]
    new = sealing.seal(made.proposal)
    assert needs_you(lead).again == []
    assert Approval.objects.get(pk=made.approval.pk).replaced
    assert not Approval.objects.get(pk=new.pk).replaced


def test_old_tasks_are_found_by_their_words_in_ones_own_projects_only(
    project, second_project, requester, stranger
):
    old = fixtures.make_task(project, requester, title="Mend the zebra crossing of invoices")
    for n in range(55):  # beyond what is looked through
        fixtures.make_task(project, requester, title=f"Paint {n}")
    mine = Mine.of(requester)
    for words in ("zebra", "zebr", "crossing zebra", "ZEBRA invoices"):
        assert finding.tasks(mine, words, 8) == [old], words
    assert finding.tasks(mine, "zebra giraffe", 8) == []
    assert len(finding.tasks(mine, "aint", 8)) == 8
    assert finding.tasks(Mine.of(stranger), "zebra", 8) == []
    assert finding.tasks(mine, "' | zebra:* & !x ( ", 8) == [old]


def test_a_held_project_is_left_out_of_what_runs_now(
    client, project, second_project, requester, lead
):
    runs = fixtures.running_task(project, requester, title="It runs")
    held = fixtures.running_task(second_project, requester, title="It is held")
    Hold.objects.create(scope=HoldScope.PROJECT, project=second_project, placed_by=lead)
    client.force_login(lead)
    running = client.get("/live").context["shell"]["running"]
    assert running == [runs.task]
    assert held.task not in running


def test_an_admin_list_shows_a_window_and_leads_to_the_next(client, project, requester, admin):
    from agents.admin.work import TaskAdmin

    tasks = [fixtures.make_task(project, requester, title=f"Number {n}") for n in range(6)]
    client.force_login(admin)
    whole, TaskAdmin.window = TaskAdmin.window, 4
    try:
        first = client.get("/admin/agents/task/").content.decode()
        assert tasks[5].title in first
        assert tasks[1].title not in first
        assert f"before={tasks[2].pk}" in first
        second = client.get("/admin/agents/task/", {"before": tasks[2].pk}).content.decode()
        assert tasks[1].title in second
        assert tasks[2].title not in second
        found = client.get("/admin/agents/task/", {"q": tasks[0].label}).content.decode()
        assert tasks[0].title in found
        assert client.get("/admin/agents/task/", {"before": "x"}).status_code == 200
    finally:
        TaskAdmin.window = whole
    events = client.get("/admin/agents/event/", {"task__id__exact": tasks[0].pk})
    assert "task.submitted" in events.content.decode() or "Submitted" in events.content.decode()


def test_the_time_a_page_begins_at_keeps_its_microseconds(project, requester, lead):
    sealed = sealing.seal(make_report(project, requester))
    place = Place.of(BY_DUE, {"after": BY_DUE.place(sealed)})
    assert place is not None
    assert (place.key, place.moment, place.back) == (sealed.pk, sealed.expires_at, False)
    assert place.moment - timedelta(microseconds=1) < sealed.expires_at
