"""What somebody with the database, the git store or a browser tries, and gets nothing by.

Each attack has its name and its line; none is accepted or carried out. Those on calls of tools stand in
test_effects_calling.py, races in test_deciding_race.py, what no login may write in test_logins.py.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.workspace.git import Store
from approvals import bulk, canonical, deciding, effects, policies, sealing, signing, undoing
from approvals.models import Approval, Effect, Signature
from projects import tokens
from projects.exceptions import CountersignError
from projects.models import Membership
from tests.approval_fixtures import (
    approve,
    end_time,
    first_parents,
    git,
    make_change,
    make_dangerous,
    make_report,
    move_main,
    past_triggers,
    view_all,
)

if TYPE_CHECKING:
    from pathlib import Path

    from projects.models import Project, User

pytestmark = pytest.mark.django_db
LEAST = 24  # attacks of the issue


@dataclass(kw_only=True)
class Scene:
    """A signed change, another that waits, and everybody who might be used; all looked at its files."""

    project: Project
    requester: User
    lead: User
    second: User
    bare: Path
    folder: Path
    signed: Effect  # none when the attack comes before the signature
    approval: Approval
    other: Approval
    base: str = ""


@pytest.fixture
def scene(project, requester, lead, second_lead, bare, tmp_path) -> Scene:
    approval = sealing.seal(make_change(project, requester, tmp_path))
    for person in (requester, lead, second_lead):
        view_all(approval, person)
    return Scene(
        project=project,
        requester=requester,
        lead=lead,
        second=second_lead,
        bare=bare,
        folder=tmp_path,
        signed=Effect(),
        approval=approval,
        other=sealing.seal(make_report(project, requester)),
        base=git(bare, "rev-parse", "main"),
    )


def sealed_as(scene: Scene, path: str, value: object, *, digest: bool = False) -> None:
    """Change the stored snapshot at a path, and the digest that goes with it if wanted."""
    past_triggers(
        "UPDATE approvals_approval SET snapshot = jsonb_set(snapshot, %s, %s) WHERE id = %s",
        path.split("."),
        json.dumps(value),
        scene.approval.pk,
    )
    if digest:
        scene.approval.refresh_from_db()
        anew = canonical.digest_of(scene.approval.snapshot)
        column(scene, "digest", anew)
        past_triggers("UPDATE approvals_signature SET digest = %s", anew)


def column(scene: Scene, name: str, value: object) -> None:
    past_triggers(
        f"UPDATE approvals_approval SET {name} = %s WHERE id = %s",  # noqa: S608 - our own names
        value,
        scene.approval.pk,
    )


def signature(name: str, value: object, _: Scene) -> None:
    past_triggers(f"UPDATE approvals_signature SET {name} = %s", value)  # noqa: S608


def argument(name: str, scene: Scene) -> None:
    sealed = scene.signed.arguments
    given = {**sealed, name: sealed["head"] if name == "base" else scene.base}
    Effect.objects.filter(pk=scene.signed.pk).update(arguments=given)


def other_effect(scene: Scene) -> None:
    """The signed approval's effect is hung under another one, which nobody signed."""
    past_triggers("UPDATE approvals_effect SET approval_id = %s", scene.other.pk)
    past_triggers(
        "UPDATE approvals_approval SET state = 'approved', decided_at = now(), decided_by_id = %s "
        "WHERE id = %s",
        scene.lead.pk,
        scene.other.pk,
    )


def copied_signature(scene: Scene) -> None:
    """A genuine signature of one approval is copied to another, with that one's digest."""
    past_triggers(
        "UPDATE approvals_signature SET approval_id = %s, digest = %s, nonce = %s",
        *(scene.other.pk, scene.other.digest, scene.other.nonce),
    )
    other_effect(scene)


def own_key(scene: Scene, settings) -> None:
    """The mark is made anew with a key of somebody who has read how marks are made."""
    row = Signature.objects.get()
    row.signer, row.key, row.mark = scene.second, "", ""
    settings.SIGNING_KEY = "the key of somebody else, long enough"
    signing.mark(row)
    settings.SIGNING_KEY = "a signing key of the tests, long enough"
    past_triggers(
        "UPDATE approvals_signature SET signer_id = %s, key = %s, mark = %s, at = %s",
        *(row.signer_id, row.key, row.mark, row.at),
    )


def policy_later(scene: Scene) -> None:
    """The row is pointed at a later, laxer policy."""
    later = policies.change(scene.project, by=scene.lead, undo_seconds=0)
    column(scene, "policy_id", later.pk)


def lost(scene: Scene, role: str) -> None:
    Membership.objects.filter(user=scene.lead).update(role=role)


def disabled(scene: Scene) -> None:
    scene.lead.is_active = False
    scene.lead.save()


def undone(scene: Scene) -> None:
    """An approval that was undone is set back, with marks that are genuine."""
    Effect.objects.update(not_before=F("not_before") + timedelta(hours=1))
    undoing.undo(scene.approval, by=scene.lead)
    past_triggers("DELETE FROM approvals_reminder")
    past_triggers("DELETE FROM approvals_listed WHERE decided_at IS NULL")
    past_triggers(
        "DELETE FROM approvals_approval WHERE state = 'pending' AND task_id = %s",
        scene.approval.task_id,
    )
    column(scene, "state", "approved")
    past_triggers("UPDATE approvals_effect SET state = 'planned', not_before = now()")
    past_triggers(
        "UPDATE agents_task SET state = 'executing' WHERE id = %s", scene.approval.task_id
    )


# What is done to rows and objects once the change was signed; nothing may land then.
AFTER = {
    "bytes: the text of a shown hunk": lambda s: sealed_as(s, "files.0.hunks.0.text", "-a\n+b\n"),
    "bytes: a shown hunk, and digests to go with it": lambda s: sealed_as(
        s, "files.0.hunks.0.text", "-a\n+b\n", digest=True
    ),
    "bytes: a file left out, and digests to go with it": lambda s: sealed_as(
        s, "files", [], digest=True
    ),
    "base: another in the effect": partial(argument, "base"),
    "head: another in the effect": partial(argument, "head"),
    "tree: another in the effect": partial(argument, "tree"),
    "kind: another in the effect": lambda s: Effect.objects.update(kind="deliver"),
    "position: an effect that was not sealed": lambda s: Effect.objects.update(position=7),
    "head: another in seal and effect, digests to go with it": lambda s: (
        argument("head", s),
        sealed_as(s, "effects.0.head", s.base, digest=True),
    ),
    "policy: a later version": policy_later,
    "policy: fewer signatures in the seal": lambda s: sealed_as(s, "policy.signatures_needed", 0),
    "nonce: another": lambda s: column(s, "nonce", "n" * 32),
    "nonce: another on the signature": partial(signature, "nonce", "n" * 32),
    "expiry: more time": lambda s: column(s, "expires_at", timezone.now() + timedelta(days=9)),
    "task: the approval is moved to another": lambda s: column(
        s, "proposal_id", s.other.proposal_id
    ),
    "requester: another": lambda s: column(s, "requester_id", s.second.pk),
    "single person: switched on": lambda s: column(s, "single_person", value=True),
    "another approval: the effect is hung under it": other_effect,
    "another approval: the signature is copied to it": copied_signature,
    "signature: taken away": lambda s: past_triggers("DELETE FROM approvals_signature"),
    "signature: of somebody else": lambda s: signature("signer_id", s.second.pk, s),
    "signature: its verdict turned": lambda s: signature("verdict", "reject", s),
    "mark: taken away": partial(signature, "mark", ""),
    "mark: one bit of it": lambda s: signature(
        "mark", "A" + Signature.objects.get().mark[1:][::-1], s
    ),
    "signer: no lead any more": lambda s: lost(s, "requester"),
    "signer: left the project": lambda s: Membership.objects.filter(user=s.lead).delete(),
    "signer: disabled": disabled,
    "main: moved": lambda s: move_main(s.bare),
    "undone: set back": undone,
}


@pytest.mark.parametrize("attack", AFTER)
def test_nothing_lands_that_was_not_signed(scene, attack):
    scene.signed = approve(scene.approval, scene.lead)
    scene.approval.refresh_from_db()
    AFTER[attack](scene)
    before = first_parents(scene.bare)
    effects.carry_out_due("worker")
    effects.carry_out_due("worker")
    assert first_parents(scene.bare) == before
    assert not Effect.objects.filter(state="done").exists()


def test_a_mark_by_a_key_nobody_gave_us_carries_nothing_out(scene, settings):
    scene.signed = approve(scene.approval, scene.lead)
    own_key(scene, settings)
    effects.carry_out_due("worker")
    assert len(first_parents(scene.bare)) == 1
    assert not Effect.objects.filter(state="done").exists()


def test_a_commit_replaced_in_our_own_repository_lands_as_it_was_signed(scene):
    effect, store = approve(scene.approval, scene.lead), Store.of(scene.project)
    sealed = effect.arguments
    other = store.commit(store.tree_of(scene.base), parents=[scene.base], message="Not signed")
    git(store.git_dir, "update-ref", f"refs/replace/{sealed['head']}", other)
    assert git(store.git_dir, "rev-parse", f"{sealed['head']}^{{tree}}") != sealed["tree"]
    effects.carry_out_due("worker")
    assert git(scene.bare, "rev-parse", "main^{tree}") == sealed["tree"]


def test_what_was_done_and_is_planned_again_is_not_done_again(scene):
    approve(scene.approval, scene.lead)
    assert effects.carry_out_due("worker") == 1
    landed = first_parents(scene.bare)
    git(scene.bare, "update-ref", "refs/heads/main", scene.base)
    past_triggers("UPDATE approvals_effect SET state = 'planned', result = '{}', sent_at = NULL")
    past_triggers("UPDATE agents_task SET state = 'executing', finished_at = NULL")
    effects.carry_out_due("worker")
    assert first_parents(scene.bare) == landed[1:]


def decided(scene: Scene, by: User, **facts: object) -> None:
    """Ask the one way in."""
    seen = {"digest": scene.approval.digest, "nonce": scene.approval.nonce, **facts}
    deciding.decide(scene.approval.pk, by=by, verdict="approve", **seen)


def in_page(scene: Scene, by: User, **facts: object) -> None:
    """Post the review page's form."""
    client = Client()
    client.force_login(by)
    form = {"verdict": "approve", "digest": scene.approval.digest, "nonce": scene.approval.nonce}
    at = reverse("console:decide", args=[scene.approval.task.number, 1])
    assert client.post(at, {**form, **facts}).status_code in {302, 400, 403, 404, 409, 422}


def over_api(scene: Scene, by: User, *, token: bool = False) -> None:
    """Post to the API, in person or by token."""
    client = Client()
    headers = {}
    if token:
        _, text = tokens.issue(by, name="attack", scopes=tokens.SCOPES)
        headers = {"authorization": f"Bearer {text}"}
    else:
        client.force_login(by)
    sent = {"verdict": "approve", "digest": scene.approval.digest, "nonce": scene.approval.nonce}
    at = f"/api/v1/approvals/{scene.approval.pk}/signatures"
    answer = client.post(at, sent, content_type="application/json", headers=headers)
    assert answer.status_code in {400, 403, 404}


def in_bulk(scene: Scene, by: User) -> None:
    approval = scene.approval
    seen = bulk.Seen(id=approval.pk, digest=approval.digest, nonce=approval.nonce)
    bulk.approve([seen], by=by)


def as_lead_who_asked(scene: Scene) -> User:
    """The requester, made a lead: it is still their own request."""
    Membership.objects.filter(user=scene.requester).update(role="lead")
    return scene.requester


def after_expiry(scene: Scene) -> None:
    end_time(scene.approval)
    decided(scene, scene.lead)


def after_it_was_disabled(scene: Scene) -> None:
    disabled(scene)
    decided(scene, scene.lead)


def with_an_old_form(scene: Scene) -> None:
    """A tab from before the undo: the same bytes, an older seal."""
    first = scene.approval
    approve(first, scene.lead)
    Effect.objects.update(not_before=F("not_before") + timedelta(hours=1))
    scene.approval = undoing.undo(first, by=scene.second)
    decided(scene, scene.second, digest=first.digest, nonce=first.nonce)


def risky(scene: Scene) -> Scene:
    """What waits is high risk, so its label is typed."""
    scene.approval = sealing.seal(make_dangerous(scene.project, scene.requester, scene.folder))
    view_all(scene.approval, scene.lead)
    return scene


# What is sent to have it approved; no signature may come of it.
AT_THE_DOOR = {
    "digest: of another task": lambda s: decided(s, s.lead, digest=s.other.digest),
    "digest and nonce: of another task": lambda s: decided(
        s, s.lead, digest=s.other.digest, nonce=s.other.nonce
    ),
    "digest: one nobody sealed": lambda s: decided(s, s.lead, digest="0" * 64),
    "digest: with a NUL": lambda s: decided(s, s.lead, digest="\0"),
    "nonce: of another seal": lambda s: decided(s, s.lead, nonce=s.other.nonce),
    "expiry: too late": after_expiry,
    "signer: disabled": after_it_was_disabled,
    "requester: by the service": lambda s: decided(s, as_lead_who_asked(s)),
    "requester: by the page": lambda s: in_page(s, as_lead_who_asked(s)),
    "requester: over the API": lambda s: over_api(s, as_lead_who_asked(s)),
    "requester: in bulk": lambda s: in_bulk(s, as_lead_who_asked(s)),
    "token: over the API": lambda s: over_api(s, s.lead, token=True),
    "page: the form of another approval": lambda s: in_page(
        s, s.lead, approval=str(s.other.pk), digest=s.approval.digest
    ),
    "page: an approval there is not": lambda s: in_page(s, s.lead, approval=str(uuid.uuid4())),
    "replay: a form from before the undo": with_an_old_form,
    "high risk: approved without typing": lambda s: decided(risky(s), s.lead),
    "high risk: without typing, by the page": lambda s: in_page(risky(s), s.lead),
    "high risk: without typing, over the API": lambda s: over_api(risky(s), s.lead),
    "high risk: without typing, in bulk": lambda s: in_bulk(risky(s), s.lead),
}


@pytest.mark.parametrize("attack", AT_THE_DOOR)
def test_no_signature_comes_of_it(scene, attack):
    refused = None
    try:
        AT_THE_DOOR[attack](scene)
    except CountersignError as error:
        refused = error
    assert refused is not None or "page" in attack or "API" in attack
    scene.approval.refresh_from_db()
    assert scene.approval.state in {"pending", "expired"}
    assert not Signature.objects.filter(approval__in=[scene.approval, scene.other]).exists()
    effects.carry_out_due("worker")
    assert len(first_parents(scene.bare)) == 1


def test_a_form_sent_twice_or_from_two_tabs_signs_once(scene):
    for by in (scene.lead, scene.lead, scene.second):
        in_page(scene, by)
    assert Signature.objects.count() == 1
    assert Effect.objects.count() == 1
    effects.carry_out_due("worker")
    assert len(first_parents(scene.bare)) == 2


def test_the_requester_does_not_undo_what_a_lead_signed(scene):
    approve(scene.approval, scene.lead)
    Effect.objects.update(not_before=F("not_before") + timedelta(hours=1))
    with pytest.raises(CountersignError):
        undoing.undo(scene.approval, by=scene.requester)
    assert Signature.objects.count() == 1
    assert Effect.objects.get().state == "planned"


def test_there_are_as_many_attacks_as_were_promised():
    assert len(AFTER) + len(AT_THE_DOOR) >= LEAST
