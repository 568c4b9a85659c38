"""Bytes of what nodes show to light clients, and of the evidence of a fork (docs/spec/header.md, "Following certificates")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.forms import Form, exactly, integer, octets
from gridcore.header import Certificate, Header, LaterHeader, decode_header
from gridcore.light.trusted import CertifiedHeader, Step
from gridcore.validator import POWER_MAX, VALIDATORS_MAX

STEPS_MAX: Final = 16
"""Steps in one answer."""
ITEMS_MAX: Final = 1 << 15
"""CBOR items of any of these: sixteen steps, each of a certificate and a set of 256 signers with three each, and a path of 64."""
HEADER_TYPE, STEPS_TYPE, PROOF_TYPE, FORK_TYPE = "header", "headers", "state-proof", "gridledger-fork"
VERSION: Final = 1
PUBLIC_KEY: Final = octets(65)
BYTES: Final = Form("bytes", lambda value: isinstance(value, bytes))
_PATH: Final = Form(
    "an array of bytes", lambda value: isinstance(value, list) and all(isinstance(item, bytes) for item in value)
)


@dataclass(frozen=True)
class ProvenLeaf:
    """A state leaf (canonical [key, value]), the sided path to the state_root of a header, and that header with its certificate."""

    leaf: bytes
    path: tuple[bytes, ...]
    header: Header
    certificate: Certificate


def encode_steps(steps: Sequence[Step]) -> bytes:
    """Steps, each from where the one before leads to."""
    return cbor.encode({"steps": [_step_map(step) for step in steps], "type": STEPS_TYPE, "version": VERSION})


def decode_steps(data: bytes) -> list[Step]:
    """Inverse of ``encode_steps``. EncodingError for anything else."""
    value = decode_map(data, STEPS_TYPE)
    steps = check_fields(value, STEPS_TYPE, {"steps": array_of_maps(STEPS_MAX), **_typed(STEPS_TYPE)})["steps"]
    return [_step(step) for step in steps]


def encode_certified(certified: CertifiedHeader) -> bytes:
    """A header with the certificate that covers it."""
    return cbor.encode({**certified_map(certified), "type": HEADER_TYPE, "version": VERSION})


def decode_certified(data: bytes) -> CertifiedHeader:
    """Inverse of ``encode_certified``. EncodingError for anything else."""
    value = decode_map(data, HEADER_TYPE)
    check_fields(value, HEADER_TYPE, {**_CERTIFIED, **_typed(HEADER_TYPE)}, optional=("certified",))
    return certified_of({key: item for key, item in value.items() if key in _CERTIFIED})


def encode_proof(proof: ProvenLeaf) -> bytes:
    """A leaf with its proof."""
    return cbor.encode(
        {
            "certificate": [list(pair) for pair in proof.certificate],
            "header": proof.header.encode(),
            "leaf": proof.leaf,
            "path": list(proof.path),
            "type": PROOF_TYPE,
            "version": VERSION,
        }
    )


def decode_proof(data: bytes) -> ProvenLeaf:
    """Inverse of ``encode_proof``. EncodingError for anything else."""
    forms = {"certificate": _CERTIFICATE, "header": BYTES, "leaf": BYTES, "path": _PATH, **_typed(PROOF_TYPE)}
    value = check_fields(decode_map(data, PROOF_TYPE), PROOF_TYPE, forms)
    return ProvenLeaf(value["leaf"], tuple(value["path"]), decode_header(value["header"]), _pairs(value["certificate"]))


def encode_fork(one: CertifiedHeader, other: CertifiedHeader) -> bytes:
    """The evidence of a fork: two certified headers of one height."""
    both = [certified_map(one), certified_map(other)]
    return cbor.encode({"headers": both, "type": FORK_TYPE, "version": VERSION})


def decode_fork(data: bytes) -> tuple[CertifiedHeader, CertifiedHeader]:
    """Inverse of ``encode_fork``. EncodingError for anything else."""
    value = check_fields(decode_map(data, FORK_TYPE), FORK_TYPE, {"headers": array_of_maps(2), **_typed(FORK_TYPE)})
    both = [certified_of(one) for one in value["headers"]]
    if len(both) != 2:
        raise EncodingError(f"{FORK_TYPE}: holds two headers")
    return both[0], both[1]


# ----------------------------------------------------------------------------------------------------------- parts


def _is_pairs(value: object, second: Form) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= VALIDATORS_MAX
        and all(isinstance(p, list) and len(p) == 2 and PUBLIC_KEY.holds(p[0]) and second.holds(p[1]) for p in value)
    )


_CERTIFICATE: Final = Form("an array of pairs of key and signature", lambda value: _is_pairs(value, octets(64)))
SIGNERS: Final = Form(
    "an array of pairs of key and power, ascending by key",
    lambda value: _is_pairs(value, integer(1, POWER_MAX)) and [p[0] for p in value] == sorted({p[0] for p in value}),
)
_LATER: Final = Form(
    "a map of header and path",
    lambda value: (
        isinstance(value, dict)
        and value.keys() == {"header", "path"}
        and BYTES.holds(value["header"])
        and _PATH.holds(value["path"])
    ),
)
_CERTIFIED: Final = {"certificate": _CERTIFICATE, "certified": _LATER, "header": BYTES}
_STEP: Final = {"certificate": _CERTIFICATE, "header": BYTES, "path": _PATH, "signers": SIGNERS}


def _typed(name: str) -> dict[str, Form]:
    return {"type": exactly(name, repr(name)), "version": exactly(VERSION, str(VERSION))}


def array_of_maps(count: int) -> Form:
    """So many maps at most."""
    return Form(
        f"an array of at most {count} maps",
        lambda value: isinstance(value, list) and len(value) <= count and all(isinstance(item, dict) for item in value),
    )


def decode_map(data: bytes, name: str, items_max: int = ITEMS_MAX) -> dict[str, Any]:
    """The canonical map in ``data``. EncodingError names what it should be."""
    value = cbor.decode(data, items_max=items_max)
    if not isinstance(value, dict):
        raise EncodingError(f"{name}: is a map")
    return value


def check_fields(
    value: dict[str, Any], name: str, forms: dict[str, Form], optional: Sequence[str] = ()
) -> dict[str, Any]:
    """``value``, which has exactly these keys. EncodingError names the first that is not of its form."""
    if not forms.keys() >= value.keys() >= forms.keys() - set(optional):
        raise EncodingError(f"{name}: has the keys {', '.join(forms)}")
    for key, item in value.items():
        if not forms[key].holds(item):
            raise EncodingError(f"{name}: {key} is {forms[key].words}")
    return value


def _pairs(value: Sequence[Sequence[bytes]]) -> Certificate:
    return [(key, signature) for key, signature in value]


def _step_map(step: Step) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "certificate": [list(pair) for pair in step.certificate],
        "header": step.header.encode(),
        "path": list(step.path),
    }
    return {**parts, "signers": [list(pair) for pair in step.signers]} if step.signers else parts


def _step(value: dict[str, Any]) -> Step:
    check_fields(value, STEPS_TYPE, _STEP, optional=("signers",))
    return Step(
        header=decode_header(value["header"]),
        certificate=_pairs(value["certificate"]),
        path=tuple(value["path"]),
        signers=tuple((key, power) for key, power in value.get("signers", [])),
    )


def certified_map(certified: CertifiedHeader) -> dict[str, Any]:
    """A certified header as a part of something else."""
    parts: dict[str, Any] = {
        "certificate": [list(pair) for pair in certified.certificate],
        "header": certified.header.encode(),
    }
    later = certified.certified
    return (
        parts if later is None else {**parts, "certified": {"header": later.header.encode(), "path": list(later.path)}}
    )


def certified_of(value: dict[str, Any]) -> CertifiedHeader:
    """Inverse of ``certified_map``. EncodingError for anything else."""
    check_fields(value, HEADER_TYPE, _CERTIFIED, optional=("certified",))
    later = value.get("certified")
    return CertifiedHeader(
        header=decode_header(value["header"]),
        certificate=_pairs(value["certificate"]),
        certified=None if later is None else LaterHeader(decode_header(later["header"]), tuple(later["path"])),
    )
