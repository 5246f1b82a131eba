"""What the tests install on a machine of their own must not start to listen there."""

from __future__ import annotations

import subprocess

from tests import machine


def test_services_do_not_start_while_packages_are_installed(monkeypatch, tmp_path):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(machine, "POLICY", policy)
    with machine.no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_that_is_there_stays_as_it_is(monkeypatch, tmp_path):
    policy = tmp_path / "policy-rc.d"
    policy.write_text("somebody else's")
    monkeypatch.setattr(machine, "POLICY", policy)
    with machine.no_service_starts():
        pass
    assert policy.read_text() == "somebody else's"
