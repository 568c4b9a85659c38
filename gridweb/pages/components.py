"""``/tariffs/<name>``: what a tariff charges by the month beside the lines of a contract, as people read it.

Each component with the time for which it holds; a step of the month's energy is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from quart import Blueprint

from gridcore.registry.named_days import HOLIDAY, WEEKEND, WORKDAY
from gridcore.registry.tariff import DAY, ENERGY_BASES, KW_PEAK, MONTH, OF_PARTY, OF_POINT, PERCENT, TRADE, YEAR
from gridweb import format as forms
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.exports.readable import decimal_text
from gridweb.i18n import N_, _, translate
from gridweb.pages.registry import STATES, in_force, read_entries, states_of
from gridweb.points import find_point
from gridweb.site import source
from gridweb.source import Part, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page, site_zone
from settlement.tariffs.registered import component_of

pages = Blueprint("components", __name__)

Entry = Mapping[str, Any]
Held = tuple[Any, int, str]
"""What an entry of the registry says of one thing (None: nothing), from when on, and a key of ``STATES``."""
NANO_PER_MICRO: Final = 1_000
BASES: Final[Mapping[str, str]] = {
    "import": N_("kWh of import"),
    "export": N_("kWh of export"),
    "traded": N_("kWh of import that was traded"),
    "residual": N_("kWh of import that was not traded"),
    "kw_contracted": N_("kW that was contracted, by the month"),
    "kw_peak": N_("kW of the month's highest slot, by the month"),
    DAY: N_("day"),
    PERCENT: N_("share of other lines"),
}
PEAKS: Final[Mapping[str, str]] = {
    OF_PARTY: N_("all points together"),
    OF_POINT: N_("each point"),
}
STEPS: Final[Mapping[str, str]] = {
    MONTH: N_("of the month"),
    YEAR: N_("of the calendar year so far"),
}
COVERS: Final[Mapping[str, str]] = {TRADE: N_("the highest level of its sides and of the place above both")}
DAY_KIND_WORDS: Final[Mapping[str, str]] = {
    HOLIDAY: N_("holidays"),
    WEEKEND: N_("weekends"),
    WORKDAY: N_("working days"),
    f"{HOLIDAY}, {WEEKEND}": N_("holidays and weekends"),
    f"{HOLIDAY}, {WORKDAY}": N_("holidays and working days"),
    f"{WEEKEND}, {WORKDAY}": N_("weekends and working days"),
    f"{HOLIDAY}, {WEEKEND}, {WORKDAY}": N_("all days"),
}
"""By what a component says, kinds in their order."""
NAMED_DAY_WORDS: Final[Mapping[str, str]] = {
    HOLIDAY: N_("Holidays: %(days)s."),
    WEEKEND: N_("Days off, as of a weekend: %(days)s."),
    WORKDAY: N_("Worked, as from Monday to Friday: %(days)s."),
}
ROUNDINGS: Final[Mapping[str, str]] = {
    "half_even": N_("ties to the even one"),
    "half_up_away": N_("ties away from zero"),
}
COLUMNS: Final = (
    Column("component", N_("Component"), "name"),
    Column("base", N_("Charged by"), words=BASES),
    Column("peak_of", N_("Highest slot of"), words=PEAKS),
    Column("above_wh", N_("For energy above"), "energy_wh"),
    Column("steps_per", N_("Energy that steps count"), words=STEPS),
    Column("level", N_("At voltage level"), "name"),
    Column("highest_level", N_("Trades cover up to"), "name"),
    Column("covers", N_("Each trade covers up to"), words=COVERS),
    Column("place_levels", N_("Levels of places of the grid"), "name"),
    Column("price_micro_per_kwh", N_("Per kWh"), "price_micro"),
    Column("price_series", N_("Per kWh, by slot: price series"), "name"),
    Column("rate_nano", N_("Per kW and month, or per day"), "amount_nano"),
    Column("share_percent", N_("Share, per cent")),
    Column("power_factor_standard", N_("Share by the power factor, standard (cos φ)")),
    Column("of", N_("Share of"), "name"),
    Column("hours", N_("Time of day")),
    Column("day_kinds", N_("Kinds of days"), words=DAY_KIND_WORDS),
    Column("weekdays", N_("Days of the week (1: Monday)")),
    Column("months", N_("Months")),
    Column("taxed", N_("Tax"), words={"yes": N_("taxed"), "no": N_("not taxed")}),
    Column("tax_percent", N_("Tax rate of its own, per cent")),
    Column("account", N_("Paid to"), "name"),
    Column("from_s", N_("Holds from"), "instant"),
    Column("until_s", N_("Until"), "instant"),
    Column("state", N_("State"), words=STATES),
)
_LEVEL: Final = [column.key for column in COLUMNS].index("level")
POINTS_MAX: Final = 16
"""Points of a party whose voltage level the note names: each is an entity of the registry that is asked for."""
CONTRACTED: Final = Column("contracted_w", N_("Contracted, W"), "count")


@serves_table("/tariffs/<name>/components", *READS_ALL)
async def components_table(source: Source, name: str) -> Table:
    """The components of a tariff, each with every span in which it held, holds or will hold."""
    return await _read(source, name)


@serves_table("/households/<party>/components", *EVERY_ROLE)
async def household_components_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The components of the tariff that a party names now, and what it contracted; no row where it names none."""
    check_party(viewer, party)
    entries = await read_entries(source, "party", party)
    states = states_of(entries, (await source.as_of()).ledger_time_s)
    in_force = (one["value"] for one, state in zip(entries, states, strict=True) if state == "in_force")
    said: Mapping[str, Any] = next(in_force, {})
    if said.get("tariff") is None:
        note = _("Nothing is charged by the month beside the lines of the contract.")
        return Table("components", COLUMNS, [], title=_("Charges by the month"), note=note)
    table = await _read(source, said["tariff"], said.get("contracted_w") or {})
    if all(row[_LEVEL] is None for row in table.rows):
        return table
    return replace(table, note=f"{table.note} {await _levels_of(source, party)}".strip())


async def _levels_of(source: Source, party: str) -> str:
    """At which voltage level each point that counts for a party now is connected, or that nobody registered one."""
    area, as_of = (await find_point(source, party)).area, await source.as_of()
    pages = await source.pages(f"areas/{area.area}/installations", party=party)
    points = list(dict.fromkeys(one["point"] for page in pages for one in page["installations"]))
    told = []
    for point in points[:POINTS_MAX]:
        try:
            entries = await read_entries(source, "grid_connection", point)
        except SourceMissing:
            entries = []
        level = in_force(entries, as_of.ledger_time_s).get("voltage_level", _("not registered"))
        told.append(f"{point} {level}")
    if len(points) > POINTS_MAX:
        told.append(_("%(count)s more", count=forms.count(len(points) - POINTS_MAX)))
    return _("Voltage level of the points: %(levels)s.", levels=", ".join(told))


async def _read(source: Source, name: str, contracted_w: Mapping[str, int] | None = None) -> Table:
    entries = await read_entries(source, "tariff", name)
    as_of = await source.as_of()
    table = table_of_components(name, entries, as_of.ledger_time_s, contracted_w)
    held = held_of(entries, as_of.ledger_time_s)
    last = next((entry["value"] for entry, _from, state in held if state == "in_force"), None)
    tz = await site_zone(source)
    said = [] if last is None else [terms_of(last, as_of.currency), *tax_changes_of(held, tz), *named_days_of(last)]
    return replace(table, note=" ".join(said), tz=tz, currency=as_of.currency)


def held_of(entries: Sequence[Entry], ledger_time_s: int) -> list[tuple[Entry, int, str]]:
    """The entries that held, hold or will hold, oldest first; one that a later one corrected never held."""
    states = states_of(entries, ledger_time_s)
    return [
        (entry, entry["from_s"], state) for entry, state in zip(entries, states, strict=True) if state != "corrected"
    ]


def table_of_components(
    name: str, entries: Sequence[Entry], ledger_time_s: int, contracted_w: Mapping[str, int] | None = None
) -> Table:
    """A row for each component, span and step, in the order of the newest entry. contracted_w: of a party, in W by component."""
    held = held_of(entries, ledger_time_s)
    found: dict[str, list[Held]] = {}
    for entry, _from, _state in reversed(held):
        found |= {component["name"]: [] for component in entry["value"]["components"] if component["name"] not in found}
    for entry, from_s, state in held:
        said = {component["name"]: component for component in entry["value"]["components"]}
        for component, told in found.items():
            told.append((said.get(component), from_s, state))
    rows = [
        (*row, *((contracted_w.get(component),) if contracted_w is not None else ()))
        for component, told in found.items()
        for row in _rows(told)
    ]
    columns = (*COLUMNS, CONTRACTED) if contracted_w is not None else COLUMNS
    return Table("components", columns, rows, title=_("Charges by the month, tariff %(tariff)s", tariff=name))


def spans(told: Sequence[Held]) -> list[list[Any]]:
    """What was said, from when until when, and the state: oldest first; entries that say the same are one span with the one before.

    What held from instant 0 on has no begin that anybody could ask for.
    """
    found: list[list[Any]] = []
    for value, from_s, state in told:
        is_open = bool(found) and found[-1][2] is None
        if is_open and found[-1][0] == value:
            found[-1][3] = state if state == "in_force" else found[-1][3]
            continue
        if is_open:
            found[-1][2] = from_s
        if value is not None:
            found.append([value, from_s or None, None, state])
    return found


def _rows(told: Sequence[Held]) -> Iterator[tuple[Any, ...]]:
    for component, from_s, until_s, state in spans(told):
        base, is_energy = component["base"], component["base"] in ENERGY_BASES
        windows, months = component.get("windows", ()), component.get("months", ())
        for above_wh, level, price in _priced(component):
            yield (
                component["name"],
                base,
                component.get("peak_of", OF_PARTY) if base == KW_PEAK else None,
                above_wh,
                component.get("steps_per", MONTH) if "steps" in component else None,
                level,
                component.get("highest_level"),
                component.get("covers"),
                ", ".join(f"{place}: {of_place}" for place, of_place in component.get("place_levels", ())) or None,
                price if is_energy else None,
                component.get("price_series"),
                None if is_energy or base == PERCENT else price * NANO_PER_MICRO,
                percent_text(price) if base == PERCENT and price is not None else None,
                _standard(component),
                ", ".join(component["of"]) if base == PERCENT else None,
                ", ".join(f"{_clock(start_s)}–{_clock(end_s)}" for start_s, end_s in windows) or None,
                ", ".join(component.get("day_kinds", ())) or None,
                ", ".join(map(str, component.get("weekdays", ()))) or None,
                ", ".join(map(str, months)) or None,
                "yes" if component["taxed"] else "no",
                percent_text(component["tax_ppm"]) if "tax_ppm" in component else None,
                component["account"],
                from_s,
                until_s,
                state,
            )


def _standard(component: Entry) -> str | None:
    """The power factor from which a share follows, as people write it."""
    hundredths = component.get("power_factor_standard")
    return None if hundredths is None else f"0.{hundredths}"


def _priced(component: Entry) -> Sequence[tuple[int | None, str | None, Any]]:
    """The prices of a component, each with the energy above which, or the voltage level at which it counts."""
    if "levels" in component:
        return [(None, *priced) for priced in component_of(component, {}).prices_at_levels()]
    if "steps" in component:
        return [(above_wh, None, price) for above_wh, price in component["steps"]]
    return [(None, None, component.get("price"))]


def told(table: Table | None) -> Table | None:
    """The table without the columns of which no row tells anything, as a page bears it; CSV and JSON have all of them."""
    if table is None or not table.rows:
        return table
    at = [place for place in range(len(table.columns)) if any(row[place] is not None for row in table.rows)]
    rows = [[row[place] for place in at] for row in table.rows]
    return replace(table, columns=tuple(table.columns[place] for place in at), rows=rows)


def terms_of(tariff: Mapping[str, Any], currency: str) -> str:
    """How invoices are made, and what nobody but the ledger tells of these charges."""
    return _(
        "Invoices: tax %(tax)s %%, each line rounded once to %(quantum)s, %(rule)s. An entry holds from the first local day that begins "
        "at or after its time. Charges are computed from the ledger: no bundle proves them.",
        tax=percent_text(tariff["tax_ppm"]),
        quantum=forms.money(tariff["quantum_nano"], currency, is_exact=True),
        rule=translate(ROUNDINGS[tariff["rounding"]]),
    )


def tax_changes_of(held: Sequence[tuple[Entry, int, str]], tz: str) -> Iterator[str]:
    """The tariff's rates of tax, oldest first, where it had, has or will have more than one."""
    first, *later = spans([(entry["value"]["tax_ppm"], from_s, state) for entry, from_s, state in held])
    if later:
        told = [f"{percent_text(first[0])} %"]
        for tax_ppm, from_s, _until_s, _state in later:
            told.append(_("from %(time)s on %(tax)s %%", time=forms.instant(from_s, tz), tax=percent_text(tax_ppm)))
        yield _("The tax changes: %(rates)s.", rates=", ".join(told))


def named_days_of(tariff: Mapping[str, Any]) -> Iterator[str]:
    """The days that a tariff names, kind by kind; days that follow each other are one span."""
    for kind, words in NAMED_DAY_WORDS.items():
        days = [date.fromisoformat(day).toordinal() for day in tariff.get("days", {}).get(kind, ())]
        begins = [day for day in days if day - 1 not in days]
        ends = [day for day in days if day + 1 not in days]
        ends_of = [
            (date.fromordinal(one).isoformat(), date.fromordinal(two).isoformat())
            for one, two in zip(begins, ends, strict=True)
        ]
        if days:
            yield translate(words) % {"days": ", ".join(one if one == two else f"{one}–{two}" for one, two in ends_of)}


def percent_text(ppm: int) -> str:
    """Parts per million as per cent, with as many digits as are not zero."""
    return decimal_text(ppm, 4).rstrip("0").removesuffix(".")


def _clock(second: int) -> str:
    """A second of the local day as people write it: ``08:00``, at the day's end ``24:00``."""
    text = f"{second // 3_600:02}:{second % 3_600 // 60:02}"
    return f"{text}:{second % 60:02}" if second % 60 else text


@pages.get("/tariffs/<name>")
@requires(*READS_ALL)
async def show_components(name: str) -> str:
    """A tariff's components."""
    table = await part_of(components_table(source(), name))
    tables = [(Part(told(table.value), table.away), table_url(components_table, name=name))]
    return await render_page("tariffs/tariffs.html", tables=tables, title=_("Tariff %(tariff)s", tariff=name))
