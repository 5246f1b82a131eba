"""Whose signatures something waits for, in words that are true of however many may sign."""

from __future__ import annotations

import pytest

from approvals.counting import Counted
from approvals.requirements import Required
from countersign.console.signers import left_of
from projects.models import User

LEADS = [
    User(username=name.lower(), first_name=name, last_name="Lead")
    for name in ("Ann", "Bob", "Cleo", "Dana", "Eve")
]


def told(left: int, needed: int, signed: int, *, edited: int = 0, alone: bool = False) -> str:
    """Say it of the first of them, who are left, and of the last, who signed; so many of both edited."""
    so_far = LEADS[len(LEADS) - signed :]
    editors = {str(person.pk): person.display_name for person in [*so_far, *LEADS][:edited]}
    asks = {"undo_seconds": 0, "expires_hours": 1, "not_alone": editors, "editors_alone": alone}
    counted = Counted(signers={person.pk for person in so_far}, stood_for=set(), lapsed=[])
    return left_of(LEADS[:left], Required(signatures=needed, **asks), counted, so_far)


@pytest.mark.parametrize(
    ("left", "needed", "signed", "words"),
    [
        (0, 1, 0, "a tech lead (none yet)"),
        (1, 1, 0, "Ann Lead"),
        (2, 1, 0, "Ann Lead or Bob Lead"),
        (4, 1, 0, "a tech lead"),
        (4, 2, 1, "one more tech lead"),
        (2, 2, 0, "Ann Lead and Bob Lead"),
        (3, 4, 2, "2 of Ann Lead, Bob Lead, Cleo Lead"),
        (5, 3, 0, "3 tech leads"),
        (4, 3, 1, "2 more tech leads"),
    ],
)
def test_it_says_how_many_of_whom(left, needed, signed, words):
    assert told(left, needed, signed) == words


@pytest.mark.parametrize(
    ("left", "needed", "signed", "words"),
    [
        (0, 2, 0, "2 signatures; nobody may sign here"),
        (1, 2, 0, "2 signatures; only Ann Lead may sign here"),
        (2, 4, 1, "3 more signatures; only Ann Lead and Bob Lead may sign here"),
        (0, 2, 1, "one more signature; nobody else may sign here"),
    ],
)
def test_it_says_that_fewer_may_sign_than_are_needed(left, needed, signed, words):
    assert told(left, needed, signed) == words


@pytest.mark.parametrize(
    ("left", "needed", "signed", "words"),
    [
        (0, 1, 1, "Eve Lead"),
        (0, 2, 2, "Dana Lead or Eve Lead"),
        (1, 2, 2, "Ann Lead or Dana Lead or Eve Lead"),
        (2, 2, 3, "a tech lead"),
    ],
)
def test_where_enough_have_signed_it_waits_for_anybody_who_may(left, needed, signed, words):
    assert told(left, needed, signed) == words


@pytest.mark.parametrize(
    ("left", "edited", "words"),
    [
        (0, 1, "one more signature; nobody else may sign here"),
        (1, 1, "Ann Lead"),
        (2, 2, "Bob Lead"),
        (4, 1, "one more tech lead"),
    ],
)
def test_where_only_editors_have_it_waits_for_another(left, edited, words):
    assert told(left, 1, 1, edited=edited) == words


def test_where_editors_may_sign_alone_it_waits_for_anybody():
    assert told(1, 1, 1, edited=1, alone=True) == "Ann Lead or Eve Lead"
