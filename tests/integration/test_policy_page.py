"""The policy of a project is read by its members, in plain words, and by nobody else."""

from __future__ import annotations

import pytest

from approvals import policies
from approvals.models import Policy, Remember, Remind
from approvals.policies import Rule
from projects.models import Membership, Project, Role
from tests import console_fixtures as fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(project) -> str:
    return f"/projects/{project.pk}/policy"


@pytest.fixture
def strict(project, lead, second_lead) -> Policy:
    return policies.change(
        project,
        by=lead,
        signatures_needed=2,
        undo_seconds=0,
        expires_hours=48,
        call_undo_seconds=30,
        call_at_expiry="ask",
        bulk_allowed=False,
        signatures_hold=False,
        editors_alone=True,
        typed_confirmation=False,
        every_file_from="low",
        remind_half=Remind.PEOPLE,
        extend_hours=5,
        standing_grants=Remember.NONE,
        people=[lead, second_lead],
        rules=[
            Rule(
                name="Money",
                risks=["medium", "high"],
                paths=["billing/**"],
                kinds=["git.merge"],
                tools=["pay/*"],
                signatures_needed=2,
                signers=[second_lead, lead],
                every_file_viewed=True,
                bulk_forbidden=True,
                undo_seconds=60,
                expires_hours=4,
            ),
            Rule(name="Slowly", undo_seconds=20, signers=[lead]),
        ],
    )


@pytest.fixture
def read(client, address):
    """Return what opens an address as somebody and returns its text on one line."""

    def opened(who, path: str = "") -> str:
        client.force_login(who)
        answer = client.get(path or address)
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return opened


def test_the_defaults_are_read_and_nothing_is_kept_for_it(read, project, requester, lead):
    page = read(requester)
    for said in (
        "Version 1",
        "in force",
        "It takes 1 signature of a tech lead.",
        "Who asked for it never signs it.",
        "Above low risk, who edited it in the review does not sign it alone.",
        "Of what is medium or high risk each who approves has viewed every file.",
        "Where one signature is enough, who approves what is high risk types the task&#x27;s label.",
        "An approval can be undone for 10 s, and is carried out then.",
        "Where main has moved in other files only, signatures hold.",
        "may be approved together with others like it.",
        "It can be decided for 72 h.",
        "At half of that time all tech leads who may sign are reminded.",
        "At its end it expires.",
        "It takes 1 permission of a tech lead.",
        "Where one is enough, who allows what is high risk types the task&#x27;s label.",
        "It is made at once.",
        "nothing is called, and the agent goes on without it.",
        "for tools marked as only reading, or as idempotent.",
        "None: the same is asked of everything.",
        "<code>**/billing/**</code>",
        "Dana Kim",
    ):
        assert said in page, said
    assert not Policy.objects.exists()


def test_every_term_and_rule_is_in_plain_words(read, strict, lead):
    page = read(lead)
    for said in (
        "Version 2",
        ", by Dana Kim",
        "It takes 2 signatures, each of another tech lead.",
        "Who edited it in the review may sign it alone.",
        "Each who approves has viewed every file.",
        "What is high risk is approved without typing anything.",
        "What is high risk is allowed without typing anything.",
        "An approval is carried out at once.",
        "Where main has moved, it is signed anew.",
        "Each is approved by itself, on its review page.",
        "It can be decided for 48 h.",
        "At half of that time Dana Kim and Ravi Singh are told.",
        "put off once, by 5 h, and Dana Kim and Ravi Singh are told; then it expires.",
        "It takes 2 permissions, each of another tech lead.",
        "It can be undone for 30 s, and is made then; its agent waits with it.",
        "nothing is called, and a person is asked how its step goes on.",
        "No standing grant can be made",
        "the risk is one of <strong>Medium</strong>, <strong>High</strong>, and",
        "a changed path fits <code>billing/**</code>, and",
        "an effect is <strong>Merge</strong>, and",
        "a called tool fits <code>pay/*</code>",
        "2 signatures, one of them by Dana Kim or Ravi Singh, every file viewed by each who approves",
        "each approved by itself, an undo window of 60 s, a decision within 4 h",
        "everywhere",
        "a signature of Dana Kim, an undo window of 20 s",
        "what one of them asks for cannot be approved",
    ):
        assert said in page, said


def test_what_was_put_up_leads_to_the_version_it_was_sealed_with(
    read, address, project, requester, lead, second_lead
):
    made = fixtures.reviewed_task(project, requester)
    policies.change(project, by=second_lead, signatures_needed=2)
    at = f"{address}?version=1"
    assert f'href="{at}">Version 1 of the policy</a>' in read(lead, f"/review/{made.task.label}/r1")
    page = read(lead, at)
    assert "It takes 1 signature of a tech lead." in page
    assert "Another version is in force now." in page
    assert f'href="{address}">Version 2 of the policy</a>' in read(requester, "/new")
    assert f'href="{address}"' in read(requester, "/settings")


@pytest.mark.parametrize("version", ["0", "3", "-1", "x", "9" * 40, "²"])
def test_a_version_there_is_not_is_not_found(client, address, strict, lead, version):
    client.force_login(lead)
    assert client.get(address, {"version": version}).status_code == 404


def test_members_of_other_projects_find_nothing(client, address, strict, stranger, admin):
    other = Project.objects.create(slug="other", name="other")
    Membership.objects.create(user=stranger, project=other, role=Role.LEAD)
    for person in (stranger, admin):
        client.force_login(person)
        assert client.get(address).status_code == 404
    assert client.post(address).status_code == 405


def test_who_may_change_it_is_led_there(client, read, project, strict, lead, admin):
    Membership.objects.create(user=admin, project=project, role=Role.LEAD)
    change = f'href="/admin/approvals/policy/{strict.pk}/change/"'
    assert change in read(admin)
    assert change not in read(lead)


def test_it_asks_the_database_little(client, address, strict, lead, django_assert_max_num_queries):
    client.force_login(lead)
    client.get(address)
    with django_assert_max_num_queries(12):
        client.get(address)
