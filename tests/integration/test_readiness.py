"""What `/readyz` says while an upgrade is under way."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from countersign import migrated

pytestmark = pytest.mark.django_db


@pytest.fixture
def fresh(monkeypatch) -> None:
    """A process that has not asked yet."""
    monkeypatch.setattr(migrated, "_known", threading.Event())


def test_a_process_is_not_ready_before_its_migrations(client, fresh):
    recorder = MigrationRecorder(connection)
    last = recorder.migration_qs.filter(app="agents").latest("id").name
    recorder.record_unapplied("agents", last)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"] is True
    assert answer.json()["parts"]["migrations"] is False
    assert "run `manage.py migrate`" in answer.json()["detail"]
    recorder.record_applied("agents", last)
    answer = client.get("/readyz")
    assert answer.json()["parts"]["migrations"] is True
    assert "detail" not in answer.json()


def test_it_asks_for_them_once(fresh, django_assert_num_queries):
    assert migrated.applied()
    with django_assert_num_queries(0):
        assert migrated.applied()
