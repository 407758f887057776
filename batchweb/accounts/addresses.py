"""Where a request comes from."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest


def address_of(request: HttpRequest | None) -> str:
    """The address of the client; empty where there is none, as in a command or behind a socket file."""
    return str(parsed(request) or "")


def network_of(request: HttpRequest | None) -> str:
    """The address that limits count by. Of IPv6 the first 64 bits: one household has all the rest."""
    address = parsed(request)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address or "")


def parsed(request: HttpRequest | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(str(request.META.get("REMOTE_ADDR", "")) if request else "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
