"""Which set of validators certifies which headers: a table of ``state.db``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gridcore import cbor
from gridcore.validator import Validator, decode_validators, encode_validators
from ledger.application import Decided
from ledger.store.tables import Tables


class SetChange(NamedTuple):
    """A set that took over in the block of ``height``, when the set before it had certified header ``named_height``, which names it."""

    height: int
    named_height: int
    validators: tuple[Validator, ...]


class ValidatorTable:
    """See the module."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def save_genesis(self, validators: Sequence[Validator]) -> None:
        """Keep the set of genesis. sqlite3.Error when the disk does not take it."""
        self.add(SetChange(0, 0, tuple(validators)))

    def save(self, decided: Decided) -> None:
        """Keep the set that a block took over, if it did. sqlite3.Error when the disk does not take it."""
        if decided.validators_changed is not None:
            self.add(SetChange(decided.block.height, decided.block.certified, decided.validators_changed))

    def at(self, height: int) -> tuple[Validator, ...]:
        """The set that certifies header ``height`` (1 or later)."""
        query = "SELECT validators FROM validator_sets WHERE height < ? ORDER BY height DESC LIMIT 1"
        return decode_validators(cbor.decode(self._tables.row(query, height)[0]))

    def since(self, height: int) -> int:
        """The block up to ``height`` in which the set that is in force behind it took over; 0 for that of genesis."""
        query = "SELECT height FROM validator_sets WHERE height <= ? ORDER BY height DESC LIMIT 1"
        return int(self._tables.row(query, height)[0])

    def changes(self, before_height: int, named_after: int = 0, limit: int = -1) -> list[SetChange]:
        """The sets that took over in blocks before ``before_height``, ascending; not that of genesis.

        Those that a header above ``named_after`` names, at most ``limit`` of them (-1: all).
        """
        query = "SELECT * FROM validator_sets WHERE height BETWEEN 1 AND ? AND named_height > ? ORDER BY height LIMIT ?"
        rows = self._tables.rows(query, before_height - 1, named_after, limit)
        return [SetChange(height, named, decode_validators(cbor.decode(encoded))) for height, named, encoded in rows]

    def add(self, change: SetChange) -> None:
        """Keep a set that took over. sqlite3.Error when the disk does not take it."""
        row = (change.height, change.named_height, cbor.encode(encode_validators(change.validators)))
        self._tables.connection.execute("INSERT INTO validator_sets VALUES (?, ?, ?)", row)
