"""SM2 private keys in files: encrypted PKCS#8 (RFC 5958) in PEM, by PBES2 (RFC 8018) with PBKDF2 and SM4-CBC.

Written with HMAC-SM3, keyLength present and no NULL after the PRF's name, because that is the one form that GmSSL reads;
``openssl_compatible`` takes HMAC-SHA256 instead, which OpenSSL reads and GmSSL does not. All combinations are read. CBC has
no tag: a wrong password shows as broken padding or structure, and the public key inside must be the private key's own.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256, SM3, HashAlgorithm
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from gridcore import der
from gridcore.errors import EncodingError, GridError
from gridcore.sm.curve import SCALAR_BYTES
from gridcore.sm.keys import SigningKey

ITERATIONS_DEFAULT: Final = 65_536
ITERATIONS_MIN: Final = 1_024
"""Fewest iterations written (GM/T 0091); files with fewer are still read."""
ITERATIONS_MAX: Final = 10_000_000
"""Most iterations read or written: a hostile file must not keep the process busy for hours."""
KEYSTORE_BYTES_MAX: Final = 16_384
SALT_BYTES: Final = 16
SALT_BYTES_MAX: Final = 1_024

_BLOCK_BYTES = 16
_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_HMAC_SM3 = "1.2.156.10197.1.401.2"
_HMAC_SHA256 = "1.2.840.113549.2.9"
_SM4_CBC = "1.2.156.10197.1.104.2"
_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_SM2_CURVE = "1.2.156.10197.1.301"

_LABEL = "ENCRYPTED PRIVATE KEY"
_PEM = re.compile(rb"\s*-----BEGIN ([A-Z0-9 ]+)-----\s*\n([A-Za-z0-9+/=\s]*)-----END \1-----\s*")


class KeystoreError(GridError):
    """A keystore that cannot be opened; says whether the password, the file or the kind of key is the trouble."""


def encode_private_key(
    key: SigningKey, password: bytes, *, iterations: int = ITERATIONS_DEFAULT, openssl_compatible: bool = False
) -> bytes:
    """PEM of ``key`` encrypted under ``password`` (not empty), with a fresh salt and initial vector.

    ``iterations``: PBKDF2 rounds, 1,024 to 10 million (65,536 take about 40 ms). ``openssl_compatible``: HMAC-SHA256.
    """
    if not password:
        raise KeystoreError("a keystore needs a password that is not empty")
    if not ITERATIONS_MIN <= iterations <= ITERATIONS_MAX:
        raise KeystoreError(f"keystore iterations lie in {ITERATIONS_MIN}..{ITERATIONS_MAX}, not {iterations}")
    salt, vector = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(_BLOCK_BYTES)
    prf = (
        der.encode(der.SEQUENCE, der.encode_object_identifier(_HMAC_SHA256), der.encode(der.NULL))
        if openssl_compatible
        else der.encode(der.SEQUENCE, der.encode_object_identifier(_HMAC_SM3))
    )
    derivation = der.encode(
        der.SEQUENCE,
        der.encode(der.OCTET_STRING, salt),
        der.encode_integer(iterations),
        der.encode_integer(_BLOCK_BYTES),
        prf,
    )
    scheme = der.encode(
        der.SEQUENCE,
        _algorithm(_PBKDF2, derivation),
        _algorithm(_SM4_CBC, der.encode(der.OCTET_STRING, vector)),
    )
    plain = _encode_private_key_info(key)
    padding = _BLOCK_BYTES - len(plain) % _BLOCK_BYTES
    hash_algorithm: HashAlgorithm = SHA256() if openssl_compatible else SM3()
    encryptor = Cipher(SM4(_derive(password, salt, iterations, hash_algorithm)), CBC(vector)).encryptor()
    encrypted = encryptor.update(plain + bytes((padding,)) * padding) + encryptor.finalize()
    whole = der.encode(der.SEQUENCE, _algorithm(_PBES2, scheme), der.encode(der.OCTET_STRING, encrypted))
    text = base64.b64encode(whole).decode("ascii")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", "")).encode("ascii")


def decode_private_key(pem: bytes, password: bytes) -> SigningKey:
    """The key in ``pem``. KeystoreError in one line: wrong password, damaged file, unsupported scheme, or no SM2 key."""
    try:
        salt, iterations, hash_algorithm, vector, encrypted = _parse_scheme(_unwrap(pem))
    except EncodingError as error:
        raise KeystoreError(f"damaged keystore: {error}") from error
    decryptor = Cipher(SM4(_derive(password, salt, iterations, hash_algorithm)), CBC(vector)).decryptor()
    padded = decryptor.update(encrypted) + decryptor.finalize()
    padding = padded[-1]
    if not 1 <= padding <= _BLOCK_BYTES or padded[-padding:] != bytes((padding,)) * padding:
        raise _wrong_password()
    return _decode_private_key_info(padded[:-padding])


def _wrong_password() -> KeystoreError:
    return KeystoreError("wrong password for this keystore (or its encrypted part was altered)")


def _algorithm(name: str, parameters: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_object_identifier(name), parameters)


def _derive(password: bytes, salt: bytes, iterations: int, hash_algorithm: HashAlgorithm) -> bytes:
    return PBKDF2HMAC(hash_algorithm, _BLOCK_BYTES, salt, iterations).derive(password)


def _unwrap(pem: bytes) -> bytes:
    """The DER inside the PEM."""
    if len(pem) > KEYSTORE_BYTES_MAX:
        raise KeystoreError(f"a keystore has at most {KEYSTORE_BYTES_MAX} bytes; this has {len(pem)}")
    match = _PEM.fullmatch(pem)
    if match is None:
        raise KeystoreError(f"not a keystore: expected one PEM block '-----BEGIN {_LABEL}-----' and nothing else")
    label = match[1].decode("ascii")
    if label != _LABEL:
        raise KeystoreError(f"a keystore is an '{_LABEL}', this is a '{label}': encrypt it first")
    try:
        return base64.b64decode(b"".join(match[2].split()), validate=True)
    except binascii.Error as error:
        raise KeystoreError("damaged keystore: its base64 does not decode") from error


def _parse_scheme(data: bytes) -> tuple[bytes, int, HashAlgorithm, bytes, bytes]:
    """(salt, iterations, PRF hash, initial vector, ciphertext) of an EncryptedPrivateKeyInfo."""
    outer = der.Reader(data)
    info = outer.read_sequence()
    outer.check_end()
    algorithm = info.read_sequence()
    encrypted = info.read(der.OCTET_STRING)
    info.check_end()
    _check_name(algorithm, _PBES2, "PBES2")
    scheme = algorithm.read_sequence()
    algorithm.check_end()
    derivation, cipher = scheme.read_sequence(), scheme.read_sequence()
    scheme.check_end()
    _check_name(derivation, _PBKDF2, "PBKDF2")
    _check_name(cipher, _SM4_CBC, "SM4-CBC")
    vector = cipher.read(der.OCTET_STRING)
    cipher.check_end()
    if len(vector) != _BLOCK_BYTES:
        raise EncodingError(f"an SM4-CBC vector has {_BLOCK_BYTES} bytes, not {len(vector)}")
    if not encrypted or len(encrypted) % _BLOCK_BYTES:
        raise EncodingError("the encrypted part is not a whole number of SM4 blocks")
    salt, iterations, hash_algorithm = _parse_derivation(derivation.read_sequence())
    derivation.check_end()
    return salt, iterations, hash_algorithm, vector, encrypted


def _parse_derivation(parameters: der.Reader) -> tuple[bytes, int, HashAlgorithm]:
    salt = parameters.read(der.OCTET_STRING)
    if not 1 <= len(salt) <= SALT_BYTES_MAX:
        raise EncodingError(f"a salt has 1..{SALT_BYTES_MAX} bytes, not {len(salt)}")
    iterations = parameters.read_integer()
    if not 1 <= iterations <= ITERATIONS_MAX:
        raise KeystoreError(f"this keystore asks for {iterations} iterations; at most {ITERATIONS_MAX} are done")
    if parameters.next_tag() == der.INTEGER and (length := parameters.read_integer()) != _BLOCK_BYTES:
        raise EncodingError(f"an SM4 key has {_BLOCK_BYTES} bytes, not {length}")
    if parameters.is_at_end:
        raise KeystoreError("unsupported keystore: HMAC-SHA1, expected HMAC-SM3 or HMAC-SHA256")
    prf = parameters.read_sequence()
    parameters.check_end()
    name = prf.read_object_identifier()
    if prf.next_tag() == der.NULL:
        prf.read(der.NULL)
    prf.check_end()
    if name == _HMAC_SM3:
        return salt, iterations, SM3()
    if name == _HMAC_SHA256:
        return salt, iterations, SHA256()
    raise KeystoreError(f"unsupported keystore: PRF {name}, expected HMAC-SM3 or HMAC-SHA256")


def _check_name(reader: der.Reader, expected: str, title: str) -> None:
    name = reader.read_object_identifier()
    if name != expected:
        raise KeystoreError(f"unsupported keystore: algorithm {name} where {title} ({expected}) is expected")


def _encode_private_key_info(key: SigningKey) -> bytes:
    """PrivateKeyInfo around an ECPrivateKey (RFC 5915) with curve and public key: some GmSSL versions insist on both."""
    curve_name = der.encode_object_identifier(_SM2_CURVE)
    private_key = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.OCTET_STRING, key.reveal_scalar()),
        der.encode(der.CONTEXT_0, curve_name),
        der.encode(der.CONTEXT_1, der.encode(der.BIT_STRING, b"\x00" + key.public_key)),
    )
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(0),
        _algorithm(_EC_PUBLIC_KEY, curve_name),
        der.encode(der.OCTET_STRING, private_key),
    )


def _decode_private_key_info(plain: bytes) -> SigningKey:
    try:
        outer = der.Reader(plain)
        info = outer.read_sequence()
        outer.check_end()
        info.read_integer()
        algorithm = info.read_sequence()
        kind = algorithm.read_object_identifier()
        private_key = der.Reader(info.read(der.OCTET_STRING))
    except EncodingError as error:
        raise _wrong_password() from error
    try:
        if kind != _EC_PUBLIC_KEY or algorithm.read_object_identifier() != _SM2_CURVE:
            raise KeystoreError(f"this keystore holds a key that is not SM2 (algorithm {kind})")
        return _decode_ec_private_key(private_key)
    except EncodingError as error:
        raise KeystoreError(f"damaged key inside the keystore: {error}") from error


def _decode_ec_private_key(data: der.Reader) -> SigningKey:
    fields = data.read_sequence()
    data.check_end()
    if fields.read_integer() != 1:
        raise EncodingError("an ECPrivateKey has version 1")
    scalar = fields.read(der.OCTET_STRING)
    if len(scalar) != SCALAR_BYTES:
        raise EncodingError(f"an SM2 private scalar has {SCALAR_BYTES} bytes, not {len(scalar)}")
    if fields.next_tag() == der.CONTEXT_0:
        parameters = der.Reader(fields.read(der.CONTEXT_0))
        if parameters.read_object_identifier() != _SM2_CURVE:
            raise KeystoreError("this keystore holds a key on another curve than SM2's")
        parameters.check_end()
    stored: bytes | None = None
    if fields.next_tag() == der.CONTEXT_1:
        bits = der.Reader(fields.read(der.CONTEXT_1))
        stored = bits.read(der.BIT_STRING)
        bits.check_end()
    fields.check_end()
    key = SigningKey.from_scalar(scalar)
    if stored is not None and stored != b"\x00" + key.public_key:
        raise KeystoreError("the public key inside this keystore does not belong to its private key")
    return key
