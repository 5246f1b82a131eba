"""`manage.py reset_demo`: the bundled story can be played again, and nothing else is touched."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from agents.intake import submit
from agents.lifecycle import TaskState
from agents.workspace.demo import SCENARIO
from agents.workspace.git import Store
from countersign import demo
from projects.models import AuditEntry, Project, User
from tests.integration.test_rehearsal_again import merge

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def billing(settings, tmp_path) -> Project:
    settings.DATA_DIR = tmp_path
    demo.seed()
    return Project.objects.get(slug=demo.SLUG)


def reset() -> str:
    out = io.StringIO()
    call_command("reset_demo", stdout=out)
    return out.getvalue()


def submitted(project):
    asker = User.objects.get(username="requester")
    return submit(project=project, requester=asker, request=SCENARIO.example).task


def test_the_demo_is_set_back_to_its_first_commit(billing) -> None:
    store = Store.of(billing)
    first = store.fetch()
    task = submitted(billing)
    landed = merge(task, *SCENARIO.fix)
    task.move(TaskState.CANCELLED)
    assert store.fetch() == landed
    assert "can be played again" in reset()
    assert store.fetch() == first
    entry = AuditEntry.objects.get(action="demo.reset")
    assert entry.detail == {"before": landed, "now": first}
    assert "nothing was changed" in reset()
    assert AuditEntry.objects.filter(action="demo.reset").count() == 1
    assert [each.name for each in (demo.accounts_file().parent / "repositories").iterdir()] == [
        "billing-demo.git"
    ]


def test_an_open_task_keeps_the_demo_as_it_is(billing) -> None:
    task = submitted(billing)
    landed = merge(task, *SCENARIO.fix)
    with pytest.raises(CommandError, match=rf"{task.label} \(.+\) of billing-demo is still open"):
        reset()
    assert Store.of(billing).fetch() == landed


def test_every_open_task_is_named(billing) -> None:
    first, second, third = (submitted(billing).label for _ in range(3))
    named = (
        rf"^{first} \([^)]+\), {second} \([^)]+\) and {third} \([^)]+\) of billing-demo are still"
    )
    with pytest.raises(CommandError, match=named):
        reset()


def test_only_the_bundled_project_is_ever_reset(billing) -> None:
    Project.objects.update(bundled=False)
    with pytest.raises(CommandError, match="no bundled demo project"):
        reset()
