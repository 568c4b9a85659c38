"""The trust root: docs/spec/bundle.md."""

import json
from dataclasses import dataclass
from typing import Any

from tests.second_verifier.sm import is_public_key

_MAX_BYTES = 1 << 20


class OtherTrustVersionError(Exception):
    """A trust file of a version that this verifier does not know."""


class BadTrustError(Exception):
    """A trust file that is malformed."""


@dataclass(frozen=True)
class Trust:
    chain: str
    genesis: bytes
    signers: dict[bytes, int]  # public key -> power
    pins: dict[str, frozenset[bytes]]  # signer -> fingerprints


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise BadTrustError("a key that stands twice")
    return dict(pairs)


def _object(item: Any, keys: str) -> dict[str, Any]:
    if not isinstance(item, dict) or set(item) != set(keys.split()):
        raise BadTrustError(f"not an object with the keys {keys}")
    return item


def _array(item: Any) -> list[Any]:
    if not isinstance(item, list):
        raise BadTrustError("not an array")
    return item


def _text(item: Any) -> str:
    if not isinstance(item, str):
        raise BadTrustError("not a text")
    return item


def _hex(item: Any, size: int) -> bytes:
    text = _text(item)
    if len(text) != 2 * size or not set(text) <= set("0123456789abcdefABCDEF"):
        raise BadTrustError(f"not {2 * size} hex digits")
    return bytes.fromhex(text)


def _signers(item: Any) -> dict[bytes, int]:
    signers: dict[bytes, int] = {}
    for entry in _array(item):
        fields = _object(entry, "name power public_key")
        _text(fields["name"])
        key, power = _hex(fields["public_key"], 65), fields["power"]
        if not is_public_key(key) or key in signers:
            raise BadTrustError("a signer's key is no point of the curve, or stands twice")
        if type(power) is not int or not 1 <= power < 2**63:
            raise BadTrustError("a signer's power is out of range")
        signers[key] = power
    if not signers:
        raise BadTrustError("no signers")
    return signers


def _pins(item: Any) -> dict[str, frozenset[bytes]]:
    pins: dict[str, frozenset[bytes]] = {}
    for entry in _array(item):
        fields = _object(entry, "fingerprint signer")
        signer = _text(fields["signer"])
        pins[signer] = pins.get(signer, frozenset()) | {_hex(fields["fingerprint"], 32)}
    return pins


def read_trust(data: bytes) -> Trust:
    """The trust root of a file; BadTrustError where it is malformed, OtherTrustVersionError where it is of another version."""
    if len(data) > _MAX_BYTES:
        raise BadTrustError("more than 1 MiB")
    try:
        item = json.loads(data.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadTrustError("not JSON in UTF-8") from None
    if not isinstance(item, dict) or item.get("type") != "gridledger-trust" or type(item.get("version")) is not int:
        raise BadTrustError("not a trust root")
    if item["version"] != 2:
        raise OtherTrustVersionError
    fields = _object(item, "chain genesis pins signers type version")
    return Trust(
        _text(fields["chain"]), _hex(fields["genesis"], 32), _signers(fields["signers"]), _pins(fields["pins"])
    )
