"""A merged change is taken back by one click and another person's signature."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from agents import stopping
from agents.accepting import NoRouter
from agents.intake import submit
from agents.models import Agent, AgentRole, Hunk, Proposal, Step, Task
from agents.quotas import QuotaUsed
from agents.runtime.database import in_db
from approvals import effects, policies, reverting, sealing
from approvals.exceptions import UnknownApproval
from approvals.models import Approval
from projects.exceptions import NotAllowed, TransitionRefused
from projects.models import AuditEntry, Membership, Quota, Role, User
from tests import runtime_fixtures
from tests.approval_fixtures import (
    FILES,
    approve,
    first_parents,
    git,
    make_change,
    make_report,
    make_repository,
    move_main,
)
from tests.loop_fixtures import running, until

agents = runtime_fixtures.agents
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    bare = make_repository(tmp_path, project)
    type(project).objects.update(checks_command="")
    project.refresh_from_db()
    return bare


@pytest.fixture
def merged(project, requester, lead, second_lead, agents, bare, tmp_path) -> Approval:
    """A change that was signed and is on main; two tech leads could sign what takes it back."""
    policies.change(project, by=lead, undo_seconds=0)
    return land(sealing.seal(make_change(project, requester, tmp_path)), lead)


def land(approval: Approval, by) -> Approval:
    approve(approval, by)
    effects.carry_out_due("here")
    approval.refresh_from_db()
    assert approval.effects.get().state == "done"
    return approval


async def nobody(work):
    raise AssertionError("no model is asked about a revert")


async def proposed(task: Task) -> Approval:
    """Let the workers do what there is; return what waits for a signature."""
    async with running(nobody):
        await until(Task.objects.filter(pk=task.pk, state="review").exists)
    await in_db(sealing.seal_ready)
    return await in_db(
        lambda: Approval.objects.select_related("task", "proposal", "project").get(task=task)
    )


async def test_revert_puts_main_back_and_is_signed_by_somebody_else(
    merged, lead, second_lead, bare
):
    made = await in_db(lambda: reverting.revert(merged, by=lead, reason="It rounds wrongly."))
    label = await in_db(lambda: merged.task.label)
    assert made.request.startswith(f"Revert {label}: Fix the billing bug")
    assert made.request.endswith("It rounds wrongly.")
    approval = await proposed(made)
    assert approval.requester_id == lead.pk
    assert approval.snapshot["proposal"]["title"] == "Revert: Fix the billing bug"

    def sign() -> None:
        with pytest.raises(NotAllowed):
            approve(approval, lead)
        land(approval, second_lead)
        for path, text in FILES.items():
            assert git(bare, "show", f"main:{path}") == text.rstrip("\n")
        assert not Hunk.objects.filter(file__proposal__task=made).exclude(author_step=None)
        assert AuditEntry.objects.filter(action="approval.revert_asked").count() == 1

    await in_db(sign)


async def test_what_came_after_the_change_stays(merged, lead, second_lead, bare):
    await in_db(lambda: move_main(bare, "README.md", "Another service.\n"))
    made = await in_db(lambda: reverting.revert(merged, by=lead))
    approval = await proposed(made)

    def sign() -> None:
        land(approval, second_lead)
        assert git(bare, "show", "main:README.md") == "Another service."
        assert git(bare, "show", "main:docs/rounding.md") == FILES["docs/rounding.md"].strip()

    await in_db(sign)


async def test_revert_that_conflicts_is_a_persons_question(merged, lead, bare):
    later = FILES["billing/invoice.py"].replace("line 3\n", "line of somebody else\n")
    await in_db(lambda: move_main(bare, "billing/invoice.py", later))
    made = await in_db(lambda: reverting.revert(merged, by=lead))
    async with running(nobody):
        await until(Task.objects.filter(pk=made.pk, state="needs_human").exists)
    assert not await in_db(Proposal.objects.filter(task=made).exists)


async def test_revert_can_itself_be_taken_back(merged, lead, second_lead, bare):
    made = await in_db(lambda: reverting.revert(merged, by=lead))
    first = await proposed(made)
    await in_db(lambda: land(first, second_lead))
    again = await in_db(lambda: reverting.revert(first, by=second_lead))
    approval = await proposed(again)

    def sign() -> None:
        land(approval, lead)
        assert "line three" in git(bare, "show", "main:billing/invoice.py")
        assert len(first_parents(bare)) == 4

    await in_db(sign)


def test_no_revert_is_begun_that_nobody_could_sign(merged, lead, second_lead, requester, client):
    Membership.objects.filter(user=second_lead).update(role=Role.REQUESTER)
    client.force_login(lead)
    page = f"/review/{merged.task.label}/r1"
    client.post(f"{page}/revert")
    assert (
        "No other tech lead of this project could sign the revert"
        in client.get(page).content.decode()
    )
    assert not Task.objects.exclude(reverts=None).exists()
    reverting.revert(merged, by=requester)
    assert Task.objects.exclude(reverts=None).exists()


def test_second_revert_is_told_of_the_first(merged, lead, requester):
    made = reverting.revert(merged, by=lead)
    with pytest.raises(TransitionRefused, match=f"{made.label} takes this back already"):
        reverting.revert(merged, by=requester)
    stopping.stop(made, by=lead, reason="A mistake.")
    assert reverting.revert(merged, by=requester).reverts_id == merged.task_id


def test_two_at_once_make_one(merged, lead, second_lead):
    both, told = Barrier(2), []

    def ask(by) -> None:
        try:
            both.wait(20)
            told.append(reverting.revert(merged, by=by))
        except TransitionRefused as error:
            told.append(error)
        finally:
            connection.close()

    people = [Thread(target=ask, args=[by]) for by in (lead, second_lead)]
    for each in people:
        each.start()
    for each in people:
        each.join(60)
    assert sorted(type(each).__name__ for each in told) == ["Task", "TransitionRefused"]
    assert Task.objects.filter(reverts=merged.task_id).count() == 1


def test_database_holds_one_revert_of_a_task(merged, lead, project):
    made = reverting.revert(merged, by=lead)
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.create(
            project=project,
            requester=lead,
            request="Revert",
            title="Revert",
            model="rehearsal",
            request_digest="0" * 64,
            reverts_id=merged.task_id,
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.filter(pk=made.pk).update(reverts=made)


def test_only_what_was_merged_is_taken_back(
    project, requester, lead, second_lead, agents, bare, tmp_path
):
    waiting = sealing.seal(make_change(project, requester, tmp_path))
    report = sealing.seal(make_report(project, requester))
    for each in (waiting, report):
        with pytest.raises(TransitionRefused, match="nothing to take back"):
            reverting.revert(each, by=lead)


def test_strangers_find_nothing_and_other_requesters_may_not(merged, stranger, project):
    other = User.objects.create_user("other")
    Membership.objects.create(user=other, project=project, role=Role.REQUESTER)
    with pytest.raises(UnknownApproval):
        reverting.revert(merged, by=stranger)
    with pytest.raises(NotAllowed):
        reverting.revert(merged, by=other)
    assert not Task.objects.exclude(reverts=None).exists()


def test_pages_offer_it_and_then_say_what_takes_it_back(merged, lead, client):
    client.force_login(lead)
    review = f"/review/{merged.task.label}/r1"
    address = f'action="{review}/revert"'
    assert address in client.get(review).content.decode()
    assert address in client.get(f"/tasks/{merged.task.label}").content.decode()
    answer = client.post(f"{review}/revert")
    made = Task.objects.get(reverts=merged.task_id)
    assert answer.headers["Location"] == f"/tasks/{made.label}"
    step = Step.objects.select_related("agent").get(task=made, kind="work")
    assert (step.key, step.agent.slug) == ("revert", "coder")
    for page in (review, f"/tasks/{merged.task.label}"):
        said = client.get(page).content.decode()
        assert address not in said
        assert f'href="/tasks/{made.label}"' in said
    client.post(f"{review}/revert")
    assert "takes this back already" in client.get(review).content.decode()


def test_api_answers_with_the_task(merged, lead, client):
    client.force_login(lead)
    path = f"/api/v1/approvals/{merged.pk}/revert"
    answer = client.post(path, {"reason": "Wrong."}, content_type="application/json")
    assert answer.status_code == 201
    made = Task.objects.get(reverts=merged.task_id)
    assert (answer.json()["id"], answer.json()["label"]) == (str(made.pk), made.label)
    again = client.post(path, {}, content_type="application/json")
    assert again.status_code == 409


@pytest.mark.parametrize("missing", ["room in the quota", "a router"])
async def test_a_revert_waits_for_no_quota_and_needs_no_router(
    merged, project, lead, second_lead, bare, missing
):
    def refuse() -> None:
        if missing == "a router":
            Agent.objects.filter(role=AgentRole.ROUTER).update(enabled=False)
        else:
            Quota.objects.create(project=project, hourly=1)
            Quota.objects.create(user=lead, hourly=1)
        with pytest.raises((QuotaUsed, NoRouter)):
            submit(project=project, requester=lead, request="Another thing")

    await in_db(refuse)
    approval = await proposed(await in_db(lambda: reverting.revert(merged, by=lead)))

    def sign() -> None:
        land(approval, second_lead)
        assert git(bare, "show", "main:docs/rounding.md") == FILES["docs/rounding.md"].strip()

    await in_db(sign)


def test_after_one_was_stopped_the_next_counts_as_any_task(merged, project, requester, lead):
    Quota.objects.create(project=project, hourly=6)
    Quota.objects.create(user=requester, hourly=1)
    made = reverting.revert(merged, by=requester)
    stopping.stop(made, by=requester)
    with pytest.raises(QuotaUsed):
        reverting.revert(merged, by=requester)
    assert reverting.revert(merged, by=lead).reverts_id == merged.task_id
