"""Whose signatures something waits for, in words that are true of however many may sign."""

from __future__ import annotations

from uuid import uuid4

import pytest

from approvals.counting import Counted
from approvals.requirements import Required
from countersign.console.signers import left_of
from projects.models import User

LEADS = [
    User(username=name.lower(), first_name=name, last_name="Lead")
    for name in ("Ann", "Bob", "Cleo", "Dana", "Eve")
]


def told(left: int, needed: int, signed: int) -> str:
    required = Required(signatures=needed, undo_seconds=0, expires_hours=1)
    counted = Counted(signers={uuid4() for _ in range(signed)}, stood_for=set(), lapsed=[])
    return left_of(LEADS[:left], required, counted)


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
