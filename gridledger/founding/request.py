"""What an organisation brings to the founding of a consortium: a request with its public keys, signed by every one of them.

The private keys are made in the organisation's own folder and stay there: keys/<signer>.pem with their passwords, and the
engine's in engine/config. The request is a file of a few hundred bytes, canonical CBOR ["founding-request/1", content, SM2
signatures, Ed25519 signature]; ``content`` is the encoded map of ``Request``, the signatures are those of ``validator``, of each
of ``signers`` in the order of their ids, and of ``consensus_key``, over ``content``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore import cbor, ed25519
from gridcore.errors import EncodingError, UsageError
from gridcore.files import read_bounded
from gridcore.forms import INSTANT, NAME, Form, octets
from gridcore.registry.signer import PUBLIC_KEY_FORM
from gridcore.sm import SigningKey, is_valid_signature
from gridcore.sm3 import sm3
from gridledger.founding.consortium_config import ConsortiumConfig, MemberConfig
from gridledger.founding.folder import save_key_and_password, take_folder, write_new
from ledger.engines.cometbft.home import load_consensus_key, make_keys

TYPE: Final = "founding-request/1"
REQUEST_BYTES_MAX: Final = 1024 * 1024
VALIDATOR: Final = "validator"
"""Name of the key that signs headers, in ``keys/``."""
ENGINE: Final = "engine"
"""The engine's home in an organisation's folder."""
SALT_BYTES: Final = 32


class Request(NamedTuple):
    """config: ``ConsortiumConfig.digest``; made_s: UTC seconds; salt: 32 random bytes, towards the genesis' salt seed.

    validator: SM2 key of 65 bytes that signs headers; consensus_key: Ed25519, 32 bytes; node_id: of the engine among its
    peers; signers: SM2 keys by signer id.
    """

    config: bytes
    consensus_key: bytes
    made_s: int
    name: str
    node_id: str
    salt: bytes
    signers: Mapping[str, bytes]
    validator: bytes

    @property
    def fingerprint(self) -> str:
        """What people compare by another way than the file: the first half of SM3 over the content."""
        digits = sm3(cbor.encode(self._asdict())).hex()[:32]
        return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


def make_request(config: ConsortiumConfig, name: str, out: Path, now_s: int) -> tuple[Path, Request]:
    """Make all keys of member ``name`` in the folder ``out``, which is absent or empty, and its request: the file's path, and it."""
    member = config.member(name)
    out = take_folder(out, "gridledger consortium: --out")
    (out / "keys").mkdir(mode=0o700)
    keys = {signer: SigningKey.generate() for signer in (VALIDATOR, *config.all_signer_roles(member))}
    for signer, key in keys.items():
        save_key_and_password(out / "keys", signer, key)
    engine = make_keys(out / ENGINE)
    validator = keys.pop(VALIDATOR)
    request = Request(
        config=config.digest,
        consensus_key=engine.consensus_key,
        made_s=now_s,
        name=name,
        node_id=engine.node_id,
        salt=secrets.token_bytes(SALT_BYTES),
        signers={signer: key.public_key for signer, key in sorted(keys.items())},
        validator=validator.public_key,
    )
    content = cbor.encode(request._asdict())
    signatures = [key.sign(content) for key in (validator, *(keys[signer] for signer in request.signers))]
    consensus_signature = load_consensus_key(out / ENGINE).sign(content)
    path = out / f"{name}.request"
    write_new(path, cbor.encode([TYPE, content, signatures, consensus_signature]))
    return path, request


def load_request(path: Path) -> Request:
    """Read a request and check its form and every signature. UsageError naming the file and what is wrong."""
    data = read_bounded(path, REQUEST_BYTES_MAX, "name a file that gridledger consortium request made")
    try:
        fields = cbor.decode(data)
        if not isinstance(fields, list) or len(fields) != 4 or fields[0] != TYPE or not isinstance(fields[1], bytes):
            raise EncodingError(f"an array of '{TYPE}', content and signatures")
        request = _request_of(cbor.decode(fields[1]))
    except EncodingError as error:
        raise UsageError(f"{path}: no request of a founder: {error}") from None
    _check_signatures(path, request, fields)
    return request


def check_request(path: Path, request: Request, config: ConsortiumConfig) -> MemberConfig:
    """The member that brings a request; UsageError unless it is one of this file, and brings the keys that the file asks for."""
    if request.config != config.digest:
        raise UsageError(f"{path}: {request.name} made it for another founding file; agree on one, then make it again")
    member = config.member(request.name)
    if set(request.signers) != set(config.all_signer_roles(member)):
        raise UsageError(
            f"{path}: has keys of other signers than the founding file gives {request.name}; make it again"
        )
    return member


def _request_of(content: Any) -> Request:
    if not isinstance(content, dict) or set(content) != set(_FORMS):
        raise EncodingError(f"content is a map of {', '.join(_FORMS)}")
    for key, form in _FORMS.items():
        if not form.holds(content[key]):
            raise EncodingError(f"{key} is {form.words}")
    return Request(**content)


def _are_keys(value: Any) -> bool:
    return isinstance(value, dict) and all(PUBLIC_KEY_FORM.holds(public_key) for public_key in value.values())


_FORMS: Final[Mapping[str, Form]] = {
    "config": octets(32),
    "consensus_key": octets(32),
    "made_s": INSTANT,
    "name": NAME,
    "node_id": Form(
        "40 hex digits", lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{40}", value) is not None
    ),
    "salt": octets(SALT_BYTES),
    "signers": Form("a map of SM2 public keys by signer id", _are_keys),
    "validator": PUBLIC_KEY_FORM,
}


def _check_signatures(path: Path, request: Request, fields: list[Any]) -> None:
    _, content, signatures, consensus_signature = fields
    keys = {VALIDATOR: request.validator, **dict(sorted(request.signers.items()))}
    if not isinstance(signatures, list) or len(signatures) != len(keys):
        raise UsageError(f"{path}: has not one signature for each of its {len(keys)} keys")
    for (signer, public_key), signature in zip(keys.items(), signatures, strict=True):
        if not isinstance(signature, bytes) or not is_valid_signature(public_key, content, signature):
            raise UsageError(f"{path}: the signature by the key of {signer} does not hold; get the file again")
    if not isinstance(consensus_signature, bytes) or not ed25519.is_valid_signature(
        request.consensus_key, content, consensus_signature
    ):
        raise UsageError(f"{path}: the signature by the engine's key does not hold; get the file again")
