"""Edit, then approve: a person's commit on top, all checked anew, a new seal; never the agents' word."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import connection

from agents import holds
from agents.lifecycle import TaskState
from agents.models import FileChange, Step, Task
from agents.workspace.git import Store
from approvals import effects, sealing
from approvals.exceptions import (
    AlreadyDecided,
    ApprovalExpired,
    DecisionConflict,
    DigestMismatch,
    NotAllowed,
    StaleApproval,
)
from approvals.models import Approval, Edit, Effect
from countersign import invariants
from projects.exceptions import InvalidInput
from projects.models import AuditEntry, Membership, User
from tests.approval_fixtures import (
    end_time,
    git,
    make_change,
    make_report,
    make_repository,
    move_main,
)
from tests.editing_fixtures import DOCS, TEXT, checked_anew, editable, put, sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def bare(project, tmp_path, settings):
    settings.DATA_DIR = tmp_path / "data"
    return make_repository(tmp_path, project)


@pytest.fixture
def change(project, requester, lead, second_lead, bare, tmp_path) -> Approval:
    return editable(project, requester, tmp_path)


def merged(bare, path: str) -> str:
    return git(bare, "show", f"main:{path}") + "\n"


def unchanged(change: Approval) -> bool:
    return (
        Approval.objects.get(pk=change.pk).state == "pending"
        and Task.objects.get(pk=change.task_id).state == TaskState.REVIEW
        and not Edit.objects.exists()
    )


def test_an_edit_ends_the_approval_and_is_on_record(change, lead):
    done = put(change, lead)
    old = Approval.objects.get(pk=change.pk)
    assert (old.state, old.main_moved, old.decided_by) == ("stale", False, None)
    assert "edited docs/rounding.md" in old.reason
    assert Task.objects.get(pk=change.task_id).state == TaskState.WORKING
    entry = AuditEntry.objects.get(action="approval.edited")
    assert (entry.actor, entry.detail["commit"]) == (lead, done.result_commit)
    with pytest.raises(StaleApproval, match="Dana Kim edited"):
        sign(change, lead)


def test_the_new_seal_holds_the_edit_as_a_persons_and_all_else_as_it_was(change, lead):
    done = put(change, lead)
    new = checked_anew(change)
    assert new.digest != change.digest
    assert new.nonce != change.nonce
    assert (new.proposal.round, new.proposal.version) == (1, 2)
    files = {file["path"]: file for file in new.snapshot["files"]}
    before = {file["path"]: file for file in change.snapshot["files"]}
    [hunk] = files[DOCS]["hunks"]
    assert TEXT.strip() in hunk["text"]
    assert hunk["author"]["person"] == lead.display_name
    assert hunk["author"]["agent"] == "tech-writer"
    authors = [each["author"] for each in files["billing/invoice.py"]["hunks"]]
    assert [(one["agent"], one.get("person")) for one in authors] == [("coder", None)] * 2
    texts = [
        [hunk["text"] for hunk in each["billing/invoice.py"]["hunks"]] for each in (files, before)
    ]
    assert texts[0] == texts[1]
    assert new.snapshot["edited_by"] == [{"id": str(lead.pk), "name": lead.display_name}]
    store = Store.of(change.project)
    assert store.is_ancestor(done.result_commit, new.snapshot["effects"][0]["head"])
    author = git(store.git_dir, "show", "-s", "--format=%an", done.result_commit)
    assert author == lead.display_name


def test_what_the_agent_claimed_is_verified_anew(change, lead):
    claim = {"text": "All tests pass", "check": {"kind": "checks_pass"}}
    result = {"version": 1, "status": "done", "summary": "Rounded once.", "claims": [claim]}
    Step.objects.filter(agent__slug="coder").update(result=result)
    put(change, lead, path="billing/invoice.py", text="line 1\n")
    assert [one["text"] for one in checked_anew(change).snapshot["claims"]] == ["All tests pass"]


def test_without_an_agent_to_send_it_back_to_nothing_is_edited(change, lead):
    change.proposal.files.get(path=DOCS).hunks.update(author_step=None, author_attempt=None)
    Step.objects.filter(kind="work").update(kind="answer")
    with pytest.raises(InvalidInput, match="No agent worked on this"):
        put(change, lead)
    assert unchanged(change)


def test_the_secret_and_hidden_character_scans_see_what_was_typed(change, lead):
    put(change, lead, text="key = 'AKIAIOSFODNN7EXAMPLQ'\nhalf\u200b up\n")
    kinds = {warning["kind"] for warning in checked_anew(change).snapshot["warnings"]}
    assert {"secret", "hidden_character"} <= kinds


def test_what_is_merged_is_what_was_edited_and_sealed(change, lead, second_lead, bare):
    put(change, lead)
    new = checked_anew(change)
    sign(new, second_lead)
    Effect.objects.update(not_before="2020-01-01T00:00:00Z")
    effect = Effect.objects.get()
    effects.carry_out(effect.pk, worker="test")
    effect.refresh_from_db()
    assert effect.state == "done"
    assert merged(bare, DOCS) == TEXT
    assert git(bare, "rev-parse", "main^{tree}") == new.snapshot["effects"][0]["tree"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("held", [False, True])
def test_every_invariant_holds_of_an_edit(change, lead, second_lead, held):
    before = {one.check.name: one.found.count for one in invariants.verify()}
    if held:
        holds.place(by=lead, task=change.task, reason="The prices change today.")
    put(change, lead)
    if not held:
        sign(checked_anew(change), second_lead)
        Effect.objects.update(not_before="2020-01-01T00:00:00Z")
        assert effects.carry_out(Effect.objects.get().pk, worker="test")
    after = {one.check.name: one.found.count for one in invariants.verify()}
    assert after == before


def test_signatures_of_the_version_before_do_not_carry_over(project, change, lead, second_lead):
    put(change, second_lead)
    new = checked_anew(change)
    assert not new.signatures.exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("README.md", "not part of the change"),
        ("docs/../docs/rounding.md", "not part of the change"),
        ("../escape", "not part of the change"),
        ("/etc/passwd", "not part of the change"),
        (".git/config", "not part of the change"),
        ("", "not part of the change"),
        ("docs/rounding.md\0", "not part of the change"),
    ],
)
def test_only_a_file_of_the_change_is_edited(change, lead, path, said):
    with pytest.raises(InvalidInput, match=said):
        put(change, lead, path=path)
    assert unchanged(change)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"new_mode": "120000"}, "no plain file"),
        ({"new_mode": "160000"}, "no plain file"),
        ({"binary": True}, "binary"),
        ({"status": "deleted"}, "deleted"),
    ],
)
def test_links_submodules_binary_and_deleted_files_are_not_edited(
    project, requester, lead, bare, tmp_path, facts, said
):
    proposal = make_change(project, requester, tmp_path)
    FileChange.objects.filter(proposal=proposal, path=DOCS).update(**facts)
    change = sealing.seal(proposal)
    with pytest.raises(InvalidInput, match=said):
        put(change, lead)
    assert unchanged(change)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Tax is rounded half even, once.\n", "Nothing is different"),
        ("Tax is rounded half even, once.\r\n", "Nothing is different"),
        ("Tax is rounded half even, once.", "Nothing is different"),
        ("a\0b\n", "not text"),
        ("\ud800\n", "not text"),
        ("x" * 200_001, "at most 200,000 bytes"),
    ],
)
def test_text_that_cannot_be_kept_changes_nothing(change, lead, text, said):
    with pytest.raises(InvalidInput, match=said):
        put(change, lead, text=text)
    assert unchanged(change)


def test_only_who_may_sign_may_edit(change, project, requester, stranger, lead):
    Membership.objects.filter(user=requester, project=project).update(role="lead")
    with pytest.raises(NotAllowed, match="You asked for this work"):
        put(change, requester)
    with pytest.raises(NotAllowed):
        put(change, stranger)
    with pytest.raises(NotAllowed, match="A token never decides"):
        put(change, lead, via="token")
    assert unchanged(change)


def test_another_digest_changes_nothing(change, lead):
    with pytest.raises(DigestMismatch):
        put(change, lead, digest="0" * 64)
    assert unchanged(change)


def test_the_digest_of_the_version_before_is_stale(project, change, lead, second_lead):
    kim = User.objects.create(username="kim")
    Membership.objects.create(user=kim, project=project, role="lead")
    put(change, lead)
    new = checked_anew(change)
    with pytest.raises(StaleApproval):
        put(new, second_lead, digest=change.digest, text=TEXT + "More.\n")
    with pytest.raises(StaleApproval):
        put(change, second_lead, text=TEXT + "More.\n")
    assert Edit.objects.count() == 1


def test_what_was_decided_or_ran_out_is_not_edited(change, lead, second_lead, bare):
    sign(change, second_lead)
    with pytest.raises(AlreadyDecided):
        put(change, lead)
    assert not Edit.objects.exists()


def test_an_edit_after_the_time_to_decide_is_refused(change, lead):
    end_time(change)
    with pytest.raises(ApprovalExpired):
        put(change, lead)
    assert not Edit.objects.exists()


def test_a_report_has_nothing_to_edit(project, requester, lead):
    report = sealing.seal(make_report(project, requester))
    with pytest.raises(InvalidInput):
        put(report, lead)


def test_an_edit_meets_a_main_that_moved_meanwhile(change, lead, bare):
    moved = move_main(bare)
    put(change, lead)
    new = checked_anew(change)
    assert new.snapshot["effects"][0]["base"] == moved
    assert {file["path"] for file in new.snapshot["files"]} == {DOCS, "billing/invoice.py"}


def test_who_edits_what_another_was_faster_to_edit_is_told_so(change, lead, second_lead):
    seen = Approval.objects.select_related("project", "task", "proposal").get(pk=change.pk)
    put(change, second_lead)
    with pytest.raises(DecisionConflict, match="Ravi Singh edited"):
        put(seen, lead)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_edit_and_one_who_signs_at_once_exactly_one_wins(change, lead, second_lead):
    start, won, lost = Barrier(3), [], []

    def attempt(name, act):
        fresh = Approval.objects.select_related("project", "task", "proposal").get(pk=change.pk)
        start.wait()
        try:
            act(fresh)
            won.append(name)
        except DecisionConflict as error:
            lost.append((name, str(error)))
        finally:
            connection.close()

    acts = {
        "first": lambda fresh: put(fresh, lead),
        "second": lambda fresh: put(fresh, second_lead, text=TEXT + "More.\n"),
        "sign": lambda fresh: sign(fresh, second_lead),
    }
    threads = [Thread(target=attempt, args=each) for each in acts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1, (won, lost)
    assert len(lost) == 2
    state = Approval.objects.get(pk=change.pk).state
    assert state == ("approved" if won == ["sign"] else "stale")
    assert Edit.objects.count() + Effect.objects.count() == 1
