"""What people do with memories: propose, keep, edit, retire, restore, forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.utils import timezone

from memory import texts
from memory.lifecycle import MOVES, MemoryState
from memory.models import Kind, LinkKind, Memory, MemoryLink, Source
from projects import audit, transitions
from projects.access import require_lead, require_member
from projects.exceptions import InvalidInput, NotAllowed, TransitionRefused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

    from projects.models import Project, User

_LOCK = 0x0C5A0D18  # with the project: one writer of new memories at a time
MAX_PATHS = 20
_SHARED_FACTS = (
    "project_id",
    "owner_id",
    "tags",
    "source",
    "source_task",
    "source_approval",
    "source_label",
    "evidence",
    "importance",
    "pinned",
    "proposed_by_id",
)


def propose(
    project: Project,
    *,
    content: str,
    source: str,
    kind: str = Kind.LESSON,
    agent_slug: str = "",
    subject: str = "",
    paths: Iterable[str] = (),
    source_task: uuid.UUID | None = None,
    source_approval: uuid.UUID | None = None,
    source_label: str = "",
    by: User | None,
    address: str | None = None,
) -> Memory:
    """Write down a memory that waits for a person; an equal one of the project is returned instead.

    What an agent proposes is quarantined. Raises InvalidInput by field, NotAllowed for strangers.
    """
    if by is not None:
        require_member(by, project)
    elif source != Source.AGENT_PROPOSED:
        raise NotAllowed("Only a person can propose this.")
    facts = _checked(
        content=content, agent_slug=agent_slug, subject=subject, paths=paths, kind=kind
    )
    if source not in Source.values:
        raise InvalidInput("source", f"There is no source {source!r}.")
    from_agent = source == Source.AGENT_PROPOSED
    with transaction.atomic():
        _lock(project)
        if found := _equal(project, facts, from_agent=from_agent):
            return found
        memory = Memory.objects.create(
            project=project,
            source=source,
            source_task=getattr(source_task, "pk", source_task),
            source_approval=getattr(source_approval, "pk", source_approval),
            source_label=texts.clean_line(source_label, field="source_label", longest=120),
            proposed_by=by,
            importance=4 if source == Source.REVIEW_REJECT else 3,
            state=MemoryState.QUARANTINED if from_agent else MemoryState.PROPOSED,
            **facts,
        )
        _audit("proposed", memory, by, address)
    return memory


def release(memory: Memory, *, by: User, address: str | None = None) -> None:
    """Let a quarantined memory be judged like any proposal; only a lead."""
    _require_keeper(memory, by)
    with transaction.atomic():
        transitions.move(memory, MemoryState.PROPOSED, moves=MOVES)
        _audit("released", memory, by, address)


def keep(memory: Memory, *, by: User, read: str = "", address: str | None = None) -> Memory:
    """Make a proposed memory active; only a lead. Keeping an active one changes nothing.

    `read` is the digest of the text the person had before them; raises TransitionRefused when the
    memory says something else by now.
    """
    _require_keeper(memory, by)
    if read and read != memory.text_digest:
        raise TransitionRefused("This memory was changed since you read it. Read it again.")
    if memory.state == MemoryState.ACTIVE:
        return memory
    if memory.state == MemoryState.RETIRED:
        restore(memory, by=by, address=address)
        return memory
    _activate(memory, by=by, act="kept", address=address)
    return memory


def retire(memory: Memory, *, by: User, address: str | None = None) -> None:
    """Stop recalling a memory but keep it; a lead or an admin."""
    _require_caretaker(memory, by)
    with transaction.atomic():
        transitions.move(memory, MemoryState.RETIRED, moves=MOVES, valid_to=timezone.now())
        _audit("retired", memory, by, address)


def restore(memory: Memory, *, by: User, address: str | None = None) -> None:
    """Recall a retired memory again; only a lead, who answers for it from now on."""
    _require_keeper(memory, by)
    if memory.state != MemoryState.RETIRED:
        raise TransitionRefused(f"This memory is {memory.state}; only a retired one is restored.")
    _activate(memory, by=by, act="restored", address=address)


def pin(memory: Memory, *, pinned: bool, by: User, address: str | None = None) -> None:
    """Put an active memory into every fitting prompt's first place, or not; only a lead."""
    _require_keeper(memory, by)
    with transaction.atomic():
        found = Memory.objects.filter(pk=memory.pk).exclude(state=MemoryState.ERASED)
        if found.exclude(pinned=pinned).update(pinned=pinned):
            _audit("pinned" if pinned else "unpinned", memory, by, address)
    memory.pinned = pinned


def edit(memory: Memory, *, by: User, address: str | None = None, **changes: Any) -> Memory:
    """Change content, subject, paths or agent_slug and return the memory that now says so.

    A proposed memory is changed in place (by a lead or by who proposed it). An active one is
    superseded by a new version in one transaction (only by a lead). Raises InvalidInput.
    """
    _require_editor(memory, by)
    facts = _checked(**{**_statement(memory), **changes})
    if facts == {**_statement(memory), "text_digest": memory.text_digest}:
        return memory
    with transaction.atomic():
        _lock(memory.project)
        same = _equal(memory.project, facts, from_agent=False, owner=memory.owner_id)
        if same is not None and same.pk != memory.pk:
            raise InvalidInput("content", f"This project already has this memory ({same.state}).")
        if memory.state == MemoryState.PROPOSED:
            return _rewrite(memory, facts, by=by, address=address)
        return _supersede(memory, facts, by=by, address=address)


def forget(memory: Memory, *, by: User, address: str | None = None) -> None:
    """Erase a memory and its older versions for good; the rows only answer that it was forgotten.

    Content, vectors, links and the details of its uses go in one transaction. Twice is refused.
    """
    _require_caretaker(memory, by)
    if memory.state == MemoryState.ERASED:
        raise TransitionRefused("This memory was already forgotten.")
    with transaction.atomic():
        older = _older_versions(memory)
        for row in (memory, *older):
            _erase(row)
        _audit("forgotten", memory, by, address, versions=1 + len(older))


def _checked(
    *, content: str, agent_slug: str, subject: str, paths: Iterable[str], kind: str
) -> dict[str, Any]:
    if kind not in Kind.values:
        raise InvalidInput("kind", f"There is no kind {kind!r}; use {', '.join(Kind.values)}.")
    if isinstance(paths, str) or len(globs := list(paths)) > MAX_PATHS:
        raise InvalidInput("paths", f"Give a list of at most {MAX_PATHS} globs.")
    lines = (texts.clean_line(glob, field="paths", longest=300) for glob in globs)
    text = texts.clean(content)
    return {
        "content": text,
        "text_digest": texts.digest_of(text),
        "agent_slug": texts.clean_line(agent_slug, field="agent_slug", longest=60),
        "subject": texts.clean_line(subject, field="subject", longest=200),
        "paths": [line for line in dict.fromkeys(lines) if line],
        "kind": str(kind),
    }


def _statement(memory: Memory) -> dict[str, Any]:
    return {
        "content": memory.content,
        "agent_slug": memory.agent_slug,
        "subject": memory.subject,
        "paths": memory.paths,
        "kind": memory.kind,
    }


def _lock(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, str(project.pk)])


def _equal(
    project: Project, facts: dict[str, Any], *, from_agent: bool, owner: Any = None
) -> Memory | None:
    # A person's own words are never absorbed by a quarantined twin.
    states = [MemoryState.ACTIVE, MemoryState.PROPOSED, MemoryState.RETIRED]
    return (
        Memory.objects.filter(
            project=project,
            owner=owner,
            kind=facts["kind"],
            text_digest=facts["text_digest"],
            agent_slug__in=("", facts["agent_slug"]),
            state__in=[*states, MemoryState.QUARANTINED] if from_agent else states,
        )
        .select_related("project")
        .order_by("state", "pk")  # active first
        .first()
    )


def _activate(memory: Memory, *, by: User, act: str, address: str | None) -> None:
    with transaction.atomic():
        # Of the text that was read: who proposed it may have changed it in the meantime.
        transitions.move(
            memory,
            MemoryState.ACTIVE,
            moves=MOVES,
            guard={"content": memory.content},
            approved_by=by,
            approved_at=timezone.now(),
            valid_to=None,
        )
        _audit(act, memory, by, address)


def _rewrite(memory: Memory, facts: dict[str, Any], *, by: User, address: str | None) -> Memory:
    found = Memory.objects.filter(pk=memory.pk, state=MemoryState.PROPOSED)
    if not found.update(**facts):
        raise TransitionRefused("Somebody decided on this memory in the meantime.")
    memory.refresh_from_db()
    _audit("edited", memory, by, address)
    return memory


def _supersede(memory: Memory, facts: dict[str, Any], *, by: User, address: str | None) -> Memory:
    new = Memory.objects.create(
        **{name: getattr(memory, name) for name in _SHARED_FACTS} | facts,
        state=MemoryState.ACTIVE,
        approved_by=by,
        approved_at=timezone.now(),
    )
    transitions.move(
        memory, MemoryState.SUPERSEDED, moves=MOVES, valid_to=timezone.now(), superseded_by=new
    )
    MemoryLink.objects.create(source=new, target=memory, kind=LinkKind.SUPERSEDES)
    new.refresh_from_db()
    _audit("edited", new, by, address, supersedes=str(memory.pk))
    return new


def _older_versions(memory: Memory) -> list[Memory]:
    found: list[Memory] = []
    front = [memory.pk]
    while front:
        rows = list(
            Memory.objects.filter(superseded_by__in=front).exclude(state=MemoryState.ERASED)
        )
        found += rows
        front = [row.pk for row in rows]
    return found


def _erase(memory: Memory) -> None:
    transitions.move(
        memory,
        MemoryState.ERASED,
        moves=MOVES,
        content="",
        text_digest="",
        subject="",
        tags=[],
        paths=[],
        evidence=[],
        source_label="",
        pinned=False,
        valid_to=timezone.now(),
    )
    memory.embeddings.all().delete()
    MemoryLink.objects.filter(source=memory).delete()
    MemoryLink.objects.filter(target=memory).delete()
    memory.uses.update(parts={})


def _require_editor(memory: Memory, by: User) -> None:
    if memory.state not in {MemoryState.PROPOSED, MemoryState.ACTIVE}:
        raise TransitionRefused(f"This memory is {memory.state} and can no longer be edited.")
    mine = memory.proposed_by_id == by.pk and memory.state == MemoryState.PROPOSED
    if mine:
        require_member(by, memory.project)
    else:
        _require_keeper(memory, by)


def _require_keeper(memory: Memory, by: User) -> None:
    """A lead; but a private memory is its owner's alone."""
    if memory.owner_id is None:
        require_lead(by, memory.project)
        return
    require_member(by, memory.project)
    if memory.owner_id != by.pk:
        raise NotAllowed("This memory is private; only its owner can change it.")


def _require_caretaker(memory: Memory, by: User) -> None:
    if not (by.is_active and by.is_superuser):
        _require_keeper(memory, by)


def _audit(act: str, memory: Memory, by: User | None, address: str | None, **detail: Any) -> None:
    # Never the text: the audit log cannot be erased.
    audit.record(
        f"memory.{act}",
        subject=memory,
        actor=by,
        project=memory.project,
        address=address,
        **detail,
    )
