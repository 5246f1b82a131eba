"""Holds and caps in the admin: looked at, lifted and set there, by those who may."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from agents import holds
from agents.admin.drafting import draft_from
from agents.models import Agent, Hold
from projects.models import AuditEntry
from tests.admin_fixtures import make_agent
from tests.api_fixtures import submitted

pytestmark = pytest.mark.django_db
HOLDS = reverse("admin:agents_hold_changelist")


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def texts(answer) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_admin_lifts_what_they_may_and_is_told_of_the_rest(as_admin, admin, project, requester):
    task = submitted(project, requester)
    everything = holds.place(by=admin)
    paused = holds.place(by=requester, task=task)
    assert "Everything" in as_admin.get(HOLDS).content.decode()
    chosen = {"action": "lift", "_selected_action": [str(everything.pk), str(paused.pk)]}
    told = texts(as_admin.post(HOLDS, chosen, follow=True))
    assert "Lifted: Everything." in told
    assert any("Only who asked for it" in text for text in told)
    assert list(Hold.objects.open()) == [paused]
    assert AuditEntry.objects.get(action="hold.lifted").actor == admin


def test_hold_can_be_looked_at_but_not_changed(as_admin, admin):
    hold = holds.place(by=admin, reason="A bad release.")
    page = reverse("admin:agents_hold_change", args=[hold.pk])
    assert "A bad release." in as_admin.get(page).content.decode()
    assert as_admin.post(page, {"reason": "x"}).status_code == 403
    assert as_admin.get(reverse("admin:agents_hold_add")).status_code == 403


def test_agents_are_held_from_their_list(as_admin):
    agent = make_agent()
    url = reverse("admin:agents_agent_changelist")
    chosen = {"action": "hold_agents", "_selected_action": [str(agent.pk)]}
    assert texts(as_admin.post(url, chosen, follow=True)) == [f"{agent} is held."]
    assert Hold.objects.open().get().agent == agent


def test_cap_and_money_of_an_agent_are_set_in_its_forms(as_admin, admin):
    agent = make_agent()
    page = reverse("admin:agents_agent_change", args=[agent.pk])
    names = ["name", "role", "description", "colour", "icon"]
    form = {name: getattr(agent, name) for name in names} | {"enabled": "on", "max_in_flight": 7}
    for prefix in ("versions", "grants"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    assert as_admin.post(page, form).status_code == 302
    assert Agent.objects.get(pk=agent.pk).max_in_flight == 7
    draft = draft_from(agent.published(), by=admin)
    page = reverse("admin:agents_agentversion_change", args=[draft.pk])
    names = ["instructions", "max_turns", "max_tool_calls", "max_tokens", "max_seconds"]
    form = {name: getattr(draft, name) for name in names}
    form |= {"model_profile": draft.model_profile_id, "max_usd": "1.25"}
    assert as_admin.post(page, form).status_code == 302
    draft.refresh_from_db()
    assert draft.max_usd == Decimal("1.25")
    assert AuditEntry.objects.filter(action="agentversion.changed").exists()
