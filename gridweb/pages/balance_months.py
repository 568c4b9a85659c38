"""``/balance/month``: what losses, imbalances and penalties of an area's month come to for each who answers, run by run, as its documents have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from quart import Blueprint, request

from gridcore.run_names import run_rank
from gridweb.access import READS_ALL, requires
from gridweb.i18n import N_, _
from gridweb.pages.balance import KIND_WORDS, RUN, read_balance
from gridweb.pages.month_tables import Month, choose_month
from gridweb.site import source
from gridweb.source import AreaInfo, Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page
from settlement.area_balance import KINDS, Entry, answering_account, counter_account, pays_nano

pages = Blueprint("balance_months", __name__)

COLUMNS: Final = (
    Column("party", N_("Who answers")),
    RUN,
    Column("kind", N_("Kind"), words=KIND_WORDS),
    Column("energy_wh", N_("Energy"), "energy_wh"),
    Column("amount_nano", N_("To pay (minus: to get)"), "amount_nano"),
    Column("account", N_("Paid to")),
)


@serves_table("/areas/<area>/balance/month", *READS_ALL)
async def balance_month_table(source: Source, area: str, *, month: str | None = None) -> Table:
    """What a local month's losses, imbalances and penalties of an area come to, by who answers, run and kind: exact, without tax. Above 0 it is owed."""
    info = await source.area(area)
    chosen, _names = await choose_month(source, info, month)
    entries = [entry for day in chosen.days for entry in (await read_balance(source, info, day)).entries]
    return _table(info, chosen, month_rows(area, entries), (await source.as_of()).currency)


def month_rows(area: str, entries: Iterable[Entry]) -> list[tuple[str, str, str, int, int, str]]:
    """Entries summed as rows of ``COLUMNS``: those whom nobody answers for stand on the area's own account."""
    sums = defaultdict[tuple[str, str, str], list[int]](lambda: [0, 0])
    for entry in entries:
        found = sums[answering_account(area, entry), entry.run, entry.kind]
        found[0] += entry.energy_wh
        found[1] += pays_nano(area, entry)
    place = {kind: at for at, kind in enumerate(KINDS)}
    ordered = sorted(sums, key=lambda of: (of[0].encode(), run_rank(of[1]), place[of[2]]))
    return [(*of, sums[of][0], sums[of][1], counter_account(area, of[2])) for of in ordered if any(sums[of])]


def _table(area: AreaInfo, month: Month, rows: Sequence[tuple[Any, ...]], currency: str) -> Table:
    note = _("Nothing is posted: no terms of its balance are registered for this area, or there was nothing to post.")
    if rows:
        note = _(
            "Exact sums of what is posted, before rounding and tax; the lines of their documents are these sums. "
            "Documents are made by gridledger settle documents, and are sent by gridledger settle issue."
        )
    return Table(
        f"{area.area}-balance-{month.name}",
        COLUMNS,
        rows,
        title=_("Losses and imbalances of area %(area)s in %(month)s by who answers", area=area.area, month=month.name),
        note=note,
        links=[None if "/" in row[0] else f"/registry/party/{row[0]}" for row in rows],
        totals=(None, None, None, None, sum(row[4] for row in rows), None) if rows else None,
        tz=area.tz,
        currency=currency,
    )


@pages.get("/balance/month")
@requires(*READS_ALL)
async def show_month() -> str:
    """One area's month."""
    area = await source().area(request.args.get("area", ""))
    month, names = await choose_month(source(), area, request.args.get("month"))
    place = names.index(month.name)
    return await render_page(
        "balance/month.html",
        area=area,
        month=month,
        before=names[place - 1] if place else None,
        after=names[place + 1] if place + 1 < len(names) else None,
        table=await part_of(balance_month_table(source(), area.area, month=month.name)),
        url=table_url(balance_month_table, area=area.area, month=month.name),
    )
