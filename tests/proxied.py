"""The whole product behind a real nginx with TLS, as docs/proxies.md describes it, and as it goes wrong."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import ClientConnection, connect

from tests.services.nginx import documented, nginx
from tests.system import System, free_port, running

NO_UPGRADE: Final = r" *proxy_set_header (?:Upgrade|Connection) .*\n"
NO_HOST: Final = r" *proxy_set_header Host .*\n"


@dataclass
class Proxied:
    """A system, where people reach it, and other servers in front of the same."""

    system: System
    prefix: str
    url: str
    jar: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def client(self, server: str = "") -> httpx.Client:
        """The first administrator, who signs in by the printed link the first time."""
        if not self.jar:
            with self.stranger() as first:
                first.get(self.system.link).raise_for_status()
                self.jar = dict(first.cookies)
        client = self.stranger(server)
        client.cookies.update(self.jar)
        return client

    def stranger(self, server: str = "") -> httpx.Client:
        url = self.others[server] if server else self.url
        return httpx.Client(base_url=url, verify=False, follow_redirects=True, timeout=60)

    def post(self, client: httpx.Client, path: str, data: dict[str, str], files: Any = None) -> httpx.Response:
        """As a browser sends it: with the token of a page and the page's address."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("accounts/password_change/").text)
        assert found
        origin = str(client.base_url.copy_with(path="/")).rstrip("/")
        headers = {"Origin": origin, "Referer": f"{origin}/", "X-CSRFToken": found[1], "Accept": "application/json"}
        return client.post(path, data=data, files=files, headers=headers, follow_redirects=False)

    def socket(self, path: str, server: str = "") -> AbstractContextManager[ClientConnection]:
        url = self.others[server] if server else self.url
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {"Cookie": cookies, "Origin": url.removesuffix(self.prefix)}
        return connect(url.replace("https", "wss", 1) + path, ssl=trusting, additional_headers=headers)


@contextmanager
def proxied(folder: Path, prefix: str = "") -> Iterator[Proxied]:
    """Raises Missing where no nginx can be had."""
    upstream, port = free_port(), free_port()
    ports = {name: free_port() for name in ("stripped", "silent", "rewriting", "hasty")}
    changes = {"stripped": {"strip": True}, "silent": {"without": NO_UPGRADE}, "rewriting": {"without": NO_HOST},
               "hasty": {"seconds": 3}}  # fmt: skip
    make_certificate(folder)
    once, one = documented()
    blocks = [once, block(one, folder, upstream, port, prefix, seconds=12)]
    blocks += [block(one, folder, upstream, ports[name], prefix, **changes[name]) for name in ports]  # type: ignore[arg-type]
    url = f"https://localhost:{port}{prefix}"
    others = {name: f"https://localhost:{other}{prefix}" for name, other in ports.items()}
    with nginx(folder, "\n".join(blocks), port), running(folder, upstream, PUBLIC_URL=url) as system:
        yield Proxied(system, prefix, url, others=others)


def block(
    text: str, folder: Path, upstream: int, port: int, prefix: str, *, strip: bool = False, without: str = "",
    seconds: int = 0,
) -> str:  # fmt: skip
    """What is documented, with names, files and ports of the test; and with a mistake in it, where one is asked for."""
    target = f"http://127.0.0.1:{upstream}{'/' if strip else ''}"
    changes = {
        r"listen 443": f"listen 127.0.0.1:{port}",
        r"server_name batch\.example\.com": "server_name localhost",
        r"/etc/ssl/batchweb\.pem": str(folder / "certificate.pem"),
        r"/etc/ssl/batchweb\.key": str(folder / "key.pem"),
        r"location / ": f"location {prefix}/ ",
        r"http://127\.0\.0\.1:8000": target,
    }
    if without:
        changes[without] = ""
    if seconds:
        changes[r"proxy_read_timeout 120s"] = f"proxy_read_timeout {seconds}s"
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text)
        assert count, f"The documented configuration has no {pattern}."
    return text


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
