"""The review page: what is sealed is what is shown, and who may decide can."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from agents.lifecycle import TaskState
from agents.limits import Limits
from agents.models import Hunk
from approvals import policies, undoing
from approvals.models import Approval, Comment, Effect, Signature
from tests import console_fixtures as fixtures
from tests import console_texts as texts
from tests.approval_fixtures import view_all
from tests.reviewing import decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(project, requester, lead):
    """Return a task in review whose files the lead has looked at."""
    made = fixtures.reviewed_task(project, requester)
    view_all(made.approval, lead)
    return made


def address_of(made, act: str = "") -> str:
    return f"/review/T-{made.task.number}/r{made.proposal.round}{act}"


def form_of(made, **fields) -> dict[str, str]:
    approval = made.approval
    sealed = {"approval": approval.pk, "digest": approval.digest, "nonce": approval.nonce}
    return {**sealed, **fields}


def say_of(answer) -> str:
    return answer.content.decode()


def test_the_effect_comes_before_the_claims_and_these_before_the_diff(client, review, lead):
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    places = [page.index(text) for text in ("If you approve", "What the agents claim", "data-diff")]
    assert places == sorted(places)
    assert "9f3c1e7" in page
    assert review.approval.digest[:4] in page


def test_contradicted_claims_come_first(client, review, lead):
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    verdicts = re.findall(r'class="claim claim-(\w+)"', page)
    assert verdicts == ["contradicted", "not_checkable", "proven", "proven"]


def test_proven_is_our_sentence_and_the_words_are_the_agents(client, review, lead):
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    claim = re.search(r'<li class="claim claim-proven">.*?</li>', page, re.DOTALL)[0]
    ours, theirs = (re.sub(r"<[^>]+>", "", part) for part in claim.split('class="claim-text"'))
    assert ours.split("<")[0].strip() == "proven: 14 pass, our run"
    assert theirs.partition(">")[2].strip() == "Code agent says: “All tests pass”"


def test_the_hidden_character_is_shown_and_the_warning_leads_to_its_line(client, review, lead):
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    target = re.search(r'href="#(f\d+-n3)">Show', page)[1]
    assert f'id="{target}"' in page
    assert "\u200b" not in page
    assert ">U+200B</span>" in page


def test_every_line_of_every_hunk_is_on_the_page(client, review, lead):
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    text = re.sub(r"<[^>]+>", "", page)
    for line in ("Tax as shown to the customer.", "Refunds round the same way.", "10.02"):
        assert line in text, line


def test_the_requester_reads_everything_and_finds_no_way_to_sign(client, review, requester):
    client.force_login(requester)
    page = say_of(client.get(address_of(review)))
    assert 'id="decision"' not in page
    assert 'value="approve"' not in page
    assert "You asked for this work, so somebody else signs it: Dana Kim." in page
    answer = client.post(address_of(review, "/decide"), form_of(review, verdict="approve"))
    assert answer.status_code == 403
    assert not Signature.objects.exists()


def test_a_grey_button_says_why_beside_it_without_scripts(client, project, requester, lead):
    limits = {**Limits().as_json(), "rounds": 1}
    made = fixtures.reviewed_task(project, requester, limits=limits)  # of medium risk
    client.force_login(lead)
    page = say_of(client.get(address_of(made)))
    row = re.search(r'<div class="decide-row">(.*?)</div>', page, re.S)[1]  # fixed on a phone
    for button, words in (("approve", "View 3 more files to approve."), ("request_changes", "All")):
        button = re.search(rf'<button[^>]*value="{button}".*?>', row, re.S)[0]
        described = re.search(r'aria-describedby="([\w-]+)"', button)[1]
        assert re.search(rf'<p[^>]*id="{described}"[^>]*>{words}', row), words
    assert " hidden" not in row


def test_an_approval_is_signed_shown_and_can_be_undone(client, review, lead):
    client.force_login(lead)
    sent = form_of(review, verdict="approve", note="Good.")
    answer = client.post(address_of(review, "/decide"), sent)
    assert answer.status_code == 302
    page = say_of(client.get(address_of(review)))
    assert "Dana Kim" in page
    assert "Undo" in page
    assert Effect.objects.get().state == "planned"
    client.post(address_of(review, "/undo"), {"approval": review.approval.pk})
    review.approval.refresh_from_db()
    assert review.approval.state == "withdrawn"
    assert Approval.objects.filter(task=review.task, state="pending").count() == 1
    assert "Waits for your signature" in say_of(client.get(address_of(review)))


def test_who_is_asked_again_after_an_undo_is_told_who_had_signed_and_what_it_asks_for_now(
    client, project, requester, lead, second_lead
):
    policies.change(project, by=lead, signatures_needed=2)
    review = fixtures.reviewed_task(project, requester)
    seal = {"digest": review.approval.digest, "nonce": review.approval.nonce}
    for person in (lead, second_lead):
        decide(review.approval.pk, by=person, verdict="approve", **seal)
    policies.change(project, by=lead, signatures_needed=1)
    undoing.undo(review.approval, by=second_lead)
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    assert "Ravi Singh undid the approval." in page
    assert "Dana Kim and Ravi Singh had signed; that does not count here." in page
    assert "It asks for 1 signature now; before, for 2 signatures." in page
    again = Approval.objects.get(state="pending")
    seal = {"digest": again.digest, "nonce": again.nonce}
    decide(again.pk, by=lead, verdict="approve", **seal)
    assert "had signed" not in say_of(client.get(address_of(review)))


def test_refused_hunks_go_back_with_their_notes(client, review, lead):
    hunk = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    sent = {f"verdict-{hunk.pk}": "refuse", f"note-{hunk.pk}": "Remove the hidden character."}
    client.post(address_of(review, "/decide"), form_of(review, verdict="request_changes", **sent))
    comment = Comment.objects.get(hunk=hunk)
    assert comment.note == "Remove the hidden character."
    assert comment.goes_to.slug == "tech-writer"
    review.task.refresh_from_db()
    assert review.task.state == TaskState.WORKING
    assert review.task.round == 2


def test_the_page_lets_choose_whom_notes_go_to_and_keeps_that(client, review, lead):
    docs = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    [select] = re.findall(rf'<select name="to-{docs.pk}".*?</select>', page, re.S)
    named = re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)<', select)
    assert named[0] == ("", "Tech writer")
    assert ("coder", "Code agent") in named
    assert len({slug for slug, _ in named}) == len(named)
    assert re.findall(r'name="agents"\s+value="([^"]+)"', page)[0] == "coder"
    assert "Request changes opens round 2 of 3." in page
    sent = {f"note-{docs.pk}": "Test this.", f"to-{docs.pk}": "coder", "agents": ["tester"]}
    form = form_of(review, verdict="request_changes", note="Shorter.", **sent)
    again = say_of(client.post(address_of(review, "/decide"), form | {"nonce": "other"}))
    assert re.search(r'<option value="coder"\s+selected>', again)
    assert re.search(r'name="agents"\s+value="tester"[^>]*\schecked', again)
    client.post(address_of(review, "/decide"), form)
    told = {step.agent.slug: step.feedback for step in review.task.steps.filter(round=2)}
    notes = {slug: [one["note"] for one in said] for slug, said in told.items()}
    assert notes == {"coder": ["Test this."], "tester": ["Shorter."], "aggregator": []}


def test_a_note_on_what_is_accepted_is_said_to_go_to_nobody(client, review, lead):
    docs = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    own = say_of(client.get(address_of(review))).partition(f'id="h-{docs.pk}"')[2]
    assert "kept, sent to nobody: you accept the hunk" in own.partition("</details>")[0]
    sent = {f"verdict-{docs.pk}": "accept", f"note-{docs.pk}": "Good.", f"to-{docs.pk}": "coder"}
    client.post(
        address_of(review, "/decide"),
        form_of(review, verdict="request_changes", note="Shorter.", **sent),
    )
    assert Comment.objects.get(hunk=docs).goes_to is None


def test_a_hunk_refused_without_a_word_is_asked_for_one_beside_it(client, review, lead):
    hunk = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    sent = form_of(review, verdict="request_changes", **{f"verdict-{hunk.pk}": "refuse"})
    answer = client.post(address_of(review, "/decide"), sent)
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "You refused 1 of the hunks without a word." in page
    own = page.partition(f'id="h-{hunk.pk}"')[2].partition("</details>")[0]
    assert re.search(r'value="refuse"\s+form="decision"\s+checked', own)
    assert re.search(r'class="hunk-note"\s+open', own)
    assert not Signature.objects.exists()


def test_what_was_typed_survives_a_refusal(client, review, lead):
    hunk = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    sent = form_of(review, verdict="reject", note="", lesson="Look twice.", keep_lesson="on")
    answer = client.post(address_of(review, "/decide"), sent | {f"note-{hunk.pk}": "Here."})
    page = say_of(answer)
    assert answer.status_code == 400
    assert "Say why you reject it" in page
    assert ">Look twice.</textarea>" in page
    assert ">Here.</textarea>" in page
    assert not Signature.objects.exists()


@pytest.mark.parametrize("named", ["nonsense", "01a22973-9be7-75ff-949c-28740a35638b"])
def test_a_form_of_an_approval_that_is_none_is_404(client, review, lead, named):
    client.force_login(lead)
    sent = form_of(review, verdict="approve") | {"approval": named}
    assert client.post(address_of(review, "/decide"), sent).status_code == 404
    assert not Signature.objects.exists()


def test_an_old_digest_changes_nothing(client, review, lead):
    client.force_login(lead)
    sent = form_of(review, verdict="approve", digest="0" * 64)
    answer = client.post(address_of(review, "/decide"), sent)
    assert answer.status_code == 422
    assert not Signature.objects.exists()


def test_a_second_decision_is_told_who_was_faster(client, review, lead, second_lead):
    decide(
        review.approval.pk,
        by=second_lead,
        verdict="reject",
        digest=review.approval.digest,
        nonce=review.approval.nonce,
        note="Wrong approach.",
    )
    client.force_login(lead)
    answer = client.post(address_of(review, "/decide"), form_of(review, verdict="approve"))
    assert answer.status_code == 409
    assert "Ravi Singh rejected this" in say_of(answer)


def test_a_lesson_is_proposed_with_the_rejection(client, review, lead, project):
    client.force_login(lead)
    sent = form_of(
        review, verdict="reject", note="Unsafe.", lesson="Ask before rounding.", keep_lesson="on"
    )
    client.post(address_of(review, "/decide"), sent)
    assert "Ask before rounding." in say_of(client.get("/memory"))
    assert "Unsafe." in say_of(client.get(f"/tasks/T-{review.task.number}"))


def test_round_2_marks_what_is_new_and_what_became_of_each_comment(client, review, lead):
    hunk = Hunk.objects.get(file__path="docs/rounding.md")
    client.force_login(lead)
    sent = {f"verdict-{hunk.pk}": "refuse", f"note-{hunk.pk}": "Remove the hidden character."}
    client.post(address_of(review, "/decide"), form_of(review, verdict="request_changes", **sent))
    review.task.steps.filter(round=2).delete()
    second = fixtures.next_round(review)
    page = say_of(client.get(address_of(second)))
    assert page.count("data-hunk") == 3
    assert page.count("hunk hunk-new") == 1
    assert "new in round 2" in page
    assert "Remove the hidden character." in page
    assert "addressed" in page
    first = say_of(client.get(address_of(review)))
    assert "Round 2 is ready" in first


def test_a_stale_approval_offers_to_propose_again(client, review, lead):
    review.approval.move("stale", decided_at=timezone.now(), reason="Main moved to 1234567.")
    client.force_login(lead)
    page = say_of(client.get(address_of(review)))
    assert "Propose again" in page
    assert "Nothing was merged" in page
    assert 'id="decision"' not in page
    client.post(address_of(review, "/again"))
    review.task.refresh_from_db()
    assert review.task.state == TaskState.WORKING


def test_the_page_shows_the_seal_and_not_the_rows(client, review, lead):
    Hunk.objects.filter(file__path="docs/rounding.md").update(text="+changed behind the seal\n")
    client.force_login(lead)
    assert "changed behind the seal" not in say_of(client.get(address_of(review)))


def test_live_answers_never_carry_the_diff_or_the_form(client, review, lead):
    client.force_login(lead)
    shown = f"{review.approval.pk}:pending"
    quiet = say_of(client.get(address_of(review, "/live"), {"shown": shown}))
    assert "data-diff" not in quiet
    assert 'id="decision"' not in quiet
    assert "review-news" not in quiet
    review.approval.move("stale", decided_at=timezone.now(), reason="Main moved.")
    assert "review-news" in say_of(client.get(address_of(review, "/live"), {"shown": shown}))


def test_checks_without_a_sandbox_are_named_wherever_they_are_shown(
    client, project, requester, lead
):
    made = fixtures.reviewed_task(project, requester, checks={**texts.CHECKS, "sandbox": "rlimits"})
    client.force_login(lead)
    for path in (address_of(made), "/inbox", f"/tasks/T-{made.task.number}"):
        assert "resource limits only" in say_of(client.get(path)), path


def test_checks_that_did_not_run_are_not_shown_as_passed(client, project, requester, lead):
    checks = {"ran": False, "why_not": "No sandbox is usable here.", "exit_code": None}
    made = fixtures.reviewed_task(project, requester, checks=checks)
    client.force_login(lead)
    page = say_of(client.get(address_of(made)))
    assert "No sandbox is usable here." in page
    assert "not run" in page
    assert "Sandbox run" not in page


def test_hostile_text_stays_text_everywhere(client, project, requester, lead):
    hostile = texts.HOSTILE
    made = fixtures.reviewed_task(project, requester, title=hostile[:200], request=hostile)
    running = fixtures.running_task(project, requester, title=hostile[:200])
    fixtures.say(running.steps["coder"], hostile)
    fixtures.use_tool(running.steps["coder"], "read_file", hostile[:300], path=hostile)
    running.task.record("task.state", {"state": hostile, "reason": hostile})
    report = fixtures.reported_task(project, requester, report=hostile)
    fixtures.make_lesson(project, lead, content=hostile[:600], subject=hostile[:200])
    client.force_login(lead)
    for path in (
        address_of(made),
        address_of(report),
        f"/tasks/T-{running.task.number}",
        f"/tasks/T-{running.task.number}?tab=events",
        f"/tasks/T-{running.task.number}/live",
        f"/tasks/T-{made.task.number}",
        "/tasks",
        "/inbox",
        "/inbox/live",
        "/memory",
        "/new",
        "/jump?q=script",
    ):
        page = say_of(client.get(path))
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
        assert 'href="javascript' not in page, path
        assert 'src="https://evil' not in page, path
        assert "\u202e" not in re.sub(r"<textarea.*?</textarea>", "", page, flags=re.DOTALL), path


def test_pages_hold_no_inline_script_or_style(client, review, lead):
    client.force_login(lead)
    for path in (address_of(review), f"/tasks/T-{review.task.number}", "/inbox", "/new", "/memory"):
        answer = client.get(path)
        page = say_of(answer)
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"\sstyle=|\son[a-z]+=|hx-on|js:", page), path
        assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_a_round_that_is_not_sealed_yet_leads_to_its_task(client, project, requester, lead):
    task = fixtures.running_task(project, requester).task
    client.force_login(lead)
    answer = client.get(f"/review/T-{task.number}/r1")
    assert (answer.status_code, answer["Location"]) == (302, f"/tasks/T-{task.number}")
    assert client.get(f"/review/T-{task.number}/r2").status_code == 404
