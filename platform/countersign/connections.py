"""Turns connection URLs and files of the data directory into Django settings."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pathlib import Path


_PREPARE_AFTER = 3  # times a statement was sent over a connection
# A page reads a few rows each of many lists, of which PostgreSQL expects far more: to start and end
# workers for them took longer than to read them.
_ALONE = "-c max_parallel_workers_per_gather=0"


def database_settings(url: str) -> dict[str, Any]:
    """Return DATABASES["default"] for a postgresql:// URL; the socket folder may be ?host=."""
    parts = urlsplit(url or "postgresql:///countersign")
    if parts.scheme not in {"postgres", "postgresql"}:
        begins = f"begins with {parts.scheme}:" if parts.scheme else "does not begin like a URL"
        raise ImproperlyConfigured(
            f"DATABASE_URL must look like postgresql://user:password@host/name, but it {begins}. "
            "Countersign keeps its rows in PostgreSQL with pgvector and nothing else."
        )
    try:
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL names a port that is no number ({error}). Correct or unset it."
        ) from error
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "countersign",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(port or options.pop("port", "")),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def keep_connections(database: dict[str, Any], size: int) -> None:
    """Let connections go from one page to the next, at most so many of them; 0 keeps none.

    For web servers alone: a worker's threads keep their own, and its locks fall with the session. What
    pages send again in the same words (see projects.connections) is prepared on each.
    """
    if size:
        # A database that was away is tried again within seconds of its return: the time between tries
        # grows with how long one goes on trying.
        pool = {"min_size": 1, "max_size": size, "timeout": 3.0, "reconnect_timeout": 3.0}
        database["OPTIONS"]["pool"] = pool
        database["OPTIONS"]["prepare_threshold"] = _PREPARE_AFTER
        given = database["OPTIONS"].get("options", "")
        database["OPTIONS"]["options"] = f"{_ALONE} {given}".strip()


def kafka_options(url: str) -> dict[str, str]:
    """Return librdkafka's options for a kafka:// or kafka+ssl:// URL, none for an empty one.

    Its query may name any option, e.g. ?sasl.mechanisms=SCRAM-SHA-512&ssl.ca.location=/etc/ca.pem.
    """
    if not url:
        return {}
    parts = urlsplit(url)
    servers = parts.netloc.rpartition("@")[2]
    if parts.scheme not in {"kafka", "kafka+ssl"} or not servers:
        raise ImproperlyConfigured(
            "KAFKA_URL must look like kafka://host:9092,host:9092 or kafka+ssl://user:password@host, "
            "but it does not. Correct or unset it."
        )
    security = "SSL" if parts.scheme == "kafka+ssl" else "PLAINTEXT"
    options = {"bootstrap.servers": servers}
    if parts.username:
        security = f"SASL_{security}"
        options["sasl.mechanisms"] = "PLAIN"
        options["sasl.username"] = unquote(parts.username)
        options["sasl.password"] = unquote(parts.password or "")
    return {**options, "security.protocol": security, **dict(parse_qsl(parts.query))}


@dataclass(frozen=True, kw_only=True)
class Email:
    """A mail server, and who its messages come from."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False
    sender: str = "countersign@localhost"


_EMAIL_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


def email_settings(url: str) -> Email:
    """Return the server of an smtp://, smtp+starttls:// or smtps:// URL, none for an empty one.

    Its query may name the sender: ?from=countersign@example.org.
    """
    if not url:
        return Email()
    parts = urlsplit(url)
    try:
        port = parts.port or _EMAIL_PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if not port or not parts.hostname:
        raise ImproperlyConfigured(
            "COUNTERSIGN_EMAIL_URL must look like smtp+starttls://user:password@host:587"
            "?from=countersign@example.org, smtps:// or smtp://, but it does not. "
            "Correct or unset it."
        )
    query = dict(parse_qsl(parts.query))
    return Email(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+starttls",
        tls=parts.scheme == "smtps",
        sender=query.get("from", f"countersign@{parts.hostname}"),
    )


def running_services(data_dir: Path) -> dict[str, str]:
    """Return the settings a running `manage.py up` left for commands beside it, else nothing."""
    try:
        left = json.loads((data_dir / "runtime.json").read_text(encoding="utf-8"))
        os.kill(left["pid"], 0)
    except PermissionError:
        return {}  # another person's Countersign
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # nothing runs, or it was killed and its file stayed
    return {name: value for name, value in left.items() if isinstance(value, str)}


def local_secret(path: Path) -> str:
    """Return the secret kept in `path`, making it (mode 0600) on first use."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Linked into place once it is whole: of two processes that start together the second would
    # otherwise read a key that is not written yet, and end over it.
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)
    return path.read_text(encoding="ascii")


def trusted_lines(path: Path) -> list[str]:
    """Return the words of a file, none when it is not there.

    Raises ImproperlyConfigured when others than its owner may write to it.
    """
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ImproperlyConfigured(
                f"{path} may be written by others than its owner: chmod 644."
            )
        return path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
