"""The host's key: Ed25519, one PEM file that only its owner may read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from runner.errors import ConfigError, UsageError

_PREFIX = "ed25519:"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Signer:
    """A private key that is never shown."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """The public key as text."""
        return _PREFIX + base64.b64encode(self.key.public_key().public_bytes_raw()).decode("ascii")

    def sign(self, content: bytes) -> str:
        """The signature of some bytes, in base64."""
        return base64.b64encode(self.key.sign(content)).decode("ascii")


def make_key(path: Path) -> Signer:
    """Make a key; a file that is there is never overwritten, as old evidence could not be told from a forgery's.

    Raises:
        UsageError: the file is there, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except FileExistsError as e:
        raise UsageError(f"there is a key at {path} already", remedy="move it away to have a new one") from e
    except OSError as e:
        raise UsageError(f"the key cannot be written to {path}: {e.strerror}", remedy="name another file") from e
    return Signer(key)


def load_key(path: Path) -> Signer:
    """Read a key.

    Raises:
        ConfigError: there is none, others may read it, or it is of another kind.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"the key {path} can be read by others", remedy=f"chmod 600 {path}; or make a new one")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as e:
        remedy = "`automend init --key` makes one"
        raise ConfigError(f"the key {path} cannot be read: {e.strerror}", remedy=remedy) from e
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise ConfigError(f"{path} is no key without a password: {e}", remedy="`automend init --key` makes one") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"the key {path} is not of the kind Ed25519", remedy="`automend init --key` makes one")
    return Signer(key)


def key_id(public: str) -> str:
    """A short name of a public key, for people: the beginning of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def read_public(text: str) -> str:
    """A public key as a person gave it, in the one form that all of ours have.

    Raises:
        UsageError: it is none.
    """
    try:
        raw = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise UsageError(
            f"`{text[:80]}` is no public key", remedy=f"give it as `automend init --key` shows it: {_PREFIX}…"
        )
    return _PREFIX + base64.b64encode(raw).decode("ascii")


def signed_by(public: str, signature: str, content: bytes) -> bool:
    """Whether the holder of a key signed exactly these bytes."""
    try:
        raw = base64.b64decode(public.removeprefix(_PREFIX), validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):  # binascii's error is a ValueError
        return False
    return True
