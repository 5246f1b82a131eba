"""PostgreSQL and Redis of one's own take the place of the embedded ones, with logins of one's own."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.stack import Stack

DATABASE = "countersign_elsewhere"
ROLES = ("elsewhere_agents", "elsewhere_effects")


def url_of(login: str = "", password: str = "") -> str:
    """Return a URL of this test run's own server, for another database and login."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    if not login:
        return parts._replace(path=f"/{DATABASE}").geturl()
    return parts._replace(netloc=f"{login}:{password}@", path=f"/{DATABASE}").geturl()


@pytest.fixture
def database():
    """Make an empty database with two logins that may do nothing yet."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
        for role in ROLES:
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'known'")
        yield
        server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        for role in ROLES:
            server.execute(f"DROP ROLE {role}")


def test_services_of_ones_own_are_used(database, tmp_path):
    secret = tmp_path / "database-url"
    secret.write_text(url_of() + "\n")
    env = {
        "DATABASE_URL_FILE": str(secret),
        "DATABASE_URL_AGENTS": url_of("elsewhere_agents", "known"),
        "DATABASE_URL_EFFECTS": url_of("elsewhere_effects", "known"),
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    with Stack(env=env) as stack:
        assert set(stack.pids) == {"supervisor", "web", "agents", "effects"}
        assert not (stack.data_dir / "postgres").exists()
        with psycopg.connect(env["DATABASE_URL_AGENTS"]) as agents:
            assert agents.execute("SELECT count(*) FROM approvals_approval").fetchone() == (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                agents.execute("UPDATE approvals_approval SET state = 'approved'")
        with psycopg.connect(url_of()) as owner:
            logins = owner.execute(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s", [DATABASE]
            )
            assert set(ROLES) <= {login for (login,) in logins}
