"""The seal: a digest of every part, one of the whole, and a signature where the host has a key.

Canonical bytes of a value are its JSON with keys sorted by code point, no space, everything outside ASCII escaped as
`\\uXXXX`, and numbers as the shortest text that reads back as the same. Signed are the bytes of the line
`automend-evidence-1`, a line feed, and the canonical bytes of the document without its key `seal`.

Without a signature the seal shows accidents and careless changes only: whoever can write the file can seal it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from runner.errors import Refused, UsageError
from runner.evidence.document import FORMAT, EvidenceFile, Seal, Signature
from runner.evidence.keys import Signer, key_id, signed_by

_DOMAIN = b"automend-evidence-1\n"
_LARGEST = 256 << 20
_SEAL = "seal"


def canonical(value: object) -> bytes:
    """The one way to write a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def seal(evidence: EvidenceFile, signer: Signer | None) -> EvidenceFile:
    """The same evidence with its seal."""
    document = evidence.model_dump(mode="json")
    content = _signed_bytes(document)
    signature = None
    if signer is not None:
        signature = Signature(algorithm="ed25519", public_key=signer.public, value=signer.sign(content))
    made = Seal(parts=_digests(document), digest=hashlib.sha256(content).hexdigest(), signature=signature)
    return evidence.model_copy(update={_SEAL: made})


def write(evidence: EvidenceFile) -> str:
    """The text of the file."""
    return json.dumps(evidence.model_dump(mode="json"), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def read(path: Path, *, key: str | None = None) -> EvidenceFile:
    """Read a file whose seal holds.

    Args:
        path: the file.
        key: the public key that must have signed it; None where any seal will do.

    Raises:
        UsageError: there is no such file, or it is no evidence file at all.
        Refused: it was changed (the message names the part), or is not signed as it has to be.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than {_LARGEST >> 20} MiB", remedy="name an evidence file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{path} cannot be read: {e}", remedy="name an evidence file") from e
    return parse(text, str(path), key=key)


def parse(text: str, where: str, *, key: str | None = None) -> EvidenceFile:
    """The text of a file whose seal holds; see `read`."""
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{where} is not JSON: {e}", remedy="name a file that `--evidence-out` wrote") from e
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{where} is no evidence file", remedy="name a file that `--evidence-out` wrote")
    if document.get("version") != 1:
        raise UsageError(f"{where} is of version {document.get('version')}", remedy="use the automend that wrote it")
    check(document, where, key=key)
    try:
        return EvidenceFile.model_validate(document)
    except ValidationError as e:
        first = e.errors()[0]
        part = ".".join(str(p) for p in first["loc"])
        raise Refused(f"{where}: `{part}` is not what an evidence file has there: {first['msg']}") from e


def check(document: Mapping[str, Any], where: str, *, key: str | None = None) -> None:
    """Raise unless the seal of a document holds.

    Raises:
        Refused: it does not; the message names the part.
    """
    try:
        kept = Seal.model_validate(document.get(_SEAL))
    except ValidationError as e:
        raise Refused(f"{where}: it has no seal that can be read", remedy="make the evidence again") from e
    found = _digests(document)
    changed = sorted(part for part in found.keys() | kept.parts.keys() if found.get(part) != kept.parts.get(part))
    if changed:
        named = ", ".join(f"`{part}`" for part in changed)
        raise Refused(f"{where} was changed after it was sealed: {named}", remedy="make the evidence again")
    content = _signed_bytes(document)
    if hashlib.sha256(content).hexdigest() != kept.digest:
        raise Refused(f"{where} was changed after it was sealed: `seal.digest`", remedy="make the evidence again")
    signature = kept.signature
    if signature is not None and not signed_by(signature.public_key, signature.value, content):
        raise Refused(
            f"{where}: `seal.signature` is not of this content: the content or the signature was changed",
            remedy="do not believe it; ask its maker for the file",
        )
    if key is not None and (signature is None or signature.public_key != key):
        by = f"signed by another key ({key_id(signature.public_key)})" if signature is not None else "not signed"
        raise Refused(
            f"{where} is {by}; wanted is {key_id(key)}", remedy="do not believe it; ask its maker for the file"
        )


def in_words(evidence: EvidenceFile) -> str:
    """What the seal says, in a few words of Markdown."""
    if evidence.seal is None:
        return "not sealed"
    signature = evidence.seal.signature
    by = f"signed by key `{key_id(signature.public_key)}`" if signature is not None else "not signed"
    return f"sha256 `{evidence.seal.digest}`, {by}"


def _digests(document: Mapping[str, Any]) -> dict[str, str]:
    return {part: hashlib.sha256(canonical(value)).hexdigest() for part, value in document.items() if part != _SEAL}


def _signed_bytes(document: Mapping[str, Any]) -> bytes:
    return _DOMAIN + canonical({part: value for part, value in document.items() if part != _SEAL})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice would be one thing to us and another to the next reader."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
