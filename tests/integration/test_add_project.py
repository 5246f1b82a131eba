"""`manage.py add_project` checks everything first, in one sentence each, then does it at once."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from agents.workspace.demo import create_demo_repository
from approvals.models import Policy
from projects.models import AuditEntry, Membership, Project, Role


@pytest.fixture
def repository(tmp_path):
    return create_demo_repository(tmp_path / "billing.git")


def add(*arguments: object) -> str:
    out = StringIO()
    call_command("add_project", *map(str, arguments), stdout=out)
    return out.getvalue()


def refusal(*arguments: object) -> str:
    with pytest.raises(CommandError) as refused:
        add(*arguments)
    return str(refused.value)


def test_project_is_made_with_members_policy_and_audit(repository, requester, lead):
    answer = add(
        *("shop", "--repository", repository, "--checks", "make test"),
        *("--requester", requester.username, "--lead", lead.username),
    )
    project = Project.objects.get(slug="shop")
    told, following, _ = answer.splitlines()
    assert told == f"shop follows main of {repository}."
    assert following.startswith("Next: ")
    assert following.endswith('submit "What you want done" --project shop --watch')
    assert project.checks_command == "make test"
    roles = dict(Membership.objects.filter(project=project).values_list("user__username", "role"))
    assert roles == {requester.username: Role.REQUESTER, lead.username: Role.LEAD}
    assert Policy.objects.get(project=project).active
    assert AuditEntry.objects.get(project=project, action="project.created")


def test_second_run_changes_only_what_it_names(repository, requester):
    add("shop", "--repository", repository, "--checks", "make test")
    add("shop", "--lead", requester.username)
    project = Project.objects.get(slug="shop")
    assert project.checks_command == "make test"
    assert project.memberships.get().role == Role.LEAD
    assert AuditEntry.objects.filter(project=project, action="project.changed").count() == 1


def test_command_that_no_shell_could_read_is_refused(repository, db):
    said = refusal("shop", "--repository", repository, "--checks", 'python -m unittest "')
    assert "No shell can read this command: no closing quotation." in said
    assert not Project.objects.exists()


def test_relative_path_is_made_absolute(repository, monkeypatch, db):
    monkeypatch.chdir(repository.parent)
    add("shop", "--repository", repository.name)
    assert Project.objects.get(slug="shop").repository == str(repository)


def test_what_is_still_missing_is_said(repository, db):
    answer = add("shop", "--repository", repository)
    assert "Nobody can sign yet" in answer
    assert "It has no checks" in answer


def test_each_mistake_gets_one_sentence_and_changes_nothing(repository, requester, tmp_path):
    before = Project.objects.count()
    assert "slug" in refusal("No Slug", "--repository", repository)
    assert "name its --repository" in refusal("shop")
    assert "no such folder" in refusal("shop", "--repository", tmp_path / "nowhere")
    assert "nope" in refusal("shop", "--repository", repository, "--main", "nope")
    assert "ext" in refusal("shop", "--repository", "ext::sh -c true")
    assert "no user ghost" in refusal("shop", "--repository", repository, "--lead", "ghost")
    both = ("--lead", requester.username, "--requester", requester.username)
    assert "one role" in refusal("shop", "--repository", repository, *both)
    assert Project.objects.count() == before


def test_bundled_demo_is_not_changed(repository, project):
    Project.objects.filter(pk=project.pk).update(bundled=True)
    assert "bundled demo" in refusal(project.slug, "--repository", repository)
