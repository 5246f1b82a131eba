"""Each text that would be code or cannot be seen, in each column: the admin shows it as text, marked."""

from __future__ import annotations

import pytest
from django.contrib import admin as django_admin
from django.db import transaction
from django.urls import reverse

from memory.models import Memory
from notices.models import Webhook
from projects.models import Project, User
from tests.admin_fixtures import make_one_of_everything
from tests.payloads.drawn import Drawn
from tests.payloads.hidden import CLASSES, EVERY, code
from tests.payloads.payloads import PAYLOADS
from tests.payloads.rows import log_of, write_everywhere

pytestmark = pytest.mark.django_db
REGISTERED = sorted(django_admin.site._registry, key=lambda model: model._meta.label)
CODES = {*map(code, CLASSES.values())}
# Pages with room for a whole text; JSON says a control character in its own way.
WHOLE = ("Task", "Step", "ToolCall", "Proposal", "Memory", "Escalation", "Agent", "AgentVersion")
IN_JSON = ("Event", "Approval", "AuditEntry", "Effect")
CONTROL = code(CLASSES["C0 control"])


@pytest.fixture
def everything(project, requester, lead):
    make_one_of_everything(project, requester, lead)


def _pages() -> dict[str, str]:
    pages = {"index": reverse("admin:index")}
    for model in REGISTERED:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages[f"{model.__name__} list"] = reverse(f"{name}_changelist")
        pages[model.__name__] = reverse(f"{name}_change", args=[model.objects.first().pk])
    for model in (Project, User, Webhook):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages[f"{model.__name__} history"] = reverse(
            f"{name}_history", args=[model.objects.first().pk]
        )
    hook = Webhook.objects.first()
    return {**pages, "delete": reverse("admin:notices_webhook_delete", args=[hook.pk])}


def _drawn(client, admin, texts) -> dict[str, Drawn]:
    with transaction.atomic():
        write_everywhere(texts)
        log_of(
            admin, " ".join(texts), [model.objects.first() for model in (Project, User, Webhook)]
        )
        client.force_login(User.objects.get(pk=admin.pk))
        answers = {name: client.get(page) for name, page in _pages().items()}
        chosen = {"action": "forget", "_selected_action": [Memory.objects.first().pk]}
        answers["forget"] = client.post(reverse("admin:memory_memory_changelist"), chosen)
        transaction.set_rollback(True)
    assert {name for name, answer in answers.items() if answer.status_code != 200} == set()
    return {name: Drawn(answer.content.decode()) for name, answer in answers.items()}


def test_every_hidden_character_is_marked_on_every_page_of_the_admin(everything, client, admin):
    pages = _drawn(client, admin, [EVERY])
    assert {name: page.unmarked for name, page in pages.items() if page.unmarked} == {}
    for name in (*WHOLE, *IN_JSON, "forget", "Project history"):
        assert CODES - pages[name].codes <= ({CONTROL} if name in IN_JSON else set()), name


def test_a_page_of_the_admin_is_made_of_the_same_whatever_a_text_says(everything, client, admin):
    plain = _drawn(client, admin, ["Round half to even."])
    wrong = {}
    for first in range(0, len(PAYLOADS), 4):
        texts = PAYLOADS[first : first + 4]
        for name, page in _drawn(client, admin, texts).items():
            was = plain[name]
            found = page.beyond(was), page.away(was), page.scripts != was.scripts
            if any(found):
                wrong[texts, name] = found
    assert wrong == {}, list(wrong.items())[:3]
