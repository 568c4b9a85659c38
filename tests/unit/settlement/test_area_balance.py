"""The balance of an area: borders, losses and imbalances, and their double entry, against plain fractions."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcore.registry.balance_terms import BOTH, SHORT_ONLY, SIDES, BalancePenalty
from settlement.area_balance import (
    GAIN,
    LOSS,
    PENALTY,
    AreaBalance,
    Border,
    Known,
    SlotHistory,
    Terms,
    area_balance,
    imbalance_account,
    losses_account,
    penalties_account,
    unassigned_account,
)
from settlement.balance_groups import GroupEnergy
from settlement.errors import SettlementError
from tests.slow import grid_charges as slow

TERMS = Terms("grid", 400_000, 250_000, 200_000, 600_000)
EAST, WEST = GroupEnergy("east", 900, 0, 300, 0), GroupEnergy("west", 0, 500, 0, 300)
FEEDER = Border("F-1", "", 700, 50)
BRIDGE = Border("B-1", "south", 10, 210)


def known(*borders: Border, terms: Terms | None = TERMS, height: int = 5, run: str = "initial") -> Known:
    return Known(height, run, [EAST, WEST], borders, terms)


def test_what_goes_in_comes_out_or_is_lost() -> None:
    (line,) = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE)])]).lines
    assert (line.in_wh, line.produced_wh, line.out_wh, line.consumed_wh) == (710, 500, 260, 900)
    assert (line.loss_wh, line.gain_wh, line.loss_nano) == (50, 0, 50 * 400_000)


def test_who_answers_for_losses_pays_them_and_groups_their_imbalance() -> None:
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE)])])
    posted = [
        (one.kind, one.debit_account, one.credit_account, one.energy_wh, one.amount_nano) for one in balance.entries
    ]
    assert posted == [
        ("loss", "grid", "north/losses", 50, 50 * 400_000),
        ("surplus", "north/imbalance", "west", 200, 200 * 200_000),
        ("shortfall", "east", "north/imbalance", 600, 600 * 600_000),
    ]


def test_a_system_correction_is_received_at_the_price_of_a_gain() -> None:
    (entry, *_) = area_balance("north", [SlotHistory(0, [known(FEEDER._replace(in_wh=400))])]).entries
    assert (entry.kind, entry.debit_account, entry.credit_account) == (GAIN, "north/losses", "grid")
    assert (entry.energy_wh, entry.amount_nano) == (50, 50 * 250_000)


def test_a_border_that_is_not_known_leaves_the_loss_open_and_the_imbalances_posted() -> None:
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, Border("B-1", "south", None, None))])])
    (line,) = balance.lines
    assert (line.in_wh, line.loss_wh, line.gain_wh, line.loss_nano) == (None, None, None, None)
    assert {entry.kind for entry in balance.entries} == {"surplus", "shortfall"}
    assert balance.crossings[0].net_wh is None


def test_an_area_without_borders_has_no_loss_to_tell() -> None:
    (line,) = area_balance("north", [SlotHistory(0, [known()])]).lines
    assert line.loss_wh is None


def test_without_terms_there_are_energies_and_no_money() -> None:
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE, terms=None)])])
    (line,) = balance.lines
    assert (line.loss_wh, line.loss_nano, line.imbalance_nano, balance.entries) == (50, None, None, [])


def test_a_point_that_names_nobody_is_posted_to_an_account_of_its_own() -> None:
    nobody = Known(1, "initial", [EAST._replace(group=""), WEST], [FEEDER], TERMS)
    assert unassigned_account("north") in {
        total.account for total in area_balance("north", [SlotHistory(0, [nobody])]).accounts
    }


def test_a_later_reading_of_a_border_posts_the_difference() -> None:
    late = known(FEEDER, BRIDGE._replace(out_wh=200), height=9, run="correction-1")
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE), late])])
    assert [(one.height, one.run, one.energy_wh, one.amount_nano) for one in balance.entries if one.kind == LOSS] == [
        (5, "initial", 50, 50 * 400_000),
        (9, "correction-1", 10, 10 * 400_000),
    ]


def test_another_price_takes_the_old_posting_back_and_makes_a_new_one() -> None:
    dearer = known(FEEDER, BRIDGE, terms=TERMS._replace(loss_micro_per_kwh=500_000), height=9)
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE), dearer])])
    assert [
        (one.energy_wh, one.price_micro_per_kwh, one.debit_account) for one in balance.entries if one.kind == LOSS
    ] == [
        (50, 400_000, "grid"),
        (-50, 400_000, "north/losses"),
        (50, 500_000, "grid"),
    ]


def test_terms_that_end_the_responsibility_of_one_party_post_to_the_next() -> None:
    other = known(FEEDER, BRIDGE, terms=TERMS._replace(loss_responsible="new-grid"), height=9)
    balance = area_balance("north", [SlotHistory(0, [known(FEEDER, BRIDGE), other])])
    owed = {total.account: total.balance_nano for total in balance.accounts}
    assert (owed["grid"], owed["new-grid"]) == (0, 50 * 400_000)


# ------------------------------------------------------------------------------------------------------------ penalties


def with_penalty(
    *groups: GroupEnergy, sides: str = BOTH, share_ppm: int = 250_000, tolerance_ppm: int = 30_000, height: int = 5
) -> Known:
    penalty = BalancePenalty(share_ppm, 800_000, sides, tolerance_ppm)
    return Known(height, "initial", groups, [], TERMS._replace(penalty=penalty))


def penalties_of(*history: Known) -> list[tuple[str, str, int, int]]:
    """Debit, credit, energy and amount of the penalties that are posted."""
    entries = area_balance("north", [SlotHistory(0, history)]).entries
    return [
        (one.debit_account, one.credit_account, one.energy_wh, one.amount_nano)
        for one in entries
        if one.kind == PENALTY
    ]


def consumers(taken_wh: int, bought_wh: int = 1_000) -> GroupEnergy:
    return GroupEnergy("east", taken_wh, 0, bought_wh, 0)


@pytest.mark.parametrize("taken_wh", [970, 1_000, 1_030])
def test_a_group_within_its_tolerance_pays_its_imbalance_and_no_penalty(taken_wh: int) -> None:
    assert penalties_of(with_penalty(consumers(taken_wh))) == []


@pytest.mark.parametrize(("taken_wh", "charged_wh"), [(1_031, 1), (1_050, 20), (969, 1), (0, 970)])
def test_what_a_group_leaves_its_schedule_by_beyond_the_tolerance_costs_a_share_of_the_price(
    taken_wh: int, charged_wh: int
) -> None:
    posted = penalties_of(with_penalty(consumers(taken_wh)))
    assert posted == [("east", "north/penalties", charged_wh, charged_wh * 200_000)]


def test_producers_that_were_to_give_and_took_pay_for_all_beyond_the_tolerance() -> None:
    posted = penalties_of(with_penalty(GroupEnergy("west", 500, 0, 0, 1_000), sides=SHORT_ONLY))
    assert posted == [("west", "north/penalties", 1_470, 1_470 * 200_000)]


def test_with_a_penalty_for_shortfalls_alone_a_surplus_costs_nothing() -> None:
    assert penalties_of(with_penalty(consumers(0), sides=SHORT_ONLY)) == []
    assert penalties_of(with_penalty(consumers(1_050), sides=SHORT_ONLY)) != []


def test_a_group_without_trades_has_no_schedule_and_no_tolerance() -> None:
    assert penalties_of(with_penalty(consumers(10, bought_wh=0))) == [("east", "north/penalties", 10, 2_000_000)]


def test_later_energy_posts_what_the_penalty_grows_by_and_takes_it_back_within_the_tolerance() -> None:
    history = [
        with_penalty(consumers(taken_wh), height=height) for height, taken_wh in ((5, 1_050), (6, 1_060), (7, 1_020))
    ]
    assert penalties_of(*history) == [
        ("east", "north/penalties", 20, 20 * 200_000),
        ("east", "north/penalties", 10, 10 * 200_000),
        ("north/penalties", "east", -30, 30 * 200_000),
    ]


def test_another_share_takes_the_old_penalty_back_and_makes_a_new_one() -> None:
    history = [with_penalty(consumers(1_050)), with_penalty(consumers(1_050), share_ppm=500_000, height=9)]
    assert penalties_of(*history) == [
        ("east", "north/penalties", 20, 20 * 200_000),
        ("north/penalties", "east", -20, 20 * 200_000),
        ("east", "north/penalties", 20, 20 * 400_000),
    ]


def test_a_negative_energy_is_refused() -> None:
    with pytest.raises(SettlementError, match="neither an exchange"):
        area_balance("north", [SlotHistory(0, [known(FEEDER._replace(in_wh=-1))])])


# ---------------------------------------------------------------------------------------------------------------- laws

ENERGY = st.integers(0, 10**12)
PRICE = st.integers(-(10**9), 10**9)


@st.composite
def groups(draw: st.DrawFn) -> list[GroupEnergy]:
    """Groups that trade between themselves; one may be nobody's."""
    names = sorted(draw(st.sets(st.sampled_from(["", "a", "b", "grid"]), min_size=1)))
    bought, sold = Counter[str](), Counter[str]()
    for _ in range(draw(st.integers(0, 4))):
        wh = draw(ENERGY)
        sold[draw(st.sampled_from(names))] += wh
        bought[draw(st.sampled_from(names))] += wh
    return [GroupEnergy(name, draw(ENERGY), draw(ENERGY), bought[name], sold[name]) for name in names]


@st.composite
def borders(draw: st.DrawFn) -> list[Border]:
    others = draw(st.lists(st.sampled_from(["", "south", "west"]), max_size=3))
    found = []
    for number, other in enumerate(others):
        is_known = draw(st.integers(0, 5)) > 0
        energies = (draw(ENERGY), draw(ENERGY)) if is_known else (None, None)
        found.append(Border(f"B-{number}", other, *energies))
    return found


SHARE_PPM = st.sampled_from([0, 10**6]) | st.integers(0, 10**6)
PENALTIES = st.builds(BalancePenalty, SHARE_PPM, st.integers(0, 10**9), st.sampled_from(SIDES), SHARE_PPM)
TERMS_DRAWN = st.none() | st.builds(
    Terms, st.sampled_from(["grid", "a"]), PRICE, PRICE, PRICE, PRICE, st.none() | PENALTIES
)
KNOWN = st.builds(
    Known, st.integers(1, 9), st.sampled_from(["initial", "correction-1"]), groups(), borders(), TERMS_DRAWN
)
HISTORY = st.lists(KNOWN, min_size=1, max_size=4).map(lambda known: sorted(known, key=lambda one: one.height))


def penalty_of(group: GroupEnergy, terms: BalancePenalty) -> Fraction:
    """In units of the currency, by the slow reference of the vectors: a schedule in its own direction, and what was done of it."""
    scheduled_wh, given_wh = group.sold_wh - group.bought_wh, group.export_wh - group.import_wh
    done_wh = abs(scheduled_wh) + (given_wh - scheduled_wh)
    left = slow.deviation_penalty(
        abs(scheduled_wh), done_wh, terms.price_micro_per_kwh, terms.tolerance_ppm, terms.penalty_ppm, terms.sides
    )
    return Fraction(left.amount_nano, 10**9)


def reference(area: str, known: Known) -> dict[str, Fraction]:
    """The obvious way: what each account owes in units of the currency, kWh by kWh price, nothing rounded."""
    owed: defaultdict[str, Fraction] = defaultdict(Fraction)
    if known.terms is None:
        return {}

    def pay(party: str, counter: str, energy_wh: int, micro_per_kwh: int) -> None:
        amount = Fraction(energy_wh, 1000) * Fraction(micro_per_kwh, 10**6)
        owed[party or f"{area}/unassigned"] += amount
        owed[counter] -= amount

    if known.borders and all(border.in_wh is not None for border in known.borders):
        lost_wh = sum((border.in_wh or 0) - (border.out_wh or 0) for border in known.borders)
        lost_wh += sum(group.export_wh - group.import_wh for group in known.groups)
        price = known.terms.loss_micro_per_kwh if lost_wh > 0 else known.terms.gain_micro_per_kwh
        pay(known.terms.loss_responsible, f"{area}/losses", lost_wh, price)
    for group in known.groups:
        over_wh = (group.export_wh - group.import_wh) - (group.sold_wh - group.bought_wh)
        price = known.terms.surplus_micro_per_kwh if over_wh > 0 else known.terms.shortfall_micro_per_kwh
        pay(group.group, f"{area}/imbalance", -over_wh, price)
        if known.terms.penalty is not None:
            fine = penalty_of(group, known.terms.penalty)
            owed[group.group or f"{area}/unassigned"] += fine
            owed[f"{area}/penalties"] -= fine
    return {account: amount for account, amount in owed.items() if amount}


def owed_of(balance: AreaBalance) -> dict[str, Fraction]:
    return {one.account: Fraction(one.balance_nano, 10**9) for one in balance.accounts if one.balance_nano}


@given(HISTORY)
def test_all_entries_together_are_what_is_known_last_and_the_fractions_of_it(history: list[Known]) -> None:
    balance = area_balance("north", [SlotHistory(900, history)])
    assert owed_of(balance) == reference("north", history[-1])
    assert owed_of(area_balance("north", [SlotHistory(900, history[-1:])])) == owed_of(balance)


@given(st.lists(HISTORY, max_size=3))
def test_debits_equal_credits_and_every_entry_has_both_sides(slots: list[list[Known]]) -> None:
    balance = area_balance("north", [SlotHistory(900 * number, known) for number, known in enumerate(slots)])
    assert sum(total.balance_nano for total in balance.accounts) == 0
    assert sum(total.debit_nano for total in balance.accounts) == sum(one.amount_nano for one in balance.entries)
    counters = {losses_account("north"), imbalance_account("north"), penalties_account("north")}
    for one in balance.entries:
        assert one.amount_nano >= 0
        assert len(counters & {one.debit_account, one.credit_account}) == 1
        priced_nano = abs(one.energy_wh * one.price_micro_per_kwh)
        assert one.amount_nano <= priced_nano if one.kind == PENALTY else one.amount_nano == priced_nano


@given(KNOWN)
def test_a_penalty_is_posted_for_all_beyond_the_tolerance_and_for_nothing_within_it(known: Known) -> None:
    entries = area_balance("north", [SlotHistory(0, [known])]).entries
    plain = known if known.terms is None else known._replace(terms=known.terms._replace(penalty=None))
    expected: dict[str, int] = {}
    if known.terms is not None and known.terms.penalty is not None:
        penalty = known.terms.penalty
        for group in known.groups:
            free_wh = floor(abs(group.schedule_wh) * Fraction(penalty.tolerance_ppm, 10**6))
            is_free = penalty.sides == SHORT_ONLY and group.imbalance_wh > 0
            if not is_free and abs(group.imbalance_wh) > free_wh:
                expected[group.group] = abs(group.imbalance_wh) - free_wh
    assert {one.party: one.energy_wh for one in entries if one.kind == PENALTY} == expected
    assert [one for one in entries if one.kind != PENALTY] == area_balance("north", [SlotHistory(0, [plain])]).entries


@given(KNOWN)
def test_with_its_loss_an_area_sums_to_zero(known: Known) -> None:
    (line,) = area_balance("north", [SlotHistory(0, [known])]).lines
    if line.in_wh is None or line.out_wh is None or line.loss_wh is None or line.gain_wh is None:
        assert not known.borders or any(border.in_wh is None for border in known.borders)
    else:
        assert line.in_wh + line.produced_wh + line.gain_wh == line.out_wh + line.consumed_wh + line.loss_wh
        assert 0 in (line.loss_wh, line.gain_wh)


@given(groups(), groups(), ENERGY, ENERGY, ENERGY, ENERGY)
def test_a_border_is_settled_on_both_sides_with_opposite_signs(
    north: list[GroupEnergy], south: list[GroupEnergy], over_wh: int, back_wh: int, in_wh: int, out_wh: int
) -> None:
    """What two areas lose is what they would lose as one: the border between them leaves their sum as it is."""
    grid = [Border("F-1", "", in_wh, out_wh)]
    sides = {
        "north": Known(1, "initial", north, [*grid, Border("B-1", "south", over_wh, back_wh)], None),
        "south": Known(1, "initial", south, [*grid, Border("B-1", "north", back_wh, over_wh)], None),
    }
    balances = [area_balance(area, [SlotHistory(0, [known])]) for area, known in sides.items()]
    net = [balance.crossings[0].net_wh or 0 for balance in balances]
    assert net[0] == -net[1]
    apart = sum((one.loss_wh or 0) - (one.gain_wh or 0) for balance in balances for one in balance.lines)
    as_one = Known(1, "initial", [*north, *south], [*grid, Border("F-2", "", in_wh, out_wh)], None)
    (line,) = area_balance("both", [SlotHistory(0, [as_one])]).lines
    assert apart == (line.loss_wh or 0) - (line.gain_wh or 0)
