"""Several reviews in the pages of the inbox: what a selection has in common, signing it, taking it back."""

from __future__ import annotations

import re
import uuid
from html import escape, unescape

import pytest

from agents import holds
from agents.models import Task
from approvals import policies, sealing
from approvals.models import Approval, Effect, Signature, Snooze
from projects import failpoints
from projects.models import Project
from tests import console_fixtures as fixtures
from tests.approval_fixtures import make_change, make_repository

pytestmark = pytest.mark.django_db
SELECTED = "/inbox/selected"


@pytest.fixture
def three(tmp_path, project, requester, lead, second_lead, settings) -> list[Approval]:
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    policies.change(project, by=lead, money_paths=[])
    return [sealing.seal(make_change(project, requester, tmp_path)) for _ in range(3)]


@pytest.fixture
def medium(project, requester) -> Approval:
    return fixtures.reviewed_task(project, requester).approval


@pytest.fixture
def as_lead(client, lead):
    client.force_login(lead)
    return client


def picks(*approvals: Approval) -> dict[str, list[str]]:
    return {"pick": [str(each.pk) for each in approvals]}


def items(*approvals: Approval) -> dict[str, list[str]]:
    return {"item": [f"{each.pk} {each.digest} {each.nonce}" for each in approvals]}


def text(answer) -> str:
    plain = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(unescape(plain).split())


def test_the_bar_says_what_the_selection_has_in_common(as_lead, three, medium):
    def bar(*approvals):
        return text(as_lead.get(SELECTED, picks(*approvals), headers={"HX-Request": "true"}))

    assert "3 selected all low risk, reversible, all checks green" in bar(*three)
    assert "Approve 3" in bar(*three)
    said = bar(*three, medium)
    assert f"4 selected {medium.task.label} is medium risk" in said
    assert "Approve" not in said


def test_the_page_names_every_effect_seal_and_the_order_they_land_in(as_lead, three):
    page = as_lead.get(SELECTED, picks(*three))
    said = text(page)
    for each in three:
        assert f"{each.task.label} Round once on the total" in said
        assert each.digest[:12] in said
        assert f'value="{each.pk} {each.digest} {each.nonce}"' in page.content.decode()
    assert "They go to main of acme/billing in this order." in said
    assert "Your signature holds for those whose files nothing else has changed" in said
    assert "You can undo each for 10 s." in said
    assert not Signature.objects.exists()


def test_the_page_says_what_blocks_and_how_to_leave_it_out(as_lead, three, medium):
    page = as_lead.get(SELECTED, picks(three[0], medium))
    assert "These cannot be approved together" in text(page)
    assert f"{medium.task.label} is medium risk, so it is decided on its own page." in text(page)
    assert f'href="?pick={three[0].pk}"' in page.content.decode()
    assert 'name="item"' not in page.content.decode()


def test_they_are_signed_each_by_itself_and_taken_back(as_lead, three):
    answer = as_lead.post(f"{SELECTED}/approve", {**items(*three), "note": "Routine."})
    assert answer.url == f"{SELECTED}/done"
    page = as_lead.get(answer.url)
    assert "3 of 3 approved" in text(page)
    assert "Undo all 3" in text(page)
    assert f"{SELECTED}/undo" in page.content.decode()
    assert {each.note for each in Signature.objects.all()} == {"Routine."}
    again = as_lead.post(f"{SELECTED}/undo", picks(*three), follow=True)
    assert "3 undone. Nothing was merged; they wait again." in text(again)
    assert Approval.objects.filter(state="pending").count() == 3
    assert f"{SELECTED}/undo" not in as_lead.get(answer.url).content.decode()


def test_it_says_which_of_them_is_merged_onto_a_main_that_another_has_moved(as_lead, three):
    as_lead.post(f"{SELECTED}/approve", items(*three))
    first, *others = Approval.objects.order_by("effects__not_before")
    after = f"Once {first.task.label} has landed it is merged onto the new main and checked anew"
    assert text(as_lead.get(f"{SELECTED}/done")).count(after) == len(others) == 2
    others[0].move("stale", decided_at=first.decided_at, main_moved=True)
    Task.objects.filter(pk=others[0].task_id).update(state="review")
    said = text(as_lead.get(f"{SELECTED}/done"))
    assert "Main has moved: it is put up again when its turn comes, one at a time." in said
    assert said.count("Your signature holds unless main changed its files.") == 1
    Task.objects.filter(pk=others[0].task_id).update(state="assembling")
    assert "it is being merged onto it and checked anew." in text(as_lead.get(f"{SELECTED}/done"))


def test_while_the_first_is_held_the_page_after_counts_nothing_down(as_lead, three, lead):
    for each in three:
        holds.place(by=lead, task=each.task)
    done = as_lead.post(f"{SELECTED}/approve", items(*three), follow=True)
    assert "The first is carried out when the task is resumed" in text(done)
    assert "data-until" not in done.content.decode()


def test_where_signatures_do_not_hold_it_says_what_waits_again(
    as_lead, project, lead, requester, three, tmp_path
):
    policies.change(project, by=lead, money_paths=[], signatures_hold=False)
    two = [sealing.seal(make_change(project, requester, tmp_path)) for _ in range(2)]
    as_lead.post(f"{SELECTED}/approve", items(*two))
    assert text(as_lead.get(f"{SELECTED}/done")).count("and waits for a signature again.") == 1


def test_the_second_of_two_tabs_changes_nothing(as_lead, three):
    for said in ("3 of 3 approved", "0 of 3 approved"):
        as_lead.post(f"{SELECTED}/approve", items(*three))
        assert said in text(as_lead.get(f"{SELECTED}/done"))
    assert text(as_lead.get(f"{SELECTED}/done")).count("Not waiting") == 3
    assert Signature.objects.count() == Effect.objects.count() == 3


def test_a_fault_at_one_is_told_and_ends_none_of_the_others(as_lead, three, tmp_path, monkeypatch):
    armed = tmp_path / "armed"
    armed.mkdir()
    monkeypatch.setattr(failpoints, "_FOLDER", str(armed))
    failpoints.arm(armed, "decide.written", "raise")
    done = as_lead.post(f"{SELECTED}/approve", items(*three), follow=True)
    assert "2 of 3 approved" in text(done)
    assert "Failed" in text(done)
    assert "Look at it before you approve it again." in text(done)
    assert Signature.objects.count() == 2
    assert "1 of 3 approved" in text(
        as_lead.post(f"{SELECTED}/approve", items(*three), follow=True)
    )


def test_one_more_in_the_form_than_goes_together_signs_none(as_lead, three, medium):
    answer = as_lead.post(f"{SELECTED}/approve", items(*three, medium), follow=True)
    assert f"{medium.task.label} is medium risk" in text(answer)
    assert "Nothing was signed." in text(answer)
    assert not Signature.objects.exists()


def test_a_refused_note_comes_back_to_what_is_left_of_its_selection_and_to_no_other(
    as_lead, three, medium
):
    first, second, other = three
    as_lead.post(f"{SELECTED}/approve", {**items(first, second, medium), "note": "Routine."})

    def noted(*approvals: Approval) -> bool:
        return "Routine." in text(as_lead.get(SELECTED, picks(*approvals)))

    assert not noted(first, second, medium)  # it has no field
    assert not noted(first, other)
    assert noted(first, second)
    assert not noted(first, second)


def test_a_form_with_another_seal_signs_only_what_it_shows(as_lead, three):
    wrong = [f"{three[0].pk} {three[1].digest} {three[1].nonce}", *items(*three[1:])["item"]]
    as_lead.post(f"{SELECTED}/approve", {"item": wrong})
    said = text(as_lead.get(f"{SELECTED}/done"))
    assert "2 of 3 approved" in said
    assert "Changed" in said
    assert not Signature.objects.filter(approval=three[0]).exists()


@pytest.mark.parametrize("act", ["approve", "snooze", "undo"])
def test_foreign_unknown_and_nonsense_are_404(client, three, stranger, lead, act):
    Project.objects.create(slug="other", name="other")
    client.force_login(stranger)
    assert client.get(SELECTED, picks(*three)).status_code == 404
    given = items if act == "approve" else picks
    assert client.post(f"{SELECTED}/{act}", {**given(*three), "for": "hour"}).status_code == 404
    client.force_login(lead)
    name = "item" if act == "approve" else "pick"
    for value in ("x", "", str(uuid.uuid4())):
        assert client.post(f"{SELECTED}/{act}", {name: value, "for": "hour"}).status_code == 404
    for query in ("", "?pick=x", f"?pick={uuid.uuid4()}", "?" + "&".join(["pick=1"] * 50)):
        assert client.get(f"{SELECTED}{query}").status_code == 404
    assert not Signature.objects.exists()
    assert not Snooze.objects.exists()


@pytest.mark.parametrize("act", ["approve", "snooze", "undo"])
def test_get_never_acts_and_nobody_is_asked_to_sign_in(client, as_lead, three, act):
    assert as_lead.get(f"{SELECTED}/{act}", picks(*three)).status_code == 405
    client.logout()
    assert "/sign-in" in client.post(f"{SELECTED}/{act}", items(*three)).url
    assert not Signature.objects.exists()


def test_several_are_put_off_together(as_lead, three, lead):
    answer = as_lead.post(f"{SELECTED}/snooze", {**picks(*three), "for": "hours"}, follow=True)
    assert "3 reviews are put off, under Snoozed." in text(answer)
    assert Snooze.objects.filter(person=lead).count() == 3
    assert as_lead.post(f"{SELECTED}/snooze", {**picks(*three), "for": "ever"}).status_code == 302


def test_several_are_put_off_from_the_view_they_were_picked_in(as_lead, three):
    at = "/inbox?tab=needs-you&q=risk%3Alow&sort=newest"
    told = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{at}"}
    bar = as_lead.get(SELECTED, picks(*three), headers=told).content.decode()
    assert f'name="next" value="{escape(at)}"' in bar
    answer = as_lead.post(f"{SELECTED}/snooze", {**picks(*three), "for": "hours", "next": at})
    assert answer.headers["Location"] == at


def test_they_lead_back_to_the_view_they_were_picked_in(as_lead, three, medium):
    at = "/inbox?tab=needs-you&q=risk%3Alow&sort=newest"
    told = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{at}"}
    bar = as_lead.get(SELECTED, picks(*three, medium), headers=told).content.decode()
    onward = re.search(r'href="([^"]+)"\s+data-bulk-approve', bar)
    refused = as_lead.get(unescape(onward[1])).content.decode()
    without = re.search(
        r'href="([^"]+)">Take out<span class="sr-only"> ' + medium.task.label, refused
    )
    allowed = as_lead.get(SELECTED + unescape(without[1])).content.decode()
    for page in (refused, allowed):
        assert f'href="{escape(at)}">Back to the inbox' in page
    assert f'name="next" value="{escape(at)}"' in allowed
    again = as_lead.post(f"{SELECTED}/approve", {**items(*three, medium), "next": at}, follow=True)
    assert f'href="{escape(at)}">Back to the inbox' in again.content.decode()
    done = as_lead.post(f"{SELECTED}/approve", {**items(*three), "next": at}, follow=True)
    assert f'href="{escape(at)}">Back to the inbox' in done.content.decode()
    assert done.content.decode().count(f'name="next" value="{escape(at)}"') == 4
    undone = as_lead.post(f"{SELECTED}/undo", {**picks(*three), "next": at})
    assert undone.headers["Location"] == at


def test_without_scripts_they_lead_back_there_too(as_lead, three):
    at = "/inbox?tab=needs-you&q=risk%3Alow"
    assert f'name="next" value="{escape(at)}"' in as_lead.get(at).content.decode()
    page = as_lead.get(SELECTED, {**picks(*three), "next": at}).content.decode()
    assert f'href="{escape(at)}">Back to the inbox' in page


def test_they_lead_to_no_other_site(as_lead, three):
    away = "//evil.example/inbox"
    page = as_lead.get(SELECTED, {**picks(*three), "next": away}).content.decode()
    assert 'href="/">Back to the inbox' in page
    sent = {**items(*three), "next": away}
    assert as_lead.post(f"{SELECTED}/approve", sent).url == f"{SELECTED}/done?next=%2F"
    assert as_lead.post(f"{SELECTED}/undo", {**picks(*three), "next": away}).url == "/"


def test_the_pages_ask_the_database_little(as_lead, three, django_assert_max_num_queries):
    as_lead.post(f"{SELECTED}/approve", items(three[0]))
    for path in (f"{SELECTED}?pick={three[1].pk}&pick={three[2].pk}", f"{SELECTED}/done"):
        as_lead.get(path)
        with django_assert_max_num_queries(12):
            assert as_lead.get(path).status_code == 200
