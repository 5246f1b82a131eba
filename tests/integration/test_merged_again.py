"""What was merged onto main again says so, and asks anew only for what that has changed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from agents.lifecycle import TaskState
from agents.models import FileChange, Hunk, Task
from approvals import following, routing, sealing, selectors, snoozing
from approvals.models import Assignment, Snooze
from tests.approval_fixtures import make_change, make_repository, move_main
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "FIRST_WAIT", 0.0)


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def first(project, requester, lead, bare, tmp_path):
    return sealing.seal(make_change(project, requester, tmp_path))


def merged_again(first, folder, *, differs: int = 0, version: int = 2):
    """Put the work up again as a worker would, on a main that has moved; seal it."""
    task = Task.objects.get(pk=first.task_id)
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW)
    task.refresh_from_db()
    task.round = 8 + version  # only so that the steps of the fixture get keys of their own
    facts = {"task": task, "version": version, "round": first.proposal.round}
    proposal = make_change(first.project, first.requester, folder, **facts)
    changed = Hunk.objects.filter(file__proposal=proposal).order_by("file__position", "position")
    keys = list(changed.values_list("pk", flat=True)[:differs])
    Hunk.objects.filter(pk__in=keys).update(digest="f" * 64)
    return sealing.seal(proposal)


def page_of(client, approval):
    answer = client.get(f"/review/T-{approval.task.number}/r{approval.proposal.round}")
    return " ".join(answer.content.decode().split())


def kept(page):
    return re.findall(r'name="note-([\w-]+)" data-kept="note-([\w-]+)"', page)


def test_the_first_version_says_nothing_of_it(client, first, lead):
    client.force_login(lead)
    page = page_of(client, first)
    assert "Merged onto main again" not in page
    assert "changed since main moved" not in page


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        (0, "Every hunk is as it was, and what you noted is kept."),
        (1, "1 hunk is not as before; what you noted on the others is kept."),
        (2, "2 hunks are not as before; what you noted on the others is kept."),
    ],
)
def test_it_says_how_much_is_another(client, first, bare, lead, tmp_path, differs, said):
    move_main(bare)
    assert following.follow({}) == 1
    again = merged_again(first, tmp_path, differs=differs)
    client.force_login(lead)
    page = page_of(client, again)
    assert (
        f"<strong>Merged onto main again,</strong> which had moved, and checked anew. {said}"
        in page
    )
    assert page.count("</svg>changed since main moved</span>") == differs
    assert "was decided" not in page
    assert "is the same as round" not in page


def test_where_all_that_differs_is_not_on_the_page_no_link_shows_it(
    client, first, bare, lead, tmp_path
):
    gone = FileChange.objects.filter(proposal=first.proposal).first()
    gone.pk, gone.path, gone.position = uuid.uuid4(), "docs/gone.md", 90
    gone.save(force_insert=True)
    move_main(bare)
    following.follow({})
    client.force_login(lead)
    page = page_of(client, merged_again(first, tmp_path))
    assert "1 file is not as before; what you noted on the others is kept." in page
    assert 'href="#"' not in page


def test_a_hunk_keeps_the_name_of_its_draft(client, first, bare, lead, tmp_path):
    client.force_login(lead)
    before = kept(page_of(client, first))
    move_main(bare)
    following.follow({})
    after = kept(page_of(client, merged_again(first, tmp_path, differs=1)))
    assert len(before) == len(after) == 3
    assert {key for key, _ in before}.isdisjoint(key for key, _ in after)
    assert len({name for _, name in before} & {name for _, name in after}) == 2


def test_two_hunks_with_the_same_lines_have_drafts_of_their_own(client, first, lead):
    alike = {"digest": "a" * 64, "text": "+a\n", "section": ""}
    Hunk.objects.filter(file__proposal=first.proposal).update(**alike)
    client.force_login(lead)
    names = [name.rpartition("-") for _, name in kept(page_of(client, first))]
    assert [place for *_, place in names] == ["1", "2", "3"]
    assert len({name for name, *_ in names}) == 1


def test_a_later_round_is_still_compared_with_what_was_decided(client, first, lead, tmp_path):
    """Its second version names what the reader of round 1 has not seen, not only what main changed."""
    facts = {"digest": first.digest, "nonce": first.nonce, "note": "More."}
    decide(first.pk, by=lead, verdict="request_changes", **facts)
    task = Task.objects.get(pk=first.task_id)
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW, round=2)
    task.refresh_from_db()
    task.round = 8  # as above
    of_round = {"task": task, "round": 2}
    second = sealing.seal(make_change(first.project, first.requester, tmp_path, **of_round))
    Hunk.objects.filter(file__proposal=second.proposal, file__path="docs/rounding.md").update(
        digest="e" * 64
    )
    second.move("stale", decided_at=second.requested_at, reason="Main moved.")
    again = merged_again(second, tmp_path)
    Hunk.objects.filter(file__proposal=again.proposal, file__path="docs/rounding.md").update(
        digest="e" * 64
    )
    client.force_login(lead)
    page = page_of(client, again)
    assert "Every hunk is as it was" in page
    assert "1 hunk is new in round 2." in page
    assert "The others are as they were when round 1 was decided" in page


def test_what_was_put_off_stays_so_until_then(first, bare, lead, second_lead, tmp_path):
    kept = snoozing.snooze(first, by=lead, until=timezone.now() + timedelta(hours=4))
    snoozing.snooze(first, by=second_lead, until=timezone.now() + timedelta(hours=4))
    snoozing.wake(first, by=second_lead)
    move_main(bare)
    following.follow({})
    again = merged_again(first, tmp_path)
    found = Snooze.objects.filter(approval=again)
    assert [(row.person, row.until) for row in found] == [(lead, kept.until)]
    assert selectors.needs_you(lead).pending == []
    assert selectors.needs_you(second_lead).pending == [again]


def test_what_was_woken_is_not_put_off_by_an_older_version(first, bare, lead, tmp_path):
    snoozing.snooze(first, by=lead, until=timezone.now() + timedelta(hours=4))
    move_main(bare)
    following.follow({})
    second = merged_again(first, tmp_path)
    assert snoozing.wake(second, by=lead)
    move_main(bare, text="And again.\n")
    following.follow({})
    third = merged_again(second, tmp_path, version=3)
    assert not Snooze.objects.filter(approval=third).exists()


def test_who_saw_to_it_sees_to_it_still(first, bare, lead, second_lead, tmp_path):
    held = routing.assign(first, second_lead.pk, by=lead)
    move_main(bare)
    following.follow({})
    again = merged_again(first, tmp_path)
    row = Assignment.objects.get(approval=again)
    assert (row.holder, row.by, row.at) == (second_lead, lead, held.at)
    assert row.alone_until < again.expires_at
    assert selectors.needs_you(lead).pending == []
    routing.release(again, by=second_lead)
    move_main(bare, text="And again.\n")
    following.follow({})
    third = merged_again(again, tmp_path, version=3)
    assert not Assignment.objects.filter(approval=third).exists()


def test_a_next_round_is_asked_at_once(first, lead, second_lead, tmp_path):
    snoozing.snooze(first, by=lead, until=timezone.now() + timedelta(hours=4))
    facts = {"digest": first.digest, "nonce": first.nonce, "note": "More."}
    decide(first.pk, by=second_lead, verdict="request_changes", **facts)
    task = Task.objects.get(pk=first.task_id)
    Task.objects.filter(pk=task.pk).update(state=TaskState.REVIEW, round=2)
    task.refresh_from_db()
    task.round = 8
    facts = {"task": task, "round": 2}
    second = sealing.seal(make_change(first.project, first.requester, tmp_path, **facts))
    assert selectors.needs_you(lead).pending == [second]
