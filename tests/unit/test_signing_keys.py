"""The key of the console on disk: made once, read as it was written, former ones stay known."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from countersign.connections import trusted_lines
from countersign.env import env_text
from countersign.supervisor.signing import NAME, for_web
from projects.signing_keys import public_half

OTHER = "the key of an operator, long enough"


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch):
    monkeypatch.delenv(NAME, raising=False)


def test_the_key_is_made_once_and_what_the_web_reads_is_what_others_know(tmp_path, monkeypatch):
    settings = for_web(tmp_path)
    assert for_web(tmp_path) == settings == {f"{NAME}_FILE": str(tmp_path / "signing-key")}
    (tmp_path / "signing-key").write_text("written by hand, with a line's end after it\n")
    for_web(tmp_path)
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "signing-key"))
    assert trusted_lines(tmp_path / "signing-keys.pub")[-1] == public_half(env_text(NAME))


def test_a_given_key_is_added_to_those_that_are_known(tmp_path, monkeypatch):
    for_web(tmp_path)
    monkeypatch.setenv(NAME, OTHER)
    assert for_web(tmp_path) == {NAME: OTHER}
    known = trusted_lines(tmp_path / "signing-keys.pub")
    assert known == [public_half((tmp_path / "signing-key").read_text()), public_half(OTHER)]


def test_a_list_of_keys_that_others_may_write_to_is_not_trusted(tmp_path):
    for_web(tmp_path)
    (tmp_path / "signing-keys.pub").chmod(0o666)
    with pytest.raises(ImproperlyConfigured, match="may be written by others"):
        trusted_lines(tmp_path / "signing-keys.pub")
