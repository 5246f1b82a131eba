"""Where a webhook may lead: out, and not into the network this runs in."""

from __future__ import annotations

import pytest

from notices.targets import Refused, resolve, target_of

# However an internal address is written or wrapped.
INSIDE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0.0.0.0",  # noqa: S104  # refused is what is tested
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "192.88.99.1",
    "168.63.129.16",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "localhost",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[fec0::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[::ffff:168.63.129.16]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
]
NONSENSE = [
    "",
    "hooks.example.org",
    "ftp://hooks.example.org/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_SET",
    "javascript:alert(1)",
    "https://",
    "https:///x",
    "https://user:word@hooks.example.org/",
    "https://user@hooks.example.org/",
    "https://hooks.example.org/#x",
    "https://hooks.example.org:port/",
    "https://hooks.example.org:99999/",
    "https://hooks.example.org/a b",
    "https://hooks.example.org/\r\nX-Header: 1",
    "https://h\u00f6\u00f6ks.example.org/",
    "https://hooks.example.org/\x00",
    "https://[::1/",
    f"https://hooks.example.org/{'x' * 3000}",
    f"https://{'x' * 60}.{'y' * 200}/",
]


@pytest.mark.parametrize("host", INSIDE)
def test_an_internal_address_is_refused(host, settings):
    settings.WEBHOOK_HOSTS = []
    with pytest.raises((Refused, OSError)) as caught:  # either step may refuse
        resolve(target_of(f"https://{host}/hook"))
    assert isinstance(caught.value, Refused) or "name" in str(caught.value).lower()


@pytest.mark.parametrize("address", NONSENSE)
def test_what_is_no_plain_web_address_is_refused(address, settings):
    settings.WEBHOOK_HOSTS = []
    with pytest.raises(Refused):
        target_of(address)


def test_plain_http_is_for_named_hosts_only(settings):
    settings.WEBHOOK_HOSTS = []
    with pytest.raises(Refused, match="Use https"):
        target_of("http://hooks.example.org/x")
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    assert target_of("http://hooks.example.org/x").port == 80


def test_where_hosts_are_named_there_are_no_others(settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1:9000", "hooks.example.org"]
    assert resolve(target_of("http://127.0.0.1:9000/x")) == ["127.0.0.1"]
    assert target_of("https://HOOKS.example.org./x").host == "hooks.example.org"
    for address in ("http://127.0.0.1:9001/x", "https://hooks.example.org.evil.test/"):
        with pytest.raises(Refused, match="not among the hosts"):
            target_of(address)


def test_an_address_is_read_whole(settings):
    settings.WEBHOOK_HOSTS = []
    target = target_of("https://hooks.example.org:8443/services/T0/B0?x=1&y=2")
    assert (target.host, target.port, target.path) == (
        "hooks.example.org",
        8443,
        "/services/T0/B0?x=1&y=2",
    )
    assert target.header == "hooks.example.org:8443"


def test_a_public_address_is_taken(settings):
    settings.WEBHOOK_HOSTS = []
    assert resolve(target_of("https://93.184.215.14/x")) == ["93.184.215.14"]
    assert resolve(target_of("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x"))
