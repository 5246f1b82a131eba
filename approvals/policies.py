"""The policy in force in a project; a change of it is a new version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import prefetch_related_objects

from approvals.models import Policy, PolicyRule
from projects import audit
from projects.exceptions import NotAllowed, TransitionRefused
from projects.models import Project, Role, User
from projects.prepared import Given, Prepared

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence


MONEY_PATHS = ["**/billing/**", "**/payment*/**", "**/invoice*", "**/price*", "**/ledger*"]
PROTECTED_PATHS = [
    ".github/**",
    ".gitlab-ci.yml",
    ".circleci/**",
    "**/Jenkinsfile",
    "**/CODEOWNERS",
]
TERMS = (
    "signatures_needed",
    "undo_seconds",
    "expires_hours",
    "call_undo_seconds",
    "call_at_expiry",
    "bulk_allowed",
    "signatures_hold",
    "editors_alone",
    "typed_confirmation",
    "every_file_from",
    "remind_half",
    "extend_hours",
    "standing_grants",
    "money_paths",
    "protected_paths",
)
ASKED = (
    "signatures_needed",
    "every_file_viewed",
    "bulk_forbidden",
    "undo_seconds",
    "expires_hours",
)
LISTS = ("risks", "paths", "kinds", "tools")
OF_RULE = ("name", *LISTS, *ASKED)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule as somebody writes it down, before it belongs to a version."""

    name: str
    risks: Sequence[str] = ()
    paths: Sequence[str] = ()
    kinds: Sequence[str] = ()
    tools: Sequence[str] = ()
    signatures_needed: int | None = None
    every_file_viewed: bool = False
    bulk_forbidden: bool = False
    undo_seconds: int | None = None
    expires_hours: int | None = None
    signers: Sequence[User] = ()

    def told(self) -> dict[str, Any]:
        """Return what it says, without what it leaves open; people by the name they sign in with."""
        facts = {name: getattr(self, name) for name in OF_RULE}
        facts |= {name: list(facts[name]) for name in LISTS}
        facts["signers"] = [person.username for person in self.signers]
        return {name: value for name, value in facts.items() if value not in (None, [], False)}


def active_policy(project: Project) -> Policy:
    """Return the policy in force, making version 1 with safe defaults when there is none."""
    found = Policy.objects.filter(project=project, active=True).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            made = _defaults(project)
            made.save(force_insert=True)
            return made
    except IntegrityError:  # another process made it between our look and our insert
        return Policy.objects.get(project=project, active=True)


def read_active(project: Project) -> Policy:
    """Return the policy in force and change nothing: with none yet, the safe defaults, unsaved."""
    found = Policy.objects.filter(project=project, active=True).first()
    return found or _defaults(project, created_at=project.created_at)


def active_policies(projects: Iterable[Project]) -> dict[uuid.UUID, Policy]:
    """Return the policy in force in each project, by project, as `active_policy` does."""
    wanted = {project.pk: project for project in projects}
    found = {each.project_id: each for each in _ACTIVE(projects=list(wanted))}
    return {pk: found.get(pk) or active_policy(project) for pk, project in wanted.items()}


_ACTIVE = Prepared(lambda: Policy.objects.filter(project__any=Given("projects"), active=True))


def leads_of(project: Project) -> list[User]:
    """Return the people a policy of the project can name, by name."""
    leads = User.objects.filter(
        memberships__project=project, memberships__role=Role.LEAD, is_active=True
    )
    return list(leads.order_by("username"))


def out_of_reach(policy: Policy) -> list[str]:
    """Say what a policy asks for that nobody's work could get here, or not that of a tech lead.

    Who asked for a change signs it only where one person may do everything. Tech leads come and go,
    so this refuses nothing.
    """
    return beyond(policy, rules_of([policy])[policy.pk], leads_of(policy.project))


def beyond(policy: Policy, rules: Iterable[PolicyRule], people: Sequence[User]) -> list[str]:
    """Say the same of a policy whose rules and tech leads were read already."""
    leads, alone = len(people), policy.project.single_person
    most, rule = policy.signatures_needed, ""
    for each in rules:
        if (each.signatures_needed or 0) > most:
            most, rule = each.signatures_needed or 0, f" where “{each.name}” applies"
    counted = f"{most} signature{'s' * (most > 1)} {'are' if most > 1 else 'is'} asked for{rule}"
    have = f"{policy.project.name} has {leads or 'no'} tech lead{'s' * (leads != 1)}"
    if most > leads:
        return [f"{counted}, and {have}: nothing of it can be approved until there are more."]
    if most == leads and not alone:
        who = "one of them" if leads > 1 else "that one"
        return [f"{counted}, and {have}: what {who} asks for cannot be approved."]
    return []


def require_admin(person: User) -> None:
    """Raise NotAllowed unless this person may change policies in the admin."""
    if not (person.is_active and person.is_staff and person.has_perm("approvals.change_policy")):
        raise NotAllowed("Only an admin can change a policy. Nothing was changed.")


def rules_of(policies: Iterable[Policy]) -> dict[uuid.UUID, list[PolicyRule]]:
    """Return the rules of each policy with the people they name, in their order.

    Reads for each policy the people it names, too.
    """
    policies = list(policies)
    prefetch_related_objects([each for each in policies if each.names_people], "remind_people")
    found: dict[uuid.UUID, list[PolicyRule]] = {policy.pk: [] for policy in policies}
    rows = _RULES(policies=list(found))
    prefetch_related_objects(rows, "signers")
    for rule in rows:
        found[rule.policy_id].append(rule)
    return found


_RULES = Prepared(
    lambda: PolicyRule.objects.filter(policy__any=Given("policies")).order_by("policy", "position")
)


def change(
    project: Project,
    *,
    by: User,
    address: str | None = None,
    rules: Sequence[Rule] | None = None,
    people: Sequence[User] | None = None,
    over: Policy | None = None,
    **fields: Any,
) -> Policy:
    """Put a new version in force with these fields changed; the old version stays on record.

    `rules`, and `people` to remind, take the place of all there are; without them they stay as they
    are. Raises TransitionRefused when `over`, which somebody looked at, is not in force any more.
    Locks the project, so two changes at once become two versions: waiting for the version itself,
    the second would find it no longer active and the newer one not yet there.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        old = active_policy(project)
        if over is not None:
            require_in_force(over, newest=old)
        kept = {name: getattr(old, name) for name in TERMS}
        Policy.objects.filter(pk=old.pk).update(active=False)
        new = Policy(
            project=project, version=_next_version(project), created_by=by, **{**kept, **fields}
        )
        new.full_clean(validate_unique=False, validate_constraints=False)
        new.save(force_insert=True)
        _write_rules(new, _as_written(old) if rules is None else rules)
        new.remind_people.set(old.remind_people.all() if people is None else people)
        told: dict[str, Any] = {}
        if rules is not None:
            told["rules"] = [rule.told() for rule in rules]
        if people is not None:
            told["remind_people"] = [person.username for person in people]
        audit.record(
            "policy.changed",
            subject=new,
            actor=by,
            project=project,
            address=address,
            version=new.version,
            **{name: getattr(new, name) for name in fields},
            **told,
        )
    return new


def require_in_force(policy: Policy, *, newest: Policy) -> None:
    """Raise TransitionRefused when a version somebody looked at is not the newest any more."""
    if policy.pk != newest.pk:
        raise TransitionRefused(
            f"Version {newest.version} is in force since you opened version {policy.version}. "
            "Nothing was changed; open the newest and change that."
        )


def _as_written(policy: Policy) -> list[Rule]:
    return [
        Rule(**{name: getattr(rule, name) for name in OF_RULE}, signers=list(rule.signers.all()))
        for rule in rules_of([policy])[policy.pk]
    ]


def _write_rules(policy: Policy, rules: Sequence[Rule]) -> None:
    for position, rule in enumerate(rules):
        facts = {name: getattr(rule, name) for name in OF_RULE}
        lists = {name: list(facts[name]) for name in LISTS}
        row = PolicyRule(policy=policy, position=position, **{**facts, **lists})
        row.full_clean(validate_unique=False, validate_constraints=False)
        row.save(force_insert=True)
        row.signers.set(rule.signers)


def _defaults(project: Project, **facts: Any) -> Policy:
    return Policy(
        project=project,
        version=_next_version(project),
        money_paths=MONEY_PATHS,
        protected_paths=PROTECTED_PATHS,
        **facts,
    )


def _next_version(project: Project) -> int:
    last = Policy.objects.filter(project=project).order_by("-version").first()
    return last.version + 1 if last else 1
