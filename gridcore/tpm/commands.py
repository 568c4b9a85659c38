"""The commands of a TPM that keys and counters need, as functions of a ``Tpm``. TpmError when it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from gridcore.tpm.objects import ALG_NULL, ALG_SHA256, ALG_SM2, CURVE_SM2, PublicArea, decode_public
from gridcore.tpm.wire import Session, Tpm, sized

OWNER, ENDORSEMENT = 0x40000001, 0x4000000B
_HASH_CHECK_NULL: Final = bytes.fromhex("8024400000070000")
"""No ticket: the digest was made outside."""
_NO_PCRS: Final = bytes(4)
_COUNTER_ATTRIBUTES: Final = 1 << 4 | 1 << 2 | 1 << 18 | 1 << 25
"""A counter that is raised and read by its own authorisation value, which is empty, without the lockout."""
_COUNTER_BYTES: Final = 8
NO_SUCH_INDEX: Final = 0x08B
"""TPM_RC_HANDLE."""
_POLICY_SESSION: Final = 1
_CAP_ALGS, _CAP_HANDLES, _CAP_CURVES = 0, 1, 8
_CAPABILITIES_MAX: Final = 256


class Wrapped(NamedTuple):
    """An object that only its TPM can load: public area and encrypted private part."""

    public: bytes
    private: bytes


def has_sm2(tpm: Tpm) -> bool:
    """Whether this TPM has the SM2 curve and the SM2 signature."""
    return CURVE_SM2 in _capability(tpm, _CAP_CURVES, 2) and ALG_SM2 in _capability(tpm, _CAP_ALGS, 6)


@contextmanager
def primary(tpm: Tpm, hierarchy: int, template: bytes, auth: bytes = b"") -> Iterator[tuple[int, PublicArea]]:
    """A primary key (handle, public area), made from the hierarchy's seed; gone from the TPM's few slots at the end."""
    sensitive = sized(sized(auth) + sized(b""))
    parameters = sensitive + sized(template) + sized(b"") + _NO_PCRS
    handle, fields = tpm.execute(0x131, [hierarchy], [Session()], parameters, brings_handle=True)
    try:
        yield handle, decode_public(fields.sized())
    finally:
        tpm.execute(0x165, [handle], [])


def create(tpm: Tpm, parent: int, template: bytes, auth: bytes = b"", secret: bytes = b"") -> Wrapped:
    """A new object under ``parent``; ``secret``: what is sealed in it."""
    parameters = sized(sized(auth) + sized(secret)) + sized(template) + sized(b"") + _NO_PCRS
    _, fields = tpm.execute(0x153, [parent], [Session()], parameters)
    private = fields.sized()
    return Wrapped(fields.sized(), private)


@contextmanager
def loaded(tpm: Tpm, parent: int, wrapped: Wrapped) -> Iterator[int]:
    """The handle of an object of ``create``, while it is needed."""
    parameters = sized(wrapped.private) + sized(wrapped.public)
    handle, _ = tpm.execute(0x157, [parent], [Session()], parameters, brings_handle=True)
    try:
        yield handle
    finally:
        tpm.execute(0x165, [handle], [])


def persist(tpm: Tpm, handle: int, persistent: int) -> None:
    """Keep a loaded object under a handle that lasts (0x81...)."""
    tpm.execute(0x120, [OWNER, handle], [Session()], persistent.to_bytes(4, "big"))


def is_there(tpm: Tpm, persistent: int) -> bool:
    """Whether an object of any kind has this persistent handle."""
    _, fields = tpm.execute(0x17A, [], [], b"".join(n.to_bytes(4, "big") for n in (_CAP_HANDLES, persistent, 1)))
    fields.take(5)
    return [fields.number(4) for _ in range(fields.number(4))] == [persistent]


def read_public(tpm: Tpm, handle: int) -> PublicArea:
    """The public area of an object."""
    _, fields = tpm.execute(0x173, [handle], [])
    return decode_public(fields.sized())


def sign_digest(tpm: Tpm, handle: int, digest: bytes, auth: bytes = b"") -> tuple[bytes, bytes]:
    """(r, s) of SM2 over 32 bytes that were made outside."""
    scheme = ALG_SM2.to_bytes(2, "big") + ALG_SHA256.to_bytes(2, "big")
    _, fields = tpm.execute(0x15D, [handle], [Session(auth=auth)], sized(digest) + scheme + _HASH_CHECK_NULL)
    fields.take(4)  # the scheme and its hash
    return fields.sized(), fields.sized()


def unseal(tpm: Tpm, handle: int, auth: bytes = b"") -> bytes:
    """What is sealed in a loaded object."""
    _, fields = tpm.execute(0x15E, [handle], [Session(auth=auth)])
    return fields.sized()


def certify(tpm: Tpm, handle: int, attester: int, nonce: bytes, auth: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """(what the TPM says of an object, r, s): signed by its attestation key, with ``nonce`` in it."""
    parameters = sized(nonce) + ALG_NULL.to_bytes(2, "big")
    _, fields = tpm.execute(0x148, [handle, attester], [Session(auth=auth), Session()], parameters)
    said = fields.sized()
    fields.take(4)
    return said, fields.sized(), fields.sized()


def activate_credential(tpm: Tpm, attester: int, endorsement: int, blob: bytes, secret: bytes) -> bytes:
    """What was encrypted for the endorsement key and this very attestation key (``attestation.make_credential``)."""
    seed = sized(bytes(16)) + sized(b"") + bytes([_POLICY_SESSION]) + ALG_NULL.to_bytes(2, "big")
    nothing = 0x40000007
    parameters = seed + ALG_SHA256.to_bytes(2, "big")
    session, _ = tpm.execute(0x176, [nothing, nothing], [], parameters, brings_handle=True)
    try:
        tpm.execute(0x151, [ENDORSEMENT, session], [Session()], sized(b"") * 3 + bytes(4))
        sessions = [Session(), Session(session)]
        _, fields = tpm.execute(0x147, [attester, endorsement], sessions, sized(blob) + sized(secret))
    except BaseException:
        tpm.execute(0x165, [session], [])
        raise
    return fields.sized()


def define_counter(tpm: Tpm, index: int) -> None:
    """A counter in the TPM's own memory; its first value is whatever the TPM chooses, at the first increment."""
    area = index.to_bytes(4, "big") + ALG_SHA256.to_bytes(2, "big") + _COUNTER_ATTRIBUTES.to_bytes(4, "big")
    area += sized(b"") + _COUNTER_BYTES.to_bytes(2, "big")
    tpm.execute(0x12A, [OWNER], [Session()], sized(b"") + sized(area))
    increment(tpm, index)


def increment(tpm: Tpm, index: int) -> None:
    """Add one to a counter: nothing takes it back."""
    tpm.execute(0x134, [index, index], [Session()])


def read_counter(tpm: Tpm, index: int) -> int:
    """The value of a counter."""
    size_and_offset = _COUNTER_BYTES.to_bytes(2, "big") + bytes(2)
    _, fields = tpm.execute(0x14E, [index, index], [Session()], size_and_offset)
    return int.from_bytes(fields.sized(), "big")


def read_index(tpm: Tpm, index: int) -> bytes:
    """All bytes of an NV index that its owner may read, such as the endorsement certificate."""
    _, fields = tpm.execute(0x169, [index], [])
    size = int.from_bytes(fields.sized()[-2:], "big")
    data = b""
    while len(data) < size:
        part = min(512, size - len(data))
        _, fields = tpm.execute(
            0x14E, [OWNER, index], [Session()], part.to_bytes(2, "big") + len(data).to_bytes(2, "big")
        )
        data += fields.sized()
    return data


def _capability(tpm: Tpm, capability: int, item_bytes: int) -> set[int]:
    """The algorithms or curves that a TPM has: the first two bytes of each item."""
    _, fields = tpm.execute(0x17A, [], [], b"".join(n.to_bytes(4, "big") for n in (capability, 0, _CAPABILITIES_MAX)))
    fields.take(5)
    items = [fields.take(item_bytes) for _ in range(fields.number(4))]
    return {int.from_bytes(item[:2], "big") for item in items}
