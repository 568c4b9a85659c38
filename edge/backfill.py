"""Boundaries that nobody read, fetched later out of what the meters themselves have stored of them.

After an outage of agent, gateway or line the agent asks meters that keep records (``MeterReader.records_s``) for the boundaries that
it missed, the newest first: the slot that is settled next needs it. Asking comes after a boundary's readings and ends before the
next boundary, so it costs no reading. What a meter gives is signed as measured and flagged frozen, at its own boundary, and only if

* the meter's reading at the present boundary was believed, and it has shown which meter it is;
* its clock is right and was whenever it was looked at since, and the record's stamp is exactly the boundary;
* it fits to the reading after it: no more has flowed between than the connection can carry, and nothing flowed back.

What it has no record of, or a wrong one, is given up; who does not answer is left alone until the next boundary and asked again, in
RECORD_ROUNDS_MAX rounds at most: each may make a batch, and the ledger takes few of them for a boundary that is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from edge.lacks import Lack, Missing, newest_missing
from edge.line_sampling import Proofs
from edge.meters import Meter, MeterLine, SamplePolicy
from edge.readers import LineDownError, LineError, QuarantinedError
from edge.samples import MeterSample, Sample, registers_wh, sample_of
from edge.truth import MeterMemory, judge_confirmation, judge_registers
from gridcore.clock import monotonic_ms
from gridcore.logs import get_logger

RECORD_ROUNDS_MAX: Final = 3
"""At so many boundaries meters are asked for their records of an earlier one."""
BOUNDARIES_PER_ROUND_MAX: Final = 32
"""Earlier boundaries that are asked for behind one boundary."""
QUIET_MS: Final = 10_000
"""Before the next boundary the lines are left alone for so long."""

_log = get_logger(__name__)


class Fetched(NamedTuple):
    """What meters had recorded of an earlier boundary, and what is still lacking there."""

    sample: Sample
    lack: Lack


class Backfill:
    """One round of asking, behind ``boundary_s``. ``memories``: last trusted readings by number: one of that boundary is what follows
    the records; ``barred``: meters that may not be signed for; ``proofs``: who has shown which meter it is.
    """

    def __init__(
        self,
        lines: Sequence[MeterLine],
        policy: SamplePolicy,
        memories: Mapping[int, MeterMemory],
        *,
        boundary_s: int,
        barred: Collection[int],
        proofs: Proofs,
    ) -> None:
        self._policy = policy
        self._lines = [line.meters for line in lines]
        known = {meter.config.number: meter for line in self._lines for meter in line if meter.reader.records_s}
        self._known = frozenset(known)
        self._askable = {
            number
            for number, meter in known.items()
            if number in memories
            and 0 <= memories[number].read_ms - boundary_s * 1000 < policy.slot_s * 1000
            and len(memories[number].registers) == len(meter.limits)
            and number not in barred
            and proofs.is_proven(number)
        }
        self._boundary_s = boundary_s
        self._told: set[int] = set()
        """Whose records were said to be wrong: once a round."""
        self._later = {
            number: (memories[number].read_ms, [register.register_wh for register in memories[number].registers])
            for number in self._askable
        }
        """By number: when the reading after the next record was taken (UTC ms), and its registers."""

    def due(self, lacks: Sequence[Lack]) -> Iterator[Missing]:
        """The boundaries of ``lacks`` at which somebody can be asked or is no meter with records any more, the newest first.

        Who fails to answer meanwhile is not asked any more. What a false time took for missed may be still to come.
        """
        for lack in reversed(lacks):
            for missing in newest_missing((lack,), self._policy.slot_s):
                if self._known.issuperset(lack.meters) and self._askable.isdisjoint(lack.meters):
                    break
                if missing.boundary_s <= self._boundary_s:
                    yield missing

    async def fetch(self, missing: Missing, until_ms: float, is_over: Callable[[], bool]) -> Fetched:
        """Ask for the records of one boundary, all lines side by side, until ``until_ms`` (monotonic) or ``is_over``."""
        started_ms = monotonic_ms()
        wanted = self._askable & {*missing.meters}
        found = await asyncio.gather(
            *(self._fetch(line, missing.boundary_s, wanted, until_ms, is_over) for line in self._lines)
        )
        readings = sorted((reading for taken, _ in found for reading in taken), key=lambda reading: reading.number)
        settled = {reading.number for reading in readings} | {number for _, none in found for number in none}
        lacking = tuple(number for number in missing.meters if number in self._known and number not in settled)
        rounds = missing.rounds + bool(wanted)
        if lacking and rounds >= RECORD_ROUNDS_MAX:
            _log.warning("records_given_up", boundary_s=missing.boundary_s, meters=lacking, rounds=rounds)
            lacking = ()
        sample = Sample(missing.boundary_s, tuple(readings), (), round(monotonic_ms() - started_ms))
        _log.info(
            "records_fetched",
            boundary_s=missing.boundary_s,
            readings=len(readings),
            without=len(settled) - len(readings),
        )
        return Fetched(sample, Lack(missing.boundary_s, missing.boundary_s, lacking, rounds))

    async def _fetch(
        self,
        meters: Sequence[Meter],
        boundary_s: int,
        wanted: Collection[int],
        until_ms: float,
        is_over: Callable[[], bool],
    ) -> tuple[list[MeterSample], list[int]]:
        """The readings of one line, and the meters that have no record, or a wrong one."""
        taken: list[MeterSample] = []
        none: list[int] = []
        for meter in meters:
            number = meter.config.number
            if number not in wanted:
                continue
            if is_over() or monotonic_ms() >= until_ms:
                break
            try:
                reading = await self._reading(meter, boundary_s, until_ms)
            except LineDownError:
                break
            except LineError as error:
                self._askable.discard(number)
                _log.warning("record_not_read", boundary_s=boundary_s, meter=meter.config.meter, reason=str(error))
            except QuarantinedError as error:
                none.append(number)
                if number not in self._told:
                    self._told.add(number)
                    _log.warning(
                        "record_not_believed", boundary_s=boundary_s, meter=meter.config.meter, reason=str(error)
                    )
            else:
                if reading is None:
                    none.append(number)
                else:
                    taken.append(reading)
        return taken, none

    async def _reading(self, meter: Meter, boundary_s: int, until_ms: float) -> MeterSample | None:
        """The meter's record of the boundary as a reading; None: it has none. LineError, QuarantinedError."""
        read = await meter.reader.read_record(boundary_s, until_ms)
        if read is None:
            return None
        number, shown_wh = meter.config.number, registers_wh(read)
        later_ms, later_wh = self._later[number]
        boundary_ms, slot_s = boundary_s * 1000, self._policy.slot_s
        bounds = judge_registers(meter.limits, None, shown_wh, boundary_ms, slot_s).doubts
        doubts = bounds or judge_confirmation(meter.limits, shown_wh, later_wh, max(0, later_ms - boundary_ms), slot_s)
        if doubts:
            raise QuarantinedError(f"{meter.config.meter}: its record does not fit to what follows: {doubts[0].detail}")
        self._later[number] = boundary_ms, [*shown_wh]
        return sample_of(meter, read, read.arrived_ms, self._policy)
