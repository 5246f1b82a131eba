"""Looks at how far each step reached: beyond what its plan said it would touch, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cautions.lines import shown
from agents.cautions.listing import warning
from agents.workspace.paths import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agents.cautions.listing import Caution
    from agents.models import Step
    from agents.workspace.authorship import Contribution
    from agents.workspace.diffs import FileDiff
    from agents.workspace.git import Store

_UNKNOWN = "The plan did not mention"


def look(
    store: Store,
    head: str,
    diffs: Iterable[FileDiff],
    *,
    contributions: Sequence[Contribution],
    steps: Sequence[Step],
) -> Iterator[Caution]:
    """Yield the files some step changed although its part of the plan did not mention them.

    A step that declared no files may change any; that lets no other step do so. What nobody's
    contribution touched, as a person's commit, is held against the plan as a whole.
    """
    planned = [glob for step in steps for glob in step.files]
    strayed, touched = _strayed(store, head, contributions)
    whole = all(step.files for step in steps)
    for file in diffs:
        names = [name for name in (file.path, file.old_path) if name]
        beyond = next((name for name in names if name in strayed), "")
        if not beyond and whole and not touched.intersection(names):
            beyond = next((name for name in names if not matches(shown(name), planned)), "")
        if beyond:
            text = _words(file, beyond, strayed.get(beyond), planned)
            yield warning("outside_plan", shown(file.path), 0, text)


def _strayed(
    store: Store, head: str, contributions: Sequence[Contribution]
) -> tuple[dict[str, Step], set[str]]:
    """Return by path, as it is called in the end, the step that went beyond its part; and all paths."""
    strayed: dict[str, Step] = {}
    touched: set[str] = set()
    for each in contributions:
        later = {}
        if each.result_commit != head:
            after = store.diff(each.result_commit, head)
            later = {file.old_path: file.path for file in after if file.old_path}
        for file in store.diff(each.base_commit, each.result_commit):
            names = [name for name in (file.path, file.old_path) if name]
            ends = {later.get(name, name) for name in names} | set(names)
            touched |= ends
            if each.step.files and not all(matches(shown(n), each.step.files) for n in names):
                strayed |= {
                    end: each.step
                    for name in names
                    if not matches(shown(name), each.step.files)
                    for end in (name, later.get(name, name))
                }
    return strayed, touched


def _words(file: FileDiff, beyond: str, step: Step | None, planned: Sequence[str]) -> str:
    moved = beyond != file.path
    what = f"{shown(beyond)}, from which this file is moved" if moved else "this file"
    if step is None or not matches(shown(beyond), planned):
        return f"{_UNKNOWN} {what}."
    return f"{_UNKNOWN} {what} for “{step.title}”."
