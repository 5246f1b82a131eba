"""What leaves the house: the bodies of webhooks, chat messages and e-mails.

A message holds our words, names of people, and the title of a task, which is untrusted. No request,
no arguments, no diff and no error text: those are on the page that the link opens.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from notices import words
from projects.characters import plain

if TYPE_CHECKING:
    from notices.models import Notice

LONGEST_TITLE = 120


def title_of(notice: Notice) -> str:
    """Return the task's title in one short line, hidden characters shown."""
    return _short(notice.task.title) if notice.task else ""


def standard(notice: Notice) -> bytes:
    """Return the JSON of a signed webhook, as the Standard Webhooks specification lays it out."""
    task = notice.task
    data = {
        "project": notice.project.slug,
        "task": {"id": str(task.pk), "number": task.number, "title": title_of(notice)}
        if task
        else None,
        "approval": str(notice.approval_id) if notice.approval_id else None,
        "call": str(notice.call_id) if notice.call_id else None,
        "said": _said(notice),
        "url": words.address(notice),
        **_facts(notice),
    }
    body = {"type": notice.type, "timestamp": notice.at.isoformat(), "data": data}
    return json.dumps(body, ensure_ascii=False).encode()


def chat(notice: Notice) -> bytes:
    """Return the JSON of a chat message, as Slack's incoming webhooks and those like them take it."""
    said = inert(_said(notice))
    where = inert(_short(notice.project.name))
    text = f"<{words.address(notice)}|{_label(notice)}> in {where}: *{said}*"
    if title := inert(title_of(notice)):
        text += f"\n{title}"
    body = {"text": text, "unfurl_links": False, "unfurl_media": False}
    return json.dumps(body, ensure_ascii=False).encode()


def email(notice: Notice) -> tuple[str, str]:
    """Return the subject and the plain text of an e-mail."""
    said, title = _unlinked(_said(notice)), _unlinked(title_of(notice))
    subject = f"[{_unlinked(_short(notice.project.name))}] {_label(notice)}: {said}"
    choose = f"Choose what you are written about: {words.settings_address()}"
    parts = [
        f"{said}.",
        f"{_label(notice)} {title}".strip(),
        f"Open it: {words.address(notice)}",
        f"The page shows what was done; nothing is decided by opening it. {choose}",
    ]
    return subject, "\n\n".join(parts) + "\n"


def inert(text: str) -> str:
    """Return untrusted text as a chat shows it and does nothing with it.

    Slack reads <…> and &; others like it also @names, Markdown links and bare addresses.
    """
    text = _unlinked(text).replace("](", "] (")
    text = re.sub(r"[*_~`|]", lambda match: _LIKE[match[0]], text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unlinked(text: str) -> str:
    """Return untrusted text in which no reader of mail or chat finds an address to link.

    They link `evil.com/login` and `a@evil.com` too, and which endings are names of domains nobody
    knows for long: `setup.sh`, `README.md` and `archive.zip` are. So every dot before a letter becomes
    one that looks like it, which leaves a file's name to be read, and versions as they are.
    """
    text = re.sub(r"(?i)(?:(?<=\w):(?=//)|(?<=mailto):)", "[:]", text)
    return _DOT_OF_A_NAME.sub("\u2024", text.replace("@", "\uff20"))


_DOT_OF_A_NAME = re.compile(r"(?<=[^\s.])\.(?=[^\W\d_])")
# What would format is shown by a character that looks like it.
_LIKE = {"*": "\u2217", "_": "\uff3f", "~": "\u223c", "`": "\u02cb", "|": "\u2223"}


def _said(notice: Notice) -> str:
    return _short(words.sentence(notice))  # it may begin with somebody's name


def _label(notice: Notice) -> str:
    return notice.task.label if notice.task else "Countersign"


def _facts(notice: Notice) -> dict[str, Any]:
    return {
        name: plain(value) if isinstance(value, str) else value
        for name, value in notice.facts.items()
        if name in _PUBLIC
    }


_PUBLIC = frozenset({"by", "verdict", "state", "failed", "effect", "rule", "share", "until"})


def _short(text: str) -> str:
    line = plain(" ".join(text.split()))
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"
