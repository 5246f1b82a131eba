"""The policy of a project, for its members to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET

from approvals import policies
from approvals.models import Policy
from countersign.console import policy_words
from countersign.console.rendering import page
from projects.models import Project

if TYPE_CHECKING:
    import uuid

    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest
    from projects.models import User

_LONGEST = 9  # digits of a version


@login_required
@require_GET
def policy(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """Show the version in force, or the one that is asked for, in plain words."""
    project = get_object_or_404(Project.objects.visible_to(request.user), pk=pk)
    shown = _version(project, request.GET.get("version", ""))
    rules, leads = policies.rules_of([shown])[shown.pk], policies.leads_of(project)
    context = {
        "here": "inbox",
        "project": project,
        "policy": shown,
        "changes": policy_words.of_changes(shown, alone=project.single_person),
        "time": policy_words.of_time(shown),
        "calls": policy_words.of_calls(shown),
        "rules": [policy_words.of_rule(rule) for rule in rules],
        "leads": leads,
        "unreachable": policies.beyond(shown, rules, leads) if shown.active else [],
        "change_url": _change_url(shown, request.user),
    }
    return page(request, "policy/policy.html", context)


def _version(project: Project, wanted: str) -> Policy:
    """Return that version, or with none wanted the one in force; the defaults while none was kept."""
    rows = Policy.objects.filter(project=project).select_related("created_by")
    if not wanted:
        found = rows.filter(active=True).first()
    elif wanted.isdecimal() and len(wanted) <= _LONGEST:
        found = rows.filter(version=int(wanted)).first()
    else:
        raise Http404
    found = found or policies.read_active(project)
    if wanted and found.version != int(wanted):
        raise Http404
    found.project = project
    return found


def _change_url(policy: Policy, person: User) -> str:
    """Return where this person may change it, if they may; the defaults are not there to be changed."""
    kept = policy.active and not policy._state.adding
    if not (kept and person.is_staff and person.has_perm("approvals.change_policy")):
        return ""
    return reverse("admin:approvals_policy_change", args=[policy.pk])
