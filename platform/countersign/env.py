"""Typed readers of settings from the environment; each NAME may also be given as NAME_FILE."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

LOOPBACK = "localhost,127.0.0.1,[::1]"  # names of this machine, as ALLOWED_HOSTS lists them


def env_text(name: str, default: str = "") -> str:
    """Return the setting `name`, or the content of the file named by `name`_FILE."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name) or default
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(
            f"{name}_FILE names {path}, which cannot be read ({_reason(error)}); "
            f"point it at a readable text file, or set {name} instead."
        ) from error


def env_int(name: str, default: int) -> int:
    """Return a whole number; refuse anything else by name."""
    text = env_text(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must be a whole number, but it is {text!r}; correct it or unset it."
        ) from error


def env_bool(name: str, *, default: bool) -> bool:
    """Return a yes/no setting; refuse anything but 1/0, true/false, yes/no, on/off."""
    text = env_text(name, "1" if default else "0").strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"", "0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(
        f"{name} must be 1 or 0, but it is {text!r}; correct it or unset it."
    )


def env_list(name: str, default: str = "") -> list[str]:
    """Return the comma-separated items, without blanks."""
    return [item.strip() for item in env_text(name, default).split(",") if item.strip()]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
