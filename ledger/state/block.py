"""A decided block and what it does: the input of apply_block besides the state, and its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from gridcore.envelope import Transaction, decode_transactions
from gridcore.transactions.clock_advance import ClockAdvance
from ledger.leaves.exception import RowVerdict
from ledger.leaves.family import Value


class Offence(NamedTuple):
    """The consensus engine's proof that a validator voted for two blocks of ``height``. consensus_address: 20 bytes, of its key."""

    consensus_address: bytes
    height: int


@dataclass(frozen=True)
class Block:
    """One decided block.

    height: 1, 2, ...; time_s: block time, UTC seconds; transactions: wire bytes (docs/spec/envelope.md) in the order in
    which they take effect. Where somebody has examined it before: examined, the same decoded; attached, what
    attachments say, by transaction digest, where they are what was signed. certified_height: the newest height of which this block or
    an earlier one holds a complete certificate; None: that of the block before, as the embedded engine has it. offenders: of whom the
    engine proved an offence.
    """

    height: int
    time_s: int
    transactions: tuple[bytes, ...]
    examined: tuple[Transaction | None, ...] | None = field(default=None, repr=False)
    attached: Mapping[bytes, Any] = field(default_factory=dict, repr=False)
    certified_height: int | None = None
    offenders: tuple[Offence, ...] = ()

    @property
    def certified(self) -> int:
        """``certified_height`` as a number."""
        return self.height - 1 if self.certified_height is None else self.certified_height

    @cached_property
    def decoded(self) -> tuple[Transaction | None, ...]:
        """Each transaction decoded once, for whoever needs it; None where the envelope does not decode."""
        return tuple(decode_transactions(self.transactions)) if self.examined is None else self.examined

    @property
    def steps_to_s(self) -> int:
        """The latest ledger time to which its steps of the clock, accepted or not, could lead; -1 without any."""
        steps = (t.body.get("to_s") for t in self.decoded if t is not None and t.kind == ClockAdvance.kind)
        return max((to_s for to_s in steps if isinstance(to_s, int)), default=-1)


@dataclass(frozen=True)
class Result:
    """What became of one transaction.

    code: gridcore.codes.Code; digest: under which the block records it; id: SM3 of the signed bytes, empty for bytes that
    are no transaction; rows: verdicts of a batch's rows that were not used.
    """

    code: int
    digest: bytes
    id: bytes = b""
    rows: tuple[RowVerdict, ...] = ()


@dataclass(frozen=True)
class Applied:
    """What a block does to the state: one result for each transaction, and the leaves' new values by key.

    bodies: the salted registry rows that it recorded, by digest; ledger_time_s: after the block, UTC seconds; work_pending: due
    work is left over, so another block should follow at once.
    """

    results: tuple[Result, ...]
    changes: Mapping[str, Value]
    bodies: Mapping[bytes, bytes]
    ledger_time_s: int
    work_pending: bool
