"""A device that holds one passkey, as a browser would ask it."""

from __future__ import annotations

import json
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

FLAGS = AuthenticatorData.FLAG
FINGER = FLAGS.UP | FLAGS.UV


class Device:
    """Says what it is asked to, from the origin that it is told."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = token_bytes(32)
        self._user = ""
        self._uses = 0

    def made(self, options: Any, origin: str) -> str:
        """The answer to a request to make a passkey, as JSON."""
        asked = options["publicKey"]
        self._user = asked["user"]["id"]
        known = AttestedCredentialData.create(bytes(16), self._id, ES256.from_cryptography_key(self._key.public_key()))
        data = AuthenticatorData.create(self._site(asked["rp"]["id"]), FINGER | FLAGS.AT, self._uses, bytes(known))
        said = CollectedClientData.create("webauthn.create", asked["challenge"], origin)
        return self._credential(said, attestationObject=AttestationObject.create("none", data, {}))

    def used(self, options: Any, origin: str) -> str:
        """The answer to a request to show that the passkey is there, as JSON."""
        asked = options["publicKey"]
        self._uses += 1
        data = AuthenticatorData.create(self._site(asked["rpId"]), FINGER, self._uses)
        said = CollectedClientData.create("webauthn.get", asked["challenge"], origin)
        signature = self._key.sign(data + said.hash, ec.ECDSA(hashes.SHA256()))
        user = websafe_decode(self._user)
        return self._credential(said, authenticatorData=data, signature=signature, userHandle=user)

    def _site(self, name: str) -> bytes:
        return sha256(name.encode()).digest()

    def _credential(self, said: CollectedClientData, **parts: bytes) -> str:
        name = websafe_encode(self._id)
        response = {key: websafe_encode(part) for key, part in {"clientDataJSON": said, **parts}.items()}
        return json.dumps({"type": "public-key", "id": name, "rawId": name, "response": response,
                           "clientExtensionResults": {"credProps": {"rk": True}}})  # fmt: skip
