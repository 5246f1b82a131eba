"""Checks what no linter knows: migrations match the models, nothing is too long, no async task.

Run as `python -m tests.house_rules` by `make check`; needs no database.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
CODE = {".py", ".js", ".html"}


def main() -> int:
    """Print each breach; return 1 when there is any."""
    breaches = [*_too_long(), *_async_tasks(), *_package_named_platform()]
    for breach in breaches:
        print(breach)
    return 1 if breaches or not _migrations_match() else 0


def _files() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        foreign = {"vendor", "migrations"} & set(path.parts)
        if path.suffix in CODE and not foreign and path.exists():
            yield path


def _too_long() -> Iterator[str]:
    for path in _files():
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > LONGEST_FILE:
            yield f"{path.relative_to(ROOT)} has {lines} lines; {LONGEST_FILE} is the most."
        for function in _functions(path, text):
            length = (function.end_lineno or 0) - function.lineno + 1
            if length > LONGEST_FUNCTION:
                yield (
                    f"{path.relative_to(ROOT)}:{function.lineno} {function.name} has {length} "
                    f"lines; {LONGEST_FUNCTION} is the most."
                )


def _async_tasks() -> Iterator[str]:
    """A Celery task that is `async def` returns a coroutine nobody runs, and counts as done."""
    for path in _files():
        if path.name == "tasks.py":
            for function in _functions(path, path.read_text(encoding="utf-8")):
                if isinstance(function, ast.AsyncFunctionDef) and function.decorator_list:
                    yield f"{path.relative_to(ROOT)}:{function.lineno} is an async Celery task."


def _package_named_platform() -> Iterator[str]:
    if (ROOT / "platform" / "__init__.py").exists():
        yield "platform/__init__.py shadows the standard library's platform; remove it."


def _functions(path: Path, text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _migrations_match() -> bool:
    os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
    os.environ.setdefault("SECRET_KEY", "no secret is signed while migrations are compared")
    import django
    from django.conf import settings
    from django.core.management import CommandError, call_command

    # Without a database only the history of applied migrations is not looked at.
    settings.DATABASES["default"] = {"ENGINE": "django.db.backends.dummy"}
    django.setup()
    try:
        call_command("makemigrations", check=True, dry_run=True, verbosity=1)
    except (CommandError, SystemExit):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
