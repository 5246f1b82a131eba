"""What is reviewed: real commits in repositories of their own, sealed as the platform seals them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Sum

from agents.models import Hunk
from agents.workspace.colouring import colours_of
from agents.workspace.git import Store
from approvals import policies, sealing
from approvals.models import Risk
from projects.models import Membership, Project, Role, User
from tests.approval_fixtures import git, make_change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agents.models import Proposal
    from approvals.models import Approval

FILES, LINES = 40, 2_000  # of a large change: 1,400 lines added, 600 removed
_HUNKS, _SMALL = 5, 2  # of each file
_EVERY = 3  # each third function is rewritten, so that hunks stay apart
PROJECTS = 5  # of small changes
_LEVELS = (*[Risk.LOW] * 5, *[Risk.MEDIUM] * 3, *[Risk.HIGH] * 2)
_FOLDERS = {Risk.LOW: "catalogue", Risk.MEDIUM: "billing", Risk.HIGH: "auth"}
# What is decided, and what is done before: of twenty, as a day's work may be.
_ACTS = (
    *[("approve", "")] * 10,
    *[("approve", "claim"), ("approve", "snooze")],
    *[("request_changes", "")] * 3,
    *[("refuse_hunk", ""), ("reject", ""), ("reject", "")],
    *[("reject", "claim"), ("request_changes", "snooze")],
)
_FUNCTION = '''

def total_{number}(amounts: list[Decimal], rate: Decimal = Decimal("0.{digit}9")) -> Decimal:
    """Return the total of {name}, rounded once."""
    net = sum(amounts, Decimal(0))
    for step in range({digit} + 2):
        net = net + step * rate  # part {number}
    if net < 0:
        raise ValueError(f"{name} is negative: {{net}}")
    return net.quantize(Decimal("0.01"))
'''
_OLD = """    net = sum(amounts, Decimal(0))
    for step in range({digit} + 2):
        net = net + step * rate  # part {number}
"""
_NEW = """    seen: dict[str, Decimal] = {{}}
    for place, amount in enumerate(amounts):
        key = f"{tag}-{{place % 7}}"  # a bucket of part {number}
        seen[key] = seen.get(key, Decimal(0)) + amount * rate
    if len(seen) > {digit} + 100:
        raise OverflowError("too many buckets of {tag}")
    net = sum(sorted(seen.values()), Decimal(0))
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One approval, what is done about it before, and what is decided then."""

    approval: Approval
    act: str
    before: str  # "snooze", "claim" or nothing

    @property
    def verdict(self) -> str:
        """Return the verdict the signature has."""
        return "request_changes" if self.act == "refuse_hunk" else self.act


def people(count: int) -> list[User]:
    """Make who asks for all of it, and so many who decide."""
    return [User.objects.create(username=f"review-{number}") for number in range(count + 1)]


def large(folder: Path, requester: User, lead: User, count: int) -> list[Approval]:
    """Put large changes up, none of whose hunks another one has."""
    paths = [f"shop/part_{number}/totals.py" for number in range(FILES)]
    files = {path: _source(path, _HUNKS) for path in paths}
    project = _project("large", folder, requester, lead, files)
    approvals = []
    for number in range(count):
        texts = {path: _rewritten(path, f"take{number}", _HUNKS) for path in paths}
        approvals.append(_put_up(project, requester, folder, f"Sum by buckets {number}", texts))
        effect = approvals[-1].snapshot["effects"][0]
        assert effect["added"] + effect["removed"] == LINES, effect
    return approvals


def mixed(folder: Path, requester: User, lead: User, count: int) -> list[Wanted]:
    """Put small changes of all risks up, in projects only this lead has; no two change one file."""
    each = -(-count // PROJECTS)
    paths = [path for number in range(each) for level in Risk for path in _paths(level, number)]
    files = {path: _source(path, _SMALL) for path in paths}
    projects = [
        _project(f"{lead.username}-{number}", folder, requester, lead, files)
        for number in range(PROJECTS)
    ]
    wanted = []
    for number in range(count):
        level = _LEVELS[(number + number // len(_ACTS)) % len(_LEVELS)]
        texts = {
            path: _rewritten(path, "small", _SMALL) for path in _paths(level, number // PROJECTS)
        }
        project = projects[number % PROJECTS]
        approval = _put_up(project, requester, folder, f"Sum by buckets, {level} {number}", texts)
        assert approval.risk == level, approval.snapshot["risk"]
        act, before = _ACTS[number * 7 % len(_ACTS)]
        wanted.append(Wanted(approval=approval, act=act, before=before))
    return wanted


def _paths(level: Risk, number: int) -> list[str]:
    """Return one file of a low risk, two of a medium and three of a high one."""
    folder, files = _FOLDERS[level], 1 + list(_FOLDERS).index(level)
    return [f"{folder}/part_{number}_{file}.py" for file in range(files)]


def _project(
    slug: str, folder: Path, requester: User, lead: User, files: dict[str, str]
) -> Project:
    project = Project.objects.create(
        slug=slug,
        name=f"bench/{slug}",
        repository=str(_repository(folder / slug, files)),
        checks_command="python -m unittest",
    )
    Membership.objects.create(project=project, user=requester, role=Role.REQUESTER)
    Membership.objects.create(project=project, user=lead, role=Role.LEAD)
    # Nobody merges here while others decide: what is approved waits for its undo window.
    # What is medium or high risk is read whole, as the policy of a new project asks.
    policies.change(project, by=lead, undo_seconds=300)
    return project


def _repository(folder: Path, files: dict[str, str]) -> Path:
    work, bare = folder / "work", folder / "origin.git"
    work.mkdir(parents=True)
    git(work, "init", "-q", "-b", "main")
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-qm", "Begin")
    git(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare


def _put_up(
    project: Project, requester: User, folder: Path, title: str, texts: dict[str, str]
) -> Approval:
    proposal = make_change(project, requester, folder, texts=texts, title=title)
    counts = proposal.files.aggregate(added=Sum("added"), removed=Sum("removed"))
    type(proposal).objects.filter(pk=proposal.pk).update(**counts)
    proposal.refresh_from_db()
    _colour(proposal)
    return sealing.seal(proposal)


def _colour(proposal: Proposal) -> None:
    """Colour its lines, as they are when it is assembled."""
    diffs = Store.of(proposal.task.project).diff(proposal.base_commit, proposal.tree)
    codes = [code for file in colours_of(diffs) for code in file]
    hunks = list(
        Hunk.objects.filter(file__proposal=proposal).order_by("file__position", "position")
    )
    for hunk, code in zip(hunks, codes, strict=True):
        hunk.colours = code
    Hunk.objects.bulk_update(hunks, ["colours"])


def _source(path: str, hunks: int) -> str:
    return '"""Totals."""\n\nfrom decimal import Decimal\n' + "".join(
        _FUNCTION.format(name=path, **each) for each in _numbered(hunks)
    )


def _rewritten(path: str, tag: str, hunks: int) -> str:
    """Return the file with each third of its functions rewritten."""
    text = _source(path, hunks)
    for each in _numbered(hunks):
        if each["number"] % _EVERY == 0:
            text = text.replace(_OLD.format(**each), _NEW.format(tag=tag, **each))
    return text


def _numbered(hunks: int) -> Iterator[dict[str, int]]:
    return ({"number": number, "digit": number % 10} for number in range(hunks * _EVERY))
