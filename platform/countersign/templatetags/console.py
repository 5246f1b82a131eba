"""Tags and filters of the console's templates."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django import template
from django.contrib.staticfiles import finders
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from countersign import scripts, sheets
from countersign.console import eventwords, hidden
from countersign.console import report as reports
from countersign.console.looks import VERDICTS, Look
from countersign.live import tickets
from projects import characters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest

    from agents.models import Task
    from countersign.console.diff_rows import Row
    from countersign.console.rounds import Said

register = template.Library()

# Names people give agents' icons, and the symbol that draws them.
_ALIASES = {
    "code": "code-xml",
    "route": "split",
    "book": "book-open",
    "flask": "flask-conical",
    "layers": "blocks",
}


@cache
def symbols() -> dict[str, SafeString]:
    """Return what each symbol of the sprite is drawn with, by its name."""
    path = finders.find("icons.svg")
    text = Path(path).read_text(encoding="utf-8") if path else ""
    found = re.findall(r'<symbol id="([^"]+)"[^>]*>(.*)</symbol>', text)
    return {name: mark_safe(drawn) for name, drawn in found}  # noqa: S308  a file of ours


@register.simple_block_tag
def styles(content: str) -> SafeString:
    """Link the style files that the words within name, as one."""
    return format_html('<link rel="stylesheet" href="{}">', sheets.address(content.split()))


@register.simple_tag
def script(entry: str) -> SafeString:
    """Run a script with all it imports, as one."""
    return format_html('<script src="{}" type="module"></script>', scripts.address(entry))


@register.simple_tag
@cache
def mark() -> SafeString:
    """Draw the mark beside our name; where it stands, as icons are."""
    path = finders.find("favicon.svg")
    text = Path(path).read_text(encoding="utf-8") if path else ""
    return mark_safe(  # noqa: S308  a file of ours
        text.replace("<svg ", '<svg width="20" height="20" aria-hidden="true" ', 1)
    )


# A page of a list draws two hundred, of few kinds. Each is drawn where it stands: a browser asks its cache
# for a symbol of another file each time one is named, and copies it; a long review waited 0.1 s for that.
@register.simple_tag
@lru_cache(maxsize=1_024)
def icon(name: str, size: int = 16, css: str = "") -> SafeString:
    """Draw one symbol of the sprite; decorative, so a word must stand beside it."""
    classes = " ".join(filter(None, ["icon", f"icon-{size}" if size != 16 else "", css]))
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>',
        classes,
        symbols().get(name, ""),
    )


@register.filter
def ticket(request: HttpRequest, task: Task) -> str:
    """Return the ticket by which this page opens its socket without a look at the session."""
    person: Any = request.user  # pages are for those who signed in
    return tickets.make_for_page(request.session.session_key or "", person.pk, task.pk)


@register.simple_tag
def state(look: Look) -> SafeString:
    """Draw a state pill: icon, word and tone."""
    return format_html(
        '<span class="state tone-{}">{}<span>{}</span></span>',
        look.tone,
        icon(look.icon, 14, "spin" if look.spins else ""),
        hidden.shown(look.word),
    )


@register.simple_tag
@lru_cache(maxsize=16)
def risk(level: str) -> SafeString:
    """Draw a risk: three bars and a word."""
    lit = {"low": 1, "medium": 2, "high": 3}.get(level, 3)
    bars = [
        format_html(
            '<rect x="{}" y="{}" width="3" height="{}" rx="1"{}/>',
            index * 5,
            8 - index * 4,
            4 + index * 4,
            "" if index < lit else SafeString(' class="off"'),
        )
        for index in range(3)
    ]
    return format_html(
        '<span class="risk risk-{}"><svg class="risk-bars" viewBox="0 0 13 12" aria-hidden="true">'
        '{}</svg><span><span class="sr-only">Risk: </span>{}</span></span>',
        level,
        SafeString("".join(bars)),
        level.title(),
    )


@register.simple_tag
def verdict(name: str, evidence: str = "") -> SafeString:
    """Draw our verdict: icon, word, and the sentence of ours that it is on."""
    look = VERDICTS.get(name, VERDICTS["not_checkable"])
    return format_html(
        '<span class="verdict tone-{}">{}<span><span class="verdict-word">{}{}</span>{}</span></span>',
        look.tone,
        icon(look.icon, 14),
        look.word,
        ": " if evidence else "",
        hidden.shown(evidence),
    )


@register.simple_tag
def agent_badge(agent: Any, *, named: bool = False) -> SafeString:
    """Draw an agent's square; machines are squares, people are circles."""
    colour, symbol, name = (_of(agent, key) for key in ("colour", "icon", "name"))
    return _badge(colour, symbol, name, named=named)


@lru_cache(maxsize=256)
def _badge(colour: str, symbol: str, name: str, *, named: bool) -> SafeString:
    square = format_html(
        '<span class="agent hue-{}" title="{}">{}{}</span>',
        colour or "agent-6",
        characters.plain(name),
        icon(_symbol_of(symbol), 12),
        "" if named else format_html('<span class="sr-only">{}</span>', characters.plain(name)),
    )
    return format_html("{} {}", square, hidden.shown(name)) if named else square


@register.simple_tag
def person_badge(person: Any) -> SafeString:
    """Draw a person's circle with two letters; the name stands beside it."""
    return format_html(
        '<span class="person" aria-hidden="true">{}</span>', initials(_of(person, "name") or person)
    )


def initials(person: Any) -> str:
    """Return two letters for a person or a name."""
    if hasattr(person, "initials"):
        return str(person.initials)
    words = characters.strip(str(person)).split() or ["?"]
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])).upper()


def _symbol_of(name: str) -> str:
    name = _ALIASES.get(name, name)
    return name if name in symbols() else "bot"


def _of(thing: Any, key: str) -> str:
    return str(thing.get(key, "") if isinstance(thing, dict) else getattr(thing, key, ""))


@register.filter
def reveal(text: Any) -> SafeString:
    """Escape a text nobody vouches for and make its hidden characters visible."""
    return hidden.shown(str(text if text is not None else ""))


@register.filter
def listed(texts: Iterable[Any], by: str) -> str:
    """Join texts as they are, for `reveal` to escape once: `join` escapes each before that."""
    return by.join(map(str, texts))


@register.filter
def plain(text: Any) -> str:
    """Make hidden characters visible where no element can stand: titles and attributes."""
    return characters.plain(str(text if text is not None else ""))


@register.simple_tag
def unseen(text: Any) -> SafeString:
    """Say beside a field which characters of what it holds cannot be seen, or pass for others."""
    return hidden.beside(str(text if text is not None else ""))


@register.filter
def as_json(value: Any) -> str:
    """Write data for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def report(text: str) -> SafeString:
    """Render an agent's Markdown by the allow-list."""
    return reports.render(text)


@register.filter
def passages(found: list[dict[str, Any]]) -> str:
    """Join quotes of one file into one text, each under the line it was found at."""
    return "\n\n".join(
        (f"line {one['line']}\n" if one.get("line") else "") + str(one.get("quote") or "")
        for one in found
    )


@register.filter
def shown_argument(arguments: Any) -> str:
    """Return the one argument of a tool call people want to see."""
    return eventwords.argument({"arguments": arguments})


@register.filter
def sandbox_word(sandbox: str) -> str:
    """Say what repository code ran under."""
    return eventwords.sandbox_word(sandbox)


@register.filter
def short(sha: Any) -> str:
    """Shorten a commit to seven digits."""
    return str(sha or "")[:7]


@register.filter
def short_digest(digest: str) -> str:
    """Shorten a digest as the signature line shows it."""
    return f"sha256:{digest[:4]}…{digest[-4:]}" if digest else ""


@register.filter
def duration(value: Any) -> str:
    """Say a length of time: 4 min 12 s."""
    if value is None or value == "":
        return ""
    total = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if total < 0.95:
        return f"{max(total, 0):.1f} s"
    if total < 9.95:
        return f"{total:.1f} s".replace(".0 s", " s")
    seconds = round(total)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s".replace(" 0 s", "")
    if seconds < 172_800:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min".replace(" 0 min", "")
    return f"{round(seconds / 86_400)} days"


@register.filter
def clock(value: Any) -> str:
    """Say a length of time as a running clock: 1:49."""
    seconds = int(value or 0)
    hours, rest = divmod(seconds, 3_600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


@register.filter
def usd(value: Any) -> str:
    """Say an amount of money."""
    amount = float(value or 0)
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:.2f}"


@register.filter
def amount(value: Any) -> str:
    """Say a large number short: 61.2k."""
    number = float(value or 0)
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{math.floor(number / size * 10) / 10:.1f}".removesuffix(".0") + unit
    return f"{number:g}"


@register.simple_tag
def when(moment: datetime | None) -> SafeString:
    """Say a moment as a <time>: the clock today, the date before; JS may say how long ago."""
    if moment is None:
        return SafeString("")
    local = timezone.localtime(moment)
    written = local.isoformat(timespec="seconds")
    today = timezone.localtime().date() == local.date()
    return format_html(
        '<time datetime="{}" title="{} {} {}">{}</time>',
        written,
        written[:10],
        written[11:19],
        local.tzname(),
        written[11:16] if today else f"{local.day} {local:%b} {written[11:16]}",
    )


@register.filter
def count_of(number: int, words: str) -> str:
    """Say a number with its word: {{ 1|count_of:"file,files" }}."""
    one, many = words.split(",")
    return f"{number:,} {one if number == 1 else many}"


@register.filter
def on_row(said: dict[str, list[Said]], row: Row) -> list[Said]:
    """Return what was said of the lines of one row of a diff."""
    lines = (("old", row.old), ("new", row.new))
    places = [f"{side}-{line.number}" for side, line in lines if line]
    return [each for place in places for each in said.get(place, ())]
