"""What somebody wants to see of a trace, read from the address and written into links."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from django.http import QueryDict

SORTS = {"": "In order", "slowest": "Slowest 10", "costly": "Most expensive 10"}
_LONGEST_SEARCH = 100
_MOST_TURNED = 60  # spans opened or closed by hand; an address has an end
_KEY = re.compile(r"[astnmc][0-9a-f]{12}(\.\d{1,5})?\Z")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Filters, order, what is open and what is looked at."""

    search: str = ""
    errors: bool = False
    sort: str = ""
    everything: bool = False  # opened
    turned: tuple[str, ...] = ()  # spans that are not as they would be by themselves
    span: str = ""
    whole: bool = False  # texts of the span are not cut
    after: int = 0  # rows that were shown already

    @classmethod
    def read(cls, query: QueryDict) -> Wish:
        """Return the wish of an address; what makes no sense is left out."""
        after = query.get("after", "")
        turned = [key for key in query.getlist("turn") if _KEY.match(key)]
        sort = query.get("sort", "")
        return cls(
            search=query.get("q", "").strip()[:_LONGEST_SEARCH],
            errors=query.get("errors") == "1",
            sort=sort if sort in SORTS else "",
            everything=query.get("open") == "all",
            turned=tuple(dict.fromkeys(turned))[:_MOST_TURNED],
            span=key if _KEY.match(key := query.get("span", "")) else "",
            whole=query.get("whole") == "1",
            after=int(after) if after.isdecimal() and len(after) < 7 else 0,
        )

    @property
    def filtered(self) -> bool:
        """Tell whether only some spans are wanted."""
        return bool(self.search or self.errors)

    def but(self, **changes: Any) -> str:
        """Return the address of this wish with some of it changed."""
        wish = replace(self, **{"after": 0, "whole": False, **changes})
        pairs: list[tuple[str, str]] = [
            ("q", wish.search),
            ("errors", "1" if wish.errors else ""),
            ("sort", wish.sort),
            ("open", "all" if wish.everything else ""),
            *(("turn", key) for key in wish.turned),
            ("span", wish.span),
            ("whole", "1" if wish.whole else ""),
            ("after", str(wish.after or "")),
        ]
        return "?" + urlencode([(name, value) for name, value in pairs if value])

    def turning(self, key: str) -> str:
        """Return the address with one span opened, or closed again."""
        left = tuple(each for each in self.turned if each != key)
        return self.but(turned=left if key in self.turned else (*left, key))
