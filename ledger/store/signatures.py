"""Signature verdicts, computed before a block is applied: in parallel, since libcrypto leaves the interpreter free."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from gridcore.sm import is_valid_signature
from ledger.state.verdicts import SignatureCheck

Verdicts = dict[tuple[bytes, bytes], bool]


class SignatureChecker:
    """A thread for each processor; ``check`` may be called from any thread."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="signatures")

    def check(self, checks: Iterable[SignatureCheck]) -> Verdicts:
        """Verdicts by (transaction digest, public key), for each of ``checks``."""
        todo = list({(check.digest, check.public_key): check for check in checks}.values())
        if len(todo) < 2:
            return _check_share(todo)
        verdicts: Verdicts = {}
        for share in self._pool.map(_check_share, [todo[first :: self._threads] for first in range(self._threads)]):
            verdicts.update(share)
        return verdicts

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _check_share(checks: Iterable[SignatureCheck]) -> Verdicts:
    return {
        (check.digest, check.public_key): is_valid_signature(check.public_key, check.signed, check.signature)
        for check in checks
    }
