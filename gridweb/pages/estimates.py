"""The estimates of a settled slot: by which method each was made, and what was measured there once it came.

A run's quality byte tells the method: an open gap is estimated by ``estimate_open/1`` (the mean of earlier days, or the standing profile
where there are none), a gap between two known registers by ``estimate_profile/1`` (docs/spec/state.md, "Estimates").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gridcore.genesis import IMPORTED
from gridcore.quality import quality_words
from gridweb.access import READS_ALL
from gridweb.i18n import N_, _, translate
from gridweb.points import check_slot
from gridweb.source import AreaInfo, Source
from gridweb.tables import Column, Table, serves_table

ROWS_MAX: Final = 200_000
"""Rows of a slot that are gathered out of the node's pages."""


class Method(StrEnum):
    """How an energy that nothing told was found."""

    OPEN = "estimate_open"
    PROFILE = "estimate_profile"
    FILES = "files_estimate"
    NOTHING = "zero_marked"


METHOD_TITLES: Final[Mapping[str, str]] = {
    Method.OPEN.value: N_("mean of earlier days, or standing profile (estimate_open)"),
    Method.PROFILE.value: N_(
        "what the registers around the gap leave over, in the shape of earlier days (estimate_profile)"
    ),
    Method.FILES.value: N_("an estimate of the files"),
    Method.NOTHING.value: N_("no value: nothing is billed (zero_marked)"),
}
METHOD_REMEDIES: Final[Mapping[str, str]] = {
    Method.OPEN.value: N_("wait for the next register, or approve what the meter showed"),
    Method.PROFILE.value: N_("the gap's sum is measured: approve what the meter showed if its shape matters"),
    Method.FILES.value: N_("bring newer readings: gridledger settle files DIR --onto OUT"),
    Method.NOTHING.value: N_("bring the readings that are missing: gridledger settle files DIR --onto OUT"),
}
"""What the clerk does about an estimate that still holds."""
SUPERSEDED: Final = "superseded"
COLUMNS: Final = (
    Column("party", N_("Party")),
    Column("meter", N_("Meter")),
    Column("method", N_("Method of the estimate"), words=METHOD_TITLES),
    Column("stake_nano", N_("At stake"), "amount_nano"),
    Column(
        "to_do",
        N_("What to do"),
        words={**METHOD_REMEDIES, SUPERSEDED: N_("nothing: it was measured since")},
    ),
    Column("estimated_import_wh", N_("Estimated import"), "energy_wh"),
    Column("measured_import_wh", N_("Measured import"), "energy_wh"),
    Column("estimated_export_wh", N_("Estimated export"), "energy_wh"),
    Column("measured_export_wh", N_("Measured export"), "energy_wh"),
    Column("change_nano", N_("Change of the bill"), "amount_nano"),
)
NOTE: Final = N_(
    "At stake: the estimated energy at the supplier's full price. Measured, and the change of the bill: of the last run, where it no longer "
    "estimates."
)


class Estimate(NamedTuple):
    """A point of a slot of which a run has an estimate. estimated_wh, measured_wh: import and export; the latter None while an estimate holds.

    change_nano: what the point pays by the last run less what it paid by the estimate.
    """

    party: str
    meter: str
    method: Method
    estimated_wh: tuple[int, int]
    measured_wh: tuple[int, int] | None
    change_nano: int | None


class SlotEstimates(NamedTuple):
    """The estimates of one method that hold in a slot. points: how many; energies: imports and exports together, measured_wh of all other points."""

    method: Method
    points: int
    estimated_wh: int
    measured_wh: int


def method_of(quality: int, clock: str) -> Method | None:
    """The method behind a run's quality byte, None for what was told. ``clock``: of the chain: files say their own estimates."""
    word, flags = quality_words(quality)
    if clock == IMPORTED:
        return {"estimated": Method.FILES, "missing": Method.NOTHING}.get(word)
    if word != "estimated":
        return None
    return Method.PROFILE if "interpolated" in flags else Method.OPEN


def estimates_of(first: Iterable[Mapping[str, Any]], last: Iterable[Mapping[str, Any]], clock: str) -> list[Estimate]:
    """The rows that the first or the last run of a slot estimates; pages of positions of both, which may be the same."""
    now = {row["points"]: row for row in _rows(last)}
    found: list[Estimate] = []
    for row in _rows(first):
        newest = now.pop(row["points"], row)
        held, before = method_of(newest["quality"], clock), method_of(row["quality"], clock)
        shown, method = (newest, held) if held else (row, before)
        if method is not None:
            told = None if held else (newest["import_wh"], newest["export_wh"])
            change = None if held else newest["pays_nano"] - row["pays_nano"]
            energies = shown["import_wh"], shown["export_wh"]
            found.append(Estimate(shown["parties"], shown["meters"], method, energies, told, change))
    return found


def held_by_method(pages: Iterable[Mapping[str, Any]], clock: str) -> list[SlotEstimates]:
    """The estimates of a run by method, the most energy first; pages of its positions."""
    sums: dict[Method, list[int]] = {}
    measured_wh = 0
    for row in _rows(pages):
        method, energy_wh = method_of(row["quality"], clock), row["import_wh"] + row["export_wh"]
        if method is None:
            measured_wh += energy_wh
        else:
            entry = sums.setdefault(method, [0, 0])
            entry[0] += 1
            entry[1] += energy_wh
    rows = [SlotEstimates(method, points, energy_wh, measured_wh) for method, (points, energy_wh) in sums.items()]
    return sorted(rows, key=lambda one: (-one.estimated_wh, one.method))


def _rows(pages: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    names = ("parties", "points", "meters", "import_wh", "export_wh", "pays_nano", "quality")
    for page in pages:
        for values in zip(*(page[name] for name in names), strict=True):
            yield dict(zip(names, values, strict=True))


async def read_held(source: Source, area: AreaInfo, slot_start_s: int, clock: str) -> list[SlotEstimates]:
    """The estimates that hold in a settled slot, by method. SourceAway, SourceMissing."""
    path = f"areas/{area.area}/slots/{slot_start_s}/positions"
    return held_by_method(await source.pages(path, rows_max=ROWS_MAX), clock)


async def read_estimates(source: Source, area: AreaInfo, slot_start_s: int, clock: str) -> list[Estimate]:
    """The estimates of a settled slot's first and last run. SourceAway, SourceMissing."""
    path = f"areas/{area.area}/slots/{slot_start_s}"
    names = [run["run"] for run in (await source.cached(f"{path}/runs"))["runs"]]
    runs = (
        [await source.pages(f"{path}/positions", rows_max=ROWS_MAX, run=name) for name in {names[0]: 0, names[-1]: 0}]
        if names
        else [[]]
    )
    return estimates_of(runs[0], runs[-1], clock)


@serves_table("/areas/<area>/slots/<slot_start_s>/estimates", *READS_ALL)
async def estimates_table(source: Source, area: str, slot_start_s: int) -> Table:
    """The estimates of a settled slot by the money at stake: method, estimated and measured energy, what to do."""
    info = await source.area(area)
    check_slot(info, slot_start_s)
    as_of = await source.as_of()
    return table_of_estimates(
        await read_estimates(source, info, slot_start_s, as_of.clock), info, slot_start_s, as_of.currency
    )


def table_of_estimates(estimates: Sequence[Estimate], area: AreaInfo, slot_start_s: int, currency: str) -> Table:
    """Estimates as a table, the largest stake first, each row leading to the party's own page."""
    price = area.contract.supplier_price_micro(area.rules["prices"])
    ordered = sorted(estimates, key=lambda one: (-sum(one.estimated_wh), one.party, one.meter))
    rows = []
    for one in ordered:
        measured = one.measured_wh or (None, None)
        energies = (one.estimated_wh[0], measured[0], one.estimated_wh[1], measured[1])
        to_do = one.method.value if one.measured_wh is None else SUPERSEDED
        stake = sum(one.estimated_wh) * price
        rows.append((one.party, one.meter, one.method.value, stake, to_do, *energies, one.change_nano))
    return Table(
        "estimates",
        COLUMNS,
        rows,
        title=_("Estimates by money at stake"),
        note=translate(NOTE),
        links=[f"/households/{one.party}?day={slot_start_s}" for one in ordered],
        tz=area.tz,
        currency=currency,
    )
