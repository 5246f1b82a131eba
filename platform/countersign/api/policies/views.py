"""The endpoint of a project's policy; a change of it is a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import prefetch_related_objects
from rest_framework.response import Response

from approvals import policies
from approvals.models import Policy
from approvals.policies import OF_RULE, TERMS, Rule
from countersign.api.authentication import NEVER
from countersign.api.endpoint import Endpoint
from countersign.api.policies.serializers import PolicyInput, PolicyOfProjectShape
from countersign.api.problems import not_found
from countersign.api.schema import operation
from projects.exceptions import InvalidInput
from projects.models import Project

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from rest_framework.request import Request

    from projects.models import User

People = dict["uuid.UUID", "User"]


class PolicyOfProject(Endpoint):
    """How decisions are made in a project."""

    scopes = {"GET": "approvals:read", "PUT": NEVER}

    @operation("Read a policy", answer=PolicyOfProjectShape, tag="policies")
    def get(self, request: Request, slug: str) -> Response:
        """Return the version in force, for members."""
        project = self._project(slug)
        return _shown(project, policies.read_active(project))

    @operation(
        "Change a policy",
        request=PolicyInput,
        answer=PolicyOfProjectShape,
        problems=(404, 409),
        tag="policies",
    )
    def put(self, request: Request, slug: str) -> Response:
        """Put a new version in force; for members who may do so in the admin, and in person only.

        What waits keeps the version it was sealed with. 409 when another version than the one you
        looked at is in force: read it, and change that.
        """
        project = self._project(slug)
        policies.require_admin(self.person)
        body = self.body(PolicyInput)
        people = {person.pk: person for person in policies.leads_of(project)}
        new = policies.change(
            project,
            by=self.person,
            address=self.address,
            people=_named("remind_people", body["remind_people"], people),
            rules=[
                _rule(f"rules.{place}", facts, people) for place, facts in enumerate(body["rules"])
            ],
            over=_looked_at(project, body["version"]),  # last: what is refused makes no version
            **{name: body[name] for name in TERMS},
        )
        return _shown(project, new)

    def _project(self, slug: str) -> Project:
        project = self.visible(Project.objects.all()).filter(slug=slug).first()
        if project is None:
            raise not_found("project")
        return project


def _shown(project: Project, policy: Policy) -> Response:
    prefetch_related_objects([policy], "created_by", "remind_people", "rules__signers")
    leads = policies.leads_of(project)
    return Response(PolicyOfProjectShape(policy, context={"leads": leads}).data)


def _looked_at(project: Project, version: int) -> Policy:
    if version == 1:  # the defaults, perhaps, which are not kept before somebody needs them
        policies.active_policy(project)
    found = Policy.objects.filter(project=project, version=version).first()
    if found is None:
        raise InvalidInput("version", "There is no such version. Read the policy and name its own.")
    return found


def _rule(field: str, facts: Mapping[str, Any], people: People) -> Rule:
    signers = _named(f"{field}.signers", facts["signers"], people)
    return Rule(**{name: facts[name] for name in OF_RULE}, signers=signers)


def _named(field: str, keys: Sequence[uuid.UUID], people: People) -> list[User]:
    unknown = [str(key) for key in keys if key not in people]
    if unknown:
        raise InvalidInput(field, f"{unknown[0]} is no tech lead of this project.")
    return [people[key] for key in dict.fromkeys(keys)]
