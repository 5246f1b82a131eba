"""Gives the web process the key it signs with, and everybody else its public half."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from countersign.connections import local_secret, trusted_lines
from countersign.env import env_text
from countersign.supervisor.choices import SetupError
from projects.signing_keys import public_half

if TYPE_CHECKING:
    from pathlib import Path

NAME = "COUNTERSIGN_SIGNING_KEY"


def for_web(data_dir: Path) -> dict[str, str]:
    """Return the settings with the key: the given one, or one made on the first start.

    Its public half is added to those known here; keys that were used before stay known, for what
    they signed. Raises SetupError for a key that is too short.
    """
    given = env_text(NAME)
    kept = data_dir / "signing-key"
    try:
        public = public_half(given or local_secret(kept).strip())
    except ValueError as error:
        raise SetupError(f"{NAME} is no key: {error}") from error
    known = data_dir / "signing-keys.pub"
    lines = trusted_lines(known)
    if public not in lines:
        _replace(known, "\n".join([*lines, public, ""]))
    return {NAME: given} if given else {f"{NAME}_FILE": str(kept)}


def _replace(path: Path, text: str) -> None:
    """Write a file anew, whole or not at all: with it the keys of before would be lost."""
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o644)
    draft.replace(path)
