"""Credentials are found with few false alarms, and never repeated."""

from __future__ import annotations

import pytest

from agents.workspace.secrets import scan

# Put together here, so that no scanner of this repository takes them for real ones.
EXAMPLES = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "GitLab token": "glpat-" + "abcdefghij0123456789",
    "Slack token": "xoxb-" + "1234567890-abcdefghijkl",
    "Stripe key": "sk_live_" + "abcdefghij0123456789ABCD",
    "Google API key": "AIza" + "a" * 35,
    "Anthropic key": "sk-ant-" + "api03-" + "x" * 40,
    "OpenAI key": "sk-proj-" + "a" * 20 + "T3BlbkFJ" + "b" * 20,
    "Countersign token": "cs_" + "abcdef123456_" + "x" * 43,
    "password in a URL": "postgres://app:" + "s3cretvalue@db.example/app",
}


@pytest.mark.parametrize(("kind", "value"), EXAMPLES.items(), ids=EXAMPLES)
def test_a_credential_is_found_and_not_repeated(kind, value):
    found = scan(f"a\nkey = '{value}'\n")
    assert [(each.line, each.kind) for each in found] == [(2, kind)]
    assert found[0].shown == f"{value[:4]}…"


@pytest.mark.parametrize(
    "text",
    [
        'password = "hunter2"',
        "-----BEGIN PUBLIC KEY-----",
        "https://example.org:8080/path@2",
        "postgres://user:${PASSWORD}@db/app",
        "postgres://user:password@db/app",
        "amqp://user:SECRET@rabbit//",
        "risk-adjusted sk-learn AKIA",
        "d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text):
    assert scan(text) == []


def test_every_line_is_named():
    key = EXAMPLES["AWS access key"]
    assert [each.line for each in scan(f"{key} {key}\n\n{key}\n")] == [1, 1, 3]
