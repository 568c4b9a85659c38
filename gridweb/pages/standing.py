"""``/households/<party>/standing``: the party's standing rules ("buy up to", "sell from"), a form for one more, and one that ends a rule.

Both are signed in the browser, as an order is (``gridweb.pages.orders``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from quart import Blueprint, Response, request

from gridcore.codes import Code
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX
from gridcore.transactions.market_profile import SPAN_S_MAX, MarketProfile, ProfileEnd
from gridweb.access import EVERY_ROLE, Role, Viewer, check_party, requires
from gridweb.acts import act_frame, read_act, told
from gridweb.format import instant
from gridweb.i18n import N_, _, translate
from gridweb.pages.orders import ANSWERS, ASKED, KIND_WORDS, SIDES, known_columns, open_slots
from gridweb.points import find_point
from gridweb.site import source, viewer
from gridweb.source import Source, part_of
from gridweb.tables import Column, Table, serves_table, table_url
from gridweb.views import render_page

pages = Blueprint("standing", __name__)

DAY_S: Final = 86_400
COLUMNS: Final = (
    Column("side", N_("Side"), words=SIDES),
    Column("quantity_wh", N_("Energy of a slot, at most"), "energy_wh"),
    Column("price_micro_per_kwh", N_("Limit"), "price_micro"),
    *ASKED,
    Column("slot_start_s", N_("From"), "instant"),
    Column("end_s", N_("Until"), "instant"),
    Column("rule", N_("Rule"), "name"),
)
RULE_ANSWERS: Final[Mapping[int, str]] = {
    **ANSWERS,
    Code.ACCEPTED: N_("The standing rule stands."),
    Code.EXISTS: N_("This standing rule stood already."),
    Code.CROSSES_OWN: N_("The rule would sell below what it buys at."),
    Code.ORDER_REUSED: N_("Other standing rules of these days leave no counter free: end one first."),
    Code.PROFILE_TOO_LONG: N_("A standing rule ends at most 31 days ahead."),
    Code.TOO_MANY_PROFILES: N_("The household has as many standing rules as it may: end one first."),
}
END_ANSWERS: Final[Mapping[int, str]] = {
    Code.ACCEPTED: N_("The standing rule gives no more orders."),
    Code.EXISTS: N_("The standing rule gives no more orders."),
    Code.NO_SUCH_ORDER: N_("This standing rule gives no orders any more."),
}


async def _rules(source: Source, party: str) -> Sequence[Mapping[str, Any]]:
    """Asked anew each time: a rule that was just made is seen."""
    found: Sequence[Mapping[str, Any]] = (await source.query("profiles", party=party))["profiles"]
    return found


def _name(rule: Mapping[str, Any]) -> str:
    """What names a rule for its end: its first slot and counter."""
    return f"{rule['slot_start_s']}/{rule['counter']}"


def _rows_of(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A rule as the columns name it: a row for each part, of one with conditions for each of these."""
    times = {"slot_start_s": rule["slot_start_s"], "end_s": rule["end_s"], "rule": _name(rule)}
    for part in rule["parts"]:
        for choice, one in enumerate(part.get("conditions", [part]), 1):
            said = {**one, "quantity_wh": max(one["quantities_wh"]), "side": part["side"], **times}
            yield said | ({"choice": choice} if "conditions" in part else {})


@serves_table("/households/<party>/standing", *EVERY_ROLE)
async def standing_rules_table(source: Source, viewer: Viewer, party: str) -> Table:
    """The standing rules of a household that may still order, a row for each side and limit, and for each condition of a rule that prefers something.
    choice: the place of a condition among those that are joined by OR, from 1.
    """
    check_party(viewer, party)
    point = await find_point(source, party)
    columns = known_columns(COLUMNS, point.area)
    rows = [
        tuple(row.get(column.key) for column in columns)
        for rule in await _rules(source, party)
        for row in _rows_of(rule)
    ]
    return Table(
        name=f"{party}-standing",
        columns=columns,
        rows=rows,
        title=_("Standing rules"),
        tz=point.area.tz,
        currency=(await source.as_of()).currency,
    )


@pages.get("/households/<party>/standing")
@requires(*EVERY_ROLE)
async def show_standing(party: str) -> str:
    """The rules, and what a household may do about them."""
    check_party(viewer(), party)
    point = await find_point(source(), party)
    as_of = await source().as_of()
    area, table = point.area, await part_of(standing_rules_table(source(), viewer(), party))
    slots = open_slots(area, as_of.ledger_time_s)
    rules: list[tuple[str, str]] = []
    for row in table.value.rows if table.value else ():
        end_s, name = map(str, row[-2:])
        until = _("Until %(time)s", time=instant(int(end_s), area.tz))
        rules += [(name, f"{name} · {until}")] if name not in dict(rules) else []
    end_max_s = as_of.ledger_time_s + SPAN_S_MAX
    return await render_page(
        "household/standing.html",
        party=party,
        point=point,
        currency=as_of.currency,
        first_slot_s=slots[0] if slots else None,
        end_max_s=end_max_s - end_max_s % area.slot_s,
        day_s=DAY_S,
        days_max=SPAN_S_MAX // DAY_S,
        takes_orders=area.contract.takes_orders and point.trades,
        takes_conditions=area.contract.takes_conditions and "profiles_have_conditions" in area.rules,
        kinds={word: translate(text) for word, text in KIND_WORDS.items()},
        may_place=viewer().role is Role.HOUSEHOLD,
        table=table,
        table_url=table_url(standing_rules_table, party=party),
        rules=rules,
        act=act_frame(
            as_of,
            amounts=N_(
                "Energy in kWh with at most three digits behind the point, above 0; limits with at most six; of buying, selling or both; preferences are of buying alone; days from 1 to 31."
            ),
        ),
        counter_max=COUNTER_MAX,
        price_max=LIMIT_MICRO_PER_KWH_MAX,
        quantity_max=QUANTITY_WH_MAX,
    )


@pages.post("/households/<party>/standing")
@requires(Role.HOUSEHOLD)
async def make_rule(party: str) -> Response:
    """Pass a signed rule on to the node; what became of it, as JSON."""
    check_party(viewer(), party)
    act = read_act(await request.body, request.mimetype, MarketProfile, party)
    return told(await source().submit(act.wire), RULE_ANSWERS, f"/households/{party}/standing")


@pages.post("/households/<party>/standing/ended")
@requires(Role.HOUSEHOLD)
async def end_rule(party: str) -> Response:
    """Pass the signed end of a rule on to the node."""
    check_party(viewer(), party)
    act = read_act(await request.body, request.mimetype, ProfileEnd, party)
    return told(await source().submit(act.wire), END_ANSWERS, f"/households/{party}/standing")
