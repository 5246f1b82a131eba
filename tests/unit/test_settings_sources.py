"""Where settings come from: the environment, a file it names, or a running `up`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import ImproperlyConfigured

from countersign.connections import (
    database_settings,
    email_settings,
    kafka_options,
    local_secret,
    running_services,
)
from countersign.env import env_bool, env_int, env_text
from countersign.supervisor.choices import read_choices
from countersign.supervisor.parts import Parts

if TYPE_CHECKING:
    from pathlib import Path


def test_file_wins_over_plain_text(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("THING", "plain")
    monkeypatch.setenv("THING_FILE", str(tmp_path / "secret"))
    assert env_text("THING") == "from the file"


def test_empty_means_absent(monkeypatch):
    monkeypatch.setenv("THING", "")
    assert env_text("THING", "default") == "default"
    assert env_int("THING", 7) == 7


@pytest.mark.parametrize(
    ("read", "value", "wanted"),
    [
        (lambda: env_int("THING", 1), "many", "a whole number"),
        (lambda: env_bool("THING", default=True), "maybe", "1 or 0"),
    ],
)
def test_unreadable_value_is_named(monkeypatch, read, value, wanted):
    monkeypatch.setenv("THING", value)
    with pytest.raises(ImproperlyConfigured, match=f"THING must be {wanted}"):
        read()


def test_binary_file_is_refused_by_name(monkeypatch, tmp_path):
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("THING_FILE", str(tmp_path / "secret"))
    with pytest.raises(ImproperlyConfigured, match="it is not UTF-8 text"):
        env_text("THING")


def test_socket_folder_and_escaped_password_are_read():
    settings = database_settings("postgresql://me:a%40b@/mine?host=%2Frun%2Fpg&sslmode=require")
    assert settings["HOST"] == "/run/pg"
    assert settings["PASSWORD"] == "a@b"
    assert settings["NAME"] == "mine"
    assert settings["OPTIONS"] == {"sslmode": "require"}


@pytest.mark.parametrize("url", ["mysql://here/db", "postgresql://here:port/db"])
def test_unusable_database_url_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database_settings(url)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", {}),
        (
            "kafka://one:9092,two:9092",
            {"bootstrap.servers": "one:9092,two:9092", "security.protocol": "PLAINTEXT"},
        ),
        (
            "kafka+ssl://me:a%40b@one:9093?ssl.ca.location=/etc/ca.pem",
            {
                "bootstrap.servers": "one:9093",
                "security.protocol": "SASL_SSL",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "me",
                "sasl.password": "a@b",
                "ssl.ca.location": "/etc/ca.pem",
            },
        ),
    ],
)
def test_kafka_url_is_turned_into_the_librarys_options(url, wanted):
    assert kafka_options(url) == wanted


@pytest.mark.parametrize("url", ["here:9092", "kafka://", "http://here:9092"])
def test_unusable_kafka_url_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="KAFKA_URL must look like kafka://"):
        kafka_options(url)


def test_running_up_is_found_and_a_dead_one_is_not(tmp_path):
    runtime = tmp_path / "runtime.json"
    assert running_services(tmp_path) == {}
    runtime.write_text(json.dumps({"pid": os.getpid(), "REDIS_URL": "redis://here"}))
    assert running_services(tmp_path) == {"REDIS_URL": "redis://here"}
    runtime.write_text(json.dumps({"pid": 2**22 + 1, "REDIS_URL": "redis://here"}))
    assert running_services(tmp_path) == {}
    runtime.write_text("{half")
    assert running_services(tmp_path) == {}


def test_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "folder" / "key"
    secret = local_secret(path)
    assert local_secret(path) == secret
    assert len(secret) > 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["key"]


def test_processes_that_start_together_agree_on_one_secret(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for number in range(50):
            path, start = tmp_path / str(number) / "key", Barrier(8)

            def begin(_: int, path: Path = path, start: Barrier = start) -> str:
                start.wait()
                return local_secret(path)

            assert len(set(pool.map(begin, range(8)))) == 1
            assert len(path.read_text()) > 40


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", ("", 0, False, False)),
        ("smtp://mail.example.org", ("mail.example.org", 25, False, False)),
        ("smtp+starttls://u:p%40w@mail.example.org", ("mail.example.org", 587, True, False)),
        ("smtps://u:p@mail.example.org:2465", ("mail.example.org", 2465, False, True)),
    ],
)
def test_a_mail_server_is_named_by_a_url(url, wanted):
    found = email_settings(url)
    assert (found.host, found.port, found.starttls, found.tls) == wanted


def test_a_mail_url_says_who_logs_in_and_who_writes():
    found = email_settings("smtps://cs:p%40w@mail.example.org?from=cs@example.org")
    assert (found.user, found.password, found.sender) == ("cs", "p@w", "cs@example.org")
    assert email_settings("smtp://mail.example.org").sender == "countersign@mail.example.org"


@pytest.mark.parametrize("url", ["mail.example.org", "http://x", "smtp://", "smtp://x:port"])
def test_a_mail_url_that_cannot_work_is_refused_by_name(url):
    with pytest.raises(ImproperlyConfigured, match="COUNTERSIGN_EMAIL_URL"):
        email_settings(url)


def test_only_who_sends_mail_knows_the_password_of_the_server(monkeypatch, tmp_path):
    monkeypatch.setenv("COUNTERSIGN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COUNTERSIGN_EMAIL_URL", "smtps://u:p@mail.example.org")
    parts = Parts(read_choices(), port=8000)
    knows = [
        login
        for login in ("", "web", "agents", "effects", "sink")
        if "COUNTERSIGN_EMAIL_URL" in parts.environment(login)
    ]
    assert knows == ["web", "effects"]


@pytest.mark.parametrize(
    ("module", "size"), [("countersign.celery", None), ("countersign.asgi", 7)]
)
def test_only_a_web_server_keeps_connections_for_others(module, size):
    says = f"import {module}, django; django.setup(); from django.db import connection;"
    says += "print(connection.pool and connection.pool.max_size)"
    named = {"DJANGO_SETTINGS_MODULE": "countersign.settings", "COUNTERSIGN_KEPT_CONNECTIONS": "7"}
    ended = subprocess.run(
        [sys.executable, "-c", says],
        env={**os.environ, **named},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout.split() == [str(size)]
