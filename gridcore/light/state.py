"""What a light client keeps in its file: where it stands, the sets that it has learned, and the pins of its trust root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridcore import cbor
from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded, replace_file
from gridcore.forms import DIGEST, Form, exactly, integer, text
from gridcore.light.codec import SIGNERS, array_of_maps, certified_map, certified_of, check_fields, decode_map
from gridcore.light.trusted import SETS_MAX, SignerSet, Trusted, begin
from gridcore.verify import Halt, Trust, decode_trust

STATE_TYPE: Final = "gridledger-light"
STATE_BYTES_MAX: Final = 8 << 20
STATE_ITEMS_MAX: Final = 1 << 18
"""CBOR items of a state: 64 sets of 256 signers with three each, and the pins."""
TRUST_BYTES_MAX: Final = 1 << 20
VERSION: Final = 1
_HEIGHT: Final = integer(0)
_FORMS: Final = {
    "chain": text(1, 100),
    "genesis": DIGEST,
    "height": _HEIGHT,
    "newest": Form("a map", lambda value: isinstance(value, dict)),
    "pins": array_of_maps(1 << 14),
    "sets": array_of_maps(SETS_MAX),
    "type": exactly(STATE_TYPE, repr(STATE_TYPE)),
    "version": exactly(VERSION, str(VERSION)),
}
_SET: Final = {"after_height": _HEIGHT, "signers": SIGNERS, "until_height": _HEIGHT}
_PIN: Final = {"fingerprint": DIGEST, "signer": text(0, 1 << 10)}


@dataclass(frozen=True)
class LightState:
    """What is trusted, and the keys that the trust root pins: (signer, fingerprint in hex digits)."""

    trusted: Trusted
    pins: tuple[tuple[str, str], ...]

    def trust_at(self, sets: SignerSet) -> Trust:
        """A trust root for the stand-alone verifier that names one of the sets."""
        signers = tuple((key, power, f"{key.hex()[:16]}...") for key, power in sets.signers)
        return Trust(self.trusted.chain, self.trusted.genesis, signers, self.pins)


def begin_with_trust(path: Path, hint: str) -> LightState:
    """Where a light client begins that has only a trust file. UsageError for one that cannot be read; ``hint``: where it is named."""
    try:
        trust = decode_trust(read_bounded(path, TRUST_BYTES_MAX, hint))
    except Halt as halt:
        raise UsageError(f"{path}: {halt.args[-1]}") from None
    state = LightState(begin(trust.chain, trust.genesis, [(key, power) for key, power, _ in trust.signers]), trust.pins)
    try:
        return decode_state(encode_state(state))
    except EncodingError as error:  # more signers or power than any chain has
        raise UsageError(f"{path}: {error}") from None


def load_state(path: Path) -> LightState | None:
    """What a file holds, None where there is none. UsageError for one that is damaged."""
    if not path.exists():
        return None
    try:
        return decode_state(read_bounded(path, STATE_BYTES_MAX, "check --state"))
    except EncodingError as error:
        raise UsageError(
            f"{path}: is no state of a light client, or damaged ({error}); begin a new one from a trust file"
        ) from None


def save_state(path: Path, state: LightState) -> None:
    """Put a state in the place of the last one; it survives a power failure. UsageError where it cannot be written."""
    replace_file(path, encode_state(state))


def encode_state(state: LightState) -> bytes:
    """Canonical bytes."""
    trusted = state.trusted
    parts: dict[str, Any] = {
        "chain": trusted.chain,
        "genesis": trusted.genesis,
        "height": trusted.height,
        "pins": [{"fingerprint": bytes.fromhex(digest), "signer": signer} for signer, digest in state.pins],
        "sets": [_set_map(one) for one in trusted.sets],
        "type": STATE_TYPE,
        "version": VERSION,
    }
    if trusted.newest is not None:
        parts["newest"] = certified_map(trusted.newest)
    return cbor.encode(parts)


def decode_state(data: bytes) -> LightState:
    """Inverse of ``encode_state``. EncodingError for anything else."""
    value = check_fields(decode_map(data, STATE_TYPE, STATE_ITEMS_MAX), STATE_TYPE, _FORMS, optional=("newest",))
    newest = certified_of(value["newest"]) if "newest" in value else None
    if (newest.header.height if newest else 0) != value["height"]:
        raise EncodingError(f"{STATE_TYPE}: newest is the header of height")
    trusted = Trusted(
        chain=value["chain"],
        genesis=value["genesis"],
        height=value["height"],
        digest=newest.header.digest() if newest else value["genesis"],
        newest=newest,
        sets=tuple(_set_of(one) for one in value["sets"]),
    )
    pins = [check_fields(one, "pin", _PIN) for one in value["pins"]]
    return LightState(trusted, tuple((pin["signer"], pin["fingerprint"].hex()) for pin in pins))


def _set_map(one: SignerSet) -> dict[str, Any]:
    parts: dict[str, Any] = {"after_height": one.after_height, "signers": [list(pair) for pair in one.signers]}
    return parts if one.until_height is None else {**parts, "until_height": one.until_height}


def _set_of(value: dict[str, Any]) -> SignerSet:
    check_fields(value, "set", _SET, optional=("until_height",))
    signers = tuple((key, power) for key, power in value["signers"])
    return SignerSet(signers, value["after_height"], value.get("until_height"))
