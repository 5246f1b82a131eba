"""Which packages a change adds, read from the lines of manifests; what is unsure is not named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_REQUIREMENT = re.compile(r"\s*+([A-Za-z0-9][\w.-]*+)(?:\s*+\[[^\]]*\])?+\s*+(?:$|[=<>~!@;#,\\(])")
_BOUND = re.compile(r"[\w.-]++(?:\s*+\[[^\]]*\])?+\s*+(?:[=~!]=|[<>@])")
_ADDRESS = re.compile(r"\s*+(?:-e\s++|--editable[ =])?((?:git|hg|svn|bzr)\+\S+|https?://\S+)")
_STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_TABLE = re.compile(r"\s*+\[+([^\[\]]+)\]")
_LIST = re.compile(r"\s*+([\w.-]++)\s*+=\s*+\[")
_OBJECT = re.compile(r"\"([^\"]+)\"\s*+:\s*+\{")
_PAIR = re.compile(r"\"([^\"]+)\"\s*+:\s*+\"([^\"]*)\"")
_OF_ITS_OWN = re.compile(r".*\bdependencies\.[\"']?([\w-]+)[\"']?$")  # [dependencies.serde]
_VERSION = re.compile(r"[\^~]\d|[<>=v]*+\d++\.\d|\*$")
_OF_A_PACKAGE = {"edition", "license", "node", "npm", "pnpm", "python", "rust-version", "version"}
_MODULE = re.compile(r"\s*+(?:require\s++)?([\w-]++(?:\.[\w-]++)++(?:/[\w.~-]++)*+)\s++v\d")
_REPLACED = re.compile(r"[^=]*+=>\s*+(\S+)")
_GEM = re.compile(
    r"[^#]*\b(?:gem|add_(?:runtime_|development_)?dependency)[\s(]++[\"']([^\"']+)[\"']"
)


def added(files: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names that the changed lines add and do not remove as well, in their order.

    A new version of what was there adds nothing.
    """
    found: dict[str, dict[tuple[object, str], str]] = {"+": {}, "-": {}}
    for file in files:
        reader = next((read for names, read in _READERS if names.search(file["path"])), None)
        if reader is None:
            continue
        for marker, name in _named(file, reader):
            found[marker].setdefault((reader, _alike(name)), name)
    return list(dict.fromkeys(name for key, name in found["+"].items() if key not in found["-"]))


def _named(
    file: dict[str, Any], reader: Callable[[str, str], Iterator[str]]
) -> Iterator[tuple[str, str]]:
    for hunk in file.get("hunks", ()):
        section = _section_after(hunk.get("section", ""), "")
        for line in hunk["text"].split("\n"):
            marker, text = line[:1], line[1:]
            section = _section_after(text, section)
            if marker in {"+", "-"}:
                yield from ((marker, name) for name in reader(text, section))
            section = _section_closed(text, section)


def _section_after(line: str, section: str) -> str:
    """Return in which table, list or object the line stands; empty where no line tells."""
    if table := _TABLE.match(line):
        return table[1]
    if opened := _LIST.match(line):
        return f"{section.partition(': ')[0]}: {opened[1]}"
    objects = _OBJECT.findall(line)
    return objects[-1] if objects else section


def _section_closed(line: str, section: str) -> str:
    end = line.rstrip().rstrip(",")
    if end.endswith("}") and ": " not in section and "=" not in line:
        return ""
    if end.endswith("]") and not _TABLE.match(line):
        return section.partition(": ")[0]
    return section


def _alike(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(line: str, _: str) -> Iterator[str]:
    if found := _ADDRESS.match(line) or _REQUIREMENT.match(line):
        yield found[1]


def _pyproject(line: str, section: str) -> Iterator[str]:
    sure = "dependenc" in section or section.endswith(": requires")
    unknown = not section.partition(": ")[0]
    key, _, value = line.partition("=")
    if sure and ": " not in section and value.strip()[:1] in {'"', "'", "{"}:
        if (name := key.strip().strip("\"'")) not in _OF_A_PACKAGE:  # as Poetry lists them
            yield name
        return
    for strings in _STRING.findall(line):
        text = "".join(strings)
        bound = unknown and _BOUND.match(text)
        if (sure or bound) and (found := _REQUIREMENT.match(text)):
            yield found[1]


def _cargo(line: str, section: str) -> Iterator[str]:
    if _TABLE.match(line):
        own = _OF_ITS_OWN.match(section)
        yield from [own[1]] if own else []
        return
    key, _, value = line.partition("=")
    name, value = key.strip().partition(".")[0].strip("\"'"), value.strip()
    if name in _OF_A_PACKAGE or not value or _OF_ITS_OWN.match(section):
        return
    if section.endswith("dependencies") or (not section and _VERSION.match(value.strip("\"'"))):
        yield name


def _package(line: str, section: str) -> Iterator[str]:
    sure = "ependenc" in section or section in {"overrides", "resolutions"}
    for name, value in _PAIR.findall(line):
        if sure or (not section and name not in _OF_A_PACKAGE and _VERSION.match(value)):
            yield name


def _modules(line: str, _: str) -> Iterator[str]:
    if found := _MODULE.match(line) or _REPLACED.match(line):
        yield found[1]


def _gems(line: str, _: str) -> Iterator[str]:
    if found := _GEM.match(line):
        yield found[1]


_READERS: tuple[tuple[re.Pattern[str], Callable[[str, str], Iterator[str]]], ...] = (
    (re.compile(r"(?:^|/)[^/]*requirements[^/]*\.(?:txt|in)$", re.I), _requirements),
    (re.compile(r"(?:^|/)requirements/.*\.(?:txt|in)$", re.I), _requirements),
    (re.compile(r"(?:^|/)pyproject\.toml$", re.I), _pyproject),
    (re.compile(r"(?:^|/)cargo\.toml$", re.I), _cargo),
    (re.compile(r"(?:^|/)package\.json$", re.I), _package),
    (re.compile(r"(?:^|/)go\.mod$", re.I), _modules),
    (re.compile(r"(?:^|/)(?:gemfile|gems\.rb|[^/]*\.gemspec)$", re.I), _gems),
)
