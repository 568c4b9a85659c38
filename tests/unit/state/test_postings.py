"""Difference posting: what a later run posts, and that nothing is posted twice."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.leaves.accounts import NO_ACCOUNTS
from ledger.leaves.money import Money
from ledger.state.postings import difference_posting

AMOUNTS = st.integers(-5, 5) | st.integers(-(10**24), 10**24)


def columns(run: Mapping[str, list[int]]) -> dict[str, Money]:
    """Amounts in nano as a run has them."""
    return {account: Money.of(amounts) for account, amounts in run.items()}


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.lists(AMOUNTS, min_size=2, max_size=2)), max_size=6))
def test_sum_of_all_difference_postings_is_the_last_run_alone(runs: list[dict[str, list[int]]]) -> None:
    total = NO_ACCOUNTS
    for before, after in zip([{}, *runs], runs, strict=False):
        posting = difference_posting(columns(before), columns(after))
        assert all(amounts.is_anything for amounts in posting.values())
        total = total.add(posting, 2)
    last = runs[-1] if runs else {}
    for account in "abc":
        amounts = Money.of(last.get(account, [0, 0]))
        if account in total.units:
            assert total.units[account].tolist() == amounts.units.tolist()
            assert total.nano[account].tolist() == amounts.nano.tolist()
        else:
            assert not amounts.is_anything


def test_accounts_come_in_the_order_of_the_later_run() -> None:
    before, after = columns({"gone": [1], "kept": [5]}), columns({"new": [2], "kept": [7]})
    assert list(difference_posting(before, after)) == ["new", "kept", "gone"]


def test_a_run_with_more_rows_posts_against_nothing_in_those() -> None:
    posted = difference_posting(columns({"points": [5]}), columns({"points": [7, -1]}))
    assert posted["points"].units.tolist() == [0, -1]
    assert posted["points"].nano.tolist() == [2, 999_999_999]
