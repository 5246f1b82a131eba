"""The invariants of decisions and effects: what was signed, by whom, and that it was done once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder

from agents.invariants.bounds import HOLD_SECONDS
from agents.workspace.git import Store
from approvals import held_invariants as held
from approvals import listed_invariants as listed
from approvals import signing, snapshots, verifying
from approvals.calls import keeping as calls
from approvals.canonical import digest_of
from approvals.exceptions import Refused
from approvals.lifecycle import ApprovalState, EffectState
from approvals.merging import TRAILER
from approvals.models import Approval, Effect, EffectKind, Signature
from approvals.standing import keeping
from projects import audit
from projects.exceptions import CountersignError
from projects.invariants import Check, NotChecked, Offence, collect, sql
from projects.models import AuditEntry, Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator
    from datetime import datetime

_SNAPSHOTS = 500  # the newest, and every one that still counts; each is read whole
_DIFFS = 50  # of those that still count: git is asked for each
_CHUNK = 20
_MARKS = "0009_mark_signatures"
QUIET_SECONDS = 120

# Planned: since we looked it may be carried out, or it is tried again and looks for its commit first.
_TIMES = {
    EffectState.PLANNED: {0, 1},
    EffectState.DOING: {0, 1},
    EffectState.UNKNOWN: {0, 1},
    EffectState.DONE: {1},
    EffectState.FAILED: {0},
    EffectState.WITHDRAWN: {0},
}

_SIGNED = """
SELECT 'approvals.effect', effect.id::text, format(
    'is %%s, and its approval is %%s with %%s of %%s signatures', effect.state, approval.state, signed.good,
    approval.snapshot -> 'policy' ->> 'signatures_needed')
FROM approvals_effect effect JOIN approvals_approval approval ON approval.id = effect.approval_id
CROSS JOIN LATERAL (
    SELECT count(DISTINCT signer_id) AS good FROM approvals_signature signature
    WHERE signature.approval_id = approval.id AND signature.verdict = 'approve'
      AND signature.digest = approval.digest AND signature.nonce = approval.nonce
      AND (signature.signer_id <> approval.requester_id OR approval.single_person)
      AND signature.at <= coalesce(effect.started_at, statement_timestamp())
) signed
WHERE effect.state IN ('doing', 'done', 'unknown') AND (
    approval.state <> 'approved' OR approval.decided_by_id IS NULL
    OR signed.good < coalesce((approval.snapshot -> 'policy' ->> 'signatures_needed')::int, 1)
    OR EXISTS (
        SELECT FROM jsonb_array_elements(approval.snapshot -> 'policy' -> 'signers') AS rule
        WHERE NOT EXISTS (
            SELECT FROM approvals_signature signature
            WHERE signature.approval_id = approval.id AND signature.verdict = 'approve'
              AND signature.digest = approval.digest AND signature.nonce = approval.nonce
              AND (signature.signer_id <> approval.requester_id OR approval.single_person)
              AND signature.at <= coalesce(effect.started_at, statement_timestamp())
              AND (rule -> 'anyone_of' @> jsonb_build_array(jsonb_build_object('id', signature.signer_id))
                   OR EXISTS (
                       SELECT FROM jsonb_array_elements(signature.on_behalf_of) AS stood
                       WHERE rule -> 'anyone_of' @> jsonb_build_array(
                           jsonb_build_object('id', stood ->> 'person'))))))
    OR jsonb_array_length(coalesce(approval.snapshot -> 'policy' -> 'not_alone', '[]')) > 0
      AND NOT approval.single_person
      AND approval.snapshot -> 'policy' -> 'editors_alone' IS DISTINCT FROM 'true'
      AND NOT EXISTS (
        SELECT FROM approvals_signature signature
        WHERE signature.approval_id = approval.id AND signature.verdict = 'approve'
          AND signature.digest = approval.digest AND signature.nonce = approval.nonce
          AND signature.at <= coalesce(effect.started_at, statement_timestamp())
          AND NOT approval.snapshot -> 'policy' -> 'not_alone'
              @> jsonb_build_array(jsonb_build_object('id', signature.signer_id)))
    OR approval.snapshot -> 'policy' -> 'every_file_viewed' = 'true' AND EXISTS (
        SELECT FROM approvals_signature signature WHERE signature.approval_id = approval.id
          AND signature.verdict = 'approve' AND NOT signature.every_file_viewed)
    OR approval.decided_at > coalesce(effect.started_at, approval.decided_at)
    OR effect.started_at < effect.not_before)
ORDER BY effect.id
"""
_AS_SEALED = """
SELECT 'approvals.effect', effect.id::text, 'would do something else than what was sealed'
FROM approvals_effect effect JOIN approvals_approval approval ON approval.id = effect.approval_id
WHERE effect.state <> 'withdrawn' AND (
    (approval.snapshot -> 'effects' -> effect.position::int) IS DISTINCT FROM effect.arguments
    OR effect.kind <> coalesce(effect.arguments ->> 'kind', ''))
ORDER BY effect.id
"""
_DECIDED = """
WITH told AS (
    SELECT event.data ->> 'approval' AS approval,
        count(*) FILTER (WHERE event.data ->> 'verdict' <> 'undo') AS decisions
    FROM agents_event event WHERE event.kind = 'approval.decided' GROUP BY 1
)
SELECT 'approvals.approval', approval.id::text, format('was decided %%s times', told.decisions)
FROM approvals_approval approval JOIN told ON told.approval = approval.id::text WHERE told.decisions > 1
UNION ALL
SELECT 'approvals.approval', approval.id::text, format('is %%s by a person who did not sign so', approval.state)
FROM approvals_approval approval
WHERE approval.state IN ('approved', 'changes_requested', 'rejected') AND NOT EXISTS (
    SELECT FROM approvals_signature signature
    WHERE signature.approval_id = approval.id AND signature.signer_id = approval.decided_by_id
      AND signature.verdict = CASE approval.state WHEN 'approved' THEN 'approve'
          WHEN 'rejected' THEN 'reject' ELSE 'request_changes' END)
UNION ALL
SELECT 'approvals.approval', approval.id::text, format('has %%s signatures that end it', count(*))
FROM approvals_approval approval JOIN approvals_signature signature ON signature.approval_id = approval.id
WHERE signature.verdict <> 'approve' GROUP BY approval.id HAVING count(*) > 1
UNION ALL
SELECT 'approvals.signature', signature.id::text, 'was given to what was sealed otherwise, or by its requester'
FROM approvals_signature signature JOIN approvals_approval approval ON approval.id = signature.approval_id
WHERE (signature.digest, signature.nonce) <> (approval.digest, approval.nonce)
   OR (signature.signer_id = approval.requester_id AND NOT approval.single_person)
"""
_STUCK = """
SELECT 'agents.task', task.id::text, format('is %%s, and nothing is to be signed or carried out', task.state)
FROM agents_task task
WHERE NOT EXISTS (SELECT FROM agents_event event
                  WHERE event.task_id = task.id AND event.seq = task.last_seq
                    AND event.at > statement_timestamp() - %(quiet)s * interval '1 second')
  AND CASE task.state
      WHEN 'review' THEN NOT EXISTS (
          SELECT FROM approvals_approval approval WHERE approval.task_id = task.id
          AND approval.state IN ('pending', 'stale', 'expired', 'withdrawn'))
      WHEN 'executing' THEN NOT EXISTS (
          SELECT FROM approvals_effect effect JOIN approvals_approval approval ON approval.id = effect.approval_id
          WHERE approval.task_id = task.id AND approval.state = 'approved' AND effect.state IN ('planned', 'doing'))
      ELSE false END
ORDER BY task.id
"""
_BELONGS = """
SELECT 'approvals.approval', approval.id::text, 'names a proposal, task or requester of another project or task'
FROM approvals_approval approval
JOIN agents_task task ON task.id = approval.task_id
JOIN agents_proposal proposal ON proposal.id = approval.proposal_id
JOIN approvals_policy policy ON policy.id = approval.policy_id
WHERE (approval.project_id, approval.task_id, approval.requester_id, approval.project_id)
   <> (task.project_id, proposal.task_id, task.requester_id, policy.project_id)
UNION ALL
SELECT 'approvals.comment', comment.id::text, 'is about a hunk of another proposal'
FROM approvals_comment comment JOIN approvals_approval approval ON approval.id = comment.approval_id
JOIN agents_hunk hunk ON hunk.id = comment.hunk_id JOIN agents_filechange file ON file.id = hunk.file_id
WHERE file.proposal_id <> approval.proposal_id
"""
_STOOD_IN = """
WITH signed AS (
    SELECT 'approvals.signature' AS model, signature.id, signature.signer_id, signature.at, signature.on_behalf_of,
        approval.project_id
    FROM approvals_signature signature JOIN approvals_approval approval ON approval.id = signature.approval_id
    UNION ALL
    SELECT 'approvals.callsignature', signature.id, signature.signer_id, signature.at, signature.on_behalf_of,
        call.project_id
    FROM approvals_callsignature signature JOIN approvals_callapproval call ON call.id = signature.approval_id
)
SELECT signed.model, signed.id::text, 'was given for somebody who had not asked for it then'
FROM signed CROSS JOIN LATERAL jsonb_array_elements(signed.on_behalf_of) AS stood
WHERE NOT EXISTS (
    SELECT FROM approvals_delegation delegation
    JOIN approvals_absence absence ON absence.id = delegation.absence_id
    WHERE delegation.id::text = stood ->> 'delegation'
      AND delegation.person_id::text = stood ->> 'person' AND absence.person_id = delegation.person_id
      AND delegation.delegate_id = signed.signer_id AND delegation.project_id = signed.project_id
      AND absence.at <= signed.at AND absence.begins_at <= signed.at
      AND signed.at < least(absence.ends_at, coalesce(absence.ended_at, absence.ends_at)))
ORDER BY signed.id
"""
_REMINDED = """
SELECT 'approvals.approval', told.approval, format('was reminded of %%s times at %%s %%%%', told.times, told.share)
FROM (SELECT event.data ->> 'approval' AS approval, event.data ->> 'share' AS share, count(*) AS times
      FROM agents_event event WHERE event.kind = 'approval.reminded' GROUP BY 1, 2) told
WHERE told.times > 1
UNION ALL
SELECT 'approvals.reminder', reminder.id::text, 'extends the time to decide otherwise than was sealed'
FROM approvals_reminder reminder JOIN approvals_approval approval ON approval.id = reminder.approval_id
WHERE reminder.extends IS NOT NULL AND reminder.extends IS DISTINCT FROM
    (approval.snapshot -> 'policy' -> 'reminders' ->> 'extend_hours')::int * interval '1 hour'
UNION ALL
SELECT 'approvals.callreminder', reminder.id::text, 'extends the time to decide otherwise than was sealed'
FROM approvals_callreminder reminder JOIN approvals_callapproval call ON call.id = reminder.approval_id
WHERE reminder.extends IS NOT NULL AND reminder.extends IS DISTINCT FROM
    (call.snapshot -> 'policy' -> 'reminders' ->> 'extend_hours')::int * interval '1 hour'
UNION ALL
SELECT 'approvals.callapproval', call.id::text, 'expired before its time was over'
FROM approvals_callapproval call
LEFT JOIN approvals_callreminder reminder ON reminder.approval_id = call.id AND reminder.extends IS NOT NULL
WHERE call.state = 'expired' AND call.decided_at < call.expires_at + coalesce(reminder.extends, interval '0')
UNION ALL
SELECT 'approvals.approval', approval.id::text, 'expired before its time was over'
FROM approvals_approval approval
LEFT JOIN approvals_reminder reminder ON reminder.approval_id = approval.id AND reminder.extends IS NOT NULL
WHERE approval.state = 'expired'
  AND approval.decided_at < approval.expires_at + coalesce(reminder.extends, interval '0')
"""
_HELD = """
SELECT 'approvals.effect', effect.id::text, format('was begun under a hold placed at %%s', hold.placed_at)
FROM approvals_effect effect JOIN approvals_approval approval ON approval.id = effect.approval_id
JOIN agents_hold hold ON hold.lifted_at IS NULL
 AND (hold.scope = 'everything' OR hold.task_id = approval.task_id OR hold.project_id = approval.project_id)
WHERE effect.started_at > hold.placed_at + %(grace)s * interval '1 second'
ORDER BY effect.id
"""
_LATE = """
SELECT 'approvals.approval', approval.id::text, format('waits for a signature, but its task is %%s', task.state)
FROM approvals_approval approval JOIN agents_task task ON task.id = approval.task_id
WHERE approval.state = 'pending' AND task.state IN ('done', 'rejected', 'cancelled', 'failed')
  AND task.finished_at < statement_timestamp() - %(quiet)s * interval '1 second'
UNION ALL
SELECT 'approvals.effect', effect.id::text, format('is %%s, but its task is %%s', effect.state, task.state)
FROM approvals_effect effect JOIN approvals_approval approval ON approval.id = effect.approval_id
JOIN agents_task task ON task.id = approval.task_id
WHERE effect.state IN ('planned', 'doing') AND task.state IN ('done', 'rejected', 'cancelled', 'failed')
  AND task.finished_at < statement_timestamp() - %(quiet)s * interval '1 second'
"""


def _merged_once() -> Iterator[Offence]:
    """Compare what lies on the main of each repository with the effects that claim to be there."""
    merges = Effect.objects.filter(kind=EffectKind.GIT_MERGE)
    projects = merges.order_by().values_list("approval__project", flat=True).distinct()
    for project in Project.objects.filter(pk__in=projects):
        try:
            on_main = Counter(Store.of(project).trailers_on_main(TRAILER))
        except CountersignError as error:
            said = f"cannot be compared with its repository: {error}"
            yield Offence(table="projects.project", pk=str(project.pk), said=said)
            continue
        mine = merges.filter(approval__project=project)
        if set_back := _set_back_at(project):
            mine = mine.exclude(state=EffectState.DONE, finished_at__lt=set_back)
        yield from _compared(on_main, dict(mine.values_list("approval_id", "state")))


def _set_back_at(project: Project) -> datetime | None:
    """Return when main of the bundled repository was last set back, to play its story again."""
    entries = AuditEntry.objects.filter(project=project, action=audit.DEMO_RESET)
    return entries.order_by("-id").values_list("at", flat=True).first()


def _compared(on_main: Counter[str], states: dict[uuid.UUID, str]) -> Iterator[Offence]:
    for approval, state in states.items():
        times = on_main[str(approval)]
        if times not in _TIMES[EffectState(state)]:
            said = f"is {state}, and main has {times} commits of it"
            yield Offence(table="approvals.approval", pk=str(approval), said=said)


def _sealed() -> Iterator[Offence]:
    """Recompute the digest of what was sealed, and compare it with what a reviewer is shown."""
    counts = Approval.objects.filter(state=ApprovalState.PENDING)
    counts |= Approval.objects.filter(effects__state__in=[EffectState.PLANNED, EffectState.DOING])
    current = set(counts.values_list("pk", flat=True)[:_SNAPSHOTS])
    newest = Approval.objects.order_by("-id").values_list("pk", flat=True)[:_SNAPSHOTS]
    rows = Approval.objects.filter(pk__in=current | set(newest)).select_related(
        "proposal", "project"
    )
    diffs = _DIFFS
    for approval in rows.order_by("-id").iterator(chunk_size=_CHUNK):
        asks_git = approval.pk in current and diffs > 0
        diffs -= asks_git
        if said := _unlike(approval, asks_git=asks_git):
            yield Offence(table="approvals.approval", pk=str(approval.pk), said=said)


def _unlike(approval: Approval, *, asks_git: bool) -> str:
    if digest_of(approval.snapshot) != approval.digest:
        return "says something else than its digest"
    if approval.snapshot["files"] != snapshots.without_floats(
        snapshots.files_of(approval.proposal)
    ):
        return "does not show every hunk of its proposal, or shows others"
    effect = approval.snapshot["effects"][0]
    if asks_git and effect["kind"] == EffectKind.GIT_MERGE:
        try:
            verifying.require_same_objects(
                Store.of(approval.project, from_disk=True), approval, effect
            )
        except Refused as refused:
            return str(refused)
        except CountersignError as error:
            return f"cannot be compared with git's objects: {error}"
    return ""


def _genuine() -> Iterator[Offence]:
    """Prove the mark of every signature by which something was carried out."""
    if not settings.SIGNING_PUBLIC_KEYS:
        raise NotChecked("No public key of the console is known here.")
    states = [EffectState.DOING, EffectState.DONE, EffectState.UNKNOWN]
    acted = Effect.objects.filter(state__in=states)
    signed = Signature.objects.filter(approval__in=acted.values("approval")).order_by("pk")
    # Those of before there were marks cannot have one.
    signed = signed.exclude(mark="", at__lt=_marked_since())
    for signature in signed.iterator(chunk_size=_CHUNK):
        if not signing.is_genuine(signature):
            said = "does not carry the mark of a key of the console over what it says"
            yield Offence(table="approvals.signature", pk=str(signature.pk), said=said)


def _marked_since() -> datetime:
    applied = MigrationRecorder.Migration.objects.filter(app="approvals", name=_MARKS)
    moment: datetime = applied.values_list("applied", flat=True).get()
    return moment


CHECKS = (
    Check(
        name="effect-once",
        sentence="Main has exactly one commit of every merge that is done, and none of any other.",
        find=lambda: collect(_merged_once()),
    ),
    Check(
        name="effect-signed",
        sentence="Nothing was carried out without enough matching signatures of other people before it.",
        find=lambda: sql(_SIGNED),
    ),
    Check(
        name="signature-genuine",
        sentence="Every signature by which something was carried out was made by the console.",
        find=lambda: collect(_genuine()),
    ),
    Check(
        name="effect-sealed",
        sentence="Every effect is the one that was sealed.",
        find=lambda: sql(_AS_SEALED),
    ),
    Check(
        name="decided-once",
        sentence="Every approval is decided at most once, by who signed it, and never by its requester.",
        find=lambda: sql(_DECIDED),
    ),
    Check(
        name="shown-whole",
        sentence="What a reviewer sees is what was sealed: every hunk of the change, none hidden or cut.",
        find=lambda: collect(_sealed()),
    ),
    Check(
        name="review-moves",
        sentence="A task in review waits for a signature, one being carried out has something to do.",
        find=lambda: sql(_STUCK, {"quiet": QUIET_SECONDS}),
    ),
    Check(
        name="approval-ends",
        sentence="Nothing is left to sign or to carry out for a task that is over.",
        find=lambda: sql(_LATE, {"quiet": QUIET_SECONDS}),
    ),
    Check(
        name="approval-belongs",
        sentence="An approval is about one task of one project, and its comments about its hunks.",
        find=lambda: sql(_BELONGS),
    ),
    Check(
        name="stood-in",
        sentence="Who signed for somebody else had been asked to, by them, for then and for that project.",
        find=lambda: sql(_STOOD_IN),
    ),
    *held.CHECKS,
    *listed.CHECKS,
    Check(
        name="reminded-once",
        sentence="Nobody is reminded twice, and no time to decide ends earlier or later than was sealed.",
        find=lambda: sql(_REMINDED),
    ),
    Check(
        name="effect-held",
        sentence="No effect was begun under a hold.",
        find=lambda: sql(_HELD, {"grace": HOLD_SECONDS}),
    ),
    *calls.CHECKS,
    *keeping.CHECKS,
)
