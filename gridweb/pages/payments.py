"""``/households/<party>/payments``: what a party owes, what its orders hold, how much it may still order for, and what was paid.

``/payments`` has all payments of an area's month for whoever reads all. Both show some rows at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from quart import Blueprint, request

from gridcore.transactions.payment import GROUNDS
from gridweb import format as forms
from gridweb.access import EVERY_ROLE, READS_ALL, Viewer, check_party, requires
from gridweb.books import month_end_s
from gridweb.choosing import Chosen, asked_choice, choose
from gridweb.i18n import N_, _
from gridweb.pages import Entry
from gridweb.pages.disputes import read_of_party
from gridweb.pages.issued_states import PAYMENTS_MAX, read_paid
from gridweb.pages.month_tables import choose_month, read_all_months
from gridweb.pages.scope import choose_area
from gridweb.points import Point, find_point
from gridweb.reasons import said
from gridweb.site import source, viewer
from gridweb.source import Part, Source, SourceMissing, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("payments", __name__)

NAVIGATION = (Entry("/payments", N_("Payments"), READS_ALL, 30, section="/runs"),)

GROUND_TITLES: Final[Mapping[str, str]] = {
    "received": N_("paid by the party"),
    "paid_out": N_("paid to the party"),
    "written_off": N_("given up"),
    "reinstated": N_("owed again"),
}
COLUMNS: Final = (
    Column("time_s", N_("Time"), "instant"),
    Column("ground", N_("What happened"), words=GROUND_TITLES),
    Column("amount_nano", N_("Amount"), "amount_nano"),
    Column("point", N_("Point"), "name"),
    Column("height", N_("Block"), "count"),
    Column("reference", N_("Reference (SM3)"), "digest"),
)


OWED: Final = Column("owed_nano", N_("More is owed by (minus: less)"), "amount_nano")
AREA_COLUMNS: Final = (
    COLUMNS[0],
    Column("party", N_("Party")),
    *COLUMNS[1:3],
    OWED,
    *COLUMNS[3:],
)


@serves_table("/areas/<area>/payments", *READS_ALL)
async def area_payments_table(source: Source, area: str, *, month: str | None = None) -> Table:
    """The payments for an area's points that were recorded in a local month, the last one first; in the first month those before it too."""
    info = await source.area(area)
    asked = await choose_month(source, info, month)
    chosen = asked.month
    span = {
        "from_s": 0 if asked.before is None else month_end_s(info, asked.before),
        "until_s": month_end_s(info, chosen.name),
    }
    note = ""
    found: list[Mapping[str, Any]] = []
    is_whole = True
    try:
        answers = await source.pages(f"areas/{area}/payments", rows_max=PAYMENTS_MAX, **span)
    except SourceMissing as missing:
        note = _("There are no payments to show. The node says: %(reason)s", reason=said(str(missing)))
    else:
        found = [paid for answer in answers for paid in answer["payments"]]
        is_whole = answers[-1]["next"] is None
    if not is_whole:
        note = _("The first %(count)s payments of the month.", count=forms.count(len(found)))
    rows = [_area_row(paid) for paid in reversed(found)]
    owed_at = AREA_COLUMNS.index(OWED)
    totals = [sum(row[owed_at] for row in rows) if column is OWED else None for column in AREA_COLUMNS]
    return Table(
        f"{area}-payments-{chosen.name}",
        AREA_COLUMNS,
        rows,
        title=_("Payments of %(month)s, area %(area)s", month=chosen.name, area=area),
        note=note,
        links=[f"/blocks/{paid['height']}" for paid in reversed(found)],
        totals=totals if rows and is_whole else None,
        tz=info.tz,
        currency=(await source.as_of()).currency,
    )


def _area_row(paid: Mapping[str, Any]) -> tuple[Any, ...]:
    owed = {OWED.key: -GROUNDS[paid["ground"]].sign * paid["amount_nano"]}
    return tuple({**paid, **owed}[column.key] for column in AREA_COLUMNS)


@serves_table("/households/<party>/payments", *EVERY_ROLE)
async def payments_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The newest payments of a party, at most 64 of each point, the last one first."""
    check_party(viewer, party)
    point = await find_point(source, party)
    found = (await source.cached("payments", party=party))["payments"]
    rows = [tuple(paid[column.key] for column in COLUMNS) for paid in reversed(found)]
    return Table(
        f"{party}-payments",
        COLUMNS,
        rows,
        title=_("Payments of %(party)s", party=party),
        note=_(
            "Recorded by the party's organisation. The reference stands for the words that name the movement, such as a bank's line; they stay with both."
        ),
        links=[f"/blocks/{paid['height']}" for paid in reversed(found)] if viewer.reads_all else (),
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )


class Owing(NamedTuple):
    """What a party owes, is held of it and may still order for, nano of the currency.

    owes_nano: of its own slots, payments counted; left_by_others_nano: what is beside that in the balance of its points, which is what bounds
    its orders; None where no point of it is or was another party's. credit_nano, room_nano: None without bound.
    """

    owes_nano: int
    held_nano: int
    credit_nano: int | None
    left_by_others_nano: int | None

    @property
    def room_nano(self) -> int | None:
        """What new orders may cost at most."""
        if self.credit_nano is None:
            return None
        return max(0, self.credit_nano - self.owes_nano - (self.left_by_others_nano or 0) - self.held_nano)


@pages.get("/households/<party>/payments")
@requires(*EVERY_ROLE)
async def show_payments(party: str) -> str:
    """What a party owes and may still order for, and its payments."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    table = await part_of(payments_table(source(), viewer(), party))
    return await render_page(
        "household/payments.html",
        party=party,
        point=point,
        owing=await part_of(_read_owing(point)),
        disputed_nano=await part_of(_disputed_nano(party)),
        currency=(await source().as_of()).currency,
        away_table=table.away,
        chosen=_chosen(table),
        table_url=table_url(payments_table, party=party),
    )


@pages.get("/payments")
@requires(*READS_ALL)
async def show_payments_of_area() -> str:
    """The payments of an area's month."""
    areas, area = await choose_area(source(), request.args.get("area"))
    chosen = await choose_month(source(), area, request.args.get("month"))
    month = chosen.month
    table = await part_of(area_payments_table(source(), area.area, month=month.name))
    return await render_page(
        "documents/payments.html",
        areas=areas,
        area=area,
        month=month,
        before=chosen.before,
        after=chosen.after,
        away_table=table.away,
        chosen=_chosen(table),
        url=table_url(area_payments_table, area=area.area, month=month.name),
    )


def _chosen(table: Part[Table]) -> Chosen | None:
    """The rows that an address asks for."""
    given = dict(request.args.items())
    return None if table.value is None else choose(table.value, asked_choice(given, table.value), given)


async def _read_owing(point: Point) -> Owing:
    """By the balance of its points, and where another party had one of them by its own slots and payments. SourceAway, SourceBusy."""
    credit: Mapping[str, Any] = await source().cached("credit", party=point.party)
    owes_nano, left_by_others_nano = credit["owes_nano"], None
    if shares_points(credit):
        paid = await read_paid(source(), point.party) or {}
        owes_nano = await read_all_months(source(), point) - paid.get(point.party, 0)
        left_by_others_nano = credit["owes_nano"] - owes_nano
    return Owing(owes_nano, credit["held_nano"], credit["credit_nano"], left_by_others_nano)


def shares_points(credit: Mapping[str, Any]) -> bool:
    """Whether the balance of a party's points may have what another one left there; so too where a node of before does not say."""
    return bool(credit.get("shares_points", True))


async def _disputed_nano(party: str) -> int:
    """What a party contests of its slots by now: tax is not in the balance of the ledger, and credits are paid out."""
    open_now = [one for one in await read_of_party(source(), party) if not one["is_closed"] and not one["month"]]
    return sum(max(one["amount_nano"], 0) for one in open_now)
