"""Comments on lines, by the keyboard: a cursor, a form under the line, a draft until the decision."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from agents.lifecycle import TaskState
from agents.models import Task
from approvals import sealing
from approvals.models import Comment
from tests import console_fixtures as fixtures
from tests.acceptance import page_fixtures
from tests.acceptance.axe import violations
from tests.acceptance.live_house import signed_in
from tests.reviewing import decide

browser = page_fixtures.browser
house = page_fixtures.house

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def made(house, project, requester, lead):
    return house.write(fixtures.reviewed_task, project, requester)


@pytest.fixture
def page(house, browser, made, lead):
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{made.task.label}/r1")
    yield page
    context.close()


def said_of_lines():
    return list(Comment.objects.exclude(side="").order_by("line", "side"))


def notes_by_agent():
    return {said.note: said.goes_to.slug for said in Comment.objects.select_related("goes_to")}


def test_a_line_is_commented_on_by_the_keyboard_alone_and_sent_back(house, page):
    page.keyboard.press("n")  # the file with a warning stands first
    page.keyboard.press("n")
    page.keyboard.press("ArrowDown")
    cursor = page.locator(".diff-cell:focus")
    expect(cursor).to_have_attribute("data-n", "82")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    expect(cursor).to_have_class("diff-cell diff-old diff-del")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    say = page.locator("[data-line-say]")
    expect(say.get_by_text("Line 82 as proposed")).to_be_visible()
    page.keyboard.type("Does the PDF renderer call line.tax directly?")
    expect(say.get_by_label("goes to")).to_have_value("coder")
    page.keyboard.press("Escape")
    expect(cursor).to_have_attribute("data-n", "82")
    expect(page.locator("[data-goes-to]")).to_have_text(
        ". Code agent gets 1 comment, Test agent, Tech writer and Aggregator get none"
    )
    assert violations(page, "a comment on a line") == []
    page.reload()
    expect(say.locator("textarea")).to_have_value("Does the PDF renderer call line.tax directly?")
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sent back. The agents named begin the next round.")).to_be_visible()
    [comment] = house.write(said_of_lines)
    assert (comment.line, comment.side) == (82, "new")
    assert comment.goes_to_id is not None


def second_of(made):
    made.task.steps.filter(round=2).delete()
    return fixtures.next_round(made)


def test_round_2_shows_a_comment_addressed_and_another_open_at_its_line(house, page, made):
    page.locator("#f1 [data-change]").focus()
    page.keyboard.press("c")
    page.keyboard.type("Take the hidden character out.")
    page.keyboard.press("Escape")
    expect(page.locator("#f1 .diff-cell:focus")).to_have_count(1)  # arrows go on from here
    page.locator("#f2 [data-change]").first.focus()
    page.keyboard.press("c")
    page.keyboard.type("Keep the old one?")
    page.keyboard.press("Escape")
    expect(page.locator("[data-goes-to]")).to_have_text(
        ". Tech writer gets 1 comment, Code agent gets 1 comment, Test agent and Aggregator get none"
    )
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sent back.")).to_be_visible()
    house.write(second_of, made)
    page.goto(f"/review/{made.task.label}/r2")
    rounds = page.locator("#rounds .comment")
    gone = rounds.filter(has_text="Take the hidden character out.")
    expect(gone.get_by_text("addressed")).to_be_visible()
    expect(gone.get_by_text("The line is gone:")).to_be_visible()
    still = rounds.filter(has_text="Keep the old one?")
    expect(still.get_by_text("open", exact=True)).to_be_visible()
    expect(page.locator("#f1 .line-row .comment")).to_contain_text("Keep the old one?")
    expect(page.locator("#f2 .line-row .comment")).to_have_count(0)
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('draft'))") == []
    assert violations(page, "comments of round 1 in round 2") == []


def test_a_click_on_a_number_opens_a_form_and_another_agent_is_chosen(house, page):
    page_fixtures.click_number(page, "#f2-n88")
    page.keyboard.type("Cover this.")
    say = page.locator("[data-line-say='new-88']")
    say.get_by_label("goes to").select_option("tester")
    page_fixtures.click_number(page, "#f2-n88")
    expect(page.locator("[data-line-say]")).to_have_count(1)
    page_fixtures.click_number(page, "#f2 .diff-old[data-n='85']")
    page.keyboard.type("Not this one.")
    expect(page.locator("[data-goes-to]")).to_have_text(
        ". Code agent gets 1 comment, Test agent gets 1 comment, Tech writer and Aggregator get none"
    )
    page.locator("[data-line-say='old-85']").get_by_role("button", name="Remove").click()
    page.reload()
    expect(page.locator("[data-line-say]")).to_have_count(1)
    expect(say.get_by_label("goes to")).to_have_value("tester")
    page.keyboard.press("u")
    expect(say).to_be_visible()
    say.locator("textarea").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-decide=r]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sent back.")).to_be_visible()
    [comment] = house.write(said_of_lines)
    assert (comment.line, comment.note) == (88, "Cover this.")


def test_text_that_is_selected_up_to_its_number_stays_selected(house, page):
    line = page.locator("#f2-n88")
    line.scroll_into_view_if_needed()
    box = line.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, middle, steps=5)
    page.mouse.up()
    assert page.evaluate("getSelection().toString()").strip()
    expect(page.locator("[data-line-say]")).to_have_count(0)
    page_fixtures.click_number(page, "#f2-n88")
    expect(page.locator("[data-line-say]")).to_have_count(1)


def test_a_click_on_the_sign_of_a_line_opens_a_form(house, page):
    page.locator("#f2-n88").click(position={"x": 54, "y": 10})
    expect(page.locator("[data-line-say='new-88']")).to_be_visible()


def test_a_draft_for_an_agent_who_took_no_part_goes_to_the_author_and_none_is_lost(house, page):
    for line, agent in ((85, "tester"), (88, "tester")):
        page_fixtures.click_number(page, f"#f2-n{line}")
        page.keyboard.type(f"Of line {line}.")
        page.locator(f"[data-line-say='new-{line}'] select").select_option(agent)
    page.evaluate(
        """() => {
          const key = Object.keys(localStorage).find((name) => name.includes("draft"));
          const typed = JSON.parse(localStorage.getItem(key));
          const [first] = Object.keys(typed).filter((name) => name.startsWith("to|")).sort();
          localStorage.setItem(key, JSON.stringify({ ...typed, [first]: "painter" }));
        }"""
    )
    page.reload()
    expect(page.locator("[data-line-say]")).to_have_count(2)
    expect(page.locator("[data-goes-to]")).to_contain_text("Code agent gets 1")
    page.locator("[data-decide=r]").click()
    expect(page.get_by_text("Sent back.")).to_be_visible()
    assert house.write(notes_by_agent) == {"Of line 85.": "coder", "Of line 88.": "tester"}


def test_a_refused_decision_puts_comments_back_on_their_lines(page):
    page_fixtures.click_number(page, "#f2-n88")
    page.keyboard.type("Cover this.")
    page.locator("[data-decide=X]").focus()
    page.evaluate("document.querySelector('[name=digest]').value = '0'.repeat(64)")
    page.locator("[data-decide=r]").click()
    expect(page.get_by_text("Not signed.")).to_be_visible()
    say = page.locator("[data-line-say]")
    expect(say).to_have_count(1)
    expect(say.locator("textarea")).to_have_value("Cover this.")
    expect(say.get_by_text("Line 88 as proposed")).to_be_visible()


def test_arrows_scroll_and_choose_as_ever_outside_the_diff(page):
    page.keyboard.press("ArrowDown")
    expect(page.locator(".diff-cell:focus")).to_have_count(0)
    accept = page.locator("#f2").get_by_label("Accept")
    accept.check()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#f2").get_by_label("Refuse")).to_be_checked()
    expect(page.locator(".diff-cell:focus")).to_have_count(0)


def in_two_hunks(task, lead):
    """Let two hunks of round 2 stand where one of round 1 did."""
    changed = {2: "two", 10: "ten", 18: "eighteen"}
    first = round_of(task, [lines_of(range(1, 22), changed)], starts=[1])
    sealed = {"digest": first.approval.digest, "nonce": first.approval.nonce}
    decide(first.approval.pk, by=lead, verdict="request_changes", note="Not yet.", **sealed)
    task.steps.filter(round=2).delete()
    Task.objects.filter(pk=task.pk).update(round=2, state=TaskState.REVIEW)
    task.refresh_from_db()
    texts = [lines_of(range(1, 6), {2: "two"}), lines_of(range(15, 22), {18: "Eighteen"})]
    round_of(task, texts, starts=[1, 15])


def lines_of(numbers, changed):
    return "".join(
        f"-line {number}\n+{changed[number]}\n" if number in changed else f" line {number}\n"
        for number in numbers
    )


def round_of(task, texts, *, starts):
    team = {step.agent.slug: step for step in task.steps.select_related("agent")}
    proposal = fixtures.make_proposal(task, team, warnings=[])
    hunk = fixtures.make_file(proposal, 0, "a.txt", texts[0], team["coder"], start=starts[0])
    for position, text in enumerate(texts[1:], 1):
        hunk.pk, hunk._state.adding = None, True
        hunk.position, hunk.text, hunk.digest = position, text, f"{position:064}"
        hunk.old_start = hunk.new_start = starts[position]
        hunk.old_lines = hunk.new_lines = text.count("\n") - 1
        hunk.save()
    return fixtures.Made(task=task, steps=team, proposal=proposal, approval=sealing.seal(proposal))


def a_task(project, requester):
    task = fixtures.make_task(project, requester, state=TaskState.REVIEW)
    fixtures.make_team(task)
    return task


def test_a_line_told_above_the_first_of_two_hunks_is_commented_on_in_the_second(
    house, browser, project, requester, lead, second_lead
):
    task = house.write(a_task, project, requester)
    house.write(in_two_hunks, task, lead)
    context = signed_in(house, browser, lead, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"/review/{task.label}/r2")
    expect(page.locator("[data-between]")).to_have_count(1)
    page_fixtures.click_number(page, "[data-between] .diff-new[data-n='18']")
    expect(page.locator("[data-hunk]").nth(1).locator("[data-line-say='new-18']")).to_be_visible()
    context.close()
