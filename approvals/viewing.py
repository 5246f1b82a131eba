"""Files a reviewer has looked at: for each person, file and blob, so only what changed is asked anew."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.db import transaction

from approvals.models import Viewed
from projects import audit
from projects.access import require_member
from projects.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from approvals.models import Approval
    from projects.models import User

_MARKED = ("path", "old_path", "old_mode", "new_mode", "old_blob", "new_blob")


def key_of(file: dict[str, Any]) -> str:
    """Return what a mark is kept under: the path, and what the file was and becomes."""
    return hashlib.sha256(json.dumps([file[name] for name in _MARKED]).encode()).hexdigest()


def mark(
    approval: Approval, path: str, *, by: User, viewed: bool = True, address: str | None = None
) -> None:
    """Note that a person has looked at a file of what is sealed, or take it back.

    Raises NotAllowed to strangers, InvalidInput for a path that is not changed. Twice: once.
    """
    require_member(by, approval.project)
    file = next((each for each in approval.snapshot["files"] if each["path"] == path), None)
    if file is None:
        raise InvalidInput("path", "This file is not part of the change.")
    row = {"person": by, "project_id": approval.project_id, "key": key_of(file)}
    with transaction.atomic():
        if not viewed:
            changed = Viewed.objects.filter(**row).delete()[0]
        elif changed := not Viewed.objects.filter(**row).exists():
            Viewed.objects.bulk_create([Viewed(**row)], ignore_conflicts=True)
        if changed:
            audit.record(
                "file.viewed" if viewed else "file.unviewed",
                subject=approval,
                actor=by,
                project=approval.project,
                address=address,
                path=path,
            )


def viewed_by(person: User, approval: Approval) -> set[str]:
    """Return the paths of the sealed files this person has looked at."""
    return paths_of(approval, marks_of(person, approval))


def marks_of(person: User, approval: Approval) -> QuerySet[Viewed]:
    """Return the marks this person has set on files of what is sealed."""
    keys = [key_of(file) for file in approval.snapshot["files"]]
    return Viewed.objects.filter(person=person, project=approval.project_id, key__in=keys)


def paths_of(approval: Approval, marks: Iterable[Viewed]) -> set[str]:
    """Return the paths of the sealed files among these marks of one person."""
    keys = {each.key for each in marks}
    return {file["path"] for file in approval.snapshot["files"] if key_of(file) in keys}


def left_for(person: User, approval: Approval) -> list[str]:
    """Return the paths of the sealed files this person has not looked at."""
    seen = viewed_by(person, approval)
    return [file["path"] for file in approval.snapshot["files"] if file["path"] not in seen]


def require_all(approval: Approval, *, by: User) -> None:
    """Raise InvalidInput naming what this person has not looked at yet."""
    if left := left_for(by, approval):
        count = "1 more file" if len(left) == 1 else f"{len(left)} more files"
        raise InvalidInput(
            "viewed", f"The policy asks you to view every file. View {count}: {left[0]} is first."
        )
