"""The file tools of one workspace; each returns what a model should read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from agents.workspace import checks, texts
from agents.workspace.checks import CheckReport
from agents.workspace.exceptions import PathRefused
from agents.workspace.paths import matches

if TYPE_CHECKING:
    from agents.workspace.files import Workspace
    from agents.workspace.scope import Scope

MAX_WRITE = 1_000_000  # bytes
MAX_READ = 5_000_000
MAX_HITS = 200

FilePath = Annotated[str, Field(description="Relative to the workspace, e.g. docs/guide.md.")]
Below = Annotated[str, Field(description="A folder, file or glob such as docs/**. Empty: all.")]


class WorkspaceTools:
    """What an agent can do in one workspace. Writes happen one at a time."""

    def __init__(self, workspace: Workspace, scope: Scope) -> None:
        self.workspace = workspace
        self.scope = scope

    def list_files(self, path: Below = "") -> str:
        """List the files with their sizes in bytes."""
        found = self._below(path)
        if not found:
            return f"No file matches {path or 'the workspace'}."
        count = "1 file" if len(found) == 1 else f"{len(found):,} files"
        rows = [count, *(f"{name} ({size:,})" for name, size in found)]
        return texts.capped(rows, more="[{n} more files; name a folder or glob]")

    def search_text(
        self,
        text: Annotated[str, Field(min_length=1, description="Found literally, not as a pattern.")],
        path: Below = "",
        ignore_case: bool = False,  # noqa: FBT001, FBT002 - a tool's argument is always named
    ) -> str:
        """Search files for a text. Gives `path:line: text` for every line that holds it."""
        shown: list[str] = []
        lines, searched, passed_over = 0, 0, 0
        for name, size in self._below(path):
            rows = self._hits(name, text, ignore_case=ignore_case) if size <= MAX_READ else None
            searched += rows is not None
            passed_over += rows is None
            lines += len(rows or [])
            shown += (rows or [])[: MAX_HITS - len(shown)]
        rest = [f"[{lines - MAX_HITS} more lines; search in fewer files]"][lines <= MAX_HITS :]
        if passed_over:
            rest.append(f"[not searched, because not text or too large: {passed_over:,}]")
        count = "1 line" if lines == 1 else f"{lines or 'no'} lines"
        head = f"{count} in {'1 file' if searched == 1 else f'{searched:,} files'} searched"
        return texts.capped([head, *shown, *rest], more="[{n} more lines; search in fewer files]")

    def read_file(
        self,
        path: FilePath,
        first: Annotated[int, Field(ge=1, description="The first line to show.")] = 1,
        last: Annotated[int, Field(ge=0, description="The last line; 0: to the end.")] = 0,
    ) -> str:
        """Read a text file with line numbers. Hidden characters are shown as ⟨U+200B⟩."""
        text = self._text(path)
        total = len(texts.lines_of(text))
        if total == 0:
            return f"[{path} is empty]"
        if first > total:
            raise ToolError(f"{path} has only {total} lines.")
        return texts.numbered(path, text, first, last)

    def edit_file(
        self,
        path: FilePath,
        old: Annotated[str, Field(min_length=1, description="Exact text that occurs once.")],
        new: Annotated[str, Field(description="What stands there afterwards.")],
    ) -> str:
        """Replace one exact piece of text in a file. `old` must occur exactly once."""
        with self.workspace.lock:
            name = self._may_write("edit_file", path)
            text = self._text(name)
            if old == new:
                raise ToolError("`old` and `new` are the same; nothing was changed.")
            if "\r\n" in text and old not in text:
                old, new = _crlf(old), _crlf(new)
            count = text.count(old)
            if count != 1:
                raise ToolError(_no_single_match(name, text, old, count))
            at = text.index(old)
            self._write(name, text[:at] + new + text[at + len(old) :])
        line = text.count("\n", 0, at) + 1
        return f"Changed {name} at line {line}."

    def replace_lines(
        self,
        path: FilePath,
        first: Annotated[int, Field(ge=1, description="The first line to replace.")],
        last: Annotated[int, Field(ge=0, description="The last; first - 1 inserts before first.")],
        text: Annotated[str, Field(description="The new lines; empty deletes them.")],
    ) -> str:
        """Replace whole lines by number, e.g. a line with hidden characters."""
        with self.workspace.lock:
            name = self._may_write("replace_lines", path)
            whole = self._text(name)
            rows = _rows(whole)
            if not first - 1 <= last <= len(rows) or first > len(rows) + 1:
                raise ToolError(
                    f"{name} has {len(rows)} lines; {first} to {last} is no range of them. "
                    "Read the file again; numbers change with every edit."
                )
            end = "\r\n" if "\r\n" in whole else "\n"
            fresh = "".join(f"{line}{end}" for line in texts.lines_of(text)) if text else ""
            before = rows[: first - 1]
            if fresh and before and not before[-1].endswith("\n"):
                before[-1] += end
            self._write(name, "".join(before) + fresh + "".join(rows[last:]))
        return (
            f"Replaced lines {first} to {last} of {name}."
            if last >= first
            else f"Inserted before line {first} of {name}."
        )

    def write_file(
        self,
        path: FilePath,
        content: Annotated[str, Field(description="The whole file, with its last line break.")],
    ) -> str:
        """Write a whole file, new or replaced. To change a part, use edit_file."""
        name = self._may_write("write_file", path)
        fresh = self._write(name, content)
        return f"Wrote {name} ({'new' if fresh else 'replaced'}, {len(texts.lines_of(content))} lines)."

    def delete_file(self, path: FilePath) -> str:
        """Delete one file."""
        with self.workspace.lock:
            name = self._may_write("delete_file", path)
            try:
                self.workspace.delete(name)
            except PathRefused as refusal:
                raise ToolError(str(refusal)) from None
        return f"Deleted {name}."

    def run_checks(self) -> CheckReport:
        """Run the project's own checks on a copy of the workspace, in the sandbox."""
        if self.workspace.project is None:
            return CheckReport(why_not="No checks command is set here.")
        tree = self.workspace.snapshot()
        stopped = self.workspace.abandoned.is_set
        return checks.run_checks(
            self.workspace.project, self.workspace.store, tree, stopped=stopped
        )

    def _below(self, path: str) -> list[tuple[str, int]]:
        wanted = path.removeprefix("./").strip("/")
        listing = self.workspace.listing()
        if wanted in {"", ".", "**"}:
            return listing
        globs = (wanted,) if any(mark in wanted for mark in "*?") else (wanted, f"{wanted}/**")
        return [(name, size) for name, size in listing if matches(name, globs)]

    def _hits(self, name: str, wanted: str, *, ignore_case: bool) -> list[str] | None:
        raw = (self.workspace.folder / name).read_bytes()
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return None
        needle = wanted.casefold() if ignore_case else wanted
        return [
            f"{name}:{number}: {texts.around(line, at)}"
            for number, line in enumerate(texts.lines_of(text), start=1)
            if (at := (line.casefold() if ignore_case else line).find(needle)) >= 0
        ]

    def _text(self, path: str) -> str:
        try:
            place = self.workspace.resolve(path)
        except PathRefused as refusal:
            raise ToolError(str(refusal)) from None
        if place.is_dir():
            raise ToolError(f"{path} is a folder; use list_files.")
        if not place.is_file():
            raise ToolError(self._no_file(path))
        if (size := place.stat().st_size) > MAX_READ:
            raise ToolError(f"{path} is too large to read here ({size:,} bytes).")
        raw = place.read_bytes()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ToolError(texts.NOT_TEXT.format(path=path, size=len(raw))) from None

    def _no_file(self, path: str) -> str:
        kind = self.workspace.kept(path.removeprefix("./"))
        if kind:
            return f"{path} is {kind}; it stays as it is and cannot be read here."
        name = PurePosixPath(path).name
        same = [each for each, _ in self.workspace.listing() if PurePosixPath(each).name == name]
        hint = (
            f" Did you mean {', '.join(same[:3])}?"
            if same
            else " Use list_files to see what is there."
        )
        return f"There is no file {path}.{hint}"

    def _may_write(self, tool: str, path: str) -> str:
        try:
            place = self.workspace.resolve(path)
        except PathRefused as refusal:
            raise ToolError(str(refusal)) from None
        name = place.relative_to(self.workspace.folder).as_posix()
        if not self.scope.allows_write(tool, name):
            raise ToolError(
                f"You may not change {name}: your {tool} is {self._limits(tool)}. "
                "Leave it to another agent and say so in your result."
            )
        return name

    def _limits(self, tool: str) -> str:
        globs = self.scope.writes.get(tool, ())
        only = ", ".join(glob for glob in globs if not glob.startswith("!"))
        never = ", ".join(glob[1:] for glob in globs if glob.startswith("!"))
        told = [f"limited to {only}"] * bool(only) + [f"refused for {never}"] * bool(never)
        return " and ".join(told) or "not granted"

    def _write(self, name: str, text: str) -> bool:
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise ToolError("The text holds half a character (a lone surrogate).") from None
        if len(content) > MAX_WRITE:
            raise ToolError(
                f"A file of {len(content):,} bytes is too large; {MAX_WRITE:,} is the limit."
            )
        try:
            return self.workspace.write(name, content)
        except PathRefused as refusal:
            raise ToolError(str(refusal)) from None


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _rows(text: str) -> list[str]:
    rows = text.split("\n")
    return [f"{row}\n" for row in rows[:-1]] + ([rows[-1]] if rows[-1] else [])


def _no_single_match(name: str, text: str, old: str, count: int) -> str:
    if count == 0:
        return f"`old` is not in {name}; nothing was changed. {texts.why_no_match(text, old)}"
    numbers: list[str] = []
    at = -1
    while (at := text.find(old, at + 1)) >= 0 and len(numbers) < 10:
        numbers.append(str(text.count("\n", 0, at) + 1))
    return (
        f"`old` occurs {count} times in {name} (lines {', '.join(numbers)}); nothing was changed. "
        "Add neighbouring lines so that it occurs once, or use replace_lines."
    )
