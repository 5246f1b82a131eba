"""No memory leaves its project, its owner or its state: exactly 0, on every path."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import AnonymousUser

from memory import lessons
from memory.lifecycle import MemoryState
from memory.models import Kind, Memory, MemoryUse, Source
from memory.recall import recall, record_uses, search
from projects.exceptions import InvalidInput, NotAllowed
from projects.models import Membership, Project, Role
from tests.memory_fixtures import kept, proposed

TEXT = "Round tax once on the invoice total, half even."
ASKED = {"query": "Round the tax on the invoice total", "agent_slug": "coder"}


@pytest.fixture
def other_project(lead):
    other = Project.objects.create(slug="other", name="other", repository="/other.git")
    Membership.objects.create(user=lead, project=other, role=Role.LEAD)
    return other


def found_by(user, **options):
    return [each.memory for each in search(user, "tax invoice total", **options)]


def test_memory_of_another_project_is_never_recalled(project, other_project, lead):
    kept(other_project, TEXT, by=lead, paths=["billing/**"])
    assert recall(project, **ASKED, paths=["billing/tax.py"]) == []
    assert len(recall(other_project, **ASKED)) == 1


def test_pinned_memory_of_another_project_is_never_recalled(project, other_project, lead):
    lessons.pin(kept(other_project, TEXT, by=lead), pinned=True, by=lead)
    assert recall(project, **ASKED) == []


def test_person_finds_and_sees_only_memories_of_their_projects(
    project, other_project, lead, requester, stranger
):
    mine, foreign = kept(project, TEXT, by=lead), kept(other_project, TEXT, by=lead)
    assert set(found_by(lead)) == {mine, foreign}
    assert found_by(lead, project=project) == [mine]
    assert found_by(requester) == [mine]
    assert found_by(requester, project=other_project) == []
    assert found_by(stranger) == found_by(AnonymousUser()) == []
    assert list(Memory.objects.visible_to(requester)) == [mine]
    assert not Memory.objects.visible_to(requester).filter(pk=foreign.pk).exists()
    assert not Memory.objects.visible_to(stranger).exists()


def test_private_preference_is_seen_by_its_owner_alone_and_never_recalled(project, lead, requester):
    private = kept(project, TEXT, by=lead, kind=Kind.PREFERENCE)
    Memory.objects.update(owner=requester)
    assert recall(project, **ASKED) == []
    assert found_by(requester) == [private]
    assert found_by(lead) == []


@pytest.mark.parametrize("act", ["keep", "retire", "restore", "forget", "release"])
def test_private_preference_is_its_owners_alone_even_for_leads(project, lead, requester, act):
    memory = proposed(project, TEXT, by=requester, kind=Kind.PREFERENCE)
    Memory.objects.update(owner=requester)
    memory.refresh_from_db()
    with pytest.raises(NotAllowed):
        getattr(lessons, act)(memory, by=lead)
    with pytest.raises(NotAllowed):
        lessons.edit(memory, by=lead, content="Not mine.")
    with pytest.raises(NotAllowed):
        lessons.pin(memory, pinned=True, by=lead)


def test_owner_keeps_edits_and_forgets_a_private_preference(project, requester):
    memory = proposed(project, TEXT, by=requester, kind=Kind.PREFERENCE)
    Memory.objects.update(owner=requester)
    memory.refresh_from_db()
    lessons.keep(memory, by=requester)
    newer = lessons.edit(memory, by=requester, content="Round tax once, always.")
    assert newer.owner == requester
    lessons.forget(newer, by=requester)
    assert set(Memory.objects.values_list("state", flat=True)) == {MemoryState.ERASED}


def test_memory_of_one_agent_is_not_recalled_by_another(project, lead):
    memory = kept(project, TEXT, by=lead, agent_slug="tech-writer")
    assert recall(project, **ASKED) == []
    asked = {**ASKED, "agent_slug": "tech-writer"}
    assert [each.memory for each in recall(project, **asked)] == [memory]


@pytest.mark.parametrize("state", sorted(set(MemoryState.values) - {MemoryState.ACTIVE}))
def test_only_active_memories_are_recalled(project, lead, state):
    memory = kept(project, TEXT, by=lead)
    recall(project, **ASKED)  # its vector exists from now on
    if state == MemoryState.ERASED:
        lessons.forget(memory, by=lead)
    Memory.objects.update(state=state)
    assert recall(project, **ASKED) == []


def test_poison_is_never_recalled_nor_found_among_the_active(project, lead, requester):
    proposed(project, TEXT, by=requester, paths=["**"])
    proposed(project, TEXT, by=None, source=Source.AGENT_PROPOSED, paths=["**"])
    Memory.objects.update(pinned=True)
    assert recall(project, **ASKED, paths=["billing/tax.py"]) == []
    assert found_by(lead) == []
    assert len(found_by(lead, states=[MemoryState.PROPOSED])) == 1


def test_memory_outside_its_validity_is_not_recalled(project, lead):
    memory = kept(project, TEXT, by=lead)
    Memory.objects.filter(pk=memory.pk).update(valid_to=memory.approved_at)
    assert recall(project, **ASKED) == []


def test_superseded_version_is_never_recalled(project, lead):
    memory = kept(project, TEXT, by=lead)
    for number in range(3):
        memory = lessons.edit(memory, by=lead, content=f"{TEXT[:-1]}, see rule {number}.")
        assert [each.memory for each in recall(project, **ASKED)] == [memory]


@pytest.mark.parametrize("query", ["", "  ", "x" * 2_001, "\0"])
def test_search_without_a_usable_query_names_the_field(lead, query):
    with pytest.raises(InvalidInput) as refused:
        search(lead, query)
    assert refused.value.field == "query"


@pytest.mark.parametrize(
    "query", ["tax'); DROP TABLE x; --", "%s %(a)s {scope}", "\ud800 tax", "|&!"]
)
def test_search_takes_any_characters(project, lead, query):
    kept(project, TEXT, by=lead)
    assert isinstance(search(lead, query), list)


def test_uses_are_written_once_per_attempt_and_counted(project, lead):
    memory = kept(project, TEXT, by=lead)
    found = recall(project, **ASKED)
    facts = {"task": uuid.uuid4(), "step": uuid.uuid4(), "agent_slug": "coder"}
    assert record_uses(found, **facts, attempt=1) == 1
    assert record_uses(found, **facts, attempt=1) == 0
    assert record_uses(found, **facts, attempt=2) == 1
    assert record_uses([], **facts, attempt=3) == 0
    memory.refresh_from_db()
    assert memory.used_count == 2
    assert memory.last_used_at is not None
    use = MemoryUse.objects.order_by("attempt").first()
    assert (use.rank, use.task, use.shown_tokens) == (1, facts["task"], found[0].tokens)
    assert use.parts["cosine"] == found[0].parts["cosine"]


def test_use_of_a_memory_forgotten_meanwhile_is_not_written(project, lead):
    memory = kept(project, TEXT, by=lead)
    found = recall(project, **ASKED)
    lessons.forget(memory, by=lead)
    facts = {"task": uuid.uuid4(), "step": uuid.uuid4(), "agent_slug": "coder"}
    assert record_uses(found, **facts, attempt=1) == 0
    assert not MemoryUse.objects.exists()
