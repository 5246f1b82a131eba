"""Agents change by drafts that are published; what is published never changes."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Agent, AgentVersion, Grant, ModelProfile, Tool, ToolServer
from projects.models import AuditEntry
from tests.admin_fixtures import make_agent, make_tools


def page(model, row=None):
    name = f"admin:agents_{model._meta.model_name}_{'change' if row else 'add'}"
    return reverse(name, args=[row.pk] if row else [])


def draft_page(version):
    return reverse("admin:agents_agentversion_draft", args=[version.pk])


def acts():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def texts(response):
    return [str(message) for message in response.context["messages"]]


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def agent(db):
    return make_agent()


@pytest.fixture
def draft(agent, as_admin):
    as_admin.post(draft_page(agent.published()))
    return agent.versions.get(published_at=None)


def version_form(version, **changes):
    names = ["instructions", "max_turns", "max_tool_calls", "max_tokens", "max_seconds"]
    fields = {name: getattr(version, name) for name in names}
    return {**fields, "model_profile": version.model_profile_id, **changes}


def agent_form(agent, **changes):
    names = ["name", "role", "description", "colour", "icon"]
    grants = {
        "grants-TOTAL_FORMS": 0,
        "grants-INITIAL_FORMS": 0,
        "versions-TOTAL_FORMS": 0,
        "versions-INITIAL_FORMS": 0,
    }
    return {**{name: getattr(agent, name) for name in names}, "enabled": "on", **grants, **changes}


def test_new_draft_copies_the_published_version_and_changes_nothing_yet(agent, draft):
    published = agent.published()
    assert (draft.number, draft.published_at) == (2, None)
    assert draft.instructions == published.instructions
    assert published.number == 1
    assert acts() == ["agentversion.drafted"]


def test_second_draft_is_refused_and_leads_to_the_first(agent, draft, as_admin):
    response = as_admin.post(draft_page(agent.published()), follow=True)
    assert response.redirect_chain[-1][0] == page(AgentVersion, draft)
    assert "already has a draft, v2" in texts(response)[-1]
    assert agent.versions.count() == 2


def test_draft_is_made_by_post_alone(agent, as_admin):
    assert as_admin.get(draft_page(agent.published())).status_code == 405
    assert agent.versions.count() == 1


def test_draft_is_edited_saved_and_published_in_one_go(agent, draft, as_admin, admin):
    form = version_form(draft, instructions="Edit with more care.", max_turns=7, _publish="1")
    response = as_admin.post(page(AgentVersion, draft), form, follow=True)
    assert "is published" in texts(response)[-1]
    now = agent.published()
    assert (now.number, now.instructions, now.max_turns) == (2, "Edit with more care.", 7)
    assert now.published_by == admin
    assert acts()[1:] == ["agentversion.changed", "agentversion.published"]


def test_saving_a_draft_does_not_publish_it(agent, draft, as_admin):
    as_admin.post(page(AgentVersion, draft), version_form(draft, instructions="Later."))
    draft.refresh_from_db()
    assert (draft.instructions, draft.published_at) == ("Later.", None)
    assert agent.published().number == 1


def test_published_version_refuses_every_change(agent, as_admin):
    version = agent.published()
    form = version_form(version, instructions="Changed behind our back.")
    assert as_admin.post(page(AgentVersion, version), form).status_code == 403
    form["_publish"] = "1"
    assert as_admin.post(page(AgentVersion, version), form).status_code == 403
    delete = reverse("admin:agents_agentversion_delete", args=[version.pk])
    assert as_admin.post(delete, {"post": "yes"}).status_code == 403
    version.refresh_from_db()
    assert version.instructions == "Edit code with care."
    assert acts() == []


def test_page_of_a_published_version_offers_the_draft_and_no_form(agent, as_admin):
    content = as_admin.get(page(AgentVersion, agent.published())).content.decode()
    assert "New draft from this version" in content
    assert "Save and publish" not in content
    assert "<textarea" not in content


def test_draft_page_shows_what_is_different(agent, draft, as_admin):
    as_admin.post(page(AgentVersion, draft), version_form(draft, instructions="Be bold."))
    content = as_admin.get(page(AgentVersion, draft)).content.decode()
    assert "+Be bold." in content
    assert "-Edit code with care." in content
    assert "Save and publish" in content


def test_draft_may_be_thrown_away(agent, draft, as_admin):
    delete = reverse("admin:agents_agentversion_delete", args=[draft.pk])
    as_admin.post(delete, {"post": "yes"})
    assert agent.versions.count() == 1
    assert acts()[-1] == "agentversion.deleted"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("instructions", " "),
        ("max_turns", 1),
        ("max_turns", 51),
        ("max_tool_calls", 0),
        ("max_tokens", "many"),
        ("max_seconds", 1),
        ("model_profile", ""),
    ],
)
def test_bad_draft_is_not_saved_and_names_the_field(draft, as_admin, field, value):
    response = as_admin.post(
        page(AgentVersion, draft), version_form(draft, **{field: value}, _publish="1")
    )
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    draft.refresh_from_db()
    assert draft.published_at is None


def test_new_agent_is_led_to_its_first_draft(as_admin, agent):
    form = agent_form(agent, slug="reviewer", name="Reviewer")
    response = as_admin.post(page(Agent), form)
    made = Agent.objects.get(slug="reviewer")
    assert response["Location"] == f"{page(AgentVersion)}?agent={made.pk}"
    profile = ModelProfile.objects.get(slug="house-model")
    form = {**version_form(agent.published()), "agent": made.pk, "model_profile": profile.pk}
    as_admin.post(page(AgentVersion), {**form, "_publish": "1"})
    assert made.published().number == 1
    assert acts() == ["agent.added", "agentversion.added", "agentversion.published"]


def test_second_draft_by_the_add_form_is_refused(agent, draft, as_admin):
    form = {**version_form(draft), "agent": agent.pk}
    response = as_admin.post(page(AgentVersion), form)
    assert "already has a draft" in str(response.context["adminform"].form.errors)
    assert agent.versions.count() == 2


def test_last_router_cannot_be_switched_off(as_admin):
    router = make_agent("only-router", role="router")
    form = agent_form(router)
    del form["enabled"]
    response = as_admin.post(page(Agent, router), form)
    assert "enabled" in response.context["adminform"].form.errors
    make_agent("other-router", role="router")
    assert as_admin.post(page(Agent, router), form).status_code == 302
    router.refresh_from_db()
    assert not router.enabled


def test_switch_in_the_list_is_checked_and_audited(as_admin, agent):
    rows = list(Agent.objects.order_by("slug"))
    form = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "Save"}
    form |= {f"form-{number}-id": row.pk for number, row in enumerate(rows)}
    as_admin.post(reverse("admin:agents_agent_changelist"), form)
    agent.refresh_from_db()
    assert not agent.enabled
    assert acts() == ["agent.changed"]


def test_grant_is_given_with_paths_and_audited(as_admin, agent):
    make_tools(agent)
    tool = Tool.objects.get(name="change_it")
    grant = Grant.objects.get(tool=tool)
    form = agent_form(
        agent,
        **{
            "grants-TOTAL_FORMS": 1,
            "grants-INITIAL_FORMS": 1,
            "grants-0-id": grant.pk,
            "grants-0-agent": agent.pk,
            "grants-0-tool": tool.pk,
            "grants-0-paths": "docs/**\r\n\r\n *.md \r\n",
        },
    )
    as_admin.post(page(Agent, agent), form)
    grant.refresh_from_db()
    assert grant.paths == ["docs/**", "*.md"]
    detail = AuditEntry.objects.get().detail
    assert detail["grants"]["changed"] == [f"{grant}: paths"]


def test_agents_and_servers_cannot_be_deleted(as_admin, agent):
    server = make_tools(agent)
    for row in (agent, server):
        delete = reverse(f"admin:agents_{row._meta.model_name}_delete", args=[row.pk])
        assert as_admin.post(delete, {"post": "yes"}).status_code == 403
    assert Agent.objects.filter(pk=agent.pk).exists()


@pytest.mark.parametrize(
    ("transport", "target", "field", "words"),
    [
        ("stdio", "python server.py", "transport", "allow-list file"),
        ("bundled", "", "transport", "come with Countersign"),
        ("http", "", "target", "Give the server's URL"),
        ("http", "file:///etc/passwd", "target", "Give the server's URL"),
        ("http", "https://me:secret@tools.example.com", "target", "out of the URL"),
        ("carrier-pigeon", "x", "transport", "not one of the available choices"),
    ],
)
def test_tool_server_that_is_not_safe_is_refused(as_admin, transport, target, field, words):
    form = {"name": "X", "slug": "x", "transport": transport, "target": target, "enabled": "on"}
    response = as_admin.post(page(ToolServer), form)
    assert any(words in error for error in response.context["adminform"].form.errors[field])
    assert not ToolServer.objects.filter(slug="x").exists()


def test_http_tool_server_is_added_and_audited(as_admin):
    form = {"name": "X", "slug": "x", "transport": "http", "target": "https://tools.example.com"}
    assert as_admin.post(page(ToolServer), form).status_code == 302
    assert ToolServer.objects.get(slug="x").target == "https://tools.example.com"
    assert acts() == ["toolserver.added"]


def test_only_the_switch_of_a_tool_and_when_it_asks_can_be_changed(as_admin, agent):
    server = make_tools(agent)
    tool = server.tools.get(name="change_it")
    form = {
        "name": server.name,
        "enabled": "on",
        "tools-TOTAL_FORMS": 1,
        "tools-INITIAL_FORMS": 1,
        "tools-0-id": tool.pk,
        "tools-0-server": server.pk,
        "tools-0-read_only": "on",
        "tools-0-asks": "always",
        "tools-0-definition_digest": "forged",
    }
    assert as_admin.post(page(ToolServer, server), form).status_code == 302
    tool.refresh_from_db()
    assert (tool.enabled, tool.read_only, tool.definition_digest) == (False, False, "ab" * 32)
    assert tool.asks == "always"


def test_agent_page_takes_as_many_queries_for_many_grants_as_for_few(as_admin, agent):
    server = make_tools(agent)
    as_admin.get(page(Agent, agent))
    with CaptureQueriesContext(connection) as few:
        as_admin.get(page(Agent, agent))
    for number in range(12):
        tool = Tool.objects.create(server=server, name=f"tool-{number}", definition_digest="ab")
        Grant.objects.create(agent=agent, tool=tool)
    with CaptureQueriesContext(connection) as many:
        as_admin.get(page(Agent, agent))
    assert len(many) <= len(few)
