"""Who certifies headers, and how: this node's key behind its guard, and the signatures of a set put together.

A certificate is SM2 signatures over S_h by more than two thirds of the power of the set that the header before it names. The
embedded engine is a set of one; a consortium's engine gathers the signatures of the others first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gridcore.errors import UsageError, require
from gridcore.header import Certificate, Signers, certificate_message
from gridcore.sm import Signer, is_valid_signature
from ledger.store.files import Files
from ledger.store.guard import Guard


class Certifier:
    """Signs headers with this node's keys, of which each set of validators knows one at most, and never two headers of one height.

    Used by one thread at a time.
    """

    def __init__(self, chain: str, keys: Sequence[Signer], guard: Guard, files: Files) -> None:
        self.guard = guard
        self._chain = chain
        self._keys = keys
        self._files = files

    def key_in(self, signers: Signers) -> Signer | None:
        """The key by which a set knows this node; None: the node is not of that set."""
        known = {public_key for public_key, _ in signers}
        return next((key for key in self._keys if key.public_key in known), None)

    def sign(self, height: int, digest: bytes, key: Signer) -> bytes:
        """The signature of one of this node's keys over S_h: the guard's promise is on the disk before it is used.

        The same bytes when asked again. GuardError for another header of this height or one of a lower height, OSError when
        the disk does not take the promise.
        """
        signature = self.guard.allow(height, digest)
        self._files.reach("block_guarded")
        if signature is None:
            signature = key.sign(certificate_message(self._chain, height, digest))
            self._files.reach("block_signed")
            self.guard.keep_signature(signature)
        return signature

    def certify(self, height: int, digest: bytes, signers: Signers) -> Certificate:
        """The certificate that this node gives alone. UsageError where it cannot."""
        key = self.check_alone(height, signers)
        own = [(key.public_key, self.sign(height, digest, key))]
        certificate = combine(self._chain, height, digest, own, signers)
        require(certificate is not None, "this node's signature holds and is more than 2/3 of the power")
        return certificate or []

    def check_alone(self, height: int, signers: Signers) -> Signer:
        """The key that certifies ``height`` alone: it holds more than 2/3 of the power. UsageError where this node has none."""
        key, powers = self.key_in(signers), dict(signers)
        if key is None or 3 * powers[key.public_key] <= 2 * sum(powers.values()):
            own = ", ".join(_shown(key.public_key) for key in self._keys)
            raise UsageError(
                f"signing key {own}: the validators give it no power to certify block {height} alone; they are "
                f"{', '.join(map(_shown, powers))}. Nothing was signed: give their key and start again"
            )
        return key


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


def _shown(public_key: bytes) -> str:
    return f"{public_key.hex()[:18]}…"
