"""A file that is edited keeps its line endings and the newline at its end, or is not edited."""

from __future__ import annotations

import pytest

from agents.editing import MAX_BYTES, read
from agents.workspace.listings import TreeEntry
from projects.exceptions import InvalidInput


class Tree:
    """One file, as a store would give it."""

    def __init__(self, content: bytes, mode: str = "100644") -> None:
        self.content = content
        self.entry = TreeEntry("a.txt", mode, "b" * 40, len(content))

    def paths(self, _):
        return [self.entry]

    def blobs(self, _):
        return [self.content]


def typed(content: bytes, text: str) -> bytes:
    return read(Tree(content), "h", "a.txt").bytes_of(text)


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        (b"a\nb\n", "a\r\nc\r\n", b"a\nc\n"),  # as a browser sends it
        (b"a\r\nb\r\n", "a\r\nc\r\n", b"a\r\nc\r\n"),
        (b"a\r\nb\r\n", "a\nc\n", b"a\r\nc\r\n"),
        (b"a\nb\n", "a\nc", b"a\nc\n"),
        (b"a\nb", "a\nc\n", b"a\nc"),
        (b"a\nb", "a\nc", b"a\nc"),
        (b"a", "", b""),
        (b"", "a\n", b"a\n"),
        (b"", "a", b"a"),
        ("ä\u200b\n".encode(), "ä\n", "ä\n".encode()),
        (b"\n\na\n", "\n\nb\n", b"\n\nb\n"),
    ],
)
def test_endings_stay(before, text, after):
    assert typed(before, text) == after


@pytest.mark.parametrize("content", [b"", b"a", b"a\n", b"a\r\nb\r\n", b"a\n\n\n", "ä\n".encode()])
def test_what_is_shown_and_sent_back_is_the_same_file(content):
    file = read(Tree(content), "h", "a.txt")
    assert file.bytes_of(file.words.replace("\n", "\r\n")) == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\r\nb\n", "mixes line endings"),
        (b"a\rb\n", "mixes line endings"),
        (b"a\r\r\n", "mixes line endings"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\0b", "binary"),
        (b"x" * (MAX_BYTES + 1), "larger than 200,000 bytes"),
    ],
)
def test_a_file_a_page_could_not_keep_is_not_edited(content, said):
    with pytest.raises(InvalidInput, match=said):
        read(Tree(content), "h", "a.txt")


@pytest.mark.parametrize("mode", ["120000", "160000"])
def test_a_link_is_not_edited(mode):
    with pytest.raises(InvalidInput, match="link"):
        read(Tree(b"x", mode), "h", "a.txt")


def test_an_edit_as_large_as_may_be_is_taken_and_no_larger_one():
    assert len(typed(b"a\n", "x" * (MAX_BYTES - 1))) == MAX_BYTES
    with pytest.raises(InvalidInput):
        typed(b"a\n", "x" * MAX_BYTES)
