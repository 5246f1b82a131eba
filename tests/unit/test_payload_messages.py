"""What leaves as text, to mail, chats, webhooks and terminals: inert, and nothing in it is hidden."""

from __future__ import annotations

import io
import re

import pytest
from django.utils import timezone
from rich.console import Console

from agents.models import Task
from countersign.terminal import watching
from notices import messages, moments
from notices.models import Kind, Notice
from projects.models import Project
from tests.payloads.drawn import unmarked
from tests.payloads.hidden import CLASSES, code
from tests.payloads.payloads import PAYLOADS

# A message is one line of each text, so what ends a line is a space in it.
SEEN = {name: each for name, each in CLASSES.items() if not each.isspace()}
LINK = re.compile(r"(?i)\w://|www\.|mailto:\w")


def notice_of(text: str) -> Notice:
    project = Project(slug="acme-billing", name=text)
    task = Task(number=12, title=text, request="Fix it", project=project)
    facts = {"verdict": "approve", "by": text[:100], "state": text}
    row = {"type": moments.DECIDED, "kind": Kind.OUTCOME, "at": timezone.now(), "facts": facts}
    return Notice(project=project, task=task, **row)


def sent(text: str) -> dict[str, str]:
    notice = notice_of(text)
    subject, body = messages.email(notice)
    made = {"chat": messages.chat(notice), "webhook": messages.standard(notice)}
    return {"subject": subject, "mail": body, **{name: of.decode() for name, of in made.items()}}


@pytest.mark.parametrize("character", SEEN.values(), ids=SEEN)
def test_each_class_is_marked_in_each_message(character):
    for name, text in sent(f"p{character}y").items():
        assert code(character) in text, name
        assert unmarked(text) == set(), name


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_mail_links_to_our_pages_only(text):
    for name, said in sent(text).items():
        assert unmarked(said) == set(), name
        if name in {"subject", "mail"}:
            assert not LINK.search(said.replace("http://localhost:8000/", "")), said


@pytest.mark.parametrize("text", [*PAYLOADS, *(f"p{each}y" for each in CLASSES.values())])
def test_a_terminal_is_told_nothing_to_do(text):
    plan = {"steps": [{"id": "1", "round": 1, "agent": text, "title": text, "state": "leased"}]}
    facts = {"label": "T-1", "state": "failed", "rehearsal": False, "links": {"console": "/t"}}
    progress = watching.Progress({**facts, "title": text, "plan": plan, "reason": text})
    for kind, data in (("escalation.raised", {"detail": text}), ("step.started", {})):
        frame = {"kind": kind, "data": data, "step": "1", "seq": 1}
        progress.note({"kind": "delta", "step": "1", "offset": 0, "text": text})
        out = io.StringIO()
        console = Console(file=out, width=500, height=50, color_system=None)
        console.print(watching._line(frame, progress), soft_wrap=True)
        console.print(progress.table())
        watching._close(progress, console)
        assert unmarked(out.getvalue()) == set()
