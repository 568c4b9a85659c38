"""One entry of an area's balance, step by step: from borders, points and trades of the slot to what a party owes, and what each block posted of it.

Everything is a plain sum of whole numbers over what the ledger knows of the slot, and is compared with what makes the entries
(``settlement.area_balance``): two ways to one integer, as of documents (ADR 0100).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gridcore.errors import UsageError, excerpt
from gridledger.settling.derivation import Step, Text, bracketed, numbers
from settlement.area_balance import (
    GAIN,
    KINDS,
    LOSS,
    PENALTY,
    SHORTFALL,
    SURPLUS,
    BalanceLine,
    Border,
    Entry,
    Known,
    SlotHistory,
    Terms,
    answering_account,
    area_balance,
    pays_nano,
    unassigned_account,
)
from settlement.balance_groups import GroupEnergy

_PPM: Final = 1_000_000
_SHORT_ONLY: Final = "short_only"
TITLES: Final[Mapping[str, Text]] = {
    LOSS: {"en": "Losses of the grid", "zh_CN": "电网损耗"},
    GAIN: {"en": "Gain of the grid", "zh_CN": "电网损耗为负（增益）"},
    SURPLUS: {"en": "Surplus of a balance group", "zh_CN": "平衡组正偏差"},
    SHORTFALL: {"en": "Shortfall of a balance group", "zh_CN": "平衡组负偏差"},
    PENALTY: {"en": "Penalty beyond the tolerance", "zh_CN": "超出免责偏差的考核"},
}
_PRICES: Final[Mapping[str, tuple[Text, Callable[[Terms], int]]]] = {
    LOSS: ({"en": "Price of losses", "zh_CN": "损耗电价"}, lambda terms: terms.loss_micro_per_kwh),
    GAIN: ({"en": "Price of gains", "zh_CN": "增益电价"}, lambda terms: terms.gain_micro_per_kwh),
    SURPLUS: ({"en": "Price of surpluses", "zh_CN": "正偏差电价"}, lambda terms: terms.surplus_micro_per_kwh),
    SHORTFALL: ({"en": "Price of shortfalls", "zh_CN": "负偏差电价"}, lambda terms: terms.shortfall_micro_per_kwh),
}
_RECEIVED: Final = (GAIN, SURPLUS)
"""Kinds whose party is paid where the price is above 0."""
NOT_CHECKED: Final[Text] = {
    "en": "that the energies of points and borders follow from the blocks (gridledger settle replay --slot), and a stranger's view: no bundle proves a balance",
    "zh_CN": "各计量点与边界的电量是否由区块得出（gridledger settle replay --slot）；外人无法据此核验：证据包不证明台区平衡",
}


class EntryName(NamedTuple):
    """What is posted of a slot for a party; account: the party, or the area's account of those that nobody answers for; run: None for the last one."""

    area: str
    account: str
    slot_start_s: int
    kind: str
    run: str | None = None

    @property
    def party(self) -> str:
        """As entries have it."""
        return "" if self.account == unassigned_account(self.area) else self.account


class BalanceDerivation(NamedTuple):
    """The steps of what a party owes for a slot, in their order. height: of the block up to which it is known; pays_nano: minus: receives.

    entries: what was posted of it up to there.
    """

    name: EntryName
    run: str
    height: int
    energy_wh: int
    pays_nano: int
    steps: Sequence[Step]
    entries: Sequence[Entry]
    not_checked: Sequence[Text] = (NOT_CHECKED,)

    @property
    def title(self) -> Text:
        """In words."""
        return TITLES[self.name.kind]

    @property
    def holds(self) -> bool:
        """Whether every step gives what is posted."""
        return all(step.holds for step in self.steps)


class Owed(NamedTuple):
    """What a party owes of a kind by what is known: nothing where all are 0."""

    energy_wh: int = 0
    price_micro_per_kwh: int = 0
    pays_nano: int = 0


def derive_entry(history: SlotHistory, name: EntryName, currency: str) -> BalanceDerivation:
    """What is posted of a slot, as of its last run or of another one. UsageError where there is no such run, and nothing posted of that name."""
    runs = [known.run for known in history.known]
    if name.run is not None and name.run not in runs:
        raise UsageError(f"--run {excerpt(name.run)}: the slot has {', '.join(dict.fromkeys(runs)) or 'no run'}")
    last = len(runs) if name.run is None else len(runs) - runs[::-1].index(name.run)
    states = history.known[:last]
    balance = area_balance(name.area, [SlotHistory(history.slot_start_s, states)])
    entries = [one for one in balance.entries if (one.kind, one.party) == (name.kind, name.party)]
    if not entries:
        known = dict.fromkeys(
            f"{answering_account(name.area, one)}/{one.slot_start_s}/{one.kind}" for one in balance.entries
        )
        raise UsageError(
            f"--line {name.account}/{name.slot_start_s}/{name.kind}: nothing of it is posted; the slot has {', '.join(known) or 'no entry'}"
        )
    state, owed = states[-1], owed_of(states[-1], name.kind, name.party)
    steps = [*_steps(state, name, balance.lines[-1], currency), *_postings(states, name, entries, currency)]
    return BalanceDerivation(name, state.run, state.height, owed.energy_wh, owed.pays_nano, steps, entries)


def first_differing(area: str, history: SlotHistory, entries: Sequence[Entry]) -> Entry | None:
    """The first of a slot's entries that does not post what its block changed of what is owed, in plain sums; None where all of them do."""
    before: Known | None = None
    for state in history.known:
        for kind, party in dict.fromkeys((one.kind, one.party) for one in entries):
            own = [one for one in entries if (one.height, one.kind, one.party) == (state.height, kind, party)]
            then, now = (Owed() if known is None else owed_of(known, kind, party) for known in (before, state))
            posted = sum(one.energy_wh for one in own), sum(pays_nano(area, one) for one in own)
            if posted != (now.energy_wh - then.energy_wh, now.pays_nano - then.pays_nano):
                return own[0] if own else next(one for one in entries if (one.kind, one.party) == (kind, party))
        before = state
    return None


def owed_of(known: Known, kind: str, party: str) -> Owed:
    """What a party owes of a kind by what is known, in plain sums."""
    if known.terms is None:
        return Owed()
    group = next((one for one in known.groups if one.group == party), None)
    if kind in (LOSS, GAIN):
        lost_wh = _lost_wh(known) if party == known.terms.loss_responsible else 0
        energy_wh = max(0, lost_wh if kind == LOSS else -lost_wh)
    elif group is None:
        return Owed()
    elif kind == PENALTY:
        return _penalty(group, known.terms)
    else:
        off_wh = _metered_wh(group) - _schedule_wh(group)
        energy_wh = max(0, off_wh if kind == SURPLUS else -off_wh)
    price = _PRICES[kind][1](known.terms)
    sign = -1 if kind in _RECEIVED else 1
    return Owed(energy_wh, price, sign * energy_wh * price) if energy_wh else Owed()


def _lost_wh(known: Known) -> int:
    """In + produced - out - consumed; 0 where a border is not known, or there is none."""
    if not known.borders or any(None in (border.in_wh, border.out_wh) for border in known.borders):
        return 0
    crossed = sum((border.in_wh or 0) - (border.out_wh or 0) for border in known.borders)
    return crossed + sum(one.export_wh - one.import_wh for one in known.groups)


def _metered_wh(group: GroupEnergy) -> int:
    return group.export_wh - group.import_wh


def _schedule_wh(group: GroupEnergy) -> int:
    return group.sold_wh - group.bought_wh


def _penalty(group: GroupEnergy, terms: Terms) -> Owed:
    penalty, off_wh = terms.penalty, _metered_wh(group) - _schedule_wh(group)
    if penalty is None or (penalty.sides == _SHORT_ONLY and off_wh >= 0):
        return Owed()
    beyond_wh = max(0, abs(off_wh) - abs(_schedule_wh(group)) * penalty.tolerance_ppm // _PPM)
    price = penalty.price_micro_per_kwh
    return Owed(beyond_wh, price, beyond_wh * price * penalty.penalty_ppm // _PPM) if beyond_wh else Owed()


# --------------------------------------------------------------------------------------------------------------- steps


def _steps(known: Known, name: EntryName, line: BalanceLine, currency: str) -> Iterator[Step]:
    """Of what is known: energy, price and what the party pays; none where nothing is owed any more."""
    owed, terms = owed_of(known, name.kind, name.party), known.terms
    if terms is None or not owed.energy_wh:
        return
    if name.kind in (LOSS, GAIN):
        yield from _loss_steps(known, line)
    else:
        group = next(one for one in known.groups if one.group == name.party)
        yield from _group_steps(group)
        if name.kind == PENALTY:
            yield from _penalty_steps(group, terms, owed, currency)
            return
    unit = f"1e-6 {currency}/kWh"
    yield _step(_PRICES[name.kind][0], str(owed.price_micro_per_kwh), owed.price_micro_per_kwh, unit)
    sign = "− " if name.kind in _RECEIVED else ""
    formula = f"{sign}{owed.energy_wh} × {bracketed(owed.price_micro_per_kwh)}"
    yield _step(_PAYS, formula, owed.pays_nano, f"1e-9 {currency}")


_PAYS: Final[Text] = {
    "en": "What the party pays (minus: receives): energy × price",
    "zh_CN": "该方应付（负数为应收）：电量 × 电价",
}


def _step(what: Text, formula: str, result: int, unit: str, *, holds: bool = True) -> Step:
    return Step(what, numbers(formula), result, unit, holds)


def _loss_steps(known: Known, line: BalanceLine) -> Iterator[Step]:
    for border in known.borders:
        yield from _border_steps(border)
    in_wh, out_wh = [border.in_wh or 0 for border in known.borders], [border.out_wh or 0 for border in known.borders]
    exports, imports = [one.export_wh for one in known.groups], [one.import_wh for one in known.groups]
    sums = (
        ("Came in over all borders", "各边界流入合计", in_wh, line.in_wh),
        ("Went out over all borders", "各边界流出合计", out_wh, line.out_wh),
        ("Produced by all points that are billed", "全部结算计量点上网电量", exports, line.produced_wh),
        ("Consumed by all points that are billed", "全部结算计量点用电量", imports, line.consumed_wh),
    )
    for english, chinese, parts, stated_wh in sums:
        what = {"en": english, "zh_CN": chinese}
        yield _step(what, " + ".join(map(str, parts)) or "0", sum(parts), "Wh", holds=sum(parts) == stated_wh)
    lost_wh = _lost_wh(known)
    formula = f"{sum(in_wh)} + {sum(exports)} − {sum(out_wh)} − {sum(imports)}"
    what = {
        "en": "Lost: in + produced − out − consumed (minus: gained)",
        "zh_CN": "损耗：流入 + 上网 − 流出 − 用电（负数为增益）",
    }
    holds = lost_wh == (line.loss_wh or 0) - (line.gain_wh or 0)
    yield _step(what, formula, lost_wh, "Wh", holds=holds)


def _border_steps(border: Border) -> Iterator[Step]:
    other = (
        (f"to area {border.other_area}", f"通往台区 {border.other_area}")
        if border.other_area
        else ("to the grid above", "通往上级电网")
    )
    for english, chinese, energy_wh in (("in", "流入", border.in_wh), ("out", "流出", border.out_wh)):
        what = {
            "en": f"Border {border.point} {other[0]}, {english}",
            "zh_CN": f"边界 {border.point}，{other[1]}，{chinese}",
        }
        yield _step(what, str(energy_wh), energy_wh or 0, "Wh")


def _group_steps(group: GroupEnergy) -> Iterator[Step]:
    metered_wh, schedule_wh = _metered_wh(group), _schedule_wh(group)
    yield _step(
        {"en": "Metered: what the group's points gave less what they took", "zh_CN": "计量：本组各计量点上网 − 用电"},
        f"{group.export_wh} − {group.import_wh}",
        metered_wh,
        "Wh",
        holds=metered_wh == group.metered_wh,
    )
    yield _step(
        {"en": "Schedule: sold less bought", "zh_CN": "计划：售出 − 购入"},
        f"{group.sold_wh} − {group.bought_wh}",
        schedule_wh,
        "Wh",
        holds=schedule_wh == group.schedule_wh,
    )
    yield _step(
        {"en": "Imbalance: metered less schedule", "zh_CN": "偏差：计量 − 计划"},
        f"{bracketed(metered_wh)} − {bracketed(schedule_wh)}",
        metered_wh - schedule_wh,
        "Wh",
        holds=metered_wh - schedule_wh == group.imbalance_wh,
    )


def _penalty_steps(group: GroupEnergy, terms: Terms, owed: Owed, currency: str) -> Iterator[Step]:
    penalty, schedule_wh = terms.penalty, abs(_schedule_wh(group))
    if penalty is None:
        return
    free_wh = schedule_wh * penalty.tolerance_ppm // _PPM
    off_wh = abs(_metered_wh(group) - _schedule_wh(group))
    what = {"en": "Tolerance: a share of the schedule, rounded down", "zh_CN": "免责偏差：计划电量的份额，向下取整"}
    yield _step(what, f"{schedule_wh} × {penalty.tolerance_ppm} / {_PPM}", free_wh, "Wh")
    what = {"en": "Beyond the tolerance", "zh_CN": "超出免责偏差"}
    yield _step(what, f"{off_wh} − {free_wh}", owed.energy_wh, "Wh", holds=owed.energy_wh == off_wh - free_wh)
    what = {
        "en": "What the party pays: energy × price × share, rounded down",
        "zh_CN": "该方应付：电量 × 电价 × 份额，向下取整",
    }
    formula = f"{owed.energy_wh} × {owed.price_micro_per_kwh} × {penalty.penalty_ppm} / {_PPM}"
    yield _step(what, formula, owed.pays_nano, f"1e-9 {currency}")


def _postings(states: Sequence[Known], name: EntryName, entries: Sequence[Entry], currency: str) -> Iterator[Step]:
    """What each block posted: what is owed since, less what was owed before it; then all of it together."""
    before, posted = Owed(), list[int]()
    for state in states:
        now = owed_of(state, name.kind, name.party)
        own = [pays_nano(name.area, one) for one in entries if one.height == state.height]
        if own:
            what = {
                "en": f"Posted by what block {state.height} made known ({state.run})",
                "zh_CN": f"按区块 {state.height} 的已知情况过账（{state.run}）",
            }
            change_nano = now.pays_nano - before.pays_nano
            formula = f"{bracketed(now.pays_nano)} − {bracketed(before.pays_nano)}"
            yield _step(what, formula, sum(own), f"1e-9 {currency}", holds=sum(own) == change_nano)
            posted.append(sum(own))
        before = now
    what = {"en": "All postings together", "zh_CN": "全部过账合计"}
    formula = " + ".join(map(bracketed, posted))
    yield _step(what, formula, sum(posted), f"1e-9 {currency}", holds=sum(posted) == before.pays_nano)


def check_kind(kind: str) -> None:
    """UsageError for what is no kind of an entry."""
    if kind not in KINDS:
        raise UsageError(f"--line: {excerpt(kind)} is no kind of an entry of a balance; they are {', '.join(KINDS)}")
