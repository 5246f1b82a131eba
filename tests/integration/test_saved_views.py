"""A filter is kept under a name: each person has their own, nine at most, opened by its key."""

from __future__ import annotations

import json
import uuid
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from approvals import saving, sealing
from approvals.models import SavedView
from projects.exceptions import InvalidInput, TransitionRefused
from projects.models import AuditEntry
from tests import console_fixtures as fixtures
from tests.api_fixtures import by_session, by_token
from tests.approval_fixtures import make_report

pytestmark = pytest.mark.django_db
URL = "/api/v1/views"


@pytest.fixture
def high(lead) -> SavedView:
    return saving.save(name="High risk", query="risk:high", by=lead)


def test_a_view_opens_its_filter_and_its_tabs_keep_it(client, lead, project, requester, high):
    report = sealing.seal(make_report(project, requester))
    client.force_login(lead)
    page = client.get("/inbox", {"view": high.pk}).content.decode()
    assert f'id="row-{report.pk}"' not in page
    assert 'value="risk:high"' in page
    assert f'href="?tab=decided&amp;view={high.pk}"' in page
    saving.change(high, by=lead, query="risk:low", sort="newest")
    page = client.get("/inbox", {"view": high.pk}).content.decode()
    assert f'id="row-{report.pk}"' in page
    assert "Newest first" in page


def test_the_sidebar_names_them_and_only_the_inbox_has_their_keys(client, lead, project, high):
    task = fixtures.running_task(project, lead).task
    client.force_login(lead)
    assert 'data-key="1"' in client.get("/inbox").content.decode()
    page = client.get(f"/tasks/{task.label}").content.decode()
    assert "High risk" in page
    assert 'data-key="1"' not in page


def test_a_view_of_somebody_else_is_404_everywhere(client, second_lead, high):
    client.force_login(second_lead)
    assert client.get("/inbox", {"view": high.pk}).status_code == 404
    assert client.get("/inbox", {"view": uuid.uuid4()}).status_code == 404
    assert client.get("/inbox", {"view": "x"}).status_code == 404
    assert "High risk" not in client.get("/inbox").content.decode()
    for act in ("rename", "delete"):
        assert client.post(f"/inbox/views/{high.pk}/{act}", {"name": "Mine"}).status_code == 404
    assert SavedView.objects.get().name == "High risk"


def test_it_is_saved_renamed_deleted_and_taken_back_in_the_page(client, lead):
    client.force_login(lead)
    sent = {"name": " Due  soon ", "q": "due:<1h", "sort": "oldest"}
    answer = client.post("/inbox/views", sent, follow=True)
    view = SavedView.objects.get()
    assert (view.name, view.query, view.sort, view.position) == ("Due soon", "due:<1h", "oldest", 1)
    assert "Saved as “Due soon”. 1 opens it." in answer.content.decode()
    client.post(f"/inbox/views/{view.pk}/rename", {"name": "Soon"})
    assert SavedView.objects.get().name == "Soon"
    page = client.post(f"/inbox/views/{view.pk}/delete", follow=True).content.decode()
    assert "The view “Soon” is deleted." in page
    assert not SavedView.objects.exists()
    assert "is deleted" not in client.get("/inbox").content.decode()
    client.post("/inbox/views", {"name": "Soon", "q": "due:<1h", "sort": "oldest"})
    assert SavedView.objects.get().query == "due:<1h"
    actions = AuditEntry.objects.filter(action__startswith="view.").values_list("action", flat=True)
    assert sorted(actions) == ["view.changed", "view.deleted", "view.saved", "view.saved"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 41}, "name"),
        ({"name": "High risk"}, "name"),
        ({"query": "cost:1"}, "query"),
        ({"sort": "worst"}, "sort"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(lead, high, facts, field):
    with pytest.raises(InvalidInput) as refused:
        saving.save(**{"name": "New", "query": "", "by": lead, **facts})
    assert refused.value.field == field
    assert SavedView.objects.count() == 1


@pytest.mark.parametrize(
    "facts",
    [{"name": "a\0b"}, {"q": "risk:high\0"}, {"q": "repo:\0"}, {"name": "\0", "sort": "\0"}],
)
def test_a_form_with_a_nul_is_refused_in_words(client, lead, high, facts):
    client.force_login(lead)
    page = client.post(
        "/inbox/views", {"name": "New", "q": "", "sort": "due", **facts}, follow=True
    )
    assert page.status_code == 200
    assert "not text" in page.content.decode()
    page = client.post(f"/inbox/views/{high.pk}/rename", {"name": "a\0b"}, follow=True)
    assert page.status_code == 200
    assert "not text" in page.content.decode()
    assert SavedView.objects.get().name == "High risk"


def test_nine_are_enough_and_a_free_key_is_taken_again(lead, second_lead):
    views = [saving.save(name=f"View {n}", query="", by=lead) for n in range(9)]
    assert [view.position for view in views] == list(range(1, 10))
    with pytest.raises(InvalidInput, match="9 views already"):
        saving.save(name="Tenth", query="", by=lead)
    saving.delete(views[3], by=lead)
    assert saving.save(name="Tenth", query="", by=lead).position == 4
    assert saving.save(name="View 1", query="", by=second_lead).position == 1


def test_the_database_holds_it_too(lead, high):
    for facts in ({"position": 10}, {"position": 1}, {"name": "High risk"}, {"sort": "x"}):
        row = {"person": lead, "name": "New", "position": 2, **facts}
        with pytest.raises(IntegrityError), transaction.atomic():
            SavedView.objects.create(**row)


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_take_two_keys(lead):
    begin = Barrier(2)

    def keep(name):
        begin.wait()
        try:
            saving.save(name=name, query="risk:high", by=lead)
        finally:
            connection.close()

    tabs = [Thread(target=keep, args=(name,)) for name in ("One", "Two")]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert sorted(SavedView.objects.values_list("position", flat=True)) == [1, 2]


def test_a_view_that_was_deleted_meanwhile_is_not_made_anew(lead, high):
    saving.delete(saving.find(lead, high.pk), by=lead)
    with pytest.raises(TransitionRefused, match="deleted meanwhile"):
        saving.change(high, by=lead, name="Highest")
    assert not SavedView.objects.exists()


def test_a_token_for_one_project_reads_nothing_that_is_of_all(lead, high, project):
    ours = by_token(lead, project=project)
    for address in (URL, "/api/v1/absence"):
        assert by_token(lead).get(address).status_code == 200
        refused = ours.get(address)
        assert refused.status_code == 403
        assert "This token is for one project" in refused.json()["detail"]


def test_over_the_api(lead, second_lead, high):
    call = by_session(lead)
    made = call.post(URL, {"name": "Mine", "query": "requester:me"})
    assert (made.status_code, made.json()["position"], made.json()["sort"]) == (201, 2, "due")
    path = f"{URL}/{made.json()['id']}"
    assert call("PATCH", path, {"sort": "newest"}).json()["sort"] == "newest"
    assert [each["name"] for each in call.get(URL).json()["results"]] == ["High risk", "Mine"]
    assert by_session(second_lead).get(URL).json()["results"] == []
    assert call.post(URL, {"name": "Bad", "query": "x"}).status_code == 400
    assert json.loads(call.post(URL, {"name": "Mine"}).content)["errors"].keys() == {"name"}
    assert call("DELETE", path).status_code == 204
    assert call("DELETE", path).status_code == 404
