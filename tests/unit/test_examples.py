"""The requests offered to a newcomer are requests that the model set can carry out."""

from __future__ import annotations

from agents.workspace.demo import SCENARIO
from countersign.console.examples import for_project
from projects.models import Project


def test_a_rehearsal_offers_only_the_story_it_can_play(settings) -> None:
    settings.COUNTERSIGN_MODEL = "rehearsal"
    assert for_project(Project(bundled=True)) == (SCENARIO.example,)
    assert for_project(Project(bundled=False)) == for_project(None) == ()


def test_a_language_model_is_offered_more(settings) -> None:
    settings.COUNTERSIGN_MODEL = "openai:stub"
    assert len(for_project(Project(bundled=True))) == 2
    assert len(for_project(Project(bundled=False))) == 3
