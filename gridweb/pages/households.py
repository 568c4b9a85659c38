"""``/households``: the day of every party of an area, beside what the supplier alone would have charged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final

from quart import Blueprint, request

from gridweb.access import READS_ALL, requires
from gridweb.choosing import asked_choice, choose
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.scope import choose_area
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.site import source
from gridweb.source import AreaInfo, Part, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

ROWS_SHOWN_MAX: Final = 500
"""Parties on a page; CSV and JSON have all of them."""
ROWS_MAX: Final = 200_000

pages = Blueprint("households", __name__)

NAVIGATION = (Entry("/households", N_("Parties"), READS_ALL, 20),)

POSITION_COLUMNS: Final = (
    Column("import_wh", N_("Import"), "energy_wh"),
    Column("export_wh", N_("Export"), "energy_wh"),
    Column("bought_wh", N_("Bought"), "energy_wh"),
    Column("sold_wh", N_("Sold"), "energy_wh"),
    Column("not_taken_wh", N_("Bought, not taken"), "energy_wh"),
    Column("not_fed_in_wh", N_("Sold, not fed in"), "energy_wh"),
    Column("deviation_wh", N_("Deviation"), "energy_wh"),
    Column("pays_nano", N_("Pays"), "amount_nano"),
    Column("supplier_only_nano", N_("With the supplier alone"), "amount_nano"),
    Column("saving_nano", N_("Saving"), "amount_nano"),
)
"""What a slot, or a day, comes to for a party. Deviation: the two before it together, of a day the sums over its slots."""
COLUMNS: Final = (Column("party", N_("Party")), *POSITION_COLUMNS)


@serves_table("/areas/<area>/days/<day>/parties", *READS_ALL)
async def parties_table(source: Source, area: str, day: str, *, run: str | None = None) -> Table:
    """Energy, money and saving of every party of an area on a local day (YYYY-MM-DD, or UTC seconds of an instant in it)."""
    info = await source.area(area)
    as_of = await source.as_of()
    return await read_parties(source, info, parse_day(info, day), run, as_of.currency)


async def read_parties(source: Source, area: AreaInfo, day: Day, run: str | None, currency: str) -> Table:
    """The day's statements of an area, by itself by the last run of each slot; no rows while none is settled. SourceAway."""
    path = f"areas/{area.area}/days/{day.start_s}/statements"
    try:
        answers = await source.pages(path, rows_max=ROWS_MAX, **({"run": run} if run else {}))
    except SourceMissing:
        answers = []
    return table_of_parties(answers, area, day, currency)


def table_of_parties(answers: Sequence[Mapping[str, Any]], area: AreaInfo, day: Day, currency: str) -> Table:
    """Statements as a table, each row leading to the party's own page. A node that does not say what was not taken leaves it unknown."""
    sums: dict[str, list[int | None]] = {}  # over the points of each party
    for statement in (statement for answer in answers for statement in answer["statements"]):
        position = _position(statement)
        of_party = sums.get(statement["party"])
        sums[statement["party"]] = position if of_party is None else list(map(_plus, of_party, position))
    rows: list[tuple[Any, ...]] = [(party, *of_party) for party, of_party in sums.items()]
    note = _("No slot of this day is settled yet.")
    if answers:
        settled, expected = answers[-1]["slots_settled"], answers[-1]["slots_expected"]
        note = _("%(settled)s of %(expected)s slots of the day are settled.", settled=settled, expected=expected)
    return Table(
        "parties",
        COLUMNS,
        rows,
        title=_("Parties of area %(area)s on %(day)s", area=area.area, day=day.date),
        note=note,
        links=[f"/households/{row[0]}?day={day.date}" for row in rows],
        totals=[None, *(reduce(_plus, column) for column in zip(*sums.values(), strict=True))] if rows else None,
        tz=area.tz,
        currency=currency,
    )


def _position(statement: Mapping[str, Any]) -> list[int | None]:
    """The values of POSITION_COLUMNS of one statement."""
    deviation_wh = _plus(statement.get("not_taken_wh"), statement.get("not_fed_in_wh"))
    values = {**statement, "deviation_wh": deviation_wh}
    return [values.get(column.key) for column in POSITION_COLUMNS]


def _plus(one: int | None, more: int | None) -> int | None:
    """The sum; None where one of the two is not known."""
    return None if one is None or more is None else one + more


def cut(table: Table, rows_max: int = ROWS_SHOWN_MAX) -> Table:
    """The table no longer than a page bears, its note saying so."""
    if len(table.rows) <= rows_max:
        return table
    note = _("The first %(shown)s of %(all)s rows; CSV and JSON have all.", shown=rows_max, all=len(table.rows))
    return replace(table, rows=table.rows[:rows_max], links=table.links[:rows_max], note=f"{table.note} {note}".strip())


@pages.get("/households")
@requires(*READS_ALL)
async def show_households() -> str:
    """The page: one area, one day."""
    scope = await part_of(_read(request.args.get("area"), request.args.get("day")))
    return await render_page("households/households.html", scope=scope, **(scope.value or {}))


async def _read(area_id: str | None, day_text: str | None) -> dict[str, Any]:
    as_of = await source().as_of()
    areas, area = await choose_area(source(), area_id)
    newest = newest_day(area, as_of.ledger_time_s)
    day = parse_day(area, day_text) if day_text else newest
    before, after = neighbours(area, day, newest)
    given = request.args.to_dict()
    table: Part[Table] = await part_of(read_parties(source(), area, day, None, as_of.currency))
    return {
        "as_of": as_of,
        "areas": areas,
        "area": area,
        "day": day,
        "before": before,
        "after": after,
        "chosen": None if table.value is None else choose(table.value, asked_choice(given, table.value), given),
        "away_table": table.away,
        "given": given,
        "url": table_url(parties_table, area=area.area, day=day.date),
    }
