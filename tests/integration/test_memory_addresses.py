"""What people do with memories is entered with the network address it came from."""

from __future__ import annotations

import pytest
from django.urls import reverse

from memory import lessons
from projects.models import AuditEntry
from tests.api_fixtures import by_session
from tests.memory_fixtures import kept, proposed

HERE = "192.0.2.7"


def came_from(action: str) -> str | None:
    return AuditEntry.objects.filter(action=f"memory.{action}").latest("pk").address


def made(of, project, lead):
    if of == "quarantined":
        facts = {"source": "agent_proposed", "by": None}
        return lessons.propose(project, content="Round tax once.", **facts)
    memory = (proposed if of == "proposed" else kept)(project, "Round tax once.", by=lead)
    if of == "retired":
        lessons.retire(memory, by=lead)
    return memory


@pytest.mark.parametrize(
    ("of", "act", "entered"),
    [
        ("proposed", "keep", "kept"),
        ("proposed", "edit", "edited"),
        ("active", "edit", "edited"),
        ("active", "retire", "retired"),
        ("retired", "keep", "restored"),
        ("quarantined", "release", "released"),
        ("active", "forget", "forgotten"),
    ],
)
def test_an_act_in_the_console_is_entered_with_its_address(client, project, lead, of, act, entered):
    memory = made(of, project, lead)
    client.force_login(lead)
    where = reverse("console:memory_act", args=[memory.pk, act])
    client.post(where, {"content": "Round tax once per invoice."}, REMOTE_ADDR=HERE)
    assert came_from(entered) == HERE


@pytest.mark.parametrize(
    ("of", "change", "entered"),
    [
        ("proposed", {"state": "active"}, "kept"),
        ("active", {"state": "retired"}, "retired"),
        ("active", {"pinned": True}, "pinned"),
        ("active", {"content": "Round tax once per invoice."}, "edited"),
    ],
)
def test_an_act_over_the_api_is_entered_with_its_address(project, lead, of, change, entered):
    memory = made(of, project, lead)
    by_session(lead)("PATCH", f"/api/v1/memories/{memory.pk}", change, REMOTE_ADDR=HERE)
    assert came_from(entered) == HERE


@pytest.mark.parametrize(("act", "entered"), [("retire", "retired"), ("forget", "forgotten")])
def test_an_act_in_the_admin_is_entered_with_its_address(
    client, project, lead, admin, act, entered
):
    memory = made("active", project, lead)
    client.force_login(admin)
    form = {"action": act, "_selected_action": [memory.pk], "confirmed": "yes"}
    client.post(reverse("admin:memory_memory_changelist"), form, REMOTE_ADDR=HERE)
    assert came_from(entered) == HERE
