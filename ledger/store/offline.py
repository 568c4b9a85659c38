"""Reading a data directory that no node uses, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gridcore.errors import UsageError
from ledger.contract import Contract
from ledger.signatures import SignatureChecker
from ledger.store.directory import guard_path, load_genesis, locked
from ledger.store.files import Files
from ledger.store.opening import open_parts
from ledger.store.reader import LedgerReader


class StateBehindError(UsageError):
    """A state that lacks blocks: whoever opens the ledger to write brings it up to them."""


@contextmanager
def reading(data_dir: Path, contracts: Mapping[str, Contract], guard: Path | None = None) -> Iterator[LedgerReader]:
    """The reading side of a data directory. UsageError or StoreError say what is in the way."""
    with ExitStack() as resources:
        resources.enter_context(locked(data_dir))
        own = None if load_genesis(data_dir).has_consensus else guard_path(data_dir, guard)
        parts = open_parts(data_dir, Files(), resources, own)
        if parts.guard is not None and parts.db.height() < parts.guard.height:
            raise StateBehindError(
                f"{data_dir}: its state is behind its blocks; start the node once, it catches up by itself"
            )
        checker = SignatureChecker()
        resources.callback(checker.close)
        yield LedgerReader(parts.application(contracts, checker), parts.db, parts.log)
