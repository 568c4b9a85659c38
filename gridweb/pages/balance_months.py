"""What losses, imbalances and penalties of an area's month come to for each who answers, run by run, exact; ``balance_documents`` has the documents.

``/balance/month`` has all of an area, ``/households/<party>/balance`` who answers his own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from quart import Blueprint, request

from gridcore.run_names import run_rank
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.i18n import N_, _
from gridweb.pages.balance import KIND_WORDS, RUN, read_balance
from gridweb.pages.month_tables import Month, choose_month
from gridweb.pages.registry import read_entries
from gridweb.site import source, viewer
from gridweb.source import AreaInfo, Part, Source, part_of
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
    rows = month_rows(area, await _entries(source, info, chosen))
    title = _("Losses and imbalances of area %(area)s in %(month)s by who answers", area=area, month=chosen.name)
    links = [None if "/" in row[0] else party_path(row[0], area, chosen.name) for row in rows]
    return replace(await _table(source, info, chosen, rows), title=title, links=links)


@serves_table("/households/<party>/balance", *EVERY_ROLE)
async def household_balance_table(
    source: Source, viewer: Viewer, party: str, *, area: str | None = None, month: str | None = None
) -> Table:
    """The same of a party that answers for losses or a balance group; without an area of the one that its registration names."""
    check_party(viewer, party)
    info = await area_of_party(source, party, area)
    chosen, _names = await choose_month(source, info, month)
    rows = [row for row in month_rows(info.area, await _entries(source, info, chosen)) if row[0] == party]
    named = {"area": info.area, "month": chosen.name, "party": party}
    title = _("Losses and imbalances of area %(area)s in %(month)s for which %(party)s answers", **named)
    return replace(await _table(source, info, chosen, rows), name=f"{party}-balance-{chosen.name}", title=title)


async def area_of_party(source: Source, party: str, area: str | None) -> AreaInfo:
    """The area that is named, else that of the party's newest registration. SourceMissing."""
    return await source.area(area or (await read_entries(source, "party", party))[-1]["value"]["area"])


def party_path(party: str, area: str, month: str) -> str:
    """The page of who answers."""
    return f"/households/{quote(party)}/balance?{urlencode({'area': area, 'month': month})}"


async def _entries(source: Source, area: AreaInfo, month: Month) -> list[Entry]:
    return [entry for day in month.days for entry in (await read_balance(source, area, day)).entries]


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


async def _table(source: Source, area: AreaInfo, month: Month, rows: Sequence[tuple[Any, ...]]) -> Table:
    note = _("Nothing is posted: no terms of its balance are registered for this area, or there was nothing to post.")
    if rows:
        note = _(
            "Exact sums of what is posted, before rounding and tax; the lines of their documents are these sums. "
            "Documents are sent by gridledger settle issue."
        )
    return Table(
        f"{area.area}-balance-{month.name}",
        COLUMNS,
        rows,
        note=note,
        totals=(None, None, None, None, sum(row[4] for row in rows), None) if rows else None,
        tz=area.tz,
        currency=(await source.as_of()).currency,
    )


@pages.get("/balance/month")
@requires(*READS_ALL)
async def show_month() -> str:
    """One area's month."""
    area = await source().area(request.args.get("area", ""))
    where = {"area": area.area, "month": (await choose_month(source(), area, request.args.get("month")))[0].name}
    table = await part_of(balance_month_table(source(), **where))
    return await _render(area, "/balance/month", table, table_url(balance_month_table, **where))


@pages.get("/households/<party>/balance")
@requires(*EVERY_ROLE)
async def show_month_of_party(party: str) -> str:
    """The month of who answers."""
    check_party(viewer(), party)
    area = await area_of_party(source(), party, request.args.get("area"))
    where = {"area": area.area, "month": (await choose_month(source(), area, request.args.get("month")))[0].name}
    table = await part_of(household_balance_table(source(), viewer(), party, **where))
    url = table_url(household_balance_table, party=party, **where)
    return await _render(area, f"/households/{quote(party)}/balance", table, url, party)


async def _render(area: AreaInfo, path: str, table: Part[Table], url: str, party: str = "") -> str:
    chosen = await choose_month(source(), area, request.args.get("month"))
    month = chosen.month
    return await render_page(
        "balance/month.html",
        path=path,
        party=party,
        area=area,
        month=month,
        before=chosen.before,
        after=chosen.after,
        table=table,
        url=url,
    )
