"""``/households/<party>/payments``: what a party owes, what its orders hold, how much it may still order for, and what was paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quart import Blueprint

from gridweb.access import EVERY_ROLE, Viewer, check_party, requires
from gridweb.i18n import N_, _
from gridweb.pages.disputes import read_of_party
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("payments", __name__)

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


@serves_table("/households/<party>/payments", *EVERY_ROLE)
async def payments_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The newest payments of a party, the last one first."""
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


@pages.get("/households/<party>/payments")
@requires(*EVERY_ROLE)
async def show_payments(party: str) -> str:
    """What a party owes and may still order for, and its payments."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    credit: Any = await part_of(source().cached("credit", party=party))
    return await render_page(
        "household/payments.html",
        party=party,
        point=point,
        credit=credit,
        disputed_nano=await part_of(_disputed_nano(party)),
        left_nano=None if credit.value is None else _left_nano(credit.value),
        currency=(await source().as_of()).currency,
        table=await part_of(payments_table(source(), viewer(), party)),
        table_url=table_url(payments_table, party=party),
    )


async def _disputed_nano(party: str) -> int:
    """What a party contests of its slots by now: tax is not in the balance of the ledger, and credits are paid out."""
    open_now = [one for one in await read_of_party(source(), party) if not one["is_closed"] and not one["month"]]
    return sum(max(one["amount_nano"], 0) for one in open_now)


def _left_nano(credit: Mapping[str, Any]) -> int | None:
    """What new orders may cost at most; None without bound."""
    if credit["credit_nano"] is None:
        return None
    room_nano: int = credit["credit_nano"] - credit["owes_nano"] - credit["held_nano"]
    return max(0, room_nano)
