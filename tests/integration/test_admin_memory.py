"""The admin takes memories away through the services, after asking."""

from __future__ import annotations

import pytest
from django.urls import reverse

from memory.lifecycle import MemoryState
from memory.models import Memory
from projects.models import AuditEntry
from tests.memory_fixtures import kept, proposed

LIST = "admin:memory_memory_changelist"


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def memories(project, lead):
    return [
        kept(project, "Round tax once.", by=lead),
        proposed(project, "Use <b>Decimal</b>.", by=lead),
    ]


def act(client, action, memories, **more):
    form = {"action": action, "_selected_action": [memory.pk for memory in memories], **more}
    return client.post(reverse(LIST), form, follow=not more and action == "retire")


def states():
    return list(Memory.objects.order_by("pk").values_list("state", flat=True))


def test_retire_stops_recall_and_is_audited(as_admin, admin, memories):
    act(as_admin, "retire", memories[:1])
    assert states() == [MemoryState.RETIRED, MemoryState.PROPOSED]
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.actor) == ("memory.retired", admin)


def test_forget_asks_first_and_shows_the_text_escaped(as_admin, memories):
    response = act(as_admin, "forget", memories)
    page = response.content.decode()
    assert "This cannot be undone" in page
    assert "Use &lt;b&gt;Decimal&lt;/b&gt;." in page
    assert states() == [MemoryState.ACTIVE, MemoryState.PROPOSED]


def test_confirmed_forget_erases_for_good(as_admin, memories):
    act(as_admin, "forget", memories, confirmed="yes")
    assert states() == [MemoryState.ERASED] * 2
    assert set(Memory.objects.values_list("content", flat=True)) == {""}
    acts = list(AuditEntry.objects.values_list("action", flat=True))
    assert acts.count("memory.forgotten") == 2


def test_what_cannot_be_retired_is_said_and_the_rest_is_done(as_admin, memories):
    act(as_admin, "forget", memories[:1], confirmed="yes")
    response = act(as_admin, "retire", memories)
    texts = [str(message) for message in response.context["messages"]]
    assert any(text.startswith("1 retired") for text in texts)
    assert any("cannot become retired" in text for text in texts)
    assert states() == [MemoryState.ERASED, MemoryState.RETIRED]


def test_lead_reaches_none_of_it(client, lead, memories):
    client.force_login(lead)
    act(client, "forget", memories, confirmed="yes")
    assert states() == [MemoryState.ACTIVE, MemoryState.PROPOSED]


def test_forgotten_memory_still_opens(as_admin, memories):
    act(as_admin, "forget", memories[:1], confirmed="yes")
    page = reverse("admin:memory_memory_change", args=[memories[0].pk])
    assert as_admin.get(page).status_code == 200
    assert "(forgotten)" in as_admin.get(reverse(LIST)).content.decode()


def test_a_private_memory_is_not_shown_to_admins(as_admin, memories, lead):
    Memory.objects.filter(pk=memories[0].pk).update(owner=lead)
    page = as_admin.get(reverse(LIST)).content.decode()
    assert "Round tax once." not in page
    assert "Use &lt;b&gt;Decimal&lt;/b&gt;." in page
    act(as_admin, "forget", memories, confirmed="yes")
    assert states() == [MemoryState.ACTIVE, MemoryState.ERASED]
