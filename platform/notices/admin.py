"""The admin of webhooks, and the delivery log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError

from notices import requests, targets, words
from notices.lifecycle import DeliveryState
from notices.lockbox import lock
from notices.models import Delivery, Kind, Webhook, WebhookStyle
from notices.webhooks import new_secret
from projects.administration import AuditedAdmin, ModelForm, ReadOnlyAdmin, badge, list_link
from projects.exceptions import TransitionRefused

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

_TONES = {
    DeliveryState.SENT: "ok",
    DeliveryState.GIVEN_UP: "bad",
    DeliveryState.SENDING: "run",
    DeliveryState.WAITING: "warn",
}


class WebhookForm(ModelForm):
    """A webhook; its address and secret are kept encrypted and not shown again."""

    url = forms.CharField(
        label="Address",
        max_length=targets.LONGEST,
        required=False,
        widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text="https only. It is kept encrypted; empty: as it is.",
    )
    kinds = forms.MultipleChoiceField(
        choices=Kind.choices,
        initial=list(Kind.values),
        widget=forms.CheckboxSelectMultiple,
        help_text="What it is told of.",
    )
    fresh_secret = forms.BooleanField(
        label="New secret",
        required=False,
        help_text="Shown once when it is saved; the old one signs nothing from then on.",
    )

    class Meta:
        model = Webhook
        fields: ClassVar = ["project", "name", "style", "kinds", "enabled"]

    def clean_name(self) -> str:
        """Refuse a name another webhook of its project has: that one is not among the fields any more."""
        name: str = self.cleaned_data["name"]
        namesakes = Webhook.objects.filter(project=self.instance.project_id, name=name)
        if namesakes.exclude(pk=self.instance.pk).exists():
            raise ValidationError("Another webhook of this project has this name.")
        return name

    def clean_url(self) -> str:
        """Refuse where nothing may be sent; a new webhook needs an address."""
        given: str = self.cleaned_data["url"].strip()
        if not given:
            if not self.instance.address:
                raise ValidationError("Give the address the messages are posted to.")
            return ""
        try:
            targets.target_of(given)
        except targets.Refused as error:
            raise ValidationError(str(error)) from error
        return given


@admin.register(Webhook)
class WebhookAdmin(AuditedAdmin):
    """A project's webhooks."""

    form = WebhookForm
    list_display = ["name", "project", "style", "host", "enabled", "log"]
    list_select_related = ["project"]
    list_filter = ["project", "style", "enabled"]
    search_fields = ["name", "host"]
    actions = ["send_test"]
    readonly_fields = ["host", "created_at"]

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[Any]:
        """Show of a webhook that is there where it leads, and since when."""
        asked = ["project", "name", "style", "url", "kinds", "enabled", "fresh_secret"]
        return [*asked, *self.readonly_fields] if obj else asked

    def get_readonly_fields(self, request: Any, obj: Webhook | None = None) -> list[str]:
        """Keep a webhook in its project: what waits for it, and is sent again, tells of that one."""
        return [*self.readonly_fields, *(["project"] if obj else [])]

    def save_model(self, request: Any, obj: Webhook, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Lock away what is secret, and show a new secret this once."""
        if url := form.cleaned_data["url"]:
            obj.host, obj.address = targets.target_of(url).host, lock(url)
        signs = obj.style == WebhookStyle.STANDARD
        if signs and (form.cleaned_data["fresh_secret"] or not obj.secret):
            secret = new_secret()
            obj.secret = lock(secret)
            said = f"Copy the secret now, it is not shown again: {secret}"
            self.message_user(request, said, messages.WARNING)
        super().save_model(request, obj, form, change)

    @admin.action(description="Send a test", permissions=["change"])
    def send_test(self, request: Any, queryset: QuerySet[Webhook]) -> None:
        """Post a message that tells of nothing, and lead to what came of it."""
        for webhook in queryset.select_related("project"):
            requests.send_test(webhook, by=request.user, address=_address(request))
        self.message_user(
            request, "The test is on its way. What comes of it stands under Deliveries."
        )

    @admin.display(description="deliveries")
    def log(self, webhook: Webhook) -> SafeString:
        """Lead to what was sent."""
        return list_link(Delivery, "Deliveries", webhook__id__exact=webhook.pk)


class ReceiverFilter(admin.SimpleListFilter):
    """E-mails or webhooks."""

    title = "receiver"
    parameter_name = "by"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Return the two."""
        return [("email", "E-mail"), ("webhook", "Webhook")]

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep one of them."""
        if self.value() in ("email", "webhook"):
            return queryset.filter(webhook__isnull=self.value() == "email")
        return queryset


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The delivery log."""

    list_display = [
        *["created_at", "to", "about", "shown_state", "attempts", "status", "error", "next_at"],
    ]
    list_select_related = ["notice__project", "notice__task", "person", "webhook__project"]
    list_filter = ["state", ReceiverFilter, "webhook"]
    search_fields = ["=id"]
    narrow = ReadOnlyAdmin.narrow | {"webhook__id__exact"}
    actions: Any = ["send_again"]
    fields = [
        *["id", "to", "about", "shown_state", "attempts", "status", "error"],
        *["created_at", "next_at", "finished_at"],
    ]

    @admin.action(description="Send again", permissions=["view"])
    def send_again(self, request: Any, queryset: QuerySet[Delivery]) -> None:
        """Begin anew with what was sent or given up."""
        # Read once: what is sent again is not among what is filtered as given up any more.
        chosen, repeated = list(queryset.select_related("notice__project")), 0
        for delivery in chosen:
            try:
                requests.send_again(delivery, by=request.user, address=_address(request))
            except TransitionRefused:
                continue
            repeated += 1
        said = f"{repeated} of {len(chosen)} will be sent again."
        others = repeated < len(chosen)
        note = " The others are on their way, or no longer needed." if others else ""
        self.message_user(request, said + note)

    @admin.display(description="to")
    def to(self, delivery: Delivery) -> str:
        """Who gets it; an address is nobody's business."""
        if delivery.webhook:
            return f"{delivery.webhook.name} of {delivery.webhook.project.name}"
        return f"{delivery.person.display_name}, e-mail" if delivery.person else "-"

    @admin.display(description="about")
    def about(self, delivery: Delivery) -> str:
        """What it says."""
        task = delivery.notice.task
        label = f"{task.label}: " if task else ""
        return f"{label}{words.sentence(delivery.notice)}"

    @admin.display(description="state", ordering="state")
    def shown_state(self, delivery: Delivery) -> SafeString:
        """How it stands."""
        tone = _TONES.get(DeliveryState(delivery.state), "muted")
        return badge(delivery.get_state_display(), tone)


def _address(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None
