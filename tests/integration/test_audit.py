"""The audit chain: what is read back still has the digest that was written."""

from __future__ import annotations

import pytest

from projects import audit
from projects.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.7",
        "2001:DB8:0::1",
        "::ffff:192.0.2.7",
        "fe80::1%eth0",
        "::1:2",
        "::1",
        "testclient",
        "",
        None,
    ],
)
def test_an_entry_read_back_has_its_digest_whatever_the_address(project, lead, address):
    audit.record("thing.done", subject=project, actor=lead, address=address, seconds=1.5, who="Ö")
    entry = AuditEntry.objects.get()
    assert audit.digest_of(entry) == entry.digest


@pytest.mark.parametrize(
    "value",
    [1e22, 1e16, -1e300, 1.0, 0.1, 1e-7, 5e-324, -0.0, {2: "b", 10: "a", None: 1}, (1, (2.0,))],
)
def test_an_entry_read_back_has_its_digest_whatever_the_value(project, lead, value):
    given = audit.record("thing.done", subject=project, actor=lead, value=[value])
    entry = AuditEntry.objects.get()
    assert audit.digest_of(entry) == entry.digest == given.digest
    assert entry.detail == given.detail


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_entered(project, lead, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        audit.record("thing.done", subject=project, actor=lead, value=value)


def test_entries_follow_each_other(project, lead):
    for number in range(3):
        audit.record("thing.done", subject=project, actor=lead, number=number)
    first, second, third = AuditEntry.objects.order_by("id")
    assert first.previous_digest == audit.GENESIS
    assert (second.previous_digest, third.previous_digest) == (first.digest, second.digest)
