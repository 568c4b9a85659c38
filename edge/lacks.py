"""Which readings are missing that a meter may have stored itself: boundaries, and the meters that lack one there. Pure.

What is known of it stands in the progress of the outbox, so it is committed with the batches that change it and outlives the
process. It is bounded: what is oldest is given up first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

LACKS_MAX: Final = 128
"""Spans of boundaries that are kept."""
LACKING_METERS_MAX: Final = 16_384
"""Meters that are named in all of them together."""


class Lack(NamedTuple):
    """Boundaries from ``first_s`` to ``last_s`` (UTC, both inside) at which ``meters`` (numbers, ascending) have no reading.

    ``rounds``: how often some of the meters have been asked for their records of them.
    """

    first_s: int
    last_s: int
    meters: tuple[int, ...]
    rounds: int = 0


class Missing(NamedTuple):
    """A boundary, the meters that lack a reading there, and how often some of them have been asked for a record of it."""

    boundary_s: int
    meters: tuple[int, ...]
    rounds: int


def with_lack(lacks: Sequence[Lack], new: Lack, slot_s: int) -> tuple[Lack, ...]:
    """``lacks`` with what ``new`` says of its boundaries in place of what was known of them; no meters: nothing is missing there.

    Ascending; neighbours that say the same are one. Beyond LACKS_MAX and LACKING_METERS_MAX the oldest are left out.
    """
    parts = [part for lack in lacks for part in _outside(lack, new, slot_s)]
    parts += [new] if new.meters else []
    joined: list[Lack] = []
    for part in sorted(parts):
        before = joined[-1] if joined else None
        if before is not None and before[2:] == part[2:] and before.last_s + slot_s == part.first_s:
            joined[-1] = before._replace(last_s=part.last_s)
        else:
            joined.append(part)
    kept = joined[-LACKS_MAX:]
    while sum(len(lack.meters) for lack in kept) > LACKING_METERS_MAX:
        del kept[0]
    return tuple(kept)


def since(lacks: Sequence[Lack], first_s: int) -> tuple[Lack, ...]:
    """What of ``lacks`` lies at the boundary ``first_s`` or later."""
    return tuple(lack._replace(first_s=max(lack.first_s, first_s)) for lack in lacks if lack.last_s >= first_s)


def newest_missing(lacks: Sequence[Lack], slot_s: int) -> Iterator[Missing]:
    """Each boundary at which something is missing, the newest first."""
    for lack in reversed(lacks):
        for boundary_s in range(lack.last_s, lack.first_s - 1, -slot_s):
            yield Missing(boundary_s, lack.meters, lack.rounds)


def count_missing(lacks: Collection[Lack], slot_s: int) -> int:
    """How many readings are missing."""
    return sum(((lack.last_s - lack.first_s) // slot_s + 1) * len(lack.meters) for lack in lacks)


def _outside(lack: Lack, span: Lack, slot_s: int) -> Iterator[Lack]:
    """What of ``lack`` lies outside of the boundaries of ``span``."""
    edges = [
        (lack.first_s, min(lack.last_s, span.first_s - slot_s)),
        (max(lack.first_s, span.last_s + slot_s), lack.last_s),
    ]
    for first_s, last_s in edges:
        if first_s <= last_s:
            yield lack._replace(first_s=first_s, last_s=last_s)
