"""What a standing grant's patterns let through, and what they never do."""

from __future__ import annotations

import time

import pytest

from approvals.standing import patterns
from approvals.standing.patterns import Kind, Pattern, fit, fits_glob, made_from
from projects.exceptions import InvalidInput

EXACT, PREFIX, GLOB, ANY = Kind.EXACT, Kind.PREFIX, Kind.GLOB, Kind.ANY


def _fits(kind: Kind, value: object, given: object) -> bool:
    return Pattern(kind=kind, value=value).fits(given)


@pytest.mark.parametrize(
    ("value", "given", "fits"),
    [
        ("a", "a", True),
        ("a", "A", False),
        ("é", "e\u0301", False),
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (1, "1", False),
        (None, None, True),
        (None, "", False),
        ([1, {"a": 2, "b": 3}], [1, {"b": 3, "a": 2}], True),
        ([1, 2], [2, 1], False),
        ("..", "..", True),
    ],
)
def test_exactly_this_is_the_same_json(value, given, fits):
    assert _fits(EXACT, value, given) is fits


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/.md", True),
        ("docs/*.md", "docs/a/b.md", False),
        ("docs/**.md", "docs/a/b.md", True),
        ("docs/**", "docs/", True),
        ("docs/**", "docs", False),
        ("docs/**", "/docs/a", False),
        ("**", "", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a?c", "ac", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("A*", "a", False),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "axxbyycz", False),
        ("*/*", "a/b", True),
        ("*/*", "a/b/c", False),
        ("**/x", "x", False),
        ("**/x", "a/b/x", True),
        ("***", "a/b", True),
        ("I-*", "I-1", True),
        ("https://*.example.org/**", "https://a.example.org/x", True),
        ("https://*.example.org/**", "https://evil.net#.example.org/x", False),
        ("https://*.example.org/**", "https://evil.net?.example.org/x", False),
        ("https://*.example.org/**", "https://a@evil.net:1.example.org/x", False),
        (r"\*", "x", False),
    ],
)
def test_a_glob_is_held_against_the_whole_text(glob, text, fits):
    assert fits_glob(text, glob) is fits


@pytest.mark.parametrize(
    "host",
    [
        "evil.c\u2100.example.org",
        "evil.c\u2105.example.org",
        "evil.org\uff0f.example.org",
        "evil.org\u3002\uff03.example.org",
        "evil.org\ufe5f.example.org",
        "evil.org\uff1f.example.org",
        "evil.org\u2047.example.org",
        "a\uff20evil.org.example.org",
        "a\ufe6bevil.org.example.org",
        "evil.org\uff1a80.example.org",
        "evil.org\u2a74.example.org",
    ],
)
def test_a_run_does_not_leave_a_host_by_characters_that_become_its_end(host):
    assert not _fits(GLOB, "https://*.example.org/**", f"https://{host}/x")
    assert not _fits(GLOB, "*.example.org", host)
    url = f"https://{host}/"
    with pytest.raises(InvalidInput, match="host"):
        made_from({"url": f"{url}x"}, {"url": Pattern(kind=PREFIX, value=url)})


def test_a_dot_of_another_script_parts_a_host_as_any_dot_does_and_ends_it_not():
    assert _fits(GLOB, "https://*.example.org/**", "https://a\u3002b.example.org/x")
    assert not _fits(GLOB, "https://*.example.org/**", "https://evil.net\u3002example.org/x")
    assert _fits(PREFIX, "\u5b8c\u4e86\uff1a", "\u5b8c\u4e86\uff1a\u4e00\u3002")


HOSTILE = [
    "docs/../secrets",
    "docs/..",
    "docs/a..b",
    "docs/%2e%2e/x",
    "docs/%2E./x",
    "docs/%252e%252e/x",
    "docs/a%2fb",
    "docs/a%5cb",
    "docs/a\\b",
    "docs/\uff0e\uff0e/x",
    "docs/\u2025/x",
    "docs/\u2026/x",
    "docs/a\0b",
    "docs/a%00b",
    "docs/a\nb",
    "docs/a\rb",
    "docs/a\tb",
    "docs/a\x7fb",
    "docs/a\u200bb",
    "docs/a\u202eb",
    "docs/a\u00a0b",
    "docs/a\u2028b",
    "docs/a\ud800b",
    "docs/" + "a" * patterns.MAX_TEXT,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_goes_elsewhere_or_cannot_be_seen_fits_no_prefix_and_no_glob(text):
    assert not _fits(PREFIX, "docs/", text)
    assert not _fits(GLOB, "docs/**", text)
    assert not _fits(GLOB, "**", text)


@pytest.mark.parametrize("given", [1, None, True, ["docs/a"], {"docs/": 1}, 1.5])
def test_what_is_no_text_has_no_beginning(given):
    assert not _fits(PREFIX, "docs/", given)
    assert not _fits(GLOB, "**", given)
    assert _fits(ANY, None, given)


def test_case_and_form_are_not_folded():
    assert _fits(PREFIX, "docs/", "docs/A")
    assert not _fits(PREFIX, "docs/", "Docs/A")
    assert not _fits(PREFIX, "caf\u00e9", "cafe\u0301")


def test_arguments_are_those_named_and_no_others():
    said = made_from({"path": "docs/a", "n": 1}, {"path": Pattern(kind=PREFIX, value="docs/")})
    assert fit(said, {"path": "docs/b", "n": 1})
    assert not fit(said, {"path": "docs/b", "n": 2})
    assert not fit(said, {"path": "docs/b"})
    assert not fit(said, {"path": "docs/b", "n": 1, "force": True})
    assert not fit(said, {"path": "docs/b", "n": 1, "Path": "x"})
    assert fit(made_from({}, {}), {})
    assert not fit(made_from({}, {}), {"a": 1})


def test_any_value_still_has_to_be_there():
    said = made_from({"body": "x"}, {"body": Pattern(kind=ANY)})
    assert fit(said, {"body": {"deep": [1]}})
    assert not fit(said, {})


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("n", Pattern(kind=PREFIX, value="1")),
        ("path", Pattern(kind=PREFIX, value="")),
        ("path", Pattern(kind=PREFIX, value=None)),
        ("path", Pattern(kind=PREFIX, value=7)),
        ("path", Pattern(kind=PREFIX, value="  ")),
        ("path", Pattern(kind=PREFIX, value="other/")),
        ("path", Pattern(kind=GLOB, value="**")),
        ("path", Pattern(kind=GLOB, value="?*")),
        ("path", Pattern(kind=GLOB, value="docs/../**")),
        ("path", Pattern(kind=GLOB, value="docs/\u200b*")),
        ("path", Pattern(kind=GLOB, value="docs/" + "*x" * 9)),
        ("path", Pattern(kind=GLOB, value="docs/a" + "*" * 1 + "b" * 200)),
        ("path", Pattern(kind=GLOB, value="docs/*.txt")),
        ("other", Pattern(kind=ANY)),
    ],
)
def test_a_pattern_that_says_nothing_or_not_this_call_is_refused(name, pattern):
    with pytest.raises(InvalidInput):
        made_from({"path": "docs/a.md", "n": 1}, {name: pattern})


@pytest.mark.parametrize(
    ("pattern", "refused"),
    [
        (Pattern(kind=PREFIX, value="https://api.example"), True),
        (Pattern(kind=PREFIX, value="https://api.example.org"), True),
        (Pattern(kind=PREFIX, value="https://api.example.org/"), False),
        (Pattern(kind=GLOB, value="https://**.example.org/*"), True),
        (Pattern(kind=GLOB, value="https://api.*"), True),
        (Pattern(kind=GLOB, value="https://api.*/a"), True),
        (Pattern(kind=GLOB, value="https://*.example.org/**"), False),
    ],
)
def test_an_address_names_its_host_to_the_end(pattern, refused):
    call = {"url": "https://api.example.org/a"}
    if refused:
        with pytest.raises(InvalidInput, match="host"):
            made_from(call, {"url": pattern})
    else:
        assert fit(made_from(call, {"url": pattern}), call)


@pytest.mark.parametrize(
    ("kind", "value", "call"),
    [
        (PREFIX, "//cdn.example.org", "//cdn.example.org/x"),
        (PREFIX, "//", "//cdn.example.org/x"),
        (PREFIX, "/", "//cdn.example.org/x"),
        (PREFIX, "https:///api.example.org", "https:///api.example.org/x"),
        (PREFIX, "https:///", "https:///api.example.org/x"),
        (PREFIX, "https:", "https:api.example.org/x"),
        (PREFIX, "https:/", "https://api.example.org/x"),
        (PREFIX, "h", "https://api.example.org/x"),
        (PREFIX, "file:///", "file:///docs/x"),
        (GLOB, "//*/x", "//cdn.example.org/x"),
        (GLOB, "//cdn.*", "//cdn.org"),
        (GLOB, "https:/*/**", "https://api.example.org/x"),
        (GLOB, "**://api.example.org/x", "https://api.example.org/x"),
        (GLOB, "https:**://api.example.org/x", "https:evil.org://api.example.org/x"),
        (GLOB, "**/x", "https://api.example.org/x"),
        (GLOB, "file:///**", "file:///docs/x"),
    ],
)
def test_an_address_without_its_own_host_is_refused(kind, value, call):
    with pytest.raises(InvalidInput):
        made_from({"url": call}, {"url": Pattern(kind=kind, value=value)})
    assert not _fits(kind, value, call)


@pytest.mark.parametrize(
    ("kind", "value", "fits", "leaves"),
    [
        (PREFIX, "//cdn.example.org/", "//cdn.example.org/x", "//cdn.example.org.evil.org/x"),
        (PREFIX, "file:///docs/", "file:///docs/x", "file:////evil.org/docs/x"),
        (PREFIX, "/", "/docs/x", "//evil.org/docs/x"),
        (PREFIX, "h", "help", "https://evil.org/"),
        (PREFIX, "See ", "See https://example.org/x", " See https://example.org/x"),
        (PREFIX, "\uff0f", "\uff0fdocs", "\uff0f\uff0fevil.org/docs"),
        (
            GLOB,
            "*://cdn.example.org/*",
            "wss://cdn.example.org/x",
            "wss:evil.org://cdn.example.org/x",
        ),
        (GLOB, "**/x", "docs/x", "https:evil.org/x"),
        (GLOB, "/**", "/docs", "//evil.org"),
    ],
)
def test_what_fits_names_no_host_the_pattern_does_not(kind, value, fits, leaves):
    said = made_from({"url": fits}, {"url": Pattern(kind=kind, value=value)})
    assert fit(said, {"url": fits})
    assert not fit(said, {"url": leaves})


def test_what_is_written_is_read_the_same():
    said = made_from(
        {"path": "docs/a", "n": 1.0, "deep": {"b": [None, "\u00e9"]}},
        {"path": Pattern(kind=GLOB, value="docs/*")},
    )
    text = patterns.written(said)
    assert patterns.read(text) == said
    assert patterns.written(patterns.read(text)) == text


@pytest.mark.parametrize(
    "text", ["[]", "{", "null", '{"a": 1}', '{"a": {"kind": "regex", "value": "."}}', '{"a": {}}']
)
def test_what_was_not_written_so_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        patterns.read(text)


def test_no_text_and_no_glob_takes_long():
    glob = ("*a" * patterns.MAX_WILDCARDS + "a" * 200)[: patterns.MAX_PATTERN]
    began = time.process_time()
    assert not fits_glob("a" * (patterns.MAX_TEXT - 1) + "b", glob)
    assert not fits_glob("a/" * (patterns.MAX_TEXT // 2), "**a" * 4 + "b")
    assert time.process_time() - began < 2
