"""What is plotted over time, and the interface of the stores that keep it: a projection of the ledger, never a source.

A ``Series`` names what is kept: a measurement, the tags that tell one curve from another, and whole-number fields. A row is
(tag values, instant, field values). Writing a row again replaces it, so that a projection which died half-way just goes on
from its cursor: nothing is lost, nothing is there twice. Whatever a store holds can be dropped and made again from the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gridcore.errors import GridError

ROWS_READ_MAX: Final = 2_000_000
"""Rows that one ``read`` returns; who asks for more is told to ask for a shorter span."""


class SeriesUnavailable(GridError):  # noqa: N818 - the name says what happened
    """The store does not answer, or does not take writes, now. Trying again can help."""


@dataclass(frozen=True)
class Series:
    """One measurement: ``tags`` identify a curve (texts), ``fields`` are its values (64-bit integers, or None)."""

    name: str
    tags: tuple[str, ...]
    fields: tuple[str, ...]


class Row(NamedTuple):
    """One instant of one curve: ``tags`` (printable texts) and ``values`` (at least one of them not None) in the order of the
    series, ``time_s`` in UTC seconds.
    """

    tags: tuple[str, ...]
    time_s: int
    values: tuple[int | None, ...]


INTERVALS: Final = Series(
    "interval",
    ("area", "meter"),
    ("import_wh", "export_wh", "bought_wh", "sold_wh", "pays_nano", "supplier_only_nano", "quality"),
)
"""A metering point in a slot, at its start: primary Wh, None while the register at one of its ends is missing. Traded energy
and money are None until the slot is settled, and for points that are not billed; ``quality`` is the quality byte of the
register at the slot's end, ``MISSING`` where there is none (``gridcore.batch``). A slot gets its rows with the first register
at its end."""

SLOTS: Final = Series(
    "slot",
    ("area",),
    (
        "expected",
        "committed",
        "orders",
        "volume_wh",
        "price_micro_per_kwh",
        "settled",
        "import_wh",
        "export_wh",
        "feeder_import_wh",
        "feeder_export_wh",
        "loss_wh",
        "voltage_milli_min",
        "traders_pays_nano",
        "traders_supplier_only_nano",
        "traders_supplier_charge_nano",
    ),
)
"""An area in a slot, at its start. expected, committed: readings at the slot's end; orders, volume and price: None until the
gate has cleared (price also without volume); settled: 0, or 1 once the initial run stands; energies: sums of the billed
points, and the feeder's own meter, None while a register is missing; loss_wh = feeder import - feeder export - (import -
export); voltage_milli_min: lowest voltage observed at the slot's end, mV; traders_*: sums over the parties that trade of what they pay, of
what they would pay with the supplier alone, and of the latter where it is a charge (what a seller would be paid is left out)."""

OBSERVATIONS: Final = Series("observation", ("gateway", "device", "obis"), ("value_milli", "offset_ms"))
"""An informational value at a slot boundary, in thousandths of its base unit; ``offset_ms``: when it was taken, from there."""

ALL_SERIES: Final = (INTERVALS, SLOTS, OBSERVATIONS)


class Cursor(NamedTuple):
    """How far the ledger has been projected: up to ``height``, whose header has this ``digest`` (empty before the first answer)."""

    height: int
    digest: bytes


START: Final = Cursor(0, b"")
DIGEST_BYTES: Final = 32


class SeriesReader(Protocol):
    """The reading side of a store of series: what pages use. SeriesUnavailable while the store is away; trying again can help."""

    async def read(self, series: Series, start_s: int, end_s: int, tags: Mapping[str, str] | None = None) -> list[Row]:
        """Rows with start_s <= time_s < end_s whose tags have these values, ascending by instant, then tags.

        UsageError for more than ROWS_READ_MAX rows.
        """


class TimeSeries(SeriesReader, Protocol):
    """A store of series. Every method but ``close`` raises SeriesUnavailable while the store is away or refuses, and can be
    tried again.
    """

    @property
    def kind(self) -> str:
        """What it is, for people: "embedded" or "influxdb"."""

    async def claim(self, chain: str) -> None:
        """Say whose ledger this store is a projection of, before the first write. UsageError when it is another's."""

    async def write(self, series: Series, rows: Sequence[Row]) -> None:
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
