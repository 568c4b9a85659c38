"""Who certifies headers, and how: this node's key behind its guard, and the signatures of a set put together.

A certificate is SM2 signatures over S_h by more than two thirds of the power of the set that the header before it names. The
embedded engine is a set of one; a consortium's engine gathers the signatures of the others first.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridcore.errors import UsageError, require
from gridcore.header import Certificate, Signers, certificate_message
from gridcore.sm import Signer, is_valid_signature
from ledger.store.files import Files
from ledger.store.guard import Guard


class Certifier:
    """Signs headers with this node's key, and never two of one height. Used by one thread at a time."""

    def __init__(self, chain: str, signers: Signers, signer: Signer, guard: Guard, files: Files) -> None:
        self.guard = guard
        self._chain = chain
        self._signers = signers
        self._signer = signer
        self._files = files

    def sign(self, height: int, digest: bytes) -> bytes:
        """This node's signature over S_h: the guard's promise is on the disk before the key is used.

        The same bytes when asked again. GuardError for another header of this height or one of a lower height, OSError when
        the disk does not take the promise.
        """
        signature = self.guard.allow(height, digest)
        self._files.reach("block_guarded")
        if signature is None:
            signature = self._signer.sign(certificate_message(self._chain, height, digest))
            self._files.reach("block_signed")
            self.guard.keep_signature(signature)
        return signature

    def certify(self, height: int, digest: bytes) -> Certificate:
        """The certificate that this node gives alone, as ``check_alone`` made sure that it can."""
        own = [(self._signer.public_key, self.sign(height, digest))]
        certificate = combine(self._chain, height, digest, own, self._signers)
        require(certificate is not None, "this node's signature holds and is more than 2/3 of the power")
        return certificate or []


def combine(
    chain: str, height: int, digest: bytes, signatures: Iterable[tuple[bytes, bytes]], signers: Signers
) -> Certificate | None:
    """The certificate of S_h out of (public key, signature), or None while they are not more than 2/3 of the power.

    Signatures of keys outside ``signers``, and those that do not hold, count for nothing; of a key's the first that holds.
    """
    powers, message = dict(signers), certificate_message(chain, height, digest)
    valid: dict[bytes, bytes] = {}
    for key, signature in signatures:
        if key in powers and key not in valid and is_valid_signature(key, message, signature):
            valid[key] = signature
    is_enough = 3 * sum(powers[key] for key in valid) > 2 * sum(powers.values())
    return sorted(valid.items()) if is_enough else None


def check_alone(signers: Signers, public_key: bytes) -> None:
    """Raise UsageError unless this key alone certifies: it holds more than 2/3 of the signers' power."""
    powers = dict(signers)
    if 3 * powers.get(public_key, 0) <= 2 * sum(powers.values()):
        raise UsageError(
            f"signing key {public_key.hex()[:18]}…: genesis gives it no power to certify alone; its signers are "
            f"{', '.join(key.hex()[:18] + '…' for key in powers)}"
        )
