"""The admin of policies and their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.urls import reverse

from approvals import policies
from approvals.models import EffectKind, Policy, PolicyRule, Remind, Risk
from approvals.policies import ASKED, OF_RULE, TERMS, Rule, active_policy
from projects.administration import (
    AuditedAdmin,
    LinesField,
    ModelForm,
    RowsInline,
)
from projects.models import Membership, Role, User

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    BaseInlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
else:  # generic in the stubs only
    BaseInlineFormSet = forms.BaseInlineFormSet


class RuleForm(ModelForm):
    """What is asked besides, where it applies; globs one per line."""

    risks = forms.MultipleChoiceField(
        choices=Risk.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: any risk.",
    )
    kinds = forms.MultipleChoiceField(
        label="Effects",
        choices=EffectKind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: any effect.",
    )
    paths = LinesField(
        rows=3, required=False, help_text="One of them is changed. One glob a line; empty: any."
    )
    tools = LinesField(
        rows=3,
        required=False,
        help_text="One of them is called. One glob of server/tool a line, as pay/*; empty: any.",
    )
    signatures_needed = forms.IntegerField(min_value=1, max_value=5, required=False)
    undo_seconds = forms.IntegerField(min_value=0, max_value=300, required=False)
    expires_hours = forms.IntegerField(min_value=1, max_value=2_160, required=False)

    class Meta:
        model = PolicyRule
        fields: ClassVar = [*OF_RULE, "signers"]

    def clean(self) -> dict[str, Any]:
        """Refuse a rule that asks for nothing."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        asks = (*ASKED, "signers")
        if not self.errors and not any(cleaned.get(name) for name in asks):
            raise forms.ValidationError(
                "This rule asks for nothing: set signatures, signers, files or times."
            )
        return cleaned


def _leads() -> QuerySet[Membership]:
    return Membership.objects.filter(role=Role.LEAD, user__is_active=True)


class RuleFormSet(BaseInlineFormSet):
    """The rules of one policy."""

    def clean(self) -> None:
        """Refuse people who cannot sign in the project: they would be waited for in vain."""
        super().clean()
        if self.instance.project_id is None:
            return  # the form says that one is missing
        project = self.instance.project
        leads = set(_leads().filter(project=project).values_list("user", flat=True))
        for form in self.forms:
            for person in form.cleaned_data.get("signers", ()):
                if person.pk not in leads:
                    said = f"{person.display_name} is no tech lead of {project.name}."
                    form.add_error("signers", said)

    def save(self, commit: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - Django's signature
        """Write nothing: rules are written with the version they belong to."""
        self.new_objects, self.changed_objects, self.deleted_objects = [], [], []
        return []


class RuleInline(RowsInline):
    """What the policy asks besides: of all rules that apply, the strictest counts."""

    model = PolicyRule
    form = RuleForm
    formset = RuleFormSet
    template = "admin/edit_inline/stacked.html"
    fields = [
        "name",
        ("risks", "kinds"),
        "paths",
        "tools",
        ("signatures_needed", "undo_seconds", "expires_hours"),
        ("every_file_viewed", "bulk_forbidden"),
        "signers",
    ]

    def get_formset(self, request: Any, obj: Policy | None = None, **kwargs: Any) -> Any:
        """Note whose people may be named."""
        request.policy_of_rules = obj
        return super().get_formset(request, obj, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the tech leads of the project."""
        policy: Policy | None = request.policy_of_rules
        kwargs["widget"] = forms.CheckboxSelectMultiple
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        named = PolicyRule.signers.through.objects.filter(policyrule__policy=policy)
        return _people(field, policy, named)


def _people(field: Any, policy: Policy | None, named: QuerySet[Any]) -> Any:
    """Offer the tech leads of the project, or of any while it is not chosen yet.

    Who has lost the role since stays, to be taken out by somebody and not in silence.
    """
    leads = _leads().filter(project=policy.project_id) if policy else _leads()
    offered = Q(pk__in=leads.values("user"))
    if policy:
        offered |= Q(pk__in=named.values("user"))
    field.queryset = User.objects.filter(offered).order_by("username")
    field.label_from_instance = lambda person: person.display_name
    return field


class PolicyForm(ModelForm):
    """How decisions are made in a project; globs one per line."""

    signatures_needed = forms.IntegerField(min_value=1, max_value=5, initial=1)
    undo_seconds = forms.IntegerField(
        min_value=0,
        max_value=300,
        initial=10,
        help_text="0 to 300: an approved effect waits this long and can be undone.",
    )
    expires_hours = forms.IntegerField(
        min_value=1,
        max_value=2_160,
        initial=72,
        help_text="A pending approval ends then, undecided.",
    )
    call_undo_seconds = forms.IntegerField(
        label="Undo seconds of calls",
        min_value=0,
        max_value=300,
        initial=0,
        help_text="0 to 300: a call of a tool waits this long after its last permission and can be "
        "undone; its agent waits with it. 0: it is called at once.",
    )
    extend_hours = forms.IntegerField(
        label="At the end, extend by hours",
        min_value=1,
        max_value=2_160,
        required=False,
        help_text=Policy._meta.get_field("extend_hours").help_text,
    )
    money_paths = LinesField(
        rows=5, required=False, help_text="Changes here are at least medium risk. One glob a line."
    )
    protected_paths = LinesField(
        rows=5, required=False, help_text="Changes here are high risk. One glob per line."
    )

    class Meta:
        model = Policy
        fields: ClassVar = ["project", *TERMS, "remind_people"]

    def clean(self) -> dict[str, Any]:
        """Refuse to remind people when nobody is named."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("remind_half") == Remind.PEOPLE and not cleaned.get("remind_people"):
            self.add_error("remind_people", "Name at least one person to be reminded.")
        return cleaned


_PATHS = ("money_paths", "protected_paths")
_IN_ORDER = (*(name for name in TERMS if name not in _PATHS), "remind_people", *_PATHS)


@admin.register(Policy)
class PolicyAdmin(AuditedAdmin):
    """A change puts a new version in force; what was signed keeps the version it was signed under."""

    form = PolicyForm
    inlines = [RuleInline]
    list_display = ["__str__", "project", "in_force", *TERMS[:3], "created_by", "created_at"]
    list_select_related = ["project", "created_by"]
    list_filter = ["active", "project"]
    readonly_fields = ["version", "in_force", "created_by", "created_at"]
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Show what version it is."""
        return ["project", *(self.readonly_fields if obj else []), *_IN_ORDER]

    def get_form(
        self,
        request: Any,
        obj: Policy | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        """Note whose people may be named."""
        request.policy_of_rules = obj
        return super().get_form(request, obj, change, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer the tech leads of the project."""
        policy: Policy | None = request.policy_of_rules
        kwargs["widget"] = forms.CheckboxSelectMultiple
        field: Any = super().formfield_for_manytomany(db_field, request, **kwargs)
        return _people(field, policy, Policy.remind_people.through.objects.filter(policy=policy))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        """Load what every page names."""
        return super().get_queryset(request).select_related("project")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A policy stays with its project."""
        return [*self.readonly_fields, "project"] if obj else list(self.readonly_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for versions no longer in force.

        What was sent for one that was in force when it was opened is refused when it is written: the
        form stays as it was typed.
        """
        sent = request.method == "POST"
        return super().has_change_permission(request, obj) and (obj is None or obj.active or sent)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def save_model(self, request: Any, obj: Policy, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Nothing yet: a version is written with its rules."""

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Put a new version in force; the version that was edited stays as it was.

        The change of a policy writes its own audit entry.
        """
        for formset in formsets:
            formset.save()
        policy: Policy = form.instance
        names = [name for name in form.changed_data if name in TERMS] if change else TERMS
        written = [_rules_in(each) for each in formsets if each.has_changed() or not change]
        rules = written[0] if written else None
        people = None
        if not change or "remind_people" in form.changed_data:
            people = list(form.cleaned_data["remind_people"])
        if change and not names and rules is None and people is None:
            policies.require_in_force(policy, newest=active_policy(policy.project))
            return
        new = policies.change(
            policy.project,
            by=request.user,
            address=request.META.get("REMOTE_ADDR") or None,
            rules=rules,
            people=people,
            over=policy if change else None,
            **{name: form.cleaned_data[name] for name in names},
        )
        policy.pk = new.pk
        policy.refresh_from_db()
        for said in policies.out_of_reach(new):
            self.message_user(request, said, messages.WARNING)

    def response_change(self, request: Any, obj: Any) -> Any:
        """Go on to the new version."""
        self.message_user(request, f"Version {obj.version} is in force in {obj.project}.")
        return HttpResponseRedirect(reverse("admin:approvals_policy_change", args=[obj.pk]))

    @admin.display(description="in force", boolean=True, ordering="active")
    def in_force(self, policy: Policy) -> bool:
        """Whether new approvals are sealed with it."""
        return policy.active


def _rules_in(formset: Any) -> list[Rule]:
    """Return the rules as they stand in the form, those taken out left out."""
    given = (form.cleaned_data for form in formset.forms)
    return [
        Rule(**{name: facts[name] for name in OF_RULE}, signers=list(facts["signers"]))
        for facts in given
        if facts.get("name") and not facts.get("DELETE")
    ]
