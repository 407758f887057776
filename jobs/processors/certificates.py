"""The certificates that secure connections are checked against."""

from __future__ import annotations

import ssl
import threading

import httpx

_lock = threading.Lock()
_contexts: dict[bool, ssl.SSLContext] = {}


def none() -> ssl.SSLContext:
    """A context that trusts nobody, for connections that are not secure anyway; it takes no time to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def shared(*, trust_env: bool) -> ssl.SSLContext:
    """The context that all connections of this process share; with `trust_env` SSL_CERT_FILE may name others.

    Reading them takes 20 to 30 ms of computing, and the workers of a run all ask at once: one reads, the others wait.
    """
    with _lock:
        if trust_env not in _contexts:
            _contexts[trust_env] = httpx.create_ssl_context(trust_env=trust_env)
        return _contexts[trust_env]
