"""From a node's answers to rows of time series: pure functions, no connection, no clock.

Energies are computed here as the ledger computes them (docs/spec/state.md, "Settle"), for every meter and before the slot is
settled too. What is missing is None, never 0: a sum over something missing is missing.
An answer of another shape than docs/spec/http.md says ends in ``AnswerError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridcore.batch import FLAGS, MISSING, QUALITIES
from gridcore.column import I64_MAX
from gridcore.errors import GridError
from gridseries.series import DIGEST_BYTES, Row

VOLTAGES: Final = ("12.7.0", "32.7.0", "52.7.0", "72.7.0")
"""OBIS codes of a voltage: of whatever there is, of L1, L2, L3."""

Json = Mapping[str, Any]


class AnswerError(GridError):
    """A node's answer that is not of the documented shape."""


@dataclass(frozen=True, slots=True)
class Point:
    """A metering point: its meter's code, whether it is billed, trades, is the feeder's; ``modulus_wh``: primary, 0 for none."""

    meter: str
    is_billed: bool
    trades: bool
    is_feeder: bool
    modulus_wh: int


class Registers(NamedTuple):
    """A meter's registers at a boundary, primary Wh; ``quality``: the byte of ``gridcore.batch``."""

    import_wh: int
    export_wh: int
    quality: int


class Position(NamedTuple):
    """What a settled slot gave a billed point."""

    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int


@dataclass(frozen=True)
class Changes:
    """What was written after a height up to ``height``: slots whose rows may differ, and batches with observations.

    ``digest``, ``after_digest``: of the headers at ``height`` and at the height that was asked about.
    """

    height: int
    digest: bytes
    after_digest: bytes
    newest: int
    boundaries: tuple[tuple[str, int], ...]
    slots: tuple[tuple[str, int], ...]
    batches: tuple[tuple[str, int], ...]


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what a misshapen answer runs into into an AnswerError that names the answer."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise AnswerError(f"{what}: the node's answer is not of the form that this program knows ({detail})") from None


def read_changes(answer: Json) -> Changes:
    """The parts of ``changes`` that rows follow from. Kinds that are not known are none of ours."""
    with understood("changes"):
        found: dict[str, set[tuple[str, int]]] = {"registers": set(), "slots": set(), "batch": set()}
        for change in answer["changes"]:
            if change["kind"] in ("clearing", "run"):
                found["slots"].add((str(change["area"]), int(change["at_s"])))
            elif change["kind"] == "registers":
                found["registers"].add((str(change["area"]), int(change["at_s"])))
            elif change["kind"] == "batch" and change["observations"]:
                found["batch"].add((str(change["gateway"]), int(change["at_s"])))
        return Changes(
            int(answer["height"]),
            _digest(answer["digest"]),
            _digest(answer["after_digest"]),
            int(answer["newest"]),
            *(tuple(sorted(pairs)) for pairs in found.values()),
        )


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest of {len(digest)} bytes")
    return digest


def touched_slots(
    changes: Changes, first_slot_start_s: Mapping[str, int], areas_of: Mapping[str, Sequence[str]], slot_s: int
) -> list[tuple[str, int]]:
    """(area, start) of the slots whose rows may be different now, ascending.

    A register ends one slot and begins the next; an observation belongs to the slot that its boundary ends.
    """
    touched = set(changes.slots)
    for area, boundary_s in changes.boundaries:
        touched |= {(area, boundary_s - slot_s), (area, boundary_s)}
    for gateway, boundary_s in changes.batches:
        touched |= {(area, boundary_s - slot_s) for area in areas_of.get(gateway, ())}
    return sorted((area, start_s) for area, start_s in touched if start_s >= first_slot_start_s[area])


def read_points(answer: Json) -> list[Point]:
    """The rows of ``areas/<a>/installations``, in their order."""
    with understood("installations"):
        return [
            Point(
                str(entry["meter"]),
                entry["party"] is not None,
                bool(entry["trades"]),
                entry["role"] == "feeder",
                int(entry["modulus_wh"]),
            )
            for entry in answer["installations"]
        ]


def read_registers(answer: Json, points: Sequence[Point]) -> list[Registers | None]:
    """The rows of ``areas/<a>/registers``, one for each of ``points``; None: nothing there."""
    with understood("registers"):
        found: list[Registers | None] = []
        for entry, point in zip(answer["registers"], points, strict=True):
            if entry["meter"] != point.meter:
                raise ValueError(f"meter {entry['meter']} stands where {point.meter} belongs")
            if entry["import_wh"] is None:
                found.append(None)
            else:
                flags = sum(FLAGS[flag] for flag in entry["flags"])
                quality = QUALITIES.index(entry["quality"]) | flags << 4
                found.append(Registers(int(entry["import_wh"]), int(entry["export_wh"]), quality))
        return found


def read_positions(answer: Json) -> list[tuple[str, Position]]:
    """(meter, position) of the rows of ``areas/<a>/slots/<s>/positions``."""
    with understood("positions"):
        columns = (answer[name] for name in ("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"))
        return [
            (str(meter), Position(*map(int, values))) for meter, *values in zip(answer["meters"], *columns, strict=True)
        ]


def energy_wh(start_wh: int, end_wh: int, modulus_wh: int) -> int:
    """Primary Wh between two registers; a drop is a roll-over, because range was checked when the register was taken."""
    raw_wh = end_wh - start_wh
    return raw_wh + modulus_wh if raw_wh < 0 else raw_wh


def interval_energy(point: Point, start: Registers | None, end: Registers | None) -> tuple[int, int] | None:
    """Import and export of a point in a slot, primary Wh; None while a register is missing."""
    if start is None or end is None:
        return None
    return (
        energy_wh(start.import_wh, end.import_wh, point.modulus_wh),
        energy_wh(start.export_wh, end.export_wh, point.modulus_wh),
    )


class SlotRows:
    """The rows of one slot of one area, page of points by page of points: interval rows at once, the slot's own at the end."""

    def __init__(self, area: str, slot_start_s: int, expected: int, committed: int) -> None:
        """``expected``: meters of the area; ``committed``: those with a register at the slot's end."""
        self._area = area
        self._start_s = slot_start_s
        self._expected, self.committed = expected, committed
        self._billed: list[int] | None = [0, 0]
        self._feeder: list[int] | None = [0, 0]
        self._feeders = 0
        self._is_settled = False
        self._traders = [0, 0, 0]
        self._voltage_milli_min: int | None = None

    def intervals(
        self,
        points: Sequence[Point],
        starts: Sequence[Registers | None],
        ends: Sequence[Registers | None],
        positions: Mapping[str, Position],
    ) -> list[Row]:
        """The rows of a page of points. ``positions`` by meter: of the billed ones once the slot is settled, else empty."""
        rows = []
        for point, start, end in zip(points, starts, ends, strict=True):
            energy = interval_energy(point, start, end)
            position = positions.get(point.meter)
            self._count(point, energy, position)
            quality = MISSING if end is None else end.quality
            traded = position or (None, None, None, None)
            rows.append(Row((self._area, point.meter), self._start_s, (*(energy or (None, None)), *traded, quality)))
        return rows

    def _count(self, point: Point, energy: tuple[int, int] | None, position: Position | None) -> None:
        if point.is_billed:
            self._billed = _added(self._billed, energy)
        if point.is_feeder:
            self._feeders += 1
            self._feeder = _added(self._feeder, energy)
        if position is not None:
            self._is_settled = True
            if point.trades:
                self._traders[0] += position.pays_nano
                self._traders[1] += position.supplier_only_nano
                self._traders[2] += max(0, position.supplier_only_nano)

    def see_voltages(self, voltages_milli: Iterable[int]) -> None:
        """Voltages observed in the area at the slot's end, mV."""
        for voltage_milli in voltages_milli:
            if self._voltage_milli_min is None or voltage_milli < self._voltage_milli_min:
                self._voltage_milli_min = voltage_milli

    def slot(self, clearing: Json | None) -> Row | None:
        """The slot's own row; None while there is nothing of it, neither a clearing nor a register at its end.

        A sum that does not fit into 64 bits (of a million points at the ledger's largest amounts) is missing, not cut.
        """
        if clearing is None and not self.committed:
            return None
        with understood("clearing"):
            market = (None, None, None)
            if clearing is not None:
                market = (clearing["orders"], clearing["volume_wh"], clearing["price_micro_per_kwh"])
        billed = _pair(self._billed if self.committed else None)
        feeder = _pair(self._feeder if self._feeders else None)
        values = (
            self._expected,
            self.committed,
            *market,
            int(self._is_settled),
            *billed,
            *feeder,
            _loss_wh(billed, feeder),
            self._voltage_milli_min,
            *(self._traders if self._is_settled else (None, None, None)),
        )
        return Row(
            (self._area,),
            self._start_s,
            tuple(None if value is None or abs(value) > I64_MAX else value for value in values),
        )


def _added(sums: list[int] | None, energy: tuple[int, int] | None) -> list[int] | None:
    """Sums with another point's energy in them; a point that is missing makes the sums missing."""
    if sums is None or energy is None:
        return None
    return [sums[0] + energy[0], sums[1] + energy[1]]


def _pair(sums: list[int] | None) -> tuple[int | None, int | None]:
    return (None, None) if sums is None else (sums[0], sums[1])


def _loss_wh(billed: Sequence[int | None], feeder: Sequence[int | None]) -> int | None:
    """What went into the area and came out of no point, Wh."""
    match (*feeder, *billed):
        case (int(feeder_import), int(feeder_export), int(import_wh), int(export_wh)):
            return feeder_import - feeder_export - (import_wh - export_wh)
    return None


def observation_rows(gateway: str, boundary_s: int, answer: Json) -> list[Row]:
    """The rows of ``gateways/<g>/observations`` at a boundary; a device without a name is called by its number."""
    with understood("observations"):
        rows: dict[tuple[str, str], Row] = {}
        for entry in answer["observations"]:
            device = f"#{int(entry['device'])}" if entry["name"] is None else str(entry["name"])
            key = (device, str(entry["obis"]))
            rows.setdefault(key, Row((gateway, *key), boundary_s, (int(entry["value_milli"]), int(entry["offset_ms"]))))
        return list(rows.values())


def voltages(
    rows: Iterable[Row], areas_of: Mapping[str, Sequence[str]], area: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Device -> lowest voltage in mV, out of observation rows at one boundary: surely in ``area``, and perhaps in it.

    A gateway of one area sees that area alone; of a gateway of several, only the area's own meters count.
    """
    own: dict[str, int] = {}
    shared: dict[str, int] = {}
    for row in rows:
        (gateway, device, obis), value_milli = row.tags, row.values[0]
        areas = areas_of.get(gateway, ())
        if obis in VOLTAGES and value_milli is not None and area in areas:
            lowest = own if len(areas) == 1 else shared
            lowest[device] = min(lowest.get(device, value_milli), value_milli)
    return own, shared
