"""Hand over work in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents import intake
from agents.limits import Limits
from agents.models import Task
from approvals import policies
from approvals.models import PolicyRule
from countersign.console import examples
from countersign.console.addresses import address_of
from countersign.console.rendering import mine_of, page
from projects.across import Across
from projects.exceptions import CountersignError, InvalidInput
from projects.models import Membership, Project, Role

if TYPE_CHECKING:
    from django.http import HttpResponse

    from countersign.console.requests import PersonRequest
    from projects.across import Mine
    from projects.models import User


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PersonRequest) -> HttpResponse:
    """Show the form; on POST submit the request and go to its task."""
    if request.method != "POST":
        given = {"request": request.GET.get("request", ""), "project": request.GET.get("project")}
        return _form(request, given, {})
    errors: dict[str, str] = {}
    try:
        return redirect("console:task", _submitted(request).number)
    except InvalidInput as error:
        errors[error.field] = str(error)
    except CountersignError as error:
        errors["general"] = str(error)
    return _form(request, request.POST, errors)


def _submitted(request: PersonRequest) -> Task:
    project = _projects(request.user).get(request.POST.get("project", ""))
    if project is None:
        raise InvalidInput("project", "Choose one of your projects.")
    return intake.submit(
        project=project,
        requester=request.user,
        request=request.POST.get("request", "").replace("\r\n", "\n"),
        limits=_limits(request),
        address=address_of(request),
    ).task


def _limits(request: PersonRequest) -> dict[str, Any]:
    units = {"minutes": ("seconds", 60), "usd": ("usd", 1), "rounds": ("rounds", 1)}
    limits: dict[str, Any] = {}
    for field, (name, factor) in units.items():
        text = request.POST.get(field, "").strip()
        if not text:
            continue
        try:
            limits[name] = float(text) * factor
        except ValueError:
            raise InvalidInput("limits", f"{text!r} is not a number.") from None
        if not 0 < limits[name] < 1e9:
            raise InvalidInput("limits", f"{text!r} must be above 0.")
    return limits


def _form(request: PersonRequest, given: Any, errors: dict[str, str]) -> HttpResponse:
    projects = _projects(request.user)
    chosen = projects.get(given.get("project") or "") or next(iter(projects.values()), None)
    context = {
        "here": "new",
        "projects": list(projects.values()),
        "chosen": chosen,
        "signers": _signers(chosen, request.user),
        **_policy(chosen),
        "limits": Limits.of(chosen.limits if chosen else {}),
        "given": given,
        "errors": errors,
        "examples": examples.for_project(chosen),
        "recent": _recent(mine_of(request)),
    }
    return page(request, "new/new.html", context, status=400 if errors else 200)


def _projects(user: User) -> dict[str, Project]:
    rows = Project.objects.visible_to(user).filter(archived_at__isnull=True)
    return {project.slug: project for project in rows}


def _recent(mine: Mine) -> list[Task]:
    newest = Across(rows=Task.objects.all(), projects=mine.projects).keys(["-id"], 3)
    found = Task.objects.filter(pk__among=newest).select_related("project")
    return list(found.order_by("-id"))


def _policy(project: Project | None) -> dict[str, Any]:
    """Return the policy in force in a project, and how many rules it has."""
    if project is None:
        return {}
    policy = policies.read_active(project)
    return {"policy": policy, "rules": PolicyRule.objects.filter(policy=policy.pk).count()}


def _signers(project: Project | None, user: User) -> list[User]:
    if project is None:
        return []
    leads = Membership.objects.filter(project=project, role=Role.LEAD, user__is_active=True)
    if not project.single_person:
        leads = leads.exclude(user=user)
    return [membership.user for membership in leads.select_related("user").order_by("pk")[:5]]
