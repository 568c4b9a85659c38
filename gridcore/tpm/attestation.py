"""How an organisation learns, from afar, that a key lies in a real TPM: endorsement certificate, credential, attestation.

The endorsement certificate is by the TPM's maker. A secret that is encrypted for its key and names an attestation key is given
back by that very TPM alone (TCG library specification, part 1, 24). With the secret as nonce, the attestation key then
certifies the key that signs readings.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hashes import SHA256

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # where it has not moved yet
    from cryptography.hazmat.primitives.ciphers.modes import CFB

from gridcore.errors import EncodingError, GridError
from gridcore.tpm.objects import ALG_ECC, ALG_RSA, CURVE_P256, PublicArea
from gridcore.tpm.wire import Fields, sized

SECRET_BYTES: Final = 32
CHAIN_MAX: Final = 5
_EXPONENT: Final = 65_537
_MAGIC, _CERTIFY = 0xFF544347, 0x8017


class AttestationError(GridError):
    """What a gateway shows does not prove where its key is."""


class Credential(NamedTuple):
    """A secret for one TPM: ``blob``: encrypted under a seed; ``seed``: encrypted for its endorsement key."""

    blob: bytes
    seed: bytes


def check_endorsement(certificate: bytes, endorsement: PublicArea, authorities: Sequence[bytes], now_s: int) -> str:
    """Raise AttestationError unless ``certificate`` (DER) is of this endorsement key, and by one of ``authorities`` (PEM, the
    chain among them). Returns who issued it.
    """
    try:
        found = x509.load_der_x509_certificate(certificate)
        known = [one for pem in authorities for one in x509.load_pem_x509_certificates(pem)]
        public_key = found.public_key()
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
    ) as error:  # such as a key of another curve, or of OAEP
        raise AttestationError(f"the endorsement certificate cannot be read ({error})") from None
    if isinstance(public_key, rsa.RSAPublicKey):
        is_same = public_key.public_numbers().n == int.from_bytes(endorsement.modulus, "big")
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        numbers = public_key.public_numbers()
        is_same = (numbers.x, numbers.y) == tuple(int.from_bytes(half, "big") for half in endorsement.point)
    else:
        is_same = False
    if not is_same:
        raise AttestationError("the endorsement certificate is of another key than the TPM's endorsement key")
    issuer, now = found, datetime.fromtimestamp(now_s, UTC)
    for _ in range(CHAIN_MAX):
        if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
            raise AttestationError(f"the certificate of {issuer.subject.rfc4514_string()} does not hold today")
        above = next((one for one in known if _has_issued(one, issuer)), None)
        if above is None:
            raise AttestationError("the endorsement certificate is by none of the known makers")
        if above.subject == above.issuer:
            return found.issuer.rfc4514_string()
        issuer = above
    raise AttestationError(f"the endorsement certificate has more than {CHAIN_MAX} certificates above it")


def make_credential(endorsement: PublicArea, name: bytes, secret: bytes) -> Credential:
    """``secret`` for the TPM of an endorsement key, and only while it has the object of this name."""
    if endorsement.kind == ALG_RSA:
        seed = secrets.token_bytes(SECRET_BYTES)
        public_key = rsa.RSAPublicNumbers(_EXPONENT, int.from_bytes(endorsement.modulus, "big")).public_key()
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), b"IDENTITY\0")
        encrypted = public_key.encrypt(seed, oaep)
    elif (endorsement.kind, endorsement.curve) == (ALG_ECC, CURVE_P256):
        own = ec.generate_private_key(ec.SECP256R1())
        numbers = own.public_key().public_numbers()
        shared = own.exchange(ec.ECDH(), _p256(endorsement))
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        party = endorsement.point[0].rjust(32, b"\0")
        seed = hashlib.sha256(b"\0\0\0\1" + shared + b"IDENTITY\0" + x + party).digest()
        encrypted = sized(x) + sized(y)
    else:
        raise AttestationError("an endorsement key is RSA or of the curve P-256")
    encryptor = Cipher(AES(_derive(seed, b"STORAGE", name, 128)), CFB(bytes(16))).encryptor()
    identity = encryptor.update(sized(secret)) + encryptor.finalize()
    tag = hmac.new(_derive(seed, b"INTEGRITY", b"", 256), identity + name, hashlib.sha256).digest()
    return Credential(sized(tag) + identity, encrypted)


def check_certified(said: bytes, r: bytes, s: bytes, attester: PublicArea, nonce: bytes, name: bytes) -> None:
    """Raise AttestationError unless ``attester`` (a P-256 key) has signed that the object of ``name`` is in its TPM, for this nonce."""
    signature = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        _p256(attester).verify(signature, said, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise AttestationError("what the TPM is said to certify is not signed by its attestation key") from None
    fields = Fields(said)
    try:
        magic, kind = fields.number(4), fields.number(2)
        fields.sized()
        extra = fields.sized()
        fields.take(25)  # clock, counters, firmware version
        certified = fields.sized()
    except EncodingError as error:
        raise AttestationError(f"what the TPM says cannot be read: {error}") from None
    if (magic, kind) != (_MAGIC, _CERTIFY) or not hmac.compare_digest(extra, nonce):
        raise AttestationError("what the TPM says is no answer to this challenge")
    if certified != name:
        raise AttestationError("the TPM certifies another key than the one that asks to be enrolled")


def _has_issued(above: x509.Certificate, below: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _p256(area: PublicArea) -> ec.EllipticCurvePublicKey:
    if (area.kind, area.curve) != (ALG_ECC, CURVE_P256):
        raise AttestationError("an attestation key is of the curve P-256")
    try:
        x, y = (int.from_bytes(half, "big") for half in area.point)
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise AttestationError("the key is no point of P-256") from None


def _derive(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa of the library specification (part 1, 11.4.10.2), at most 256 bits."""
    message = b"\0\0\0\1" + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.new(key, message, hashlib.sha256).digest()[: bits // 8]
