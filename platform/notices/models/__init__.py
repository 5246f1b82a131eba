"""The rows of this floor."""

from notices.models.channels import Choice, Hours, Webhook, WebhookStyle
from notices.models.deliveries import Delivery
from notices.models.notices import Kind, LogPlace, Notice, Notification

__all__ = [
    "Choice",
    "Delivery",
    "Hours",
    "Kind",
    "LogPlace",
    "Notice",
    "Notification",
    "Webhook",
    "WebhookStyle",
]
