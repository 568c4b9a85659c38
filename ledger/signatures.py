"""Transactions decoded, and their signature verdicts: computed before a block is applied, in parallel.

libcrypto leaves the interpreter free while it computes, so threads are enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gridcore.envelope import Transaction, decode_transactions
from gridcore.sm import is_valid_signature
from ledger.state.verdicts import SignatureCheck, Verdicts


@dataclass(frozen=True)
class Candidate:
    """A transaction's wire bytes, decoded. ``transaction``: None for bytes that are no transaction."""

    wire: bytes
    transaction: Transaction | None


def decode_candidates(wires: Sequence[bytes]) -> list[Candidate]:
    """Decode wire bytes of any kind."""
    return [Candidate(wire, transaction) for wire, transaction in zip(wires, decode_transactions(wires), strict=True)]


class SignatureChecker:
    """A thread for each processor; ``check`` may be called from any thread."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="signatures")

    def check(self, checks: Iterable[SignatureCheck], known: Verdicts | None = None) -> Verdicts:
        """``known`` and the verdicts of those ``checks`` that it lacks."""
        verdicts = dict(known or {})
        missing = {(check.digest, check.public_key): check for check in checks}
        todo = [check for key, check in missing.items() if key not in verdicts]
        if len(todo) < 2:
            verdicts.update(verdicts_on(todo))
        else:
            shares = [todo[first :: self._threads] for first in range(self._threads)]
            for share in self._pool.map(verdicts_on, shares):
                verdicts.update(share)
        return verdicts

    def is_signed(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """One signature, in this thread."""
        return is_valid_signature(public_key, message, signature)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def verdicts_on(checks: Iterable[SignatureCheck]) -> dict[tuple[bytes, bytes], bool]:
    """The verdicts, checked one after another."""
    return {
        (check.digest, check.public_key): is_valid_signature(check.public_key, check.signed, check.signature)
        for check in checks
    }
