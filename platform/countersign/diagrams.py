"""Draws state machines from their MOVES tables, as Mermaid text for the README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


FEW = 4  # arrows into one state are drawn singly below this number


def mermaid(moves: Mapping[str, frozenset[str]]) -> str:
    """Return a state diagram; arrows that every open state has are drawn once, from all of them."""
    shared = shared_targets(moves)
    arrows = [(old, new) for old, targets in moves.items() for new in sorted(targets)]
    inner = [(old, new) for old, new in arrows if old not in shared and new not in shared]
    back = [f"  {old} --> open" for old in sorted(shared) if moves[old]]
    begin = f"  [*] --> {next(iter(moves))}"
    if not shared:
        return _fence([begin, *(f"  {old} --> {new}" for old, new in inner)])
    group = ["  state open {", *(f"    {old} --> {new}" for old, new in inner), "  }"]
    return _fence([begin, *group, *(f"  open --> {new}" for new in sorted(shared)), *back])


def shared_targets(moves: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the states every open state can go to: ends, and those that also lead back to all."""
    return frozenset(target for target in moves if _is_shared(moves, target))


def _is_shared(moves: Mapping[str, frozenset[str]], target: str) -> bool:
    sources = {old for old, targets in moves.items() if targets and old != target}
    everywhere = len(sources) >= FEW and all(target in moves[old] for old in sources)
    return everywhere and (not moves[target] or sources <= moves[target])


def replace_block(text: str, name: str, block: str) -> str:
    """Return `text` with what stands between the markers of `name` replaced by `block`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)


def _fence(lines: list[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])
