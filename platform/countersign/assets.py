"""The name under which scripts and styles are served: another as soon as any of them is another.

The digest is a folder of the address, so styles that name fonts and files that are joined need
no rewriting, and nothing has to be built before a start. What has such an address never changes.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.headers import Headers

# These bring files of their own, which change only with them.
PACKAGES = ("django", "django-htmx", "djangorestframework", "drf-spectacular-sidecar")
# What several files are served as one by: another rule makes another text of the same files.
_JOINED_BY = ("scripts.py", "sheets.py")
_DIGITS = 12
KEPT, RENEWED = "public, max-age=31536000, immutable", "no-cache"
FOLDER = f"[0-9a-f]{{{_DIGITS}}}"  # of an address, as a pattern


def digest_of(folder: Path, packages: Iterable[str] = PACKAGES) -> str:
    """Return what stands for all files of a folder and those of packages."""
    whole = hashlib.sha256()
    for name in packages:
        whole.update(f"{name}=={version(name)}\n".encode())
    for name in _JOINED_BY:
        whole.update(Path(__file__).with_name(name).read_bytes())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return whole.hexdigest()[:_DIGITS]


def keep_for_ever(headers: Headers, path: str, url: str) -> None:
    """Let browsers keep what has the digest in its address, and not ask for it again."""
    kept = url.startswith(f"/{settings.STATIC_URL.strip('/')}/")
    headers["Cache-Control"] = KEPT if kept else RENEWED
