"""What leaves the house: inert in every chat, short, and without anything but words of ours."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.utils import timezone

from agents.models import Task
from agents.models.tasks import Rule
from notices import messages, moments, words
from notices.models import Kind, Notice
from projects.models import Project

HOSTILE = [
    "<!channel> look",
    "<!here|here>",
    "<!everyone>",
    "<!subteam^S123>",
    "<@U024BE7LH> sign this",
    "<#C024BE7LR>",
    "<https://evil.test|Approve>",
    "<mailto:x@evil.test|mail>",
    "<javascript:alert(1)|x>",
    "https://evil.test/pixel.png",
    "HTTP://evil.test",
    "www.evil.test/approve",
    "slack://open?team=1",
    "[Approve](https://evil.test/approve)",
    "![x](https://evil.test/pixel.png)",
    "[Approve](//evil.test)",
    "mailto:root@evil.test",
    "evil.com/login",
    "sign at evil.com.",
    "(evil.com)",
    "evil.com:8443/x?y=1",
    "10.2.evil.xn--p1ai",
    "evil-.com _evil.com",
    "\u00fcbel.\u0440\u0444/login",
    "README.md setup.sh archive.zip main.py",
    "root@evil.com",
    "root@localhost",
    "done.Open evil.com,now",
    "@channel @here @all @everyone",
    "*bold* _italic_ ~gone~ `code` ```block```",
    "||spoiler||",
    "&lt;!channel&gt;",
    "&amp;lt;!channel&amp;gt;",
    "line one\n<!channel>\r\n# heading",
    "a\u202eb\u200bc\u2066d",
    "\x00\x1b[31mred",
    "x" * 5_000,
    "> quoted",
    ":rotating_light: :tada:",
]


def notice_of(title: str, **facts: object) -> Notice:
    project = Project(slug="acme-billing", name=facts.pop("name", "acme/billing"))
    task = Task(number=12, title=title, request="SECRET REQUEST", project=project)
    row = {"type": moments.DECIDED, "kind": Kind.OUTCOME, "at": timezone.now()}
    return Notice(project=project, task=task, **{**row, **facts})


def texts_of(notice: Notice) -> str:
    sent = json.loads(messages.chat(notice))
    assert set(sent) == {"text", "unfurl_links", "unfurl_media"}
    assert sent["unfurl_links"] is sent["unfurl_media"] is False
    return sent["text"]


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("where", ["title", "name", "by"])
def test_a_chat_message_holds_one_link_and_it_is_ours(title, where):
    facts = {"verdict": "approve", "by": "Dana Kim"}
    if where == "by":
        facts["by"] = title[:80]
    more = {"name": title} if where == "name" else {}
    text = texts_of(notice_of(title if where == "title" else "Fix it", facts=facts, **more))
    assert re.findall(r"<[^>]*>", text) == ["<http://localhost:8000/tasks/T-12|T-12>"]
    rest = text.replace("<http://localhost:8000/tasks/T-12|T-12>", "")
    assert "<" not in rest
    assert ">" not in rest
    # Whoever decodes the entities once more finds no mention, and nothing a Markdown chat would link.
    for shown in (rest, html.unescape(rest)):
        assert not re.search(r"@\w", shown)
        assert "](" not in shown
        assert "://" not in shown
        assert not re.search(r"(?i)\bwww\.|mailto:\w", shown)
        assert not re.search(r"[^\s.]\.[^\W\d_]", shown)
    assert rest.count("*") == 2  # ours
    assert not re.search(r"[_~`|\x00-\x09\x0b-\x1f\u200b\u202e\u2066]", rest)
    assert len(text) < 700
    assert len(text.splitlines()) == 2


def test_only_an_ampersand_begins_an_entity():
    assert messages.inert("a & b < c > d") == "a &amp; b &lt; c &gt; d"
    assert messages.inert("&lt;") == "&amp;lt;"


@pytest.mark.parametrize("title", HOSTILE)
def test_an_email_is_plain_text_with_links_of_ours(title):
    subject, text = messages.email(notice_of(title, facts={"verdict": "reject", "by": "Dana"}))
    assert len(subject.splitlines()) == 1
    assert len(subject) < 300
    assert "Open it: http://localhost:8000/tasks/T-12" in text
    assert "SECRET" not in text
    assert "@" not in subject + text
    assert not re.search(r"[^\s.]\.[^\W\d_]", subject + text)
    assert text.count("://") == 2  # ours


def test_files_and_versions_read_as_they_are_called():
    text = messages.inert("Fix e.g. setup.sh in v1.2.3, .gitignore and so on...and 3.5")
    assert text == "Fix e\u2024g. setup\u2024sh in v1.2.3, .gitignore and so on...and 3.5"


@pytest.mark.parametrize("make", [messages.chat, messages.standard, messages.email])
def test_no_message_holds_more_of_a_task_than_its_title(make):
    facts = {"by": "Dana", "verdict": "reject", "arguments": "SECRET", "reason": "SECRET"}
    assert "SECRET" not in str(make(notice_of("Fix it", facts=facts)))


def test_every_kind_of_event_has_words_and_a_symbol():
    for kind in moments.HEARD - {moments.RESOLVED, moments.CALL_DECIDED, moments.SIGNED}:
        said = words.sentence(notice_of("Fix it", type=kind))
        assert said
        assert said != "Something happened"
        assert not said.endswith((".", "!"))


def test_every_rule_of_an_escalation_has_its_sentence():
    for rule in Rule:
        notice = notice_of("Fix it", type=moments.RAISED, facts={"rule": rule.value})
        assert words.sentence(notice) == f"Needs a person: {rule.label.lower()}"
