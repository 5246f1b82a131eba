"""A change whose file is in git: its lines, and its name, are what an agent wrote."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from approvals import sealing
from tests.approval_fixtures import make_change

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from approvals.models import Approval
    from projects.models import Project, User

_LONGEST = 200  # bytes of a file's name


def change_of(
    project: Project, requester: User, folder: Path, texts: Sequence[str]
) -> tuple[Approval, str]:
    """Seal a change of one file that holds these texts, named like the first; return its path."""
    path = f"docs/{_name(texts[0])}.md"
    proposal = make_change(project, requester, folder, texts={path: words_of(texts)})
    approval = sealing.seal(proposal)
    return approval, approval.snapshot["files"][0]["path"]


def _name(text: str) -> str:
    """Return a text as a file may be called; one with control characters is refused to agents."""
    kept = "".join(each for each in text if unicodedata.category(each) != "Cc")
    return kept.replace("/", "\u2044").encode()[:_LONGEST].decode(errors="ignore")


def words_of(texts: Sequence[str]) -> str:
    """Return texts as the lines of a file."""
    return "\n".join([*texts, ""])


def edit_page(approval: Approval, path: str) -> str:
    """Return where a file of a change is edited."""
    where = f"/review/{approval.task.label}/r{approval.proposal.round}"
    return f"{where}/edit?{urlencode({'path': path})}"


class Field(HTMLParser):
    """What the one large field of a page holds, as a browser would put it there."""

    def __init__(self, page: str, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name, self.text, self._within = name, "", False
        self.feed(page)
        self.close()
        self.text = self.text.removeprefix("\n")  # the first one is not part of it

    def handle_starttag(self, tag, attrs):
        self._within = tag == "textarea" and dict(attrs).get("name") == self.name

    def handle_endtag(self, tag):
        self._within = False

    def handle_data(self, data):
        self.text += data if self._within else ""
