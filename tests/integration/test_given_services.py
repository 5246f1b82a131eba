"""`manage.py up` asks the services it is given before it builds anything."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from rich.console import Console

from countersign.connections import database_settings
from countersign.supervisor import screen

ROOT = Path(__file__).parents[2]
OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS")


def up(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((*OURS, "COUNTERSIGN_"))
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "up"],
        env={
            **environment,
            "COUNTERSIGN_DATA_DIR": str(data_dir),
            "COUNTERSIGN_PORT": "0",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0"),
        ("REDIS_URL", "nonsense"),
        ("CELERY_BROKER_URL", "redis://127.0.0.1:1/0"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:1//"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none"),
    ],
)
def test_a_service_that_does_not_answer_is_found_before_anything_is_made(
    tmp_path, name, url
) -> None:
    ended = up(tmp_path / "data", **{name: url})
    assert ended.returncode == 1, ended.stdout
    assert f"correct {name}" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "First start" not in ended.stdout
    assert not list((tmp_path / "data").glob("postgres*/PG_VERSION"))


@pytest.mark.parametrize(
    ("url", "told"),
    [("nonsense", "does not begin like a URL"), ("mysql://host/name", "begins with mysql:")],
)
def test_a_database_url_that_is_none_is_named_in_words(url, told) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        database_settings(url)
    assert told in str(refused.value)
    assert "postgresql://user:password@host/name" in str(refused.value)
    assert "''" not in str(refused.value)


def test_the_screen_says_whose_the_database_files_are(monkeypatch, tmp_path) -> None:
    shown = StringIO()
    monkeypatch.setattr(screen, "_console", Console(file=shown, width=120))
    facts = {"model": "rehearsal", "sandbox": None, "accounts": {}}
    for owner in ("", "pgserver"):
        screen.show(
            url="http://localhost:1", facts=facts, data_dir=tmp_path, data_owner=owner, seconds=1
        )
    assert shown.getvalue().count("PostgreSQL runs as pgserver") == 1
