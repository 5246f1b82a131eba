"""What a person, or whoever sent them a link, can put into an address or a form, and see again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.routes import table
from tests.routes.asking import address_of, routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.routes.world import World

# Every name any page reads from its address.
ADDRESSES = {
    "/inbox": ("q", "sort", "tab", "at", "view", "before", "after"),
    "/inbox?tab=decided": ("q", "sort", "view", "before", "after"),
    "/inbox/live": ("tab", "q", "since", "shown"),
    "/inbox/selected": ("pick",),
    "/inbox/selected?pick={easy_id}": ("next",),
    "/inbox/selected/done": ("next",),
    "/tasks": ("tab", "mine", "project", "before", "after"),
    "/tasks/T-{running}": ("tab", "view", "agent", "round"),
    "/tasks/T-{running}/live": ("agent", "focus"),
    "/tasks/T-{running}/earlier": ("before",),
    "/tasks/T-{running}/trace": ("q", "sort", "span", "open", "errors", "after", "turn", "whole"),
    "/tasks/T-{running}/trace/live": ("part", "of", "shown"),
    "/review/T-{reviewed}/r1": ("since", "diff"),
    "/review/T-{reviewed}/r1/edit": ("path",),
    "/calls/{call}/live": ("shown",),
    "/memory": ("state", "project", "edit", "before", "after"),
    "/new": ("request", "project"),
    "/operations": ("aim", "before", "after"),
    "/projects/{project_id}/policy": ("version",),
    "/standing-grants": ("tab", "before", "after"),
    "/notifications": ("tab", "before", "after"),
    "/sign-in": ("next",),
    "/live": ("here",),
    "/jump": ("q",),
}
# Fields of forms beside those that `table.FORMS` fills.
_MORE = {
    "console:new": ("minutes", "usd", "rounds"),
    "console:single_keys": ("next", "shown"),
    "console:theme": ("next",),
    "console:leave": ("next",),
    "console:back": ("next",),
    "console:escalation": ("note", "agent"),
    "console:task_stop": ("reason",),
    "console:task_pause": ("reason",),
    "console:decide": ("lesson", "approval"),
    "console:hold": ("reason", "next"),
    "console:lift": ("next",),
    "console:assign": ("to", "next"),
    "console:release": ("next",),
    "console:snooze": ("next",),
    "console:wake": ("next",),
    "console:call_snooze": ("next",),
    "console:call_wake": ("next",),
    "console:approve_selected": ("note", "next"),
    "console:undo_selected": ("next",),
    "console:snooze_selected": ("next",),
    "console:memory_act": ("content", "next"),
    "console:revoke_standing_grant": ("next",),
}
_REMEMBER = {"digest": "{call_digest}", "nonce": "{call_nonce}", "verdict": "look"}
_REFUSED = {"digest": "{reviewed_digest}", "nonce": "{reviewed_nonce}", "verdict": "no"}
_LINE = {"say-hunk": "{hunk}", "say-side": "new", "say-line": "1", "say-note": "x", "say-to": ""}
# Forms that are shown again with what was typed: nothing is agreed to, or something is wrong.
_AGAIN = (
    ("console:call_decide", {**_REMEMBER, "as-0": "any", "as-1": "prefix"}, "says-1"),
    ("console:call_decide", {**_REMEMBER, "as-1": "glob"}, "says-1"),
    ("console:call_decide", {**_REMEMBER, "as-1": "prefix"}, "max_hits"),
    ("console:call_decide", _REMEMBER, "hours"),
    ("console:call_decide", {**_REMEMBER, "verdict": "edit"}, "arguments"),
    ("console:call_decide", {**_REMEMBER, "verdict": "no"}, "note"),
    ("console:decide", _REFUSED, "note"),
    ("console:decide", _REFUSED, "note-{hunk}"),
    ("console:decide", {**_REFUSED, **_LINE}, "say-note"),
    ("console:decide", {**_REFUSED, **_LINE}, "say-side"),
    ("console:decide", {**_REFUSED, **_LINE}, "say-line"),
    ("console:decide", {**_REFUSED, **_LINE}, "say-to"),
)


def addresses(world: World, text: str) -> Iterator[str]:
    """Yield every address with the text in each of its parameters in turn."""
    for path, names in ADDRESSES.items():
        where = path.format(**world.names)
        for name in names:
            yield f"{where}{'&' if '?' in where else '?'}{urlencode({name: text})}"


def forms(world: World, text: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield every form's name, address and fields, with the text in each field in turn."""
    patterns = dict(routes())
    lines = {each.route: each for each in table.lines() if each.method == "POST"}
    for route, line in lines.items():
        if not route.startswith("console:"):
            continue
        address = address_of(patterns[route], line.of, world)
        form = _filled(table.FORMS.get(route, {}), world)
        for name in (*form, *_MORE.get(route, ())):
            yield f"{route} {name}", address, {**form, name: text}
    for route, form, name in _AGAIN:
        address, field = (
            address_of(patterns[route], lines[route].of, world),
            name.format(**world.names),
        )
        yield f"{route} {form} {name}", address, {**_filled(form, world), field: text}


def _filled(form: dict[str, str], world: World) -> dict[str, str]:
    return {name: value.format(**world.names) for name, value in form.items()}
