"""A change to be edited, and what the worker does with a person's edit, in the test's own process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agents import assembling, materials, redrafting
from agents.finishing import settle
from agents.models import Proposal, Step
from agents.runtime.contract import Finished
from approvals import sealing
from approvals.editing import edit
from tests.approval_fixtures import make_change
from tests.reviewing import decide
from tests.runtime_fixtures import claim_one

if TYPE_CHECKING:
    from pathlib import Path

    from approvals.models import Approval, Edit, Signature
    from projects.models import Project, User

DOCS = "docs/rounding.md"
TEXT = "Tax is rounded half even, once, on the total.\n"


def editable(project: Project, requester: User, folder: Path) -> Approval:
    """Return a sealed change whose aggregator left a draft, and whose coder a commit."""
    proposal = make_change(project, requester, folder)
    draft = {"version": 1, "title": "Round once on the total", "summary": "Tax was rounded."}
    Step.objects.filter(kind="assemble").update(result=draft)
    made = {"base_commit": proposal.base_commit, "result_commit": proposal.head_commit}
    Step.objects.filter(agent__slug="coder").update(**made)
    return sealing.seal(proposal)


def checked_anew(old: Approval) -> Approval:
    """Assemble what was edited, without asking a model, and seal it."""
    one = claim_one()
    assert one.step.task_id == old.task_id
    made = assembling.prepare(materials.gather(one.step))
    draft = redrafting.earlier_draft(made)
    assert draft is not None, "a model would be asked"
    verified = assembling.verify(made, draft)
    publish = partial(assembling.publish, assembly=made, draft=draft, verified=verified)
    assert settle(one.attempt, Finished(draft), publish=publish)
    newest = Proposal.objects.filter(task=old.task_id).order_by("-pk").first()
    return sealing.seal(newest)


def put(change: Approval, by: User, *, path: str = DOCS, text: str = TEXT, **facts: Any) -> Edit:
    """Edit a file of what is sealed."""
    return edit(change, by=by, path=path, text=text, **{"digest": change.digest, **facts})


def sign(approval: Approval, by: User) -> Signature:
    """Approve it."""
    sealed = {"digest": approval.digest, "nonce": approval.nonce}
    return decide(approval.pk, by=by, verdict="approve", **sealed)
