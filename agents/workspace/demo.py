"""The bundled repository: a small billing service with a bug, stale docs and a hidden character."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agents.grants import offered_as
from agents.workspace.git import Store
from agents.workspace.listings import TreeEntry

CONTENT = Path(__file__).with_name("demo_repository")
CHECKS_COMMAND = "python -m unittest discover -s tests -t . -v"
_BRANCH = "refs/heads/main"
_WRITTEN_AT = datetime(2026, 1, 17, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An exact replacement that the rehearsal makes in one file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The story that can be rehearsed on the bundled repository, and how a request selects it."""

    keywords: tuple[frozenset[str], ...]  # one word of each group must be in the request
    example: str
    search: str  # what the tech writer looks for, and says is gone
    unchanged: str  # what the coder says it left alone
    hidden: tuple[str, int]  # path and line of the hidden character
    fix: tuple[Edit, ...]
    cover: tuple[Edit, ...]
    describe: tuple[Edit, ...]
    reworded: str  # the line with the hidden character, as round two writes it

    def fits(self, request: str) -> bool:
        """Tell whether a request asks for this story."""
        return _says(request, self.keywords)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminders:
    """The story whose agent calls a tool outside, and what that tool is."""

    keywords: tuple[frozenset[str], ...]
    example: str
    server: str
    tool: str

    @property
    def offered(self) -> str:
        """The name by which a model calls the tool."""
        return offered_as(self.server, self.tool)

    def fits(self, request: str) -> bool:
        """Tell whether a request asks for this story."""
        return _says(request, self.keywords)


def _says(request: str, keywords: tuple[frozenset[str], ...]) -> bool:
    words = {word.strip(".,:;!?&()'\"").casefold() for word in request.split()}
    return all(words & group for group in keywords)


SCENARIO = Scenario(
    keywords=(
        frozenset({"fix", "repair", "correct", "mend", "solve"}),
        frozenset({"billing", "rounding", "tax", "invoice", "invoices"}),
        frozenset({"bug", "error", "fault", "rounding", "test", "tax"}),
        frozenset({"docs", "doc", "documentation", "document"}),
    ),
    example="Fix the billing bug & update docs",
    search="half up",
    unchanged="billing/refunds.py",
    hidden=("docs/rounding.md", 12),
    fix=(
        Edit(
            path="billing/invoice.py",
            old="from decimal import ROUND_HALF_UP, Decimal\n",
            new="from decimal import Decimal\n",
        ),
        Edit(
            path="billing/invoice.py",
            old='''        """Return the tax of the whole invoice."""
        return sum((to_cents(line.tax(), ROUND_HALF_UP) for line in self.lines), ZERO)
''',
            new='''        """Return the tax of the whole invoice, rounded once on its total, half to even."""
        return to_cents(sum((line.tax() for line in self.lines), ZERO))
''',
        ),
    ),
    cover=(
        Edit(
            path="tests/test_invoice.py",
            old="""        self.assertEqual(invoice.tax(), Decimal("0.32"))
""",
            new="""        self.assertEqual(invoice.tax(), Decimal("0.32"))

    def test_a_tie_goes_to_the_even_cent(self) -> None:
        self.assertEqual(Invoice("7", (pencil(),)).tax(), Decimal("0.10"))
        self.assertEqual(Invoice("8", (pencil(3),)).tax(), Decimal("0.32"))
""",
        ),
    ),
    describe=(
        Edit(
            path="docs/rounding.md",
            old="Tax is rounded half up on every line, and the invoice shows the sum of the rounded lines.",
            new="Tax is rounded once, half to even, on the total of the invoice; lines keep their exact tax.",
        ),
        Edit(
            path="docs/rounding.md",
            old="""The exact tax of each line is 0.105 and is
shown as 0.11, so the tax of the invoice is 0.33.""",
            new="""The exact tax of each line is 0.105,
together 0.315, so the tax of the invoice is 0.32.""",
        ),
    ),
    reworded="A tie, an amount that ends in exactly half a cent, goes to the even cent.",
)

REMINDERS = Reminders(
    keywords=(
        frozenset({"remind", "reminder", "reminders"}),
        frozenset({"customer", "customers", "invoice", "invoices"}),
    ),
    example="Remind customers of open invoices",
    server="reminders",
    tool="remind",
)


def create_demo_repository(path: Path) -> Path:
    """Make the bundled bare repository with its main branch; the same commit every time.

    Twice: an existing repository is left as it is, whatever was merged into it since.
    """
    if (path / "HEAD").exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    _draft(path).git_dir.rename(path)
    return path


def reset_demo_repository(path: Path) -> tuple[str, str]:
    """Set main back to the first commit, whatever was merged; return where it was and is.

    Raises MainMoved when something is merged meanwhile, RepositoryUnreachable, NoSuchBranch.
    """
    draft = _draft(path)
    try:
        before, first = draft.main_now(), (draft.git_dir / _BRANCH).read_text().strip()
        if before != first:
            draft.remote.push(draft.git_dir, first, expected=before)
    finally:
        shutil.rmtree(draft.git_dir)
    return before, first


def _draft(path: Path) -> Store:
    """Make the repository beside `path`, with the same commit every time."""
    draft = Store(path.with_name(f".{uuid.uuid4().hex}"), repository=str(path), main="main")
    draft.create()
    files = sorted(
        each for each in CONTENT.rglob("*") if each.is_file() and "__pycache__" not in each.parts
    )
    blobs = draft.write_blobs(files)
    tree = draft.write_tree(
        TreeEntry(each.relative_to(CONTENT).as_posix(), "100644", blob)
        for each, blob in zip(files, blobs, strict=True)
    )
    commit = draft.commit(
        tree,
        parents=[],
        message="Bill orders and refund them",
        author="Billing team",
        at=_WRITTEN_AT,
    )
    (draft.git_dir / _BRANCH).write_text(f"{commit}\n")
    (draft.git_dir / "HEAD").write_text("ref: refs/heads/main\n")
    return draft
