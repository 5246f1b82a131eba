"""What was typed into a form that is refused stands in the form when it is shown again, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.models import Step
from approvals import absences
from countersign.console import drafts
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db

LONG = " ".join(["Mind the refunds."] * 400)  # more than any of these fields takes


def text_of(answer) -> str:
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize(
    ("act", "field", "pop"),
    [
        ("note", "text", "note-pop"),
        ("pause", "reason", "pause-pop"),
        ("stop", "reason", "stop-pop"),
    ],
)
def test_a_note_and_the_reason_of_a_pause_and_of_a_stop_are_kept(
    client, project, requester, act, field, pop
):
    path = f"/tasks/T-{fixtures.running_task(project, requester).task.number}"
    client.force_login(requester)
    shown = text_of(client.post(f"{path}/{act}", {field: LONG}, follow=True))
    assert LONG in shown
    assert f'id="{pop}" open' in shown
    assert LONG not in text_of(client.get(path))


def test_what_should_be_different_is_kept_at_its_step(client, project, requester, lead):
    made = fixtures.running_task(project, requester)
    step = made.steps["writer"]
    Step.objects.filter(pk=step.pk).update(state="done", lease_until=None)
    step.attempts.update(state="finished", finished_at=step.started_at)
    path = f"/tasks/T-{made.task.number}"
    client.force_login(lead)
    answer = client.post(f"{path}/steps/{step.pk}/again", {"note": LONG}, follow=True)
    assert answer.redirect_chain == [(f"{path}?agent={step.pk}", 302)]
    shown = text_of(answer)
    assert shown.count(LONG) == 1
    assert shown.index(f'id="again-{step.pk}"') < shown.index(LONG)


@pytest.mark.parametrize(
    ("act", "field"), [("note", "text"), ("pause", "reason"), ("stop", "reason")]
)
def test_what_was_typed_for_one_task_is_not_shown_at_another(
    client, project, requester, act, field
):
    tasks = [fixtures.running_task(project, requester).task for _ in range(2)]
    one, other = (f"/tasks/T-{task.number}" for task in tasks)
    client.force_login(requester)
    client.post(f"{one}/{act}", {field: LONG})
    for path in (other, "/settings", "/memory"):
        assert LONG not in text_of(client.get(path))
    assert LONG in text_of(client.get(one))


@pytest.mark.parametrize(("reason", "chosen"), [(LONG, True), ("Freeze.", False)])
def test_what_was_to_be_held_and_why_is_kept(client, project, lead, reason, chosen):
    aim = f"project:{project.slug}" if chosen else "everything"  # which a lead may not hold
    client.force_login(lead)
    shown = text_of(client.post("/operations/hold", {"aim": aim, "reason": reason}, follow=True))
    assert f'value="{reason}"' in shown
    assert (f'value="{aim}" selected' in shown) == chosen
    assert reason not in text_of(client.get("/operations"))


def test_a_lesson_is_kept_as_it_was_edited(client, project, lead):
    lesson = fixtures.make_lesson(project, lead)
    client.force_login(lead)
    other = fixtures.make_lesson(project, lead)
    sent = {"content": LONG, "next": "/memory?state=active"}
    shown = text_of(client.post(f"/memory/{lesson.pk}/edit", sent, follow=True))
    assert shown.count(LONG) == 1
    assert shown.count('class="memory-edit" open') == 1
    assert other.content in shown


def test_days_and_delegates_are_kept(client, project, lead, second_lead):
    client.force_login(lead)
    sent = {"first": "2026-12-24", "last": "never", f"delegate-{project.pk}": str(second_lead.pk)}
    shown = text_of(client.post("/settings/away", sent, follow=True))
    assert 'value="2026-12-24"' in shown
    assert _chosen(shown, second_lead)
    assert not _chosen(text_of(client.get("/settings")), second_lead)


def test_an_absence_is_changed_from_what_was_said(client, project, lead, second_lead):
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    begins, ends = today + timedelta(days=3), today + timedelta(days=10)
    delegates = {project.pk: second_lead.pk}
    absences.leave(lead, begins_at=begins, ends_at=ends, delegates=delegates)
    client.force_login(lead)
    shown = text_of(client.get("/settings"))
    assert f'value="{begins:%Y-%m-%d}"' in shown
    assert f'value="{ends - timedelta(days=1):%Y-%m-%d}"' in shown
    assert _chosen(shown, second_lead)


def _chosen(shown: str, person) -> bool:
    option = shown.partition(f'<option value="{person.pk}"')[2].partition(">")[0]
    return "selected" in option


def test_choices_and_quiet_hours_are_kept(client, project, lead):
    client.force_login(lead)
    sent = {"everywhere-asked": "none", "quiet": "on", "begins": "late", "ends": "06:15"}
    shown = text_of(client.post("/settings/notifications", sent, follow=True))
    assert "Nothing was saved." in shown
    choice = shown.partition('id="everywhere-asked"')[2].partition("</select>")[0]
    assert '<option value="none" selected>' in choice
    assert choice.count("selected") == 1
    assert ('value="late"' in shown, 'value="06:15"' in shown) == (True, True)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/settings/away", {"first": "2026-12-24", "last": "never"}),
        ("/settings/notifications", {"quiet": "on", "begins": "late"}),
    ],
)
def test_nothing_but_the_fields_of_a_form_is_kept_and_no_more_than_fits_them(
    client, project, lead, path, sent
):
    client.force_login(lead)
    more = {"csrfmiddlewaretoken": "secret", "other": LONG, f"delegate-{project.pk}": LONG}
    client.post(path, {**sent, **more, "everywhere-asked": LONG, "zone": LONG})
    kept = client.session["typed"]["typed"]
    assert kept.items() >= sent.items()
    assert not {"csrfmiddlewaretoken", "other"} & kept.keys()
    assert max(map(len, kept.values())) == drafts.SHORT


def test_of_a_text_without_an_end_the_beginning_is_kept(client, project, requester):
    path = f"/tasks/T-{fixtures.running_task(project, requester).task.number}"
    client.force_login(requester)
    client.post(f"{path}/note", {"text": "All of it. " * 100_000})
    kept = client.session["typed"]["typed"]
    assert kept == {"text": ("All of it. " * 2_000)[: drafts.LONGEST]}
