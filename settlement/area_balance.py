"""The balance of an area, slot by slot: what crossed its borders, what its grid lost, and what losses and imbalances come to in double entry.

Of an area everything that goes in comes out again: production + import over its borders - consumption - export over its borders = loss.
Whoever answers for losses buys them at their price, so that they are no imbalance of his balance group. Later knowledge posts what it
changes, so that the sum of all entries is what is known last. Terms may add a penalty for what a balance group leaves its schedule by beyond a
tolerance (``deviation_penalty/1`` of the conformance vectors). Energy in Wh, prices in micro-currency per kWh, amounts in nano-currency;
exact at any size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.registry.balance_terms import BalancePenalty
from settlement.balance_groups import GroupEnergy
from settlement.tariffs.network import GridLoss, grid_loss
from settlement.tariffs.schedules import PricedEnergy, Tolerance, deviation, penalty_beyond

LOSS: Final = "loss"
GAIN: Final = "gain"
SURPLUS: Final = "surplus"
SHORTFALL: Final = "shortfall"
PENALTY: Final = "penalty"
KINDS: Final = (LOSS, GAIN, SURPLUS, SHORTFALL, PENALTY)
"""Of entries. loss: more went into the area than came out; gain: less did; penalty: for what a group was off its schedule beyond the tolerance."""
_PPM: Final = 1_000_000


class Border(NamedTuple):
    """A border in a slot as the area sees it. other_area: "" for the grid above; in_wh, out_wh: at least 0, None while nobody knows them."""

    point: str
    other_area: str
    in_wh: int | None
    out_wh: int | None


class Terms(NamedTuple):
    """Who answers for losses, and what a kWh is worth: paid for a loss and for a shortfall, received for a gain and for a surplus; of any sign.

    penalty: what a balance group pays beside that for leaving its schedule beyond a tolerance, None where it does not.
    """

    loss_responsible: str
    loss_micro_per_kwh: int
    gain_micro_per_kwh: int
    surplus_micro_per_kwh: int
    shortfall_micro_per_kwh: int
    penalty: BalancePenalty | None = None


class Known(NamedTuple):
    """What is known of a slot from a block on, by a settlement run. terms: None where nothing is worth anything."""

    height: int
    run: str
    groups: Sequence[GroupEnergy]
    borders: Sequence[Border]
    terms: Terms | None


class SlotHistory(NamedTuple):
    """A settled slot. known: ascending by height, the last one counts."""

    slot_start_s: int
    known: Sequence[Known]


class BalanceLine(NamedTuple):
    """An area in a slot by what is known last. in_wh, out_wh: over all borders; consumed_wh, produced_wh: of all points that are billed.

    in_wh to loss_nano: None where a border is not known, or where the area has none. loss_nano: what losses cost who answers for them,
    imbalance_nano: what balance groups receive together for surpluses and shortfalls; both None without terms. Penalties are entries alone.
    """

    slot_start_s: int
    run: str
    in_wh: int | None
    out_wh: int | None
    produced_wh: int
    consumed_wh: int
    loss_wh: int | None
    gain_wh: int | None
    loss_nano: int | None
    imbalance_nano: int | None


class CrossingLine(NamedTuple):
    """A border to another area in a slot. net_wh: in less out, what the other area has with the opposite sign; None while it is not known."""

    slot_start_s: int
    point: str
    other_area: str
    in_wh: int | None
    out_wh: int | None
    net_wh: int | None


class Entry(NamedTuple):
    """A posting of a slot by what became known with a block: ``debit_account`` owes ``credit_account`` the amount, above 0 (or 0 at a price of 0).

    party: who answers, "" where no party does; energy_wh: what the posting changes of it, below 0 where it takes back what an earlier one said.
    Of a penalty the amount is a share of energy x price, floored, and so may be 0 at any price.
    """

    slot_start_s: int
    height: int
    run: str
    kind: str
    party: str
    energy_wh: int
    price_micro_per_kwh: int
    debit_account: str
    credit_account: str
    amount_nano: int


class AccountTotal(NamedTuple):
    """An account over all entries. balance_nano: debits less credits, what it owes; all balances sum to 0."""

    account: str
    debit_nano: int
    credit_nano: int
    balance_nano: int


class AreaBalance(NamedTuple):
    """Lines, crossings and entries by slot; accounts by the bytes of their names."""

    lines: Sequence[BalanceLine]
    crossings: Sequence[CrossingLine]
    entries: Sequence[Entry]
    accounts: Sequence[AccountTotal]


class _Owed(NamedTuple):
    """What a party pays for an energy, below 0 for what it receives. energy_wh: above 0; share_ppm: of the price, that is paid."""

    energy_wh: int
    price_micro_per_kwh: int
    pays_nano: int
    share_ppm: int = _PPM

    def has_price_of(self, other: _Owed) -> bool:
        """Whether a kWh costs the same."""
        return (self.price_micro_per_kwh, self.share_ppm) == (other.price_micro_per_kwh, other.share_ppm)


_Key = tuple[str, str]
"""Kind and party."""
_NOTHING: Final = _Owed(0, 0, 0)


def area_balance(area: str, slots: Iterable[SlotHistory]) -> AreaBalance:
    """The balance of an area over some slots. SettlementError for an energy below 0."""
    lines: list[BalanceLine] = []
    crossings: list[CrossingLine] = []
    entries: list[Entry] = []
    for slot_start_s, known in slots:
        if known:
            lines.append(_line(slot_start_s, known[-1]))
            crossings += _crossings(slot_start_s, known[-1])
            entries += _entries(area, slot_start_s, known)
    return AreaBalance(lines, crossings, entries, _accounts(entries))


def losses_account(area: str) -> str:
    """The account that receives what losses cost. No party has such a name: theirs have no slash."""
    return f"{area}/losses"


def imbalance_account(area: str) -> str:
    """The account that pays surpluses and receives for shortfalls."""
    return f"{area}/imbalance"


def penalties_account(area: str) -> str:
    """The account that receives penalties."""
    return f"{area}/penalties"


def unassigned_account(area: str) -> str:
    """The account of points that name no balance responsible party."""
    return f"{area}/unassigned"


_COUNTERS: Final = {
    LOSS: losses_account,
    GAIN: losses_account,
    SURPLUS: imbalance_account,
    SHORTFALL: imbalance_account,
    PENALTY: penalties_account,
}
"""Whom the party of an entry of each kind pays, or is paid by."""


def counter_account(area: str, kind: str) -> str:
    """Whom the one who answers for an entry of a kind pays, or is paid by."""
    return _COUNTERS[kind](area)


def answering_account(area: str, entry: Entry) -> str:
    """The account of who answers for an entry."""
    return entry.party or unassigned_account(area)


def pays_nano(area: str, entry: Entry) -> int:
    """What an entry makes the one who answers pay; minus: receive."""
    return entry.amount_nano if entry.debit_account == answering_account(area, entry) else -entry.amount_nano


def loss_of(known: Known) -> GridLoss | None:
    """What the grid lost, or gained; None where the area has no borders or one is not known."""
    sums = _crossed(known.borders)
    if sums is None:
        return None
    produced_wh, consumed_wh = _metered(known.groups)
    return grid_loss(*sums, produced_wh, consumed_wh)


def _crossed(borders: Sequence[Border]) -> tuple[int, int] | None:
    """What came in and went out over all borders."""
    in_wh, out_wh = [border.in_wh for border in borders], [border.out_wh for border in borders]
    both = [wh for wh in (*in_wh, *out_wh) if wh is not None]
    if not borders or len(both) < 2 * len(borders):
        return None
    return sum(both[: len(borders)]), sum(both[len(borders) :])


def _metered(groups: Sequence[GroupEnergy]) -> tuple[int, int]:
    """What all points that are billed produced and consumed."""
    return sum(one.export_wh for one in groups), sum(one.import_wh for one in groups)


def _owed(known: Known) -> dict[_Key, _Owed]:
    """What every party pays, by kind and party."""
    terms = known.terms
    if terms is None:
        return {}
    found: dict[_Key, _Owed] = {}
    loss = loss_of(known)
    if loss is not None and loss.loss_consumption_wh:
        energy_wh, price = loss.loss_consumption_wh, terms.loss_micro_per_kwh
        found[LOSS, terms.loss_responsible] = _Owed(energy_wh, price, energy_wh * price)
    if loss is not None and loss.loss_production_wh:
        energy_wh, price = loss.loss_production_wh, terms.gain_micro_per_kwh
        found[GAIN, terms.loss_responsible] = _Owed(energy_wh, price, -energy_wh * price)
    for group in known.groups:
        prices = terms.surplus_micro_per_kwh, terms.shortfall_micro_per_kwh
        off = deviation(group.metered_wh, group.sold_wh, group.bought_wh, *prices)
        kind, price = (SURPLUS, prices[0]) if off.deviation_wh > 0 else (SHORTFALL, prices[1])
        if off.deviation_wh:
            found[kind, group.group] = _Owed(abs(off.deviation_wh), price, -off.amount_nano)
        if terms.penalty is not None and (beyond := _beyond(group, terms.penalty)).energy_wh:
            found[PENALTY, group.group] = beyond
    return found


def _beyond(group: GroupEnergy, penalty: BalancePenalty) -> _Owed:
    """What a group pays for leaving its schedule, in whichever direction that goes, beyond the tolerance."""
    schedule = PricedEnergy(abs(group.schedule_wh), penalty.price_micro_per_kwh)
    tolerance = Tolerance(penalty.tolerance_ppm, penalty.penalty_ppm, penalty.sides)
    charged = penalty_beyond(schedule, group.imbalance_wh, tolerance)
    return _Owed(charged.charged_wh, schedule.price, charged.amount_nano, penalty.penalty_ppm)


def _entries(area: str, slot_start_s: int, history: Sequence[Known]) -> Iterator[Entry]:
    """What each step of knowledge changes; where a price changes, the old posting is taken back and the new one made."""
    before: Mapping[_Key, _Owed] = {}
    for known in history:
        now = _owed(known)
        for key in sorted({*before, *now}, key=lambda key: (KINDS.index(key[0]), key[1].encode())):
            for change in _changes(before.get(key, _NOTHING), now.get(key, _NOTHING)):
                yield _entry(area, slot_start_s, known, key, change)
        before = now


def _changes(old: _Owed, new: _Owed) -> Iterator[_Owed]:
    if old == new:
        return
    price = new.price_micro_per_kwh
    if _NOTHING in (old, new) or old.has_price_of(new):
        price = price if new.energy_wh else old.price_micro_per_kwh
        yield _Owed(new.energy_wh - old.energy_wh, price, new.pays_nano - old.pays_nano)
        return
    yield _Owed(-old.energy_wh, old.price_micro_per_kwh, -old.pays_nano)
    yield new


def _entry(area: str, slot_start_s: int, known: Known, key: _Key, owed: _Owed) -> Entry:
    kind, party = key
    counter = _COUNTERS[kind](area)
    own = party or unassigned_account(area)
    debit, credit = (counter, own) if owed.pays_nano < 0 else (own, counter)
    head = (slot_start_s, known.height, known.run, kind, party, owed.energy_wh, owed.price_micro_per_kwh)
    return Entry(*head, debit, credit, abs(owed.pays_nano))


def _line(slot_start_s: int, known: Known) -> BalanceLine:
    crossed, loss, owed = _crossed(known.borders), loss_of(known), _owed(known)

    def paid_nano(*kinds: str) -> int:
        return sum(one.pays_nano for (kind, _), one in owed.items() if kind in kinds)

    produced_wh, consumed_wh = _metered(known.groups)
    has_terms = known.terms is not None
    return BalanceLine(
        slot_start_s=slot_start_s,
        run=known.run,
        in_wh=None if crossed is None else crossed[0],
        out_wh=None if crossed is None else crossed[1],
        produced_wh=produced_wh,
        consumed_wh=consumed_wh,
        loss_wh=None if loss is None else loss.loss_consumption_wh,
        gain_wh=None if loss is None else loss.loss_production_wh,
        loss_nano=paid_nano(LOSS, GAIN) if has_terms and loss is not None else None,
        imbalance_nano=-paid_nano(SURPLUS, SHORTFALL) if has_terms else None,
    )


def _crossings(slot_start_s: int, known: Known) -> Iterator[CrossingLine]:
    for point, other_area, in_wh, out_wh in known.borders:
        if other_area:
            net_wh = None if in_wh is None or out_wh is None else in_wh - out_wh
            yield CrossingLine(slot_start_s, point, other_area, in_wh, out_wh, net_wh)


def _accounts(entries: Iterable[Entry]) -> list[AccountTotal]:
    debits: defaultdict[str, int] = defaultdict(int)
    credited: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        debits[entry.debit_account] += entry.amount_nano
        credited[entry.credit_account] += entry.amount_nano
    names = sorted({*debits, *credited}, key=str.encode)
    return [AccountTotal(name, debits[name], credited[name], debits[name] - credited[name]) for name in names]
