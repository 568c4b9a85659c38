"""What meters count where somebody cheats: the truth stays as it is, the registers that are read are others.

h1 to h6 are the attack functions of Jokar, Arianpoo and Leung, IEEE Trans. Smart Grid 7(1), 2016, on what a meter takes in a day. How
much is cheated is drawn from the scenario's seed and the event's place. A day is 96 slots, counted from the event's first one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.errors import UsageError
from simulators.grid.diversity import Stream, generator
from simulators.grid.local_time import SLOTS_PER_DAY
from simulators.scenarios.schema import (
    BYPASS,
    COLLUSION,
    FRAUDS_OF_DAY_BEFORE,
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    PV_OVER_REPORT,
    REPLAY,
    REVERSED_CT,
    ROLLBACK,
    STOPPED,
    Event,
)

Int64 = NDArray[np.int64]
KEPT_PERCENT: Final = (10, 80)
"""Of its energy, what a meter that is made to count less still counts."""
ADDED_PERCENT: Final = (20, 60)
"""Of what its PV gives, what a seller adds."""
ZEROED_SLOTS: Final = (16, 96)
"""h2: how long it counts nothing, each day."""


class Registers(NamedTuple):
    """Cumulative import and export, primary Wh, int64[boundaries, meters]."""

    import_wh: Int64
    export_wh: Int64


@dataclass(frozen=True, eq=False)
class _Window:
    """Energies of the slots of a fraud, whole Wh, to be changed in place: its meter's, what it took in the day before, and its accomplice's."""

    rng: np.random.Generator
    import_wh: Int64
    export_wh: Int64
    day_before_wh: Int64
    other_import_wh: Int64

    def days(self) -> Iterator[Int64]:
        """What is taken, day by day."""
        for start in range(0, len(self.import_wh), SLOTS_PER_DAY):
            yield self.import_wh[start : start + SLOTS_PER_DAY]

    def kept(self, size: int | None = None) -> Int64:
        """Percent that is still counted: one number, or one for each of ``size`` slots."""
        drawn: Int64 = np.asarray(self.rng.integers(*KEPT_PERCENT, size=size, endpoint=True), dtype=np.int64)
        return drawn


def counted_registers(events: Sequence[Event], seed: int, column_of: Mapping[str, int], true: Registers) -> Registers:
    """What meters count; ``true`` itself where nobody cheats. UsageError for an event that cannot be."""
    frauds = [(number, event) for number, event in enumerate(events) if event.kind in _COUNTS or event.kind == REPLAY]
    if not frauds:
        return true
    energies = Registers(*(np.diff(column, axis=0) for column in true))
    for number, event in frauds:
        _check(number, event, energies, column_of[event.target])
        if event.kind in _COUNTS:
            _COUNTS[event.kind](_window(number, event, seed, column_of, energies))
    counted = Registers(
        *(
            np.concatenate([first[:1], first[:1] + np.cumsum(wh, axis=0)])
            for first, wh in zip(true, energies, strict=True)
        )
    )
    for _, event in frauds:
        if event.kind == REPLAY:
            _replay(event, counted, column_of[event.target])
    return counted


def not_taken(shown: Registers, columns: Sequence[int], limit_wh: Sequence[int]) -> NDArray[np.bool_]:
    """bool[boundaries, meters]: whether nobody takes a reading: it went back, or further than ``limit_wh`` a slot since the last one taken.

    columns: of meters whose registers may be set back; those of all others are taken.
    """
    refused = np.zeros(shown.import_wh.shape, dtype=np.bool_)
    for column in columns:
        last, last_wh = 0, [int(register[0, column]) for register in shown]
        for boundary, now_wh in enumerate(np.stack([register[:, column] for register in shown], axis=1).tolist()):
            most_wh = limit_wh[column] * (boundary - last)
            if all(0 <= now - before <= most_wh for now, before in zip(now_wh, last_wh, strict=True)):
                last, last_wh = boundary, now_wh
            else:
                refused[boundary, column] = True
    return refused


def _check(number: int, event: Event, energies: Registers, column: int) -> None:
    where = f"events[{number}]"
    if event.kind in FRAUDS_OF_DAY_BEFORE and event.from_slot <= SLOTS_PER_DAY:
        raise UsageError(f"{where}: a {event.kind} needs the day before; give from_slot {SLOTS_PER_DAY + 1} or later")
    if event.kind == PV_OVER_REPORT and not energies.export_wh[event.from_slot : event.until_slot, column].any():
        raise UsageError(f"{where}: {event.target} gives nothing in these slots; name a meter of a home with PV")


def _window(number: int, event: Event, seed: int, column_of: Mapping[str, int], energies: Registers) -> _Window:
    slots, own = slice(event.from_slot, event.until_slot), column_of[event.target]
    other = column_of.get(event.other, own)
    return _Window(
        generator(seed, Stream.FRAUD, number),
        energies.import_wh[slots, own],
        energies.export_wh[slots, own],
        energies.import_wh[max(0, event.from_slot - SLOTS_PER_DAY) : event.from_slot, own].copy(),
        energies.import_wh[slots, other],
    )


def _h1(window: _Window) -> None:
    """A share of it."""
    window.import_wh[:] = window.import_wh * window.kept() // 100


def _h2(window: _Window) -> None:
    """Nothing during some hours of each day."""
    length = int(window.rng.integers(*ZEROED_SLOTS, endpoint=True))
    first = int(window.rng.integers(0, SLOTS_PER_DAY - length, endpoint=True))
    for day in window.days():
        day[first : first + length] = 0


def _h3(window: _Window) -> None:
    """Another share of it in each slot."""
    window.import_wh[:] = window.import_wh * window.kept(len(window.import_wh)) // 100


def _h4(window: _Window) -> None:
    """Another share of the day's mean in each slot."""
    for day in window.days():
        day[:] = int(day.sum()) * window.kept(len(day)) // (100 * len(day))


def _h5(window: _Window) -> None:
    """The day's mean in each slot: all of the energy, at other hours."""
    for day in window.days():
        shown = int(day.sum()) * np.arange(len(day) + 1, dtype=np.int64) // len(day)
        day[:] = np.diff(shown)


def _h6(window: _Window) -> None:
    """The day backwards: all of the energy, at other hours."""
    for day in window.days():
        day[:] = day[::-1].copy()


def _pv_over_report(window: _Window) -> None:
    window.export_wh[:] += window.export_wh * window.rng.integers(*ADDED_PERCENT, endpoint=True) // 100


def _collusion(window: _Window) -> None:
    """One counts less, another one as much more."""
    moved = window.import_wh - window.import_wh * window.kept() // 100
    window.import_wh[:] -= moved
    window.other_import_wh[:] += moved


def _rollback(window: _Window) -> None:
    """The register is set back at the begin of each day, by a share of what the day before took."""
    kept, before_wh = window.kept(), int(window.day_before_wh.sum())
    for day in window.days():
        day_wh = int(day.sum())
        day[0] -= before_wh - before_wh * kept // 100
        before_wh = day_wh


def _reversed_ct(window: _Window) -> None:
    taken = window.import_wh.copy()
    window.import_wh[:], window.export_wh[:] = window.export_wh, taken


def _stopped(window: _Window) -> None:
    window.import_wh[:], window.export_wh[:] = 0, 0


_COUNTS: Final[dict[str, Callable[[_Window], None]]] = {
    H1: _h1,
    H2: _h2,
    H3: _h3,
    H4: _h4,
    H5: _h5,
    H6: _h6,
    BYPASS: _h1,  # the meter is in order and sees a share of the load
    PV_OVER_REPORT: _pv_over_report,
    COLLUSION: _collusion,
    ROLLBACK: _rollback,
    REVERSED_CT: _reversed_ct,
    STOPPED: _stopped,
}


def _replay(event: Event, counted: Registers, column: int) -> None:
    """The answers of the day before the event, over and over."""
    boundaries = np.arange(event.from_slot, event.until_slot)
    recorded = event.from_slot - SLOTS_PER_DAY + (boundaries - event.from_slot) % SLOTS_PER_DAY
    for register in counted:
        register[boundaries, column] = register[recorded, column].copy()
