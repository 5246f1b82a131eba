"""Finds tasks by words of their titles without walking them all.

First among the newest of each project, by any part of a title: there a common word is found at once.
Only what is not common there is looked up in the index of words, which then has little to read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.contrib.postgres.search import SearchQuery

from agents.models import Task
from agents.models.fields import TitleWords
from projects.across import Across

if TYPE_CHECKING:
    from projects.across import Mine

_NEWEST = 50  # of each project
_READ = 200  # of the index's rows
_SHORTEST = 3  # letters; fewer begin too many words
_SHOWN = ("number", "title", "state")


def tasks(mine: Mine, words: str, limit: int) -> list[Task]:
    """Return the newest visible tasks whose titles have these words."""
    newest = Across(rows=Task.objects.all(), projects=mine.projects)
    if not words:
        found = Task.objects.filter(pk__among=newest.keys(["-id"], limit))
        return list(found.only(*_SHOWN).order_by("-id"))
    near = Task.objects.filter(pk__among=newest.each(["-id"], _NEWEST), title__icontains=words)
    rows = list(near.only(*_SHOWN).order_by("-id")[:limit])
    if len(rows) < limit:
        known = {task.pk for task in rows}
        rows += [task for task in _indexed(mine, words, limit) if task.pk not in known]
    return rows[:limit]


def _indexed(mine: Mine, words: str, limit: int) -> list[Task]:
    said = [word for word in re.findall(r"\w+", words.lower()) if len(word) >= _SHORTEST]
    if not said or not mine.projects:
        return []
    where = " | ".join(TitleWords.project(project) for project in mine.projects)
    # The beginning of one word may do. Of several each is meant whole: beside a rare word, all that
    # begins like a common one would be read in vain.
    sought = [f"{said[0]}:*"] if len(said) == 1 else said[:8]
    text = " & ".join([f"({where})", *sought])
    query = SearchQuery(text, config="simple", search_type="raw")
    rows = Task.objects.annotate(words=TitleWords()).filter(words=query)
    found = Task.objects.filter(pk__in=list(rows.values_list("pk", flat=True)[:_READ]))
    return list(found.only(*_SHOWN).order_by("-id")[:limit])
