"""Laws of slots, from what was metered and traded to bills: see ``contract_laws``."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import numpy as np

from ledger.contract import Billed, Contract
from settlement import statements
from tests.slow.catalogue import REFERENCES, Meter, Slot
from tests.unit.settlement.drawn_slots import rows_of, settled
from tests.unit.settlement.joined_rows import columns_of, some_of, together


def shared_out(contract: Contract) -> bool:
    """Contracts that share what was metered: what orders got and what was agreed is of one point, and stays with it."""
    return not contract.takes_orders and not contract.takes_agreements


def lines_are_the_references(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Energy and money of each line of each meter, to the Wh and the nano; and what the supplier alone would have asked for."""
    made = settled(contract, slot)
    assert list(made.lines) == list(REFERENCES[contract.contract_id](slot).lines)
    shared_alone = not slot.terms.get("settle_residual", True)
    alone_nano = [
        sum(wh * slot.prices[key] for key in contract.supplier_keys) - given_wh * slot.price("feed_in")
        for wh, given_wh in (
            [
                (of["trade_buy"][0] if "trade_buy" in of else 0, of["trade_sell"][0] if "trade_sell" in of else 0)
                for of in made.lines
            ]
            if shared_alone
            else [meter[:2] for meter in slot.meters]
        )
    ]
    assert made.settled.columns["supplier_only_nano"].tolist() == alone_nano


def debits_are_credits(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Bills are the sums of their lines, accounts receive what bills pay, nothing stays with the account in between, and the books balance."""
    made = settled(contract, slot)
    assert [sum(nano for _, nano in of.values()) for of in made.lines] == list(made.pays_nano)
    received = {account: of_groups[0] for account, of_groups in made.settled.received_nano.items()}
    assert tuple(received) == tuple(contract.accounts)
    assert sum(received.values()) == sum(made.pays_nano)
    assert received.get("clearing", 0) == 0
    of_parties, of_accounts = statements.postings(made.told, billed(slot))
    both = [*of_parties, *of_accounts]
    assert sum(one.debit_nano for one in both) == sum(one.credit_nano for one in both)
    owed = {one.account: one.credit_nano - one.debit_nano for one in of_accounts}
    assert {account: owed.get(account, 0) for account in contract.accounts} == received


def billed(slot: Slot) -> list[Billed]:
    """The points of a slot."""
    return [Billed(f"H{number}", f"P{number}") for number in range(len(slot.meters))]


TAKEN: Final = ("trade_buy", "agreement_buy", "schedule_buy", "community_buy", "residual_import", "shortfall")
GIVEN: Final = ("trade_sell", "agreement_sell", "schedule_sell", "community_sell", "residual_export", "surplus")


def what_lines_bill_is_what_was_metered(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Of each meter, bought and sold, over and short: energy in less energy out, each Wh once; and each Wh of import has one charge of the grid."""
    made = settled(contract, slot)
    slots = [slot.meters]
    if contract.period_columns:
        slots = [] if slot.before is None else [*slot.before, slot.meters]
    for place, (lines, meter) in enumerate(zip(made.lines, slot.meters, strict=True)):
        wh = {kind: energy for kind, (energy, _) in lines.items()}
        into, out = (sum(wh.get(kind, 0) for kind in kinds) for kinds in (TAKEN, GIVEN))
        charged = wh.get("network_traded", 0) + wh.get("network_residual", 0)
        assert charged == wh.get("levy", 0)
        if slot.terms.get("settle_residual", True):
            assert into - out == -sum(meters[place].net_wh for meters in slots)
            assert charged == meter.import_wh
        else:
            assert (into, out) == (wh.get("trade_buy", 0), wh.get("trade_sell", 0))
            assert into <= meter.import_wh
            assert out <= meter.export_wh
    bought, sold = (made.settled.columns[name].sum() for name in ("bought_wh", "sold_wh"))
    assert bought == sold


def lines_of_any_rows_follow_from_what_is_kept_of_them(contract: Contract, slot: Slot, chance: Random) -> None:
    """No line of a point needs another point, order or agreement: so a statement is made without the rest."""
    made = settled(contract, slot)
    rows = np.array(
        sorted(chance.sample(range(len(slot.meters)), chance.randrange(len(slot.meters) + 1))), dtype=np.int64
    )
    kept = some_of(made.rows, rows)
    price = None if made.cleared is None else made.cleared.price_micro_per_kwh
    columns = {name: of[rows] for name, of in made.settled.columns.items()}
    again = contract.lines(kept, columns, trade_prices_micro_per_kwh=[price], terms=[slot.terms])
    assert [line.kind for line in again] == [kind.kind for kind in contract.line_kinds]
    for line, whole, kind in zip(again, made.told, contract.line_kinds, strict=True):
        assert line.account == kind.account
        assert line.energy_wh.tolist() == whole.energy_wh[rows].tolist()
        assert line.amount_nano.tolist() == whole.amount_nano[rows].tolist()
        assert not line.amount_nano[line.energy_wh == 0].any()
        if line.price_micro_per_kwh is not None:
            assert (line.amount_nano == kind.sign * line.energy_wh * line.price_micro_per_kwh).all()


def the_same_slot_comes_to_the_same_and_is_left_as_it_was(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Pure: columns that cannot be written are enough, and a second time changes nothing."""
    made = settled(contract, slot)
    for of in (*columns_of(made.rows), *made.settled.columns.values()):
        of.flags.writeable = False
    price = None if made.cleared is None else made.cleared.price_micro_per_kwh
    start = rows_of(contract, slot, made.cleared)
    for of in columns_of(start):
        of.flags.writeable = False
    again = contract.settle(start, trade_prices_micro_per_kwh=[price], terms=[slot.terms])
    assert {name: of.tolist() for name, of in again.columns.items()} == {
        name: of.tolist() for name, of in made.settled.columns.items()
    }
    assert (again.area_columns, again.received_nano) == (made.settled.area_columns, made.settled.received_nano)
    assert settled(contract, slot).lines == made.lines


def areas_together_are_each_alone(contract: Contract, slot: Slot, chance: Random) -> None:
    """Another area in the same call, its rows among these, changes nothing; it has this one's orders and terms, other prices and meters."""
    other = slot._replace(
        prices={key: 2 * price for key, price in slot.prices.items()},
        meters=[meter._replace(import_wh=meter.export_wh, export_wh=meter.import_wh) for meter in slot.meters],
    )
    apart, count = [settled(contract, one) for one in (slot, other)], len(slot.meters)
    turns = chance.sample([0, 1] * count, 2 * count)
    places = [count * turn + turns[:at].count(turn) for at, turn in enumerate(turns)]
    both = together(rows_of(contract, slot, apart[0].cleared), rows_of(contract, other, apart[1].cleared), places)
    prices = [None if made.cleared is None else made.cleared.price_micro_per_kwh for made in apart]
    found = contract.settle(both, trade_prices_micro_per_kwh=prices, terms=[slot.terms, other.terms])
    assert {name: list(of) for name, of in found.received_nano.items()} == {
        name: [made.settled.received_nano[name][0] for made in apart] for name in contract.accounts
    }
    for name, of in found.columns.items():
        whole = np.concatenate([made.settled.columns[name] for made in apart])
        assert of.tolist() == whole[places].tolist()


def left_over_nano(contract: Contract, slot: Slot) -> int:
    """What the units that are left over of what is shared out may change a bill by: a Wh each way and two nano; by keys, which are shared out again
    and again until nothing is left, a Wh of each point.
    """
    if not shared_out(contract):
        return 0
    by_key: int = slot.terms.get("trade_price_micro_per_kwh", 0)
    rounds = len(slot.meters) if "method" in slot.terms else 1
    return 2 * rounds * (sum(map(abs, slot.prices.values())) + abs(by_key)) + 4


def moved(slot: Slot, order: Sequence[int]) -> Slot:
    """The same slot, whose parties stand in another order."""
    place_of = {old: new for new, old in enumerate(order)}
    return slot._replace(
        meters=[slot.meters[old] for old in order],
        orders=[
            one._replace(party=place_of[one.party], seller=None if one.seller is None else place_of[one.seller])
            for one in slot.orders
        ],
        deals=[deal._replace(seller=place_of[deal.seller], buyer=place_of[deal.buyer]) for deal in slot.deals],
        before=None if slot.before is None else [[meters[old] for old in order] for meters in slot.before],
    )


def the_order_of_points_changes_nothing_but_units(contract: Contract, slot: Slot, chance: Random) -> None:
    """Who stands where: only of what is shared out a Wh and a nano that are left over go to the lower row."""
    order = chance.sample(range(len(slot.meters)), len(slot.meters))
    first, second = settled(contract, slot), settled(contract, moved(slot, order))
    most = left_over_nano(contract, slot)
    for new, old in enumerate(order):
        assert abs(second.pays_nano[new] - first.pays_nano[old]) <= most
    assert abs(sum(second.pays_nano) - sum(first.pays_nano)) <= most


def a_meter_in_two_parts_pays_what_it_paid_up_to_units(contract: Contract, slot: Slot, chance: Random) -> None:
    """The two halves of what was metered, and of its key; in the month's other slots too."""
    at, half = chance.randrange(len(slot.meters)), chance.random()

    def cut(meters: Sequence[Meter]) -> list[Meter]:
        one = meters[at]
        part = Meter(
            int(one.import_wh * half),
            int(one.export_wh * half),
            int(one.share_ppm * half) if one.share_ppm > 0 else one.share_ppm,
            one.priority,
        )
        rest = Meter(
            one.import_wh - part.import_wh,
            one.export_wh - part.export_wh,
            one.share_ppm - part.share_ppm if one.share_ppm > 0 else one.share_ppm,
            one.priority,
        )
        return [*meters[:at], part, rest, *meters[at + 1 :]]

    if any(
        (meter.import_wh and meter.export_wh)
        for meters in (slot.meters, *(slot.before or ()))
        for meter in meters[at : at + 1]
    ):
        return  # the halves of what goes both ways are no halves of a net
    parts = slot._replace(
        meters=cut(slot.meters), before=None if slot.before is None else [cut(of) for of in slot.before]
    )
    whole, halves = settled(contract, slot), settled(contract, parts)
    assert abs(whole.pays_nano[at] - sum(halves.pays_nano[at : at + 2])) <= left_over_nano(contract, parts)
    assert abs(sum(halves.pays_nano) - sum(whole.pays_nano)) <= left_over_nano(contract, parts)


def a_Wh_more_never_lowers_a_bill_that_it_should_raise(contract: Contract, slot: Slot, chance: Random) -> None:  # noqa: N802
    """Who takes more pays no less, who gives more pays no more; up to units.

    Where no price is negative, and a Wh is worth more than the lower network charge of traded energy: else who uses what he makes loses the charge.
    """
    if min(slot.prices.values()) < 0 or slot.price("network_residual") - slot.price("network_traded") > slot.price(
        "feed_in"
    ):
        return
    at, more = chance.randrange(len(slot.meters)), chance.randrange(1, 30)
    before = settled(contract, slot).pays_nano[at]
    most = left_over_nano(contract, slot)
    for field, sign in (("import_wh", 1), ("export_wh", -1)):
        meters = list(slot.meters)
        meters[at] = meters[at]._replace(**{field: getattr(meters[at], field) + more})
        after = settled(contract, slot._replace(meters=meters)).pays_nano[at]
        assert sign * (after - before) >= -most


def nobody_pays_more_than_with_the_supplier_alone(contract: Contract, slot: Slot, _chance: Random) -> None:
    """Where the grid's prices are the worst: retail above feed-in, a charge that is lower for traded energy; up to two nano left over."""
    made = settled(contract, slot)
    for pays, alone in zip(made.pays_nano, made.settled.columns["supplier_only_nano"].tolist(), strict=True):
        assert pays <= alone + 2


def the_bill_of_a_community_is_the_grids_bill(contract: Contract, slot: Slot, _chance: Random) -> None:
    """What members pay together beside charges is what the grid asks for the community's net, in the slot or in each slot of the month."""
    slots = [slot.meters]
    if contract.period_columns:
        slots = [] if slot.before is None else [*slot.before, slot.meters]
    expected = 0
    for meters in slots:
        net_wh = sum(meter.net_wh for meter in meters)
        expected += max(-net_wh, 0) * slot.price("residual_price") - max(net_wh, 0) * slot.price("feed_in")
    received = settled(contract, slot).settled.received_nano
    assert sum(of[0] for account, of in received.items() if account not in ("network", "levy")) == expected
