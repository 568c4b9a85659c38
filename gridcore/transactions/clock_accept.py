"""clock/accept: let ledger time follow block time that is far ahead of it (docs/spec/state.md, "Ledger time")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gridcore.transactions.clock_move import ClockMove


@dataclass(frozen=True, kw_only=True)
class ClockAccept(ClockMove):
    """to_s: ledger time may come up to here."""

    kind: ClassVar[str] = "clock/accept"
