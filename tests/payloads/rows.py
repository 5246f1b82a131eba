"""Writes a text into every column of every table that can hold it, as whoever got hold of one would."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, connection, models, transaction

from projects import audit
from projects.models import AuditEntry, Project, User

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLOORS = ("projects", "memory", "agents", "approvals", "notices")
# Words of the house, keys, hashes and what is locked away; nobody writes them who is not one of us.
_OURS = frozenset(
    {
        *("action", "kind", "type", "rule", "transport", "style", "zone", "theme", "codename"),
        *("password", "secret", "address", "mark", "key", "nonce", "digest", "tree", "model"),
        *("username", "host", "result_commit", "base_commit", "head_commit", "repository"),
        *("object_type", "object_id", "previous_digest", "fingerprint", "scopes", "kinds"),
        *("options", "colour", "icon"),
    }
)

_AS_JSON = frozenset({"arguments", "schema", "edited", "patterns"})  # a text that holds JSON

# Names of JSON members that hold free text, even where it looks like a word of the house.
_FREE = frozenset(
    {
        *("path", "old_path", "title", "text", "note", "name", "by", "requester", "branch", "said"),
        *("quote", "section", "server", "target", "tool", "description", "reason", "answer"),
    }
)
_OF_THE_HOUSE = re.compile(r"[a-z0-9_.:/+-]*|\d.*|cs[.:]\S*", re.DOTALL)
_WORDS = frozenset({"label"})  # T-12
# Columns a rule of the database keeps such texts out of, and what it takes there.
_KEPT_OUT = {
    "approvals.Comment.anchor": "a hash in hexadecimal, or nothing",
    "approvals.Comment.quote": "nothing, but where the comment is on a line: there it is written",
}
# What a column holds only together with another.
_TOGETHER = {"agents.Proposal.raised_why": {"raised_to": "high"}}
_SHAPED = frozenset({"limits", "input_schema"})  # take no member they do not know


def write_everywhere(texts: Sequence[str]) -> None:
    """Replace every text of every row; only the columns of `_KEPT_OUT` may stay as they are.

    Each column begins with another text, because short ones hold but the first.
    """
    refused: dict[str, str] = {}
    for at, field in enumerate(_fields()):
        turned = [*texts[at % len(texts) :], *texts[: at % len(texts)]]
        for number, row in enumerate(field.model._base_manager.order_by("pk")):
            value = _written(field, getattr(row, field.attname), " ".join(turned), number)
            if value is not None and (why := _update(field, row, value)):
                refused[_name_of(field)] = why
    _enter(" ".join(texts))
    assert refused.keys() <= _KEPT_OUT.keys(), refused


def _enter(text: str) -> None:
    """Enter the text in the audit log as the product does: nobody changes an entry, whatever they are."""
    person = User.objects.order_by("pk").first()
    if person is not None:
        person.username = text[:150]
        project = Project.objects.order_by("pk").first()
        audit.record(
            "person.looked", subject=person, actor=person, project=project, said=text, facts=[text]
        )


def log_of(user: User, text: str, rows: list[models.Model]) -> None:
    """Write what the admin's history tells of rows."""
    for row in rows:
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=text[:200],
            action_flag=CHANGE,
            change_message=text,
        )


def _fields() -> Iterator[Any]:
    for model in apps.get_models():
        if model._meta.app_label in FLOORS and model is not AuditEntry:
            for field in model._meta.concrete_fields:
                if not field.primary_key and not field.choices and field.name not in _OURS:
                    yield field


def _written(field: Any, now: Any, text: str, number: int) -> Any:
    if isinstance(field, models.JSONField):
        return _within({"said": "-", **now} if _takes_more(field, now) else now, text)
    if isinstance(field, ArrayField):
        longest = getattr(field.base_field, "max_length", None)
        texts = isinstance(field.base_field, models.CharField | models.TextField)
        return [text[:longest]] if texts and not field.base_field.choices else None
    if field.name in _AS_JSON:
        return _json_of(now, text) if now else None
    if isinstance(field, models.CharField | models.TextField) and not isinstance(
        field, models.SlugField
    ):
        ending = f"{number:03}"  # as long on each row, so that no cut text is another's
        return text[: (field.max_length or 9_000) - len(ending)] + ending
    return None


def _takes_more(field: Any, now: Any) -> bool:
    return isinstance(now, dict) and field.name not in _SHAPED


def _within(now: Any, text: str, key: str = "") -> Any:
    """Replace the texts inside a JSON value; keys, words of the house, hashes and dates stay."""
    if isinstance(now, dict):
        return {name: _within(value, text, name) for name, value in now.items()}
    if isinstance(now, list):
        return [_within(value, text, key) for value in now]
    if not isinstance(now, str) or not now or key in _WORDS:
        return now
    if key in _AS_JSON:
        return _json_of(now, text)
    return text if key in _FREE or not _OF_THE_HOUSE.fullmatch(now) else now


def _json_of(now: str, text: str) -> str:
    """Replace the texts inside a JSON text, and add a member: its name is the agent's word, too."""
    made = _within(json.loads(now), text, "text")
    return json.dumps({**made, text[:200]: _like(made, text)}, ensure_ascii=False)


def _like(made: dict[str, Any], text: str) -> Any:
    """Return a value as the other members have: a pattern where those are patterns."""
    patterns = any(isinstance(each, dict) and "kind" in each for each in made.values())
    return {"kind": "prefix", "value": text} if patterns else text


def _update(field: Any, row: models.Model, value: Any) -> str:
    """Write the value past every trigger; return why the database refuses it, or nothing."""
    together = _TOGETHER.get(_name_of(field), {})
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            changed = field.model._base_manager.filter(pk=row.pk)
            changed.update(**{field.name: models.Value(value, output_field=field)}, **together)
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    except (DatabaseError, ValueError) as error:
        return str(error)
    return ""


def _name_of(field: Any) -> str:
    return f"{field.model._meta.label}.{field.name}"
