"""Rules about what gateways send: their clocks, and the use of their keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gridcore.codes import Code
from gridwatch.alerts import Alert
from gridwatch.columns import DAY_S, Sent
from gridwatch.rules import Clock, Keys

_UNSET: Final = "unsynced"
_FOREIGN: Final = frozenset(
    {Code.WRONG_EPOCH, Code.COUNTER_GAP, Code.COUNTER_REUSED, Code.COUNTER_PASSED, Code.WRONG_PREVIOUS}
)
"""Refusals of what an outbox that remembers its batches does not send."""


def check_clock(sent: Sequence[Sent], rule: Clock) -> Iterator[Alert]:
    """Clocks that are off, or that nothing sets; batch by batch."""
    for batch in sent:
        off_ms = abs(batch.clock_offset_ms)
        if off_ms > rule.offset_ms_max or batch.clock_state == _UNSET:
            yield _alert("clock", [batch], off_ms, rule.offset_ms_max)


def check_keys(sent: Sequence[Sent], rule: Keys) -> Iterator[Alert]:
    """Refused batches of a gateway in a day of boundaries, once they are more than the rule lets pass."""
    refused: dict[tuple[str, int], list[Sent]] = defaultdict(list)
    for batch in sent:
        if batch.code in _FOREIGN:
            of_day = refused[batch.gateway, batch.boundary_s // DAY_S]
            of_day.append(batch)
            if len(of_day) == rule.refused_per_day_max + 1:
                yield _alert("keys", of_day, len(of_day), rule.refused_per_day_max)


def _alert(rule: str, sent: Sequence[Sent], value: int, limit: int) -> Alert:
    boundaries_s = [batch.boundary_s for batch in sent]
    blocks = tuple(sorted({batch.height for batch in sent} - {0}))
    return Alert(boundaries_s[-1], rule, sent[-1].gateway, min(boundaries_s), max(boundaries_s), value, limit, blocks)
