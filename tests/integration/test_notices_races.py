"""Two who change at once what people are told: played in one order, each whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from notices import choosing
from notices.choosing import Chosen, Wish
from notices.models import Choice
from tests.waiting_locks import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)


def closing(work):
    """Do it on a thread of a pool, whose connection nobody else closes."""
    try:
        return work()
    finally:
        connection.close()


def test_of_two_who_replace_them_at_once_the_later_counts(lead, project):
    wish = Wish(bell=False, email=False)
    first, second = ([Chosen(project=None, kind=kind, wish=wish)] for kind in ("due", "stuck"))
    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            choosing.replace(lead, first, None)
            later = pool.submit(closing, lambda: choosing.replace(lead, second, None))
            until_somebody_waits()
        later.result(30)
    assert list(Choice.objects.values_list("kind", flat=True)) == ["stuck"]
