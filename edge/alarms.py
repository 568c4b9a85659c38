"""What somebody must look at, read from an outbox: the same lines for ``edge status`` and whoever watches gateways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.config import OutboxLimits
from edge.outbox_file import OutboxState
from gridcore.remedies import code_name, remedy_of

FILL_ALARM_PERCENT: Final = 80
METERS_SHOWN_MAX: Final = 16


def alarms_of(state: OutboxState, limits: OutboxLimits) -> list[str]:
    """One line for each trouble that lasts, the gravest first; none when all is well.

    Readings that the ledger did not use are one while they are of the newest boundary that it has answered for.
    """
    progress = state.progress
    lines = [f"submission is halted: {progress.alarm}"] if progress.alarm else []
    refused = [row for row in progress.refused if row.boundary_s >= progress.acknowledged_s]
    for code in sorted({row.code for row in refused}):
        meters = _shown([row.meter for row in refused if row.code == code])
        lines.append(f"readings of installations {meters} are not used: {code_name(code)}: {remedy_of(code)}")
    fill_percent = state.fill_percent(limits)
    if fill_percent >= FILL_ALARM_PERCENT:
        lines.append(f"the outbox is full to {fill_percent} %: {state.depth} batches wait for their receipts")
    if progress.absent:
        lines.append(f"no reading at {progress.last_boundary_s} of installations {_shown(progress.absent)}")
    return lines


def _shown(meters: Sequence[int]) -> str:
    more = len(meters) - METERS_SHOWN_MAX
    return ", ".join(map(str, meters[:METERS_SHOWN_MAX])) + (f" and {more} more" if more > 0 else "")
