"""Where a webhook may lead: not into the network this runs in, unless the installation says so."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

LONGEST = 2_000
LONGEST_HOST = 253  # characters of a name, as DNS has it
_TRIED = 3  # addresses of one host
_PORTS = {"https": 443, "http": 80}
# What hides an address of another kind inside it, what not every Python knows to be special, and
# where a cloud answers its own machines only.
_NOT_OUTSIDE = tuple(
    map(
        ip_network,
        (
            *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.88.99.0/24"),
            *("fec0::/10", "3fff::/20", "5f00::/16", "192.0.0.0/24", "168.63.129.16/32"),
        ),
    )
)


class Refused(Exception):
    """A webhook may not lead there; nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place to post to."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def named(self) -> bool:
        """Tell whether the installation names this host, so that it is trusted."""
        names = {name.lower() for name in settings.WEBHOOK_HOSTS}
        return self.host in names or f"{self.host}:{self.port}" in names

    @property
    def header(self) -> str:
        """Return the value of Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(address: str) -> Target:
    """Read an address; raises Refused, saying why it is not accepted."""
    parts = _split(address)
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise Refused("Its port is no number.") from error
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    target = Target(
        scheme=parts.scheme, host=(parts.hostname or "").rstrip("."), port=port, path=path
    )
    if settings.WEBHOOK_HOSTS and not target.named:
        raise Refused(f"{target.host} is not among the hosts in COUNTERSIGN_WEBHOOK_HOSTS.")
    if target.scheme == "http" and not target.named:
        raise Refused("Use https. Plain http is only for hosts in COUNTERSIGN_WEBHOOK_HOSTS.")
    return target


def _split(address: str) -> SplitResult:
    if len(address) > LONGEST or not address.isascii() or not address.isprintable():
        raise Refused("This is not an address: plain characters only, no blanks.")
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise Refused("This is not an address.") from error
    if parts.scheme not in _PORTS or not parts.hostname or " " in address:
        raise Refused("An address begins with https:// and a host.")
    if parts.username is not None or parts.fragment:
        raise Refused("Leave out the user, the password and anything after #.")
    if len(parts.hostname) > LONGEST_HOST:
        raise Refused("No host has a name this long.")
    return parts


def resolve(target: Target) -> list[str]:
    """Return the addresses to connect to, in order; raises Refused, or OSError where there is none.

    What was checked is what is connected to: a name that answers otherwise a moment later is not
    asked again.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(row[4][0]) for row in found]
    if not target.named and any(_inside(each) for each in addresses):
        raise Refused(
            f"{target.host} is an address of an internal network. Name the host in "
            "COUNTERSIGN_WEBHOOK_HOSTS if it is meant."
        )
    return list(dict.fromkeys(addresses))[:_TRIED]


def _inside(text: str) -> bool:
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in _NOT_OUTSIDE):
        return True
    return not address.is_global or address.is_multicast or address.is_reserved
