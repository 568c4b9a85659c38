"""What is plotted over time, and the interface of the stores that keep it: a projection of the ledger, never a source.

A ``Series`` names what is kept: a measurement, the tags that tell one curve from another, and whole-number values, each a record.
A row is (tags, instant, values). Writing a row again replaces it, so that a projection which died half-way just goes on
from its cursor: nothing is lost, nothing is there twice. Whatever a store holds can be dropped and made again from the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from gridcore.errors import GridError

ROWS_READ_MAX: Final = 2_000_000
"""Rows that one ``read`` returns; who asks for more is told to ask for a shorter span."""


class SeriesUnavailable(GridError):  # noqa: N818 - the name says what happened
    """The store does not answer, or does not take writes, now. Trying again can help."""


Tags_co = TypeVar("Tags_co", bound=tuple[str, ...], covariant=True)
Values_co = TypeVar("Values_co", bound=tuple[int | None, ...], covariant=True)


class Row(NamedTuple, Generic[Tags_co, Values_co]):
    """One instant of one curve. ``tags``: printable texts; ``time_s``: UTC seconds; ``values``: 64-bit integers or None, at
    least one of them not None.
    """

    tags: Tags_co
    time_s: int
    values: Values_co


class Columns(NamedTuple):
    """Rows as columns of equal length, ascending by instant: where there are too many for a record each.

    ``tags``: by name, those that were not asked for; ``time_s``: UTC seconds; ``values``: by name.
    """

    tags: Mapping[str, Sequence[str]]
    time_s: Sequence[int]
    values: Mapping[str, Sequence[int | None]]


AnyRow: TypeAlias = Row[tuple[str, ...], tuple[int | None, ...]]
"""A row of whatever series: what stores handle."""


@dataclass(frozen=True)
class Series(Generic[Tags_co, Values_co]):
    """One measurement. ``tags_type`` identifies a curve, ``values_type`` are its values: NamedTuples."""

    name: str
    tags_type: Callable[..., Tags_co]
    values_type: Callable[..., Values_co]

    @property
    def tags(self) -> tuple[str, ...]:
        """Names of the tags."""
        return _names(self.tags_type)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the values."""
        return _names(self.values_type)

    def row(self, tags: Iterable[str], time_s: int, values: Iterable[int | None]) -> Row[Tags_co, Values_co]:
        """A row out of plain values, in the order of the records."""
        return Row(self.tags_type(*tags), time_s, self.values_type(*values))


AnySeries: TypeAlias = Series[tuple[str, ...], tuple[int | None, ...]]


def columns_of(
    series: AnySeries, rows: Sequence[AnyRow], wanted: Mapping[str, str], fields: Sequence[str] | None = None
) -> Columns:
    """Rows that were read by the tags ``wanted``, as columns, with the values ``fields``, by themselves all."""
    free = [(at, name) for at, name in enumerate(series.tags) if name not in wanted]
    valued = [(at, name) for at, name in enumerate(series.fields) if fields is None or name in fields]
    return Columns(
        {name: [row.tags[at] for row in rows] for at, name in free},
        [row.time_s for row in rows],
        {name: [row.values[at] for row in rows] for at, name in valued},
    )


class IntervalTags(NamedTuple):
    """Area, and the code of the meter."""

    area: str
    meter: str


class IntervalValues(NamedTuple):
    """A metering point in a slot: primary Wh, None while the register at one of its ends is missing.

    Traded energy and money are None until the slot is settled, and for points that are not billed; ``quality`` is the quality byte
    of the register at the slot's end, ``MISSING`` where there is none (``gridcore.quality``).
    """

    import_wh: int | None
    export_wh: int | None
    bought_wh: int | None
    sold_wh: int | None
    pays_nano: int | None
    supplier_only_nano: int | None
    quality: int | None


INTERVALS: Final = Series("interval", IntervalTags, IntervalValues)
"""At a slot's start. A slot gets its rows with the first register at its end."""
IntervalRow: TypeAlias = Row[IntervalTags, IntervalValues]


class SlotTags(NamedTuple):
    """The area."""

    area: str


class SlotValues(NamedTuple):
    """An area in a slot.

    expected, committed: meters, and readings at the slot's end; orders, volume and price: None until the gate has cleared (price
    also without volume, or where there is no one price); settled: how many runs the slot has; estimated: billed points whose energy the last
    run estimates, None before the first; energies: sums of the billed points, and of the meters at the area's borders (feeders, and
    exchanges with other areas that are its points), None while one is not known; loss_wh = feeder import - feeder export - (import - export),
    None where another area has the meter of a border; voltage_milli_min: lowest voltage
    observed at the slot's end, mV; traders_*: sums over the parties that trade of what they pay, of what they would
    pay with the supplier alone, and of the latter where it is a charge (what a seller would be paid is left out).
    """

    expected: int | None
    committed: int | None
    orders: int | None
    volume_wh: int | None
    price_micro_per_kwh: int | None
    settled: int | None
    estimated: int | None
    import_wh: int | None
    export_wh: int | None
    feeder_import_wh: int | None
    feeder_export_wh: int | None
    loss_wh: int | None
    voltage_milli_min: int | None
    traders_pays_nano: int | None
    traders_supplier_only_nano: int | None
    traders_supplier_charge_nano: int | None


SLOTS: Final = Series("slot", SlotTags, SlotValues)
"""At a slot's start."""
SlotRow: TypeAlias = Row[SlotTags, SlotValues]


class ObservationTags(NamedTuple):
    """Gateway, device by name, and what was observed (OBIS code)."""

    gateway: str
    device: str
    obis: str


class ObservationValues(NamedTuple):
    """In thousandths of the base unit; ``offset_ms``: when it was taken, from the boundary."""

    value_milli: int | None
    offset_ms: int | None


OBSERVATIONS: Final = Series("observation", ObservationTags, ObservationValues)
"""Informational values at slot boundaries."""
ObservationRow: TypeAlias = Row[ObservationTags, ObservationValues]


class PartyDayTags(NamedTuple):
    """Area, party, and kind of statement line."""

    area: str
    party: str
    line_kind: str


class PartyDayValues(NamedTuple):
    """A party's lines of a kind on a local day: how many, and their sums. All 0 where a later run has left none of it."""

    lines: int | None
    energy_wh: int | None
    amount_nano: int | None


PARTY_DAYS: Final = Series("party_day", PartyDayTags, PartyDayValues)
"""At the start of a local day of which every slot is settled; of whoever was billed in any of them."""


class DayTags(NamedTuple):
    """The area."""

    area: str


class DayValues(NamedTuple):
    """An area's local day whose PARTY_DAYS are there. slots: that are settled, all there are; parties: that have a line."""

    slots: int | None
    parties: int | None


DAYS: Final = Series("day", DayTags, DayValues)
"""At the start of a local day, written after its PARTY_DAYS: who finds this row and none of a party knows that the party has no line."""

ALL_SERIES: Final[tuple[AnySeries, ...]] = (INTERVALS, SLOTS, OBSERVATIONS, PARTY_DAYS, DAYS)


def _names(record: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = record._fields
    return names


class Cursor(NamedTuple):
    """How far the ledger has been projected: up to ``height``, whose header has this ``digest`` (empty before the first answer)."""

    height: int
    digest: bytes


START: Final = Cursor(0, b"")
DIGEST_BYTES: Final = 32


class SeriesReader(Protocol):
    """The reading side of a store of series: what pages use. SeriesUnavailable while the store is away; trying again can help."""

    async def read(
        self, series: Series[Tags_co, Values_co], start_s: int, end_s: int, tags: Mapping[str, str] | None = None
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows with start_s <= time_s < end_s whose tags have these values, ascending by instant, then tags.

        UsageError for more than ROWS_READ_MAX rows.
        """

    async def read_columns(
        self,
        series: AnySeries,
        start_s: int,
        end_s: int,
        tags: Mapping[str, str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Columns:
        """What ``read`` gives, as columns; ``fields``: the values that are wanted, by themselves all."""


class TimeSeries(SeriesReader, Protocol):
    """A store of series. Every method but ``close`` raises SeriesUnavailable while the store is away or refuses, and can be
    tried again.
    """

    @property
    def kind(self) -> str:
        """What it is, for people: "embedded" or "influxdb"."""

    async def claim(self, chain: str) -> None:
        """Say whose ledger this store is a projection of, before the first write. UsageError when it is another's."""

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        """Keep rows (no two of the same tags and instant), each replacing an older one whole: a None leaves nothing of it.

        When a cursor survives, everything written before it has survived.
        """

    async def load_cursor(self) -> Cursor:
        """How far the ledger has been projected: START at first and after ``drop``."""

    async def save_cursor(self, cursor: Cursor) -> None:
        """Say that everything up to there has been written. SeriesUnavailable after a ``drop`` without a new claim."""

    async def drop(self) -> None:
        """Forget everything, the cursor and the claim included."""

    async def close(self) -> None:
        """Finish what is under way and let go."""
