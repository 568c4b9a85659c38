"""clock/advance: move the ledger time of a simulated or imported chain (docs/spec/envelope.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gridcore.transactions.clock_move import ClockMove


@dataclass(frozen=True, kw_only=True)
class ClockAdvance(ClockMove):
    """to_s: the new ledger time."""

    kind: ClassVar[str] = "clock/advance"
