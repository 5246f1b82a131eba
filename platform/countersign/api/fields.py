"""Input fields that take the JSON type they name and nothing else."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class Text(serializers.CharField):
    """A string as it was sent: no coercion, no trimming, no NUL, no half characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is no string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """A whole number, not its text, not a truth value."""

    def to_internal_value(self, data: Any) -> int:
        """Refuse what is no JSON integer."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Amount(serializers.FloatField):
    """A number, not its text, not a truth value."""

    def to_internal_value(self, data: Any) -> float:
        """Refuse what is no JSON number of a sensible size."""
        if isinstance(data, bool) or not isinstance(data, int | float) or abs(data) > 10**9:
            self.fail("invalid")
        return float(data)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        """Refuse what is no JSON truth value."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Chosen(serializers.ChoiceField):
    """One of some strings."""

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is no string; unhashable input would not even be compared."""
        if not isinstance(data, str):
            self.fail("invalid_choice", input=type(data).__name__)
        return str(super().to_internal_value(data))


class Object(serializers.JSONField):
    """A JSON object of any content; the domain checks the text in it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Refuse what is no object."""
        if not isinstance(data, dict):
            self.fail("invalid")
        return dict(data)


class Input(serializers.Serializer[Any]):
    """A request body: a field it does not know is refused by name, never ignored."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Validate the known fields, then name the unknown ones."""
        if isinstance(data, dict):
            unknown = [name for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError(
                    {name: ["This field is not known here."] for name in unknown}
                )
        return dict(super().to_internal_value(data))


class Query(serializers.Serializer[Any]):
    """Query parameters: text by nature; unknown ones are left alone."""
