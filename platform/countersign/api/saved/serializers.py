"""What the API takes and gives about saved views; no rules here."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from approvals.filters import LONGEST as LONGEST_FILTER
from approvals.models import Sort
from approvals.saving import LONGEST
from countersign.api.fields import Chosen, Input, Text


class ViewInput(Input):
    """A filter and an order, under a name."""

    name = Text(max_length=LONGEST)
    query = Text(max_length=LONGEST_FILTER, allow_blank=True, required=False, default="")
    sort = Chosen(choices=Sort.choices, required=False, default=Sort.DUE)


class ViewChangeInput(Input):
    """What changes; the rest stays."""

    name = Text(max_length=LONGEST, required=False)
    query = Text(max_length=LONGEST_FILTER, allow_blank=True, required=False)
    sort = Chosen(choices=Sort.choices, required=False)


class ViewShape(serializers.Serializer[Any]):
    """A saved view; `position` is the key that opens it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    query = serializers.CharField()
    sort = serializers.ChoiceField(choices=Sort.choices)
    position = serializers.IntegerField()
