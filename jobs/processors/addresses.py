"""Which addresses belong to the public internet. Everything else stays out of reach of what a file says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Resolve = Callable[[str, int], Iterable[str]]

# `is_global` alone is not enough: it lets multicast, transition mechanisms and retired ranges pass, more of
# them in older Pythons. For IPv6 only what IANA gives out to hosts counts.
UNICAST = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
WITHHELD = tuple(
    ip_network(block)
    for block in (
        "168.63.129.16/32",  # Azure's own service, the same for every machine there
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata live there
        "192.88.99.0/24",
        "2001::/23",  # protocol assignments, with Teredo, which hides an IPv4 address
        "3fff::/20",
    )
)


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host name, as the system resolves it; raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public(address: str) -> bool:
    """Whether an address, as text, is one of a host on the public internet."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _public4(ip) if isinstance(ip, IPv4Address) else _public6(ip)


def _public4(ip: IPv4Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or _withheld(ip))


def _public6(ip: IPv6Address) -> bool:
    if (inner := _embedded(ip)) is not None:
        return _public4(inner)
    # A scope, as in fe80::1%eth0, only makes sense on the own network.
    return ip in UNICAST and ip.is_global and ip.scope_id is None and not _withheld(ip)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _withheld(ip: IPv4Address | IPv6Address) -> bool:
    return any(ip in block for block in WITHHELD)
