"""The sixteen traps of SM2 libraries, each a named test, and one negative table on which all backends agree.

Trap 16 (Merkle trees) stands in test_merkle_laws.py, 14 and 15 in test_sm4_keystore.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gridcore import sm, verify
from gridcore.errors import EncodingError
from gridcore.public_key import P
from gridcore.sm import curve
from gridcore.sm.curve import DISTINGUISHING_ID, G, N
from gridcore.sm.libcrypto import LibcryptoBackend
from gridcore.sm3 import sm3

# GB/T 32918.5-2017 A.2.
SCALAR = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
PUBLIC_KEY = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
MESSAGE = b"message digest"
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
R, S = int.from_bytes(SIGNATURE[:32], "big"), int.from_bytes(SIGNATURE[32:], "big")
# Found by search: signatures of the same key over b"short" whose r, and whose s, begins with zero bytes.
SHORT_R = bytes.fromhex(
    "00000a2449110ced5b9a810a808bf50103230f96a9ea74fc0160fa0fd0ecd6f26fa852e767357d88bad974fdf1c47ad9d374b2e25b24c46df7b153441b46b372"
)
SHORT_S = bytes.fromhex(
    "79fe584158810af7db24fde4a28d2a656bb1f31020f6f0f32d314c54eb6cc45d0000998619f4976a7e4737f388d3be22652414b9680b0370f6dee94c780b0bc7"
)
# Found by search: scalars whose public key has an x that begins so.
SCALARS_BY_X = {"04": 11, "0404": 307, "00": 327, "0400": 12_561}

BACKENDS = sm.BACKEND_NAMES
SIGNING_BACKENDS = tuple(name for name in BACKENDS if name in ("libcrypto", "python", "native"))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> sm.Backend:
    """Each backend in turn."""
    return sm.load_backend(request.param)


@pytest.fixture(params=SIGNING_BACKENDS)
def signing_backend(request: pytest.FixtureRequest) -> sm.Backend:
    """Each backend that signs, in turn."""
    return sm.load_backend(request.param)


def scalar_of(value: int) -> bytes:
    return value.to_bytes(32, "big")


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def der_signature(signature: bytes) -> bytes:
    """A raw signature as DER."""
    return curve.der_of(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def at_infinity(e_equals_r: bool) -> bytes:
    """r, s by the key's owner such that s*G + t*Q is the point at infinity; with e = r the bare equation would even hold."""
    d = int.from_bytes(SCALAR, "big")
    e = int.from_bytes(sm3(curve.identity_digest(PUBLIC_KEY, DISTINGUISHING_ID) + MESSAGE), "big")
    t = e * pow(1 + d, -1, N) % N if e_equals_r else 12_345
    s = -t * d % N
    r = (t - s) % N
    assert (r == e % N) is e_equals_r
    return raw(r, s)


class Case(NamedTuple):
    """One row of the table: what is verified, and the verdict of every backend."""

    public_key: bytes = PUBLIC_KEY
    message: bytes = MESSAGE
    signature: bytes = SIGNATURE
    distinguishing_id: bytes = DISTINGUISHING_ID
    valid: bool = False


POINT = PUBLIC_KEY[1:]
TABLE: dict[str, Case] = {
    "standard": Case(valid=True),
    "other message": Case(message=MESSAGE + b"!"),
    "empty message": Case(message=b""),
    "digest instead of message": Case(message=sm3(MESSAGE)),
    "flipped bit in r": Case(signature=bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:]),
    "flipped bit in s": Case(signature=SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1])),
    "r = 0": Case(signature=raw(0, S)),
    "s = 0": Case(signature=raw(R, 0)),
    "r = s = 0": Case(signature=raw(0, 0)),
    "r = n": Case(signature=raw(N, S)),
    "s = n": Case(signature=raw(R, N)),
    "r = 2^256 - 1": Case(signature=raw((1 << 256) - 1, S)),
    "s = 2^256 - 1": Case(signature=raw(R, (1 << 256) - 1)),
    "r = n - 1": Case(signature=raw(N - 1, S)),
    "r + s = n": Case(signature=raw(R, N - R)),
    "s = n - s": Case(signature=raw(R, N - S)),
    "r and s swapped": Case(signature=raw(S, R)),
    "r = s = 1": Case(signature=raw(1, 1)),
    "point at infinity": Case(signature=at_infinity(e_equals_r=False)),
    "point at infinity with r = e": Case(signature=at_infinity(e_equals_r=True)),
    "short r": Case(message=b"short", signature=SHORT_R, valid=True),
    "short s": Case(message=b"short", signature=SHORT_S, valid=True),
    "short r without its zeros": Case(message=b"short", signature=SHORT_R[2:]),
    "no signature": Case(signature=b""),
    "63 bytes": Case(signature=SIGNATURE[:-1]),
    "65 bytes, zero behind": Case(signature=SIGNATURE + b"\0"),
    "65 bytes, zero before": Case(signature=b"\0" + SIGNATURE),
    "128 bytes": Case(signature=SIGNATURE * 2),
    "hex text": Case(signature=SIGNATURE.hex().encode()),
    "DER instead of raw": Case(signature=der_signature(SIGNATURE)),
    "empty ID": Case(distinguishing_id=b""),
    "another ID": Case(distinguishing_id=b"8765432187654321"),
    "longer ID": Case(distinguishing_id=DISTINGUISHING_ID + b"\0"),
    "ID of 8192 bytes": Case(distinguishing_id=b"i" * 8192),
    "another key": Case(public_key=curve.encode_point(G)),
    "key negated": Case(public_key=b"\x04" + POINT[:32] + (P - int.from_bytes(POINT[32:], "big")).to_bytes(32, "big")),
    "no key": Case(public_key=b""),
    "key without its prefix": Case(public_key=POINT),
    "key off the curve": Case(public_key=PUBLIC_KEY[:-1] + b"\x14"),
    "key (0, 0)": Case(public_key=b"\x04" + bytes(64)),
    "key at infinity": Case(public_key=b"\0"),
    "key at infinity in 65 bytes": Case(public_key=bytes(65)),
    "key x = p": Case(public_key=b"\x04" + P.to_bytes(32, "big") + POINT[32:]),
    "key y = p": Case(public_key=b"\x04" + POINT[:32] + P.to_bytes(32, "big")),
    "key all ones": Case(public_key=b"\x04" + b"\xff" * 64),
    "compressed key": Case(public_key=b"\x03" + POINT[:32]),
    "compressed key, even": Case(public_key=b"\x02" + POINT[:32]),
    "hybrid key": Case(public_key=b"\x07" + POINT),
    "hybrid key, even": Case(public_key=b"\x06" + POINT),
    "66 bytes of key": Case(public_key=PUBLIC_KEY + b"\0"),
    "P-256 base point": Case(
        public_key=bytes.fromhex(
            "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
        )
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_trap_13_every_backend_gives_the_same_verdict(case: Case) -> None:
    verdicts = {
        name: sm.load_backend(name).is_valid_signature(
            case.public_key, case.message, case.signature, case.distinguishing_id
        )
        for name in BACKENDS
    }
    assert verdicts == dict.fromkeys(BACKENDS, case.valid)
    verdict = sm.is_valid_signature(case.public_key, case.message, case.signature, case.distinguishing_id)
    assert verdict is case.valid


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_trap_13_plain_python_agrees_with_itself_with_and_without_a_key_table(case: Case) -> None:
    for uses in (1, 2, 3):
        verdict = sm.load_backend("python").is_valid_signature(
            case.public_key, case.message, case.signature, case.distinguishing_id
        )
        assert verdict is case.valid, uses


def test_trap_01_the_distinguishing_id_is_part_of_what_is_signed(
    signing_backend: sm.Backend, backend: sm.Backend
) -> None:
    public_key, handle = signing_backend.open_key(SCALAR)
    ids = [DISTINGUISHING_ID, "城南变电站".encode(), b"\0" * 3, b"i" * 8190]
    all_pairs = [(own, other) for own in ids for other in [b"", *ids]]
    # What only verifies is slow.
    pairs = all_pairs if backend.can_sign else [(own, other) for own in ids[1:] for other in {own, b""}]
    assert len(pairs) >= 5
    for own, other in pairs:
        signature = signing_backend.sign(handle, MESSAGE, own)
        assert backend.is_valid_signature(public_key, MESSAGE, signature, other) is (own == other)


def test_trap_01_the_longest_id_of_the_standard_verifies_everywhere(backend: sm.Backend) -> None:
    longest = b"i" * curve.DISTINGUISHING_ID_BYTES_MAX
    public_key, handle = sm.load_backend("python").open_key(SCALAR)
    signature = sm.load_backend("python").sign(handle, MESSAGE, longest)
    assert backend.is_valid_signature(public_key, MESSAGE, signature, longest) is True
    assert backend.is_valid_signature(public_key, MESSAGE + b"!", signature, longest) is False


def test_trap_01_libcrypto_does_not_sign_with_an_empty_id_which_tongsuo_takes_for_the_standard_one() -> None:
    _, handle = sm.load_backend("libcrypto").open_key(SCALAR)
    with pytest.raises(EncodingError, match="of 1 to 8190 bytes"):
        sm.load_backend("libcrypto").sign(handle, MESSAGE, b"")


def test_trap_01_a_signature_under_the_empty_id_verifies_under_no_other(backend: sm.Backend) -> None:
    public_key, handle = sm.load_backend("python").open_key(SCALAR)
    signature = sm.load_backend("python").sign(handle, MESSAGE, b"")
    assert backend.is_valid_signature(public_key, MESSAGE, signature, b"") is True
    assert backend.is_valid_signature(public_key, MESSAGE, signature, DISTINGUISHING_ID) is False


def test_trap_01_an_id_whose_bit_length_does_not_fit_cannot_be_signed_with(signing_backend: sm.Backend) -> None:
    _, handle = signing_backend.open_key(SCALAR)
    with pytest.raises(EncodingError, match=r"(at most|1 to) 819[01] bytes"):
        signing_backend.sign(handle, MESSAGE, b"i" * 8192)


def test_trap_02_za_belongs_to_key_and_id(backend: sm.Backend) -> None:
    # ZA of the standard's example (GB/T 32918.5-2017 A.2).
    za = curve.identity_digest(PUBLIC_KEY, DISTINGUISHING_ID)
    assert za.hex() == "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
    key, other = sm.SigningKey.from_scalar(SCALAR), sm.SigningKey.from_scalar(scalar_of(77))
    for signer, verified_by in ((key, other), (other, key), (key, key), (other, other)):
        verdict = backend.is_valid_signature(verified_by.public_key, MESSAGE, signer.sign(MESSAGE))
        assert verdict is (signer is verified_by)


def test_trap_03_messages_are_signed_and_digests_only_as_messages(signing_backend: sm.Backend) -> None:
    public_key, handle = signing_backend.open_key(SCALAR)
    over_digest = signing_backend.sign(handle, sm3(MESSAGE))
    assert not sm.is_valid_signature(public_key, MESSAGE, over_digest)
    assert sm.is_valid_signature(public_key, sm3(MESSAGE), over_digest)
    assert not [name for name in sm.__all__ if "digest" in name.lower()]


def test_trap_04_signatures_keep_their_leading_zeros(backend: sm.Backend) -> None:
    for signature in (SHORT_R, SHORT_S):
        assert 0 in (signature[0], signature[32])
        assert backend.is_valid_signature(PUBLIC_KEY, b"short", signature)
        assert curve.decode_der_signature(der_signature(signature)) == signature
    assert [signature[:2] for signature in (SHORT_R,)] == [b"\0\0"]


def test_trap_04_every_signature_made_here_has_64_bytes(signing_backend: sm.Backend) -> None:
    _, handle = signing_backend.open_key(SCALAR)
    assert {len(signing_backend.sign(handle, MESSAGE)) for _ in range(300)} == {64}  # 2 of 3 runs meet a short r or s


def integer(value: bytes) -> bytes:
    return b"\x02" + bytes([len(value)]) + value


def sequence(content: bytes) -> bytes:
    return b"\x30" + bytes([len(content)]) + content


R_DER, S_DER = integer(b"\0" + SIGNATURE[:32]), integer(b"\0" + SIGNATURE[32:])
BAD_DER = {
    "empty": b"",
    "trailing byte": sequence(R_DER + S_DER) + b"\0",
    "inner trailing byte": sequence(R_DER + S_DER + b"\0"),
    "third integer": sequence(R_DER + S_DER + integer(b"\1")),
    "one integer": sequence(R_DER),
    "cut": sequence(R_DER + S_DER)[:-1],
    "long length": b"\x30\x81" + sequence(R_DER + S_DER)[1:],
    "indefinite length": b"\x30\x80" + R_DER + S_DER + b"\0\0",
    "padded integer": sequence(integer(b"\0\0" + SIGNATURE[:32]) + S_DER),
    "negative r": sequence(integer(SIGNATURE[:32]) + S_DER),
    "negative s": sequence(R_DER + integer(SIGNATURE[32:])),
    "r = 0": sequence(integer(b"\0") + S_DER),
    "s = 0": sequence(R_DER + integer(b"\0")),
    "empty integer": sequence(integer(b"") + S_DER),
    "r + n": sequence(integer((R + N).to_bytes(33, "big")) + S_DER),
    "s + n": sequence(R_DER + integer((S + N).to_bytes(33, "big"))),
    "r = n": sequence(integer(b"\0" + N.to_bytes(32, "big")) + S_DER),
    "r + s = n": sequence(R_DER + integer((N - R).to_bytes(32, "big"))),
    "wrong tag": b"\x31" + sequence(R_DER + S_DER)[1:],
    "wrong inner tag": sequence(R_DER.replace(b"\x02", b"\x03", 1) + S_DER),
    "length beyond the end": sequence(b"\x02\x7f" + R_DER[2:] + S_DER),
    "raw": SIGNATURE,
}


@pytest.mark.parametrize("der", BAD_DER.values(), ids=BAD_DER.keys())
def test_trap_05_a_der_signature_in_any_other_form_is_refused(der: bytes) -> None:
    with pytest.raises(EncodingError, match="not a DER signature"):
        curve.decode_der_signature(der)


def test_trap_05_der_at_the_edges_is_a_bijection() -> None:
    for r, s in ((R, S), (1, 1), (127, 128), (255, 256), (N - 1, N - 2), (1 << 255, 1)):
        der = curve.der_of(r, s)
        assert curve.decode_der_signature(der) == raw(r, s)


@pytest.mark.parametrize("value", [0, N - 1, N, N + 1, (1 << 256) - 1], ids=["0", "n-1", "n", "n+1", "2^256-1"])
def test_trap_06_private_scalars_out_of_range_are_refused(signing_backend: sm.Backend, value: int) -> None:
    with pytest.raises(EncodingError, match=r"lies in 1\.\.n-2"):
        sm.SigningKey.from_scalar(scalar_of(value), signing_backend)


@pytest.mark.parametrize("value", [1, 2, N - 2], ids=["1", "2", "n-2"])
def test_trap_06_private_scalars_at_the_limits_sign(signing_backend: sm.Backend, value: int) -> None:
    key = sm.SigningKey.from_scalar(scalar_of(value), signing_backend)
    assert key.public_key == sm.SigningKey.from_scalar(scalar_of(value)).public_key
    for name in BACKENDS:
        assert sm.load_backend(name).is_valid_signature(key.public_key, MESSAGE, key.sign(MESSAGE))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_trap_06_private_scalars_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(EncodingError, match="has 32 bytes"):
        sm.SigningKey.from_scalar(b"\1" * length)


@pytest.mark.parametrize("prefix", SCALARS_BY_X)
def test_trap_07_keys_whose_x_looks_like_a_prefix_work_everywhere(prefix: str) -> None:
    key = sm.SigningKey.from_scalar(scalar_of(SCALARS_BY_X[prefix]))
    assert key.public_key[1:].hex().startswith(prefix)
    signature = key.sign(MESSAGE)
    for name in BACKENDS:
        verify = sm.load_backend(name).is_valid_signature
        assert verify(key.public_key, MESSAGE, signature)
        assert not verify(key.public_key, MESSAGE + b"!", signature)
    for name in SIGNING_BACKENDS:
        assert (
            sm.SigningKey.from_scalar(scalar_of(SCALARS_BY_X[prefix]), sm.load_backend(name)).public_key
            == key.public_key
        )


def test_trap_08_a_key_of_another_curve_is_no_sm2_key(backend: sm.Backend) -> None:
    foreign = ec.generate_private_key(ec.SECP256R1())
    point = foreign.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    assert curve.parse_public_key(point) is None
    assert backend.is_valid_signature(point, MESSAGE, SIGNATURE) is False


def test_trap_08_libcrypto_never_takes_a_plain_ec_key_for_an_sm2_key() -> None:
    backend = LibcryptoBackend()
    foreign = ec.generate_private_key(ec.SECP256R1())
    spki = foreign.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert backend._parse(spki, backend._lib.d2i_PUBKEY) is None
    pkcs8 = foreign.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert backend._parse(pkcs8, backend._lib.d2i_AutoPrivateKey) is None


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65_537], ids=str)
def test_trap_09_messages_of_any_length(length: int) -> None:
    message = b"\0" * length  # zero bytes: a length lost on the way to C would show
    for name in SIGNING_BACKENDS:
        key = sm.SigningKey.from_scalar(SCALAR, sm.load_backend(name))
        signature = key.sign(message)
        verifiers = BACKENDS if length < 1_000 else SIGNING_BACKENDS
        for verifier in verifiers:
            verify = sm.load_backend(verifier).is_valid_signature
            assert verify(key.public_key, message, signature) is True
            assert verify(key.public_key, message + b"\0", signature) is False


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize(
    "wrong", ["text", bytearray(b"x"), memoryview(b"x"), None, 5], ids=lambda value: type(value).__name__
)
def test_trap_09_anything_but_bytes_is_a_type_error(backend: sm.Backend, position: int, wrong: Any) -> None:
    arguments: list[Any] = [PUBLIC_KEY, MESSAGE, SIGNATURE, DISTINGUISHING_ID]
    arguments[position] = wrong
    with pytest.raises(TypeError, match="not bytes"):
        backend.is_valid_signature(*arguments)


def test_trap_09_only_bytes_are_signed(signing_backend: sm.Backend) -> None:
    key = sm.SigningKey.from_scalar(SCALAR, signing_backend)
    with pytest.raises(TypeError, match="message is str, not bytes"):
        key.sign("text")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("name", [name for name, case in TABLE.items() if case.distinguishing_id == DISTINGUISHING_ID])
def test_trap_13_the_stand_alone_verifier_gives_the_same_verdict(name: str) -> None:
    case = TABLE[name]
    assert verify.is_valid_signature(case.public_key, case.message, case.signature) is case.valid
