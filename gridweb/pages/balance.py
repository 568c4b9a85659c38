"""``/balance``: what crossed the borders of an area on a local day, what its grid lost, and what losses and imbalances come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from quart import Blueprint, request

from gridcore.registry.balance_terms import GAIN_PRICE, LOSS_PRICE, SHORTFALL_PRICE, SURPLUS_PRICE, BalancePenalty
from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.scope import choose_area
from gridweb.points import Day, neighbours, newest_day, parse_day
from gridweb.site import source
from gridweb.source import AreaInfo, Source, SourceGone, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.area_balance import (
    GAIN,
    LOSS,
    PENALTY,
    SHORTFALL,
    SURPLUS,
    AreaBalance,
    Border,
    Known,
    SlotHistory,
    Terms,
    area_balance,
)
from settlement.balance_groups import GroupEnergy

pages = Blueprint("balance", __name__)

NAVIGATION = (Entry("/balance", N_("Balance"), READS_ALL, 40, section="/runs"),)

KIND_WORDS: Final = {
    LOSS: N_("loss"),
    GAIN: N_("gain"),
    SURPLUS: N_("Surplus"),
    SHORTFALL: N_("Shortfall"),
    PENALTY: N_("penalty"),
}
SLOT: Final = Column("slot_start_s", N_("Slot"), "slot")
RUN: Final = Column("run", N_("Run"), "run")
LINE_COLUMNS: Final = (
    SLOT,
    RUN,
    Column("in_wh", N_("In over borders"), "energy_wh"),
    Column("out_wh", N_("Out over borders"), "energy_wh"),
    Column("produced_wh", N_("Produced"), "energy_wh"),
    Column("consumed_wh", N_("Consumed"), "energy_wh"),
    Column("loss_wh", N_("Losses"), "energy_wh"),
    Column("gain_wh", N_("Gains"), "energy_wh"),
    Column("loss_nano", N_("Losses cost"), "amount_nano"),
    Column("imbalance_nano", N_("Balance groups receive"), "amount_nano"),
)
BORDER_COLUMNS: Final = (
    SLOT,
    Column("point", N_("Point")),
    Column("other_area", N_("Area on the other side")),
    Column("in_wh", N_("In"), "energy_wh"),
    Column("out_wh", N_("Out"), "energy_wh"),
    Column("net_wh", N_("Net"), "energy_wh"),
)
ENTRY_COLUMNS: Final = (
    SLOT,
    Column("height", N_("Block"), "count"),
    RUN,
    Column("kind", N_("Kind"), words=KIND_WORDS),
    Column("party", N_("Party"), words={"": N_("no party named")}),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Price"), "price_micro"),
    Column("debit_account", N_("Debit")),
    Column("credit_account", N_("Credit")),
    Column("amount_nano", N_("Amount"), "amount_nano"),
)
ACCOUNT_COLUMNS: Final = (
    Column("account", N_("Account")),
    Column("debit_nano", N_("Debit"), "amount_nano"),
    Column("credit_nano", N_("Credit"), "amount_nano"),
    Column("balance_nano", N_("Owed"), "amount_nano"),
)


@serves_table("/areas/<area>/days/<day>/balance", *READS_ALL)
async def area_balance_table(source: Source, area: str, day: str) -> Table:
    """What crossed the borders of an area in each settled slot of its local day, and what was lost; empty while a border is not known."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    return lines_of(await read_balance(source, info, chosen), info, chosen)


@serves_table("/areas/<area>/days/<day>/borders", *READS_ALL)
async def borders_table(source: Source, area: str, day: str) -> Table:
    """Energy over the borders to other areas, slot by slot: the other area has the same net with the opposite sign."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    return borders_of(await read_balance(source, info, chosen), info, chosen)


@serves_table("/areas/<area>/days/<day>/balance/entries", *READS_ALL)
async def balance_entries_table(source: Source, area: str, day: str) -> Table:
    """The double entry of losses and imbalances of an area's local day: what each block's knowledge has posted."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    rows = list((await read_balance(source, info, chosen)).entries)
    title = _("Losses and imbalances of area %(area)s on %(day)s, posted", area=area, day=chosen.date)
    return Table(f"{area}-balance-entries-{chosen.date}", ENTRY_COLUMNS, rows, title=title, tz=info.tz)


@serves_table("/areas/<area>/days/<day>/balance/accounts", *READS_ALL)
async def balance_accounts_table(source: Source, area: str, day: str) -> Table:
    """What each account owes by the entries of an area's local day; all together owe nothing."""
    info = await source.area(area)
    chosen = parse_day(info, day)
    return accounts_of(await read_balance(source, info, chosen), info, chosen)


async def read_balance(source: Source, area: AreaInfo, day: Day) -> AreaBalance:
    """The balance of a local day; empty before its first run. SourceAway, and SourceGone where prices of the day were folded."""
    try:
        answer: Mapping[str, Any] = await source.cached(f"areas/{area.area}/days/{day.start_s}/balance")
    except SourceGone:
        raise
    except SourceMissing:
        return area_balance(area.area, [])
    slots = (SlotHistory(slot["slot_start_s"], [_known(known) for known in slot["known"]]) for slot in answer["slots"])
    return area_balance(area.area, slots)


def _known(known: Mapping[str, Any]) -> Known:
    return Known(
        known["height"],
        known["run"],
        [GroupEnergy(**group) for group in known["groups"]],
        [Border(**flow) for flow in known["borders"]],
        None if known["terms"] is None else _terms(known["terms"]),
    )


def _terms(terms: Mapping[str, Any]) -> Terms:
    prices = terms["prices"]
    return Terms(
        terms["loss_responsible"],
        prices[LOSS_PRICE],
        prices[GAIN_PRICE],
        prices[SURPLUS_PRICE],
        prices[SHORTFALL_PRICE],
        BalancePenalty(**terms["penalty"]) if "penalty" in terms else None,
    )


def lines_of(balance: AreaBalance, area: AreaInfo, day: Day) -> Table:
    """Slot by slot, with the sums of what is known."""
    sums = [_sum(getattr(line, column.key) for line in balance.lines) for column in LINE_COLUMNS[2:]]
    return Table(
        f"{area.area}-balance-{day.date}",
        LINE_COLUMNS,
        list(balance.lines),
        title=_("Balance of area %(area)s on %(day)s", area=area.area, day=day.date),
        totals=(None, None, *sums) if balance.lines else None,
        tz=area.tz,
    )


def _sum(values: Iterable[int | None]) -> int | None:
    """What is known of a column, summed; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def borders_of(balance: AreaBalance, area: AreaInfo, day: Day) -> Table:
    """Borders to other areas, slot by slot."""
    return Table(
        f"{area.area}-borders-{day.date}",
        BORDER_COLUMNS,
        list(balance.crossings),
        title=_("Borders of area %(area)s to other areas on %(day)s", area=area.area, day=day.date),
        tz=area.tz,
    )


def accounts_of(balance: AreaBalance, area: AreaInfo, day: Day) -> Table:
    """What each account owes."""
    return Table(
        f"{area.area}-balance-accounts-{day.date}",
        ACCOUNT_COLUMNS,
        list(balance.accounts),
        title=_("Accounts of losses and imbalances"),
        tz=area.tz,
    )


@pages.get("/balance")
@requires(*READS_ALL)
async def show_balance() -> str:
    """One area's day."""
    areas, area = await choose_area(source(), request.args.get("area"))
    day_text = request.args.get("day")
    newest = newest_day(area, (await source().as_of()).ledger_time_s)
    day = parse_day(area, day_text) if day_text else newest
    before, after = neighbours(area, day, newest)
    balance = await part_of(read_balance(source(), area, day))
    where = {"area": area.area, "day": day.date}
    found = balance.value
    return await render_page(
        "balance/balance.html",
        areas=areas,
        area=area,
        day=day,
        before=before,
        after=after,
        balance=balance,
        unknown=sum(line.loss_wh is None for line in found.lines) if found else 0,
        lines=lines_of(found, area, day) if found else None,
        lines_url=table_url(area_balance_table, **where),
        borders=borders_of(found, area, day) if found and found.crossings else None,
        borders_url=table_url(borders_table, **where),
        accounts=accounts_of(found, area, day) if found and found.accounts else None,
        accounts_url=table_url(balance_accounts_table, **where),
        entries_url=table_url(balance_entries_table, **where),
    )
