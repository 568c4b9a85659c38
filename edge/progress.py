"""Where a gateway stands: the record that an outbox commits together with each batch, and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from edge.lacks import Lack
from gridcore import cbor
from gridcore.transactions.reading_batch import FIRST_PREVIOUS, VerifiedHeader

NO_BOUNDARY: Final = -1
REFUSED_ROWS_MAX: Final = 64
"""Rows that the ledger did not use, as an outbox keeps them for ``edge status``."""
GAPS_MAX: Final = 64
"""Gaps that are kept, the newest ones."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What observing met last: (broker, "up" or its trouble), and (device, reason) of those without observations."""

    brokers: tuple[tuple[str, str], ...] = ()
    absent: tuple[tuple[str, str], ...] = ()


class RefusedRow(NamedTuple):
    """A reading that the ledger did not use: of the installation ``meter`` at a boundary, and the verdict's code."""

    boundary_s: int
    meter: int
    code: int


class Gap(NamedTuple):
    """Slot boundaries, UTC seconds, that were not sampled: from ``first_s`` to ``last_s``, both inside."""

    first_s: int
    last_s: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a gateway stands. ``previous``: id of the newest batch; ``receipt``: (height, digest) of the newest verified
    header; ``absent``: meters still without a reading at ``last_boundary_s``; ``alarm``: why submission is halted, or "";
    ``refused``: the newest readings that the ledger did not use, at most REFUSED_ROWS_MAX, the newest boundary first;
    ``acknowledged_s``: the newest boundary that has a receipt; ``gaps``: boundaries without a sample, ascending, at most GAPS_MAX;
    ``mark``: what the TPM's counter has reached with this (``edge.high_water``), 0 where there is none; ``lacks``: readings that
    may yet be fetched out of the meters' own records; ``further``: batches for ``last_boundary_s`` behind the first one there.
    """

    gateway: str
    chain: str
    epoch: int
    counter: int = 0
    previous: bytes = FIRST_PREVIOUS
    last_boundary_s: int = NO_BOUNDARY
    absent: tuple[int, ...] = ()
    receipt: VerifiedHeader | None = None
    alarm: str = ""
    seen: Seen = Seen()
    refused: tuple[RefusedRow, ...] = ()
    acknowledged_s: int = NO_BOUNDARY
    gaps: tuple[Gap, ...] = ()
    mark: int = 0
    lacks: tuple[Lack, ...] = ()
    further: int = 0


def sampled(progress: Progress, boundary_s: int, absent: Sequence[int], missed: Gap | None = None) -> Progress:
    """The progress after a sample at a boundary. ``absent``: meters that lack a reading there; ``missed``: the gap before it."""
    gaps = progress.gaps if missed is None else (*progress.gaps, missed)[-GAPS_MAX:]
    further = (
        0 if boundary_s > progress.last_boundary_s else progress.further + (boundary_s == progress.last_boundary_s)
    )
    newest_s = max(progress.last_boundary_s, boundary_s)
    return replace(progress, last_boundary_s=newest_s, absent=tuple(absent), gaps=gaps, further=further)


def acknowledged(
    progress: Progress, boundary_s: int, receipt: VerifiedHeader, refused: Sequence[RefusedRow]
) -> Progress:
    """The progress after receipts: of batches up to ``boundary_s``, the newest header of which is ``receipt``."""
    known = sorted({*progress.refused, *refused}, key=lambda row: (-row.boundary_s, row.meter, row.code))
    old = progress.receipt
    return replace(
        progress,
        alarm="",
        refused=tuple(known[:REFUSED_ROWS_MAX]),
        receipt=receipt if old is None or receipt.height > old.height else old,
        acknowledged_s=max(progress.acknowledged_s, boundary_s),
    )


def encode_progress(progress: Progress) -> bytes:
    """Canonical bytes."""
    return cbor.encode(
        {
            "absent": list(progress.absent),
            "acknowledged_s": progress.acknowledged_s,
            "alarm": progress.alarm,
            "chain": progress.chain,
            "counter": progress.counter,
            "epoch": progress.epoch,
            "further": progress.further,
            "gaps": [list(gap) for gap in progress.gaps],
            "gateway": progress.gateway,
            "lacks": [[lack.first_s, lack.last_s, list(lack.meters), lack.rounds] for lack in progress.lacks],
            "last_boundary_s": progress.last_boundary_s,
            "mark": progress.mark,
            "previous": progress.previous,
            "receipt": list(progress.receipt or ()),
            "refused": [list(row) for row in progress.refused],
            "seen": [[list(pair) for pair in progress.seen.brokers], [list(pair) for pair in progress.seen.absent]],
        }
    )


def decode_progress(state: bytes) -> Progress:
    """The progress of these bytes; what earlier versions did not write is as at the start. EncodingError for no CBOR."""
    value = cbor.decode(state)
    receipt = value["receipt"]
    brokers, absent = value.get("seen", ([], []))  # an outbox of an earlier version has none
    return Progress(
        **{
            **value,
            "absent": tuple(value["absent"]),
            "gaps": tuple(Gap(*gap) for gap in value.get("gaps", ())),
            "lacks": tuple(
                Lack(first, last, tuple(meters), rounds) for first, last, meters, rounds in value.get("lacks", ())
            ),
            "receipt": VerifiedHeader(*receipt) if receipt else None,
            "refused": tuple(RefusedRow(*row) for row in value.get("refused", ())),
            "seen": Seen(tuple((name, state) for name, state in brokers), tuple((name, why) for name, why in absent)),
        }
    )
