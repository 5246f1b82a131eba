"""Changes that cannot both land are told before anybody signs, with the order that is best."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from approvals import collisions, comparing, sealing
from approvals.models import Approval, Collision
from approvals.selectors import needs_you
from projects.models import Project
from tests.approval_fixtures import edits, make_change, make_report, make_repository
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, tmp_path):
    return make_repository(tmp_path, project)


@pytest.fixture
def put_up(project, requester, bare, tmp_path):
    """Seal a change of these lines of the one file."""

    def make(**lines: str) -> Approval:
        texts = edits(**lines)
        return sealing.seal(make_change(project, requester, tmp_path, texts=texts))

    return make


def labels(approval: Approval) -> list[str]:
    return [clash.approval.task.label for clash in collisions.of(approval)]


def test_changes_of_the_same_lines_collide_and_others_do_not(put_up):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    far = put_up(line_30="elsewhere")
    assert comparing.compare({}) == 1
    assert labels(one) == [other.task.label]
    assert labels(other) == [one.task.label]
    assert labels(far) == []
    assert collisions.of(one)[0].paths == ["billing/invoice.py"]


def test_a_file_collides_with_a_folder_of_its_name(project, requester, bare, tmp_path):
    file, inside = (
        sealing.seal(make_change(project, requester, tmp_path, texts={path: "new\n"}))
        for path in ("docs/new", "docs/new/deep/page.md")
    )
    assert comparing.compare({}) == 1
    assert labels(file) == [inside.task.label]


def test_same_edit_made_twice_is_no_collision(put_up):
    put_up(line_3="same")
    put_up(line_3="same")
    assert comparing.compare({}) == 0


def test_what_was_decided_collides_no_more(put_up, second_lead):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    comparing.compare({})
    decide(
        other.pk,
        by=second_lead,
        verdict="reject",
        digest=other.digest,
        nonce=other.nonce,
        note="No",
    )
    assert labels(one) == []
    other.refresh_from_db()
    assert labels(other) == []


def test_order_lets_the_most_land_as_they_are(put_up):
    hub = put_up(line_3="a", line_30="a")  # due first, and in the way of both others
    left, right = put_up(line_3="b"), put_up(line_30="b")
    comparing.compare({})
    turns = collisions.order([hub, left, right])
    assert [(turn.approval, turn.fits) for turn in turns] == [
        (left, True),
        (right, True),
        (hub, False),
    ]


def test_inbox_names_what_a_row_collides_with(put_up, lead):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    far = put_up(line_30="elsewhere")
    comparing.compare({})
    named = {row.pk: row.collides_with for row in needs_you(lead).pending}
    assert named == {one.pk: [other.task.number], other.pk: [one.task.number], far.pk: []}


def test_nothing_is_compared_twice(put_up, django_assert_num_queries):
    put_up(line_3="first")
    put_up(line_3="second")
    known: comparing.Known = {}
    assert comparing.compare(known) == 1
    with django_assert_num_queries(3):  # the projects, and what waits: due first, and new
        assert comparing.compare(known) == 0
    third = put_up(line_3="third")
    assert comparing.compare(known) == 2
    assert len(labels(third)) == 2


def test_looks_end_between_two_pairs_and_go_on_later(put_up, monkeypatch):
    for line in ("first", "second", "third"):
        put_up(line_3=line)
    known: comparing.Known = {}
    answers = iter([False, False, True])
    assert comparing.compare(known, stop=lambda: next(answers, True)) == 1
    monkeypatch.setattr(comparing, "PAIRS", 1)
    assert comparing.compare(known) == 1
    assert comparing.compare(known) == 1
    assert comparing.compare(known) == 0
    assert Collision.objects.count() == 3


def test_projects_are_kept_apart(put_up, project, requester, tmp_path):
    put_up(line_3="first")
    there = Project.objects.create(slug="there", name="There", repository=project.repository)
    change = make_change(there, requester, tmp_path, texts=edits(line_3="second"))
    sealing.seal(change)
    sealing.seal(make_report(project, requester))
    assert comparing.compare({}) == 0


def test_lost_object_of_one_change_hides_no_other_collision(put_up, bare):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    lost = put_up(line_3="lost")
    type(lost.proposal).objects.filter(pk=lost.proposal_id).update(head_commit="0" * 40)
    assert comparing.compare({}) == 1
    assert (labels(one), labels(lost)) == ([other.task.label], [])


def test_what_git_could_not_merge_is_compared_again(put_up, project, tmp_path, settings):
    put_up(line_3="first")
    put_up(line_3="second")
    known: comparing.Known = {}
    stores = settings.DATA_DIR / "stores"
    away = stores.rename(stores.with_name("away"))
    assert comparing.compare(known) == 0
    away.rename(stores)
    assert comparing.compare(known) == 1


def test_a_pair_is_kept_once_and_the_older_first(put_up):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    comparing.compare({})
    for pair in ((one, other), (other, one), (one, one)):
        with pytest.raises(IntegrityError), transaction.atomic():
            Collision.objects.create(one=pair[0], other=pair[1], paths=["x"])


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_write_a_pair_once(put_up):
    for line in ("first", "second", "third", "fourth"):
        put_up(line_3=line)
    both = Barrier(2)
    faults = []

    def look() -> None:
        try:
            both.wait(20)
            comparing.compare({})
        except Exception as fault:  # noqa: BLE001  # told below
            faults.append(fault)
        finally:
            connection.close()

    workers = [Thread(target=look) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not faults
    assert Collision.objects.count() == 6


def test_review_page_tells_the_order_and_what_both_change(put_up, lead, client):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    comparing.compare({})
    client.force_login(lead)
    page = client.get(f"/review/{other.task.label}/r1").content.decode()
    assert "Collides with 1 change that also waits" in page
    assert f"/review/{one.task.label}/r1" in page
    assert "has to be brought together then" in page
    assert f"collides with {one.task.label}" in client.get("/inbox").content.decode()


def test_api_tells_what_collides(put_up, lead, client):
    one, other = put_up(line_3="first"), put_up(line_3="second")
    comparing.compare({})
    client.force_login(lead)
    (told,) = client.get(f"/api/v1/approvals/{one.pk}").json()["collisions"]
    assert (told["approval"], told["task"]) == (str(other.pk), other.task.label)
    assert told["paths"] == ["billing/invoice.py"]
