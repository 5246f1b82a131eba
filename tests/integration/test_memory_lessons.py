"""Lessons: nothing is active without a lead, and what is forgotten is gone."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection

from memory import embedder, lessons
from memory.embedder import ensure_embeddings
from memory.lifecycle import MemoryState
from memory.models import LinkKind, Memory, MemoryEmbedding, MemoryLink, MemoryUse, Source
from memory.recall import recall, record_uses
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused
from projects.models import AuditEntry, Membership, Role
from tests.memory_fixtures import kept, proposed

TEXT = "Round tax once on the invoice total, half even."


def state_of(memory):
    return Memory.objects.get(pk=memory.pk).state


def acts():
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_proposed_lesson_waits_for_a_lead_and_is_then_active(project, requester, lead):
    memory = proposed(project, TEXT, by=requester, source_label="your reject of T-1")
    assert (memory.state, memory.approved_by) == (MemoryState.PROPOSED, None)
    with pytest.raises(NotAllowed):
        lessons.keep(memory, by=requester)
    assert lessons.keep(memory, by=lead) is memory
    row = Memory.objects.get()
    assert (row.state, row.approved_by) == (MemoryState.ACTIVE, lead)
    assert row.approved_at is not None
    assert acts() == ["memory.proposed", "memory.kept"]


def test_keeping_twice_changes_nothing(project, lead):
    memory = kept(project, TEXT, by=lead)
    assert lessons.keep(memory, by=lead) == memory
    assert acts() == ["memory.proposed", "memory.kept"]


def test_keep_with_a_stale_row_is_refused(project, lead, second_lead):
    memory = proposed(project, TEXT, by=lead)
    stale = Memory.objects.get()
    lessons.retire(memory, by=lead)
    with pytest.raises(TransitionRefused):
        lessons.keep(stale, by=second_lead)
    assert state_of(memory) == MemoryState.RETIRED


@pytest.mark.parametrize("act", ["keep", "retire", "restore", "release", "forget"])
def test_stranger_and_requester_are_refused(project, lead, requester, stranger, act):
    memory = proposed(project, TEXT, by=lead)
    for person in (requester, stranger):
        with pytest.raises((NotAllowed, TransitionRefused)) as refused:
            getattr(lessons, act)(memory, by=person)
        assert refused.type is NotAllowed
    assert state_of(memory) == MemoryState.PROPOSED


def test_a_text_changed_since_it_was_read_is_not_kept(project, lead, requester):
    memory = proposed(project, TEXT, by=requester)
    read = memory.text_digest
    loaded = Memory.objects.get(pk=memory.pk)
    lessons.edit(memory, by=requester, content="Never ask for a review of refunds.")
    with pytest.raises(TransitionRefused, match="changed since you read it"):
        lessons.keep(Memory.objects.get(pk=memory.pk), by=lead, read=read)
    with pytest.raises(TransitionRefused):
        lessons.keep(loaded, by=lead, read=read)
    assert state_of(memory) == MemoryState.PROPOSED


def test_stranger_can_neither_propose_nor_edit_nor_pin(project, lead, stranger):
    with pytest.raises(NotAllowed):
        proposed(project, TEXT, by=stranger)
    memory = kept(project, TEXT, by=lead)
    with pytest.raises(NotAllowed):
        lessons.edit(memory, by=stranger, content="Other.")
    with pytest.raises(NotAllowed):
        lessons.pin(memory, pinned=True, by=stranger)


def test_lead_of_another_project_is_refused(project, lead, stranger):
    other = type(project).objects.create(slug="other", name="other", repository="/other.git")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    memory = proposed(project, TEXT, by=lead)
    with pytest.raises(NotAllowed):
        lessons.keep(memory, by=stranger)


def test_disabled_lead_is_refused(project, lead, second_lead):
    memory = proposed(project, TEXT, by=second_lead)
    lead.is_active = False
    lead.save()
    with pytest.raises(NotAllowed):
        lessons.keep(memory, by=lead)


def test_equal_statement_is_returned_not_doubled(project, lead, requester):
    first = proposed(project, TEXT, by=requester)
    assert proposed(project, "  round TAX once on the invoice total, half even", by=lead) == first
    lessons.keep(first, by=lead)
    assert proposed(project, TEXT, by=lead) == first
    assert Memory.objects.count() == 1


def test_equal_statement_for_another_agent_is_its_own_memory(project, lead):
    for_docs = proposed(project, TEXT, by=lead, agent_slug="tech-writer")
    for_code = proposed(project, TEXT, by=lead, agent_slug="coder")
    for_all = proposed(project, TEXT, by=lead)
    assert len({for_docs.pk, for_code.pk, for_all.pk}) == 3
    assert proposed(project, TEXT, by=lead, agent_slug="tester") == for_all


def test_equal_statement_of_another_project_is_its_own_memory(project, lead):
    other = type(project).objects.create(slug="other", name="other", repository="/other.git")
    Membership.objects.create(user=lead, project=other, role=Role.LEAD)
    assert proposed(project, TEXT, by=lead) != proposed(other, TEXT, by=lead)


@pytest.mark.django_db(transaction=True)
def test_eight_proposals_at_once_make_one_memory(project, lead):
    start, made = threading.Barrier(8), []

    def run() -> None:
        start.wait(10)
        made.append(proposed(project, TEXT, by=lead).pk)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 8
    assert len(set(made)) == 1 == Memory.objects.count()


def test_agents_proposal_is_quarantined_and_a_lead_releases_it(project, lead):
    memory = proposed(project, TEXT, by=None, source=Source.AGENT_PROPOSED)
    assert memory.state == MemoryState.QUARANTINED
    with pytest.raises(TransitionRefused):
        lessons.keep(memory, by=lead)
    lessons.release(memory, by=lead)
    lessons.keep(memory, by=lead)
    assert state_of(memory) == MemoryState.ACTIVE


def test_persons_words_are_not_absorbed_by_a_quarantined_twin(project, lead):
    quarantined = proposed(project, TEXT, by=None, source=Source.AGENT_PROPOSED)
    assert proposed(project, TEXT, by=lead) != quarantined


def test_only_an_agents_proposal_needs_no_person(project):
    with pytest.raises(NotAllowed):
        proposed(project, TEXT, by=None)


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("content", {"content": " "}),
        ("content", {"content": "x" * 601}),
        ("content", {"content": "half\u200b up"}),
        ("subject", {"subject": "x" * 201}),
        ("subject", {"subject": "a\0b"}),
        ("paths", {"paths": "docs/**"}),
        ("paths", {"paths": ["x" * 301]}),
        ("paths", {"paths": [f"{number}.md" for number in range(21)]}),
        ("paths", {"paths": [7]}),
        ("agent_slug", {"agent_slug": "x" * 61}),
        ("kind", {"kind": "rumour"}),
        ("source", {"source": "hearsay"}),
        ("source_label", {"source_label": "x" * 121}),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(project, lead, field, facts):
    with pytest.raises(InvalidInput) as refused:
        proposed(project, facts.pop("content", TEXT), by=lead, **facts)
    assert refused.value.field == field
    assert not Memory.objects.exists()


def test_edit_of_an_active_lesson_supersedes_it(project, lead, second_lead):
    old = kept(project, TEXT, by=lead, paths=["billing/**"], source_label="your reject of T-1")
    new = lessons.edit(old, by=second_lead, content="Round tax once per invoice.")
    old.refresh_from_db()
    assert (old.state, old.superseded_by, old.content) == (MemoryState.SUPERSEDED, new, TEXT)
    assert old.valid_to is not None
    assert (new.state, new.approved_by, new.valid_to) == (MemoryState.ACTIVE, second_lead, None)
    assert (new.paths, new.source_label) == (["billing/**"], "your reject of T-1")
    assert MemoryLink.objects.get(source=new, target=old).kind == LinkKind.SUPERSEDES
    found = recall(project, query="Round tax once on the invoice total", agent_slug="coder")
    assert [each.memory for each in found] == [new]


def test_second_edit_of_the_same_version_is_refused(project, lead):
    memory = kept(project, TEXT, by=lead)
    stale = Memory.objects.get()
    lessons.edit(memory, by=lead, content="Round tax once per invoice.")
    with pytest.raises(TransitionRefused):
        lessons.edit(stale, by=lead, content="Round tax never.")
    assert Memory.objects.filter(state=MemoryState.ACTIVE).count() == 1


def test_proposer_edits_in_place_while_it_is_proposed(project, requester, lead):
    memory = proposed(project, TEXT, by=requester)
    assert lessons.edit(memory, by=requester, content="Round once.") == memory
    assert Memory.objects.get().content == "Round once."
    lessons.keep(memory, by=lead)
    with pytest.raises(NotAllowed):
        lessons.edit(memory, by=requester, content="Round twice.")


def test_edit_without_a_change_makes_no_version(project, lead):
    memory = kept(project, TEXT, by=lead)
    assert lessons.edit(memory, by=lead, content=f"  {TEXT} ") == memory
    assert Memory.objects.count() == 1


def test_edit_into_an_existing_statement_is_refused(project, lead):
    kept(project, TEXT, by=lead)
    memory = kept(project, "Something else.", by=lead)
    with pytest.raises(InvalidInput) as refused:
        lessons.edit(memory, by=lead, content=TEXT)
    assert refused.value.field == "content"
    assert state_of(memory) == MemoryState.ACTIVE


def test_edit_of_an_unknown_field_is_a_fault_of_the_caller(project, lead):
    with pytest.raises(TypeError):
        lessons.edit(kept(project, TEXT, by=lead), by=lead, approved_by=lead)


def test_retired_lesson_is_restored_by_a_lead_who_answers_for_it(project, lead, second_lead):
    memory = kept(project, TEXT, by=lead)
    lessons.retire(memory, by=lead)
    with pytest.raises(TransitionRefused):
        lessons.edit(memory, by=lead, content="Other.")
    lessons.restore(memory, by=second_lead)
    memory.refresh_from_db()
    assert (memory.state, memory.approved_by, memory.valid_to) == ("active", second_lead, None)


def test_admin_may_retire_and_forget_but_not_keep(project, lead, admin):
    memory = proposed(project, TEXT, by=lead)
    with pytest.raises(NotAllowed):
        lessons.keep(memory, by=admin)
    lessons.retire(memory, by=admin)
    lessons.forget(memory, by=admin)
    assert state_of(memory) == MemoryState.ERASED


def test_forgotten_lesson_leaves_no_residue_in_any_text_column(project, lead):
    secret = "zanzibar"  # a word that is nowhere else
    memory = kept(
        project,
        f"Customers in {secret} pay no tax.",
        by=lead,
        subject=f"{secret} office",
        paths=[f"{secret}/**"],
        source_label=f"your reject about {secret}",
    )
    memory = lessons.edit(memory, by=lead, content=f"Customers in {secret} pay tax once.")
    found = recall(project, query=f"Tax of customers in {secret}", agent_slug="coder")
    record_uses(found, task=uuid.uuid4(), step=uuid.uuid4(), attempt=1, agent_slug="coder")
    assert columns_with(secret)
    lessons.forget(memory, by=lead)
    assert columns_with(secret) == []
    assert list(Memory.objects.values_list("state", flat=True)) == [MemoryState.ERASED] * 2
    assert MemoryEmbedding.objects.count() == MemoryLink.objects.count() == 0
    assert MemoryUse.objects.get().parts == {}
    assert acts()[-1] == "memory.forgotten"


def columns_with(word):
    """Every column of every table that holds the word in any form."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public'"
        )
        columns = cursor.fetchall()
        found = []
        for table, column in columns:
            query = f'SELECT 1 FROM "{table}" WHERE "{column}"::text ILIKE %s LIMIT 1'  # noqa: S608 - names from the catalogue
            cursor.execute(query, [f"%{word[:7]}%"])
            found += [(table, column)] if cursor.fetchone() else []
    return found


def test_forgetting_twice_is_refused_and_nothing_more_can_happen(project, lead):
    memory = kept(project, TEXT, by=lead)
    lessons.forget(memory, by=lead)
    for act in (lessons.forget, lessons.keep, lessons.retire, lessons.restore):
        with pytest.raises(TransitionRefused):
            act(memory, by=lead)
    with pytest.raises(TransitionRefused):
        lessons.edit(memory, by=lead, content="Back again.")


def test_statement_that_was_forgotten_may_be_proposed_anew(project, lead):
    forgotten = kept(project, TEXT, by=lead)
    lessons.forget(forgotten, by=lead)
    assert proposed(project, TEXT, by=lead) != forgotten


def test_failed_act_leaves_no_audit_entry(project, lead):
    memory = kept(project, TEXT, by=lead)
    stale = Memory.objects.get()
    lessons.forget(memory, by=lead)
    before = acts()
    with pytest.raises(TransitionRefused):
        lessons.retire(stale, by=lead)
    assert acts() == before


def test_missing_vectors_are_built_once(project, lead):
    kept(project, TEXT, by=lead)
    proposed(project, "Only proposed.", by=lead)
    assert ensure_embeddings(project) == 1
    assert ensure_embeddings(project) == 0
    assert MemoryEmbedding.objects.get().dimensions == 256


def test_a_memory_forgotten_while_its_vector_was_built_gets_none(project, lead):
    memory = kept(project, TEXT, by=lead)
    built = embedder.current().embed([TEXT])[0]
    lessons.forget(memory, by=lead)
    embedder._write(embedder.current(), {memory.pk: built})
    assert not MemoryEmbedding.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_build_vectors_at_once_do_not_disturb_each_other(project, lead):
    for number in range(20):
        kept(project, f"Lesson number {number} about tax.", by=lead)
    start, failed = threading.Barrier(4), []

    def run() -> None:
        try:
            start.wait(10)
            ensure_embeddings(project)
        except Exception as error:  # noqa: BLE001 - reported by the assertion below
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    assert MemoryEmbedding.objects.count() == 20
