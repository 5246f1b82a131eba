"""What is said of a change is searched like its lines: much of it goes into the commit message."""

from __future__ import annotations

import pytest

from agents.models import Agent, Claim, FileChange, Proposal, Step
from approvals import bulk, sealing
from approvals.bulk import Seen
from approvals.exceptions import BulkRefused
from approvals.models import Approval, Signature
from projects.models import Project, User
from tests.approval_fixtures import GREEN, make_change, make_repository

pytestmark = pytest.mark.django_db
UNSEEN, ALIKE = "hidden_character", "lookalike_character"


@pytest.fixture
def put_up(tmp_path, project, requester, settings):
    """Return what seals one more small, green change; `spoil` may change its rows before."""
    settings.DATA_DIR = tmp_path / "data"
    make_repository(tmp_path, project)
    texts = {"docs/rounding.md": "Tax is rounded half even, once.\n"}

    def made(spoil=None, **facts) -> Approval:
        proposal = make_change(project, requester, tmp_path, texts=texts, **facts)
        if spoil:
            spoil(proposal)
        return sealing.seal(Proposal.objects.get(pk=proposal.pk))

    return made


def told(approval: Approval) -> list[tuple[str, str]]:
    return [(each["kind"], each["text"]) for each in approval.snapshot["warnings"]]


def claim(proposal: Proposal, text: str) -> None:
    Claim.objects.create(proposal=proposal, position=1, text=text, verdict="not_checkable")


def test_what_the_title_and_summary_hide_is_sealed_and_decided_by_itself(put_up, lead):
    odd = put_up(
        title="Round once \u202eeno\u202c\u200b", summary="The\np\u0430ssword\u200b stays."
    )
    assert told(odd) == [
        (UNSEEN, "U+202E RIGHT-TO-LEFT OVERRIDE, in the title"),
        (UNSEEN, "U+202C POP DIRECTIONAL FORMATTING, in the title"),
        (UNSEEN, "U+200B ZERO WIDTH SPACE, in the title"),
        (UNSEEN, "U+200B ZERO WIDTH SPACE, in line 2 of the summary"),
        (
            ALIKE,
            "U+0430 CYRILLIC SMALL LETTER A, in line 2 of the summary, looks like another letter",
        ),
    ]
    assert odd.risk == "medium"
    assert odd.snapshot["risk"]["reasons"] == [
        "Contains hidden characters: the title, the summary.",
        "Contains letters that look like others: the summary.",
    ]
    assert list(bulk.look(lead, [odd.pk, put_up().pk]).blocked) == [odd.pk]
    with pytest.raises(BulkRefused, match="medium risk"):
        bulk.approve([Seen(id=odd.pk, digest=odd.digest, nonce=odd.nonce)], by=lead)
    assert not Signature.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda made: claim(made, "It\u200bholds."), "claim 2"),
        (lambda made: Claim.objects.update(evidence="by\u2066run"), "the evidence of claim 1"),
        (lambda made: Step.objects.update(title="Describe\u2060it"), "the title of a step"),
        (lambda made: Agent.objects.update(name="D\u043ecs"), "the name of an agent"),
        (lambda made: User.objects.update(first_name="D\u0430na"), "the name of who asked"),
        (lambda made: Project.objects.update(name="acme\u3164web"), "the name of the project"),
        (
            lambda made: type(made.task).objects.update(title="Fix\u00adit"),
            "the title of the task",
        ),
        (
            lambda made: type(made.task).objects.update(request="Fix it.\U000e0041\U000e0042"),
            "the request",
        ),
        (
            lambda made: Proposal.objects.update(raised_to="medium", raised_why="It\ufeffdeletes."),
            "the reason given for its risk",
        ),
    ],
)
def test_each_place_with_words_of_others_is_searched(put_up, spoil, where):
    found = put_up(spoil).snapshot["warnings"]
    assert {each["place"] for each in found} == {where}
    assert all(where in each["text"] for each in found)


def test_the_name_a_file_had_is_searched(put_up):
    odd = put_up(lambda made: FileChange.objects.update(old_path="docs/r\u043eunding\u200b.md"))
    assert told(odd) == [
        (UNSEEN, "U+200B ZERO WIDTH SPACE, in its old name"),
        (ALIKE, "U+043E CYRILLIC SMALL LETTER O, in its old name, looks like another letter"),
    ]
    assert {each["path"] for each in odd.snapshot["warnings"]} == {"docs/rounding.md"}


@pytest.mark.parametrize(
    "words",
    [
        "Größe, naïve — “quotes” ≤ ∑, cafe\u0301",
        "⚠\ufe0f Careful ✔\ufe0f 👩\u200d💻 1\ufe0f\u20e3 \u2139\ufe0f",
        "Arrondir\u00a0: 10\u202f000\u00a0€",
        "می\u200cشود العربية עברית हिन्दी क्\u200dष",
        "Округление — один раз. Στρογγυλοποίηση. 四捨五入は一度だけ。",
    ],
)
def test_what_its_writing_asks_for_is_not_warned_of(put_up, words):
    made = put_up(title=words[:200], summary=f"{words}\n\n{words}")
    assert made.snapshot["warnings"] == []
    assert made.risk == "low"


def test_coloured_output_of_checks_is_not_warned_of(put_up):
    made = put_up(checks={**GREEN, "output_tail": "\x1b[32mOK\x1b[0m"})
    assert made.snapshot["warnings"] == []


def test_of_many_the_first_are_named_and_the_others_counted(put_up):
    found = told(put_up(summary="a\u200b" * 3_000, title="b\u200b"))
    assert len(found) == 6
    assert found[-1] == (UNSEEN, "U+200B ZERO WIDTH SPACE, in the summary; 2995 more there")

    def claims(proposal: Proposal) -> None:
        for at in range(60):
            Claim.objects.create(
                proposal=proposal, position=at + 1, text=f"{at}\u200b", verdict="not_checkable"
            )

    last = put_up(claims).snapshot["warnings"][-1]
    assert (last["kind"], last["text"][:2]) == ("more", "20")


def test_the_page_and_the_look_beside_the_list_say_it(put_up, client, lead):
    odd = put_up(title="Round \u202eecno", summary="p\u0430ssword")
    client.force_login(lead)
    page = client.get(f"/review/{odd.task.label}/r1").content.decode()
    assert "Hidden character</strong>:" in page
    assert "U+202E RIGHT-TO-LEFT OVERRIDE, in the title" in page
    assert "CYRILLIC SMALL LETTER A, in the summary, looks like another letter" in page
    look = client.get(f"/inbox?at={odd.pk}").content.decode()
    assert "1 hidden character<" in look
    assert "1 letter that looks like another<" in look
