"""Tags that draw the pieces of a row of the inbox: a page has thirty, and a template of its own for each
piece cost more than all else of the row."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django import template
from django.utils.html import format_html

from countersign.console import hidden
from countersign.templatetags.console import count_of, icon

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    from countersign.console.checks import Checks

register = template.Library()


@register.simple_tag
def effect_line(effect: dict[str, Any], round_number: int) -> SafeString:
    """Say what happens if it is approved, and in which round it is."""
    kind = effect.get("kind", "")
    if kind == "git.merge":
        return format_html(
            "<span>{} {} · {} → {}</span>"
            ' <span class="num-add">+{}</span> <span class="num-del">\u2212{}</span>',
            icon("git-merge", 14, "inline"),
            f"Round {round_number}, merge" if round_number > 1 else "Merge",
            _shown(effect.get("project") or effect.get("repository")),
            _shown(effect.get("branch")),
            effect.get("added", ""),
            effect.get("removed", ""),
        )
    if kind == "deliver":
        return format_html(
            "<span>{} Deliver a report to {}, changes nothing</span>",
            icon("send", 14, "inline"),
            _shown(effect.get("to")),
        )
    return format_html("<span>{} {}</span>", icon("wrench", 14, "inline"), _shown(kind))


@register.simple_tag
def checks_line(checks: Checks) -> SafeString:
    """Say how our own run of the checks ended."""
    return _verdict(checks.tone, checks.icon, checks.sentence)


@register.simple_tag
def claims_line(claims: int, proven: int, contradicted: int) -> SafeString:
    """Say how many of the agents' claims hold, or that some do not."""
    if contradicted:
        words = count_of(contradicted, "claim,claims")
        return _verdict("bad", "x", f"{words} contradicted")
    tone, symbol = ("ok", "check") if proven == claims else ("warn", "triangle-alert")
    return _verdict(tone, symbol, f"{proven} of {claims} proven")


@lru_cache(maxsize=1_024)
def _verdict(tone: str, symbol: str, words: str) -> SafeString:
    return format_html(
        '<span class="verdict tone-{}">{}<span>{}</span></span>',
        tone,
        icon(symbol, 14),
        hidden.shown(words),
    )


def _shown(text: Any) -> SafeString:
    return hidden.shown(str(text if text is not None else ""))
