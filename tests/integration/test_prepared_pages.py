"""What pages ask again is prepared on the connections a web server keeps: once, for all who ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.db import NotSupportedError, connection, transaction

from approvals import sealing
from approvals.models import Approval
from approvals.selectors import BY_DUE, needs_you
from countersign.connections import database_settings, keep_connections
from countersign.console import inbox_page
from projects.across import Mine
from projects.connections import kept_cursor
from projects.ids import uuid7
from projects.keyset import Place
from projects.models import Project
from projects.prepared import Given, numbered, settled
from tests.approval_fixtures import make_report

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db
TIMES = 5


@pytest.fixture
def preparing() -> Iterator[None]:
    """Let the connection of this test prepare as one that a web server keeps does."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = 3
    yield
    connection.connection.prepare_threshold = None
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    connection.connection._prepared.clear()


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements ORDER BY prepare_time")
        return [statement for (statement,) in cursor.fetchall()]


def test_the_inbox_is_prepared_once_for_all_who_ask(
    preparing, client, project, requester, lead, second_lead
):
    sealing.seal(make_report(project, requester))
    client.force_login(lead)
    for _ in range(TIMES):
        assert client.get("/inbox").status_code == 200
    known = prepared()
    assert any("agents_hold" in statement and "savedview" in statement for statement in known)
    assert any('FROM "approvals_approval"' in statement for statement in known)
    client.force_login(second_lead)
    for _ in range(TIMES):
        assert client.get("/inbox").status_code == 200
    assert prepared() == known


def test_each_who_asks_over_one_connection_is_shown_what_is_theirs_alone(
    preparing, client, project, requester, lead, stranger
):
    approval = sealing.seal(make_report(project, requester))
    shown, hidden = (f'id="row-{approval.pk}"', approval.snapshot["proposal"]["title"])
    for _ in range(2 * TIMES):
        client.force_login(lead)
        assert shown in client.get("/inbox").content.decode()
        client.force_login(stranger)
        page = client.get(f"/inbox?at={approval.pk}").content.decode()
        assert shown not in page
        assert hidden not in page
    assert list(Approval.objects.visible_to(lead)) == [approval]
    looked_at = inbox_page._LOOKED_AT
    assert looked_at(approvals=[approval.pk], people=[lead.pk]) == [approval]
    assert looked_at(approvals=[approval.pk], people=[stranger.pk]) == []
    lead.is_active = False
    lead.save()
    assert looked_at(approvals=[approval.pk], people=[lead.pk]) == []


def test_later_pages_of_a_list_are_one_statement_wherever_they_begin(
    preparing, project, requester, lead
):
    made = [sealing.seal(make_report(project, requester)) for _ in range(TIMES)]
    page, seen, known = needs_you(lead, limit=1).page, [], []
    while page.after:
        seen += page.rows
        page = needs_you(lead, limit=1, place=Place.of(BY_DUE, {"after": page.after})).page
        known.append(sum('"id") > (($' in statement for statement in prepared()))
    assert [*seen, *page.rows] == sorted(made, key=BY_DUE.key)
    assert known == [0, 0, 0, 1]  # at the fourth


def test_few_statements_are_prepared_on_a_connection_of_pages(preparing):
    for number in range(50):
        for _ in range(TIMES):
            with kept_cursor() as cursor:
                cursor.execute(f"SELECT {number}")
    assert len(prepared()) in {40, 41}  # the oldest goes with the next


def test_what_is_asked_of_everybody_is_part_of_the_statement():
    who, since, mark = uuid7(), datetime.now(tz=UTC), Given("tasks")
    given = ("pending", 500, True, who, [who], since, mark, ["a", "b"])
    text, left = settled(" ".join(["%s"] * len(given)), given)
    assert text == "'pending' 500 true %s %s %s %s '{a,b}'"
    assert left == (who, [who], since, mark)


def test_what_differs_is_sent_once_however_often_it_stands_there():
    one, other = uuid7(), uuid7()
    text, sent = numbered("%s %s '%%' %s %s %s", [one, [one, other], other, one, [one, other]])
    assert text == "%(p0)s %(p1)s '%%' %(p2)s %(p0)s %(p1)s"
    assert sent == {"p0": one, "p1": [one, other], "p2": other}


def test_a_kept_connection_prepares_and_has_no_workers_started():
    database = database_settings("postgresql:///countersign?options=-c%20statement_timeout=9s")
    keep_connections(database, 2)
    said = database["OPTIONS"]
    assert said["options"] == "-c max_parallel_workers_per_gather=0 -c statement_timeout=9s"
    assert said["prepare_threshold"] == TIMES - 2
    keep_connections(bare := database_settings(""), 0)
    assert bare["OPTIONS"] == {}


def test_a_percent_sign_and_a_quote_stay_what_they_are():
    with kept_cursor() as cursor:
        cursor.execute(*settled("SELECT %s || '%%', %s::uuid", ("5%s'%%", key := uuid7())))
        assert cursor.fetchone() == ("5%s'%%%", key)


@pytest.fixture
def another() -> Iterator[psycopg.Connection]:
    """Connect once more, as a migration does."""
    settings = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    given = {name: settings[key] for name, key in names.items() if settings[key]}
    with psycopg.connect(dbname=settings["NAME"], autocommit=True, **given) as made:
        yield made


@pytest.mark.django_db(transaction=True)
def test_a_column_that_is_widened_meanwhile_is_read_on(preparing, client, another, project, lead):
    client.force_login(lead)
    length = Project._meta.get_field("name").max_length
    widen = "ALTER TABLE projects_project ALTER COLUMN name TYPE varchar({})".format
    try:
        for longer in range(1, 3):
            for _ in range(TIMES):
                assert client.get("/inbox").status_code == 200
            assert any('"projects_membership"' in statement for statement in prepared())
            another.execute(widen(length + longer))
        assert client.get("/inbox").status_code == 200
    finally:
        another.execute(widen(length))


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_met_a_widened_column_ends_and_the_next_reads_on(
    preparing, another, project, lead
):
    length = Project._meta.get_field("name").max_length
    widen = "ALTER TABLE projects_project ALTER COLUMN name TYPE varchar({})".format
    for _ in range(TIMES):
        assert Mine.of(lead).led == (project.pk,)
    try:
        another.execute(widen(length + 1))
        with pytest.raises(NotSupportedError, match="result type"), transaction.atomic():
            Mine.of(lead)
        assert Mine.of(lead).led == (project.pk,)
    finally:
        another.execute(widen(length))


def test_statements_of_all_kinds_between_hinder_no_preparing(preparing, lead):
    for _ in range(TIMES):
        Mine.of(lead)
        with connection.cursor() as cursor:
            for number in range(50):
                cursor.execute(f"SELECT {number}")
    assert any('"projects_membership"' in statement for statement in prepared())


def test_values_are_sent_once_only_where_their_type_is_the_same():
    assert numbered("%s %s %s", [1, True, 1]) == ("%(p0)s %(p1)s %(p0)s", {"p0": 1, "p1": True})
    assert len(numbered("%s %s", [[], []])[1]) == 2
