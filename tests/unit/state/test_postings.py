"""Difference posting: what a later run posts, and that nothing is posted twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.state.postings import difference_posting


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5)), max_size=6))
def test_sum_of_all_difference_postings_is_the_last_run_alone(runs: list[dict[str, int]]) -> None:
    total: dict[str, int] = {}
    for before, after in zip([{}, *runs], runs, strict=False):
        posting = difference_posting(before, after)
        assert 0 not in posting.values()
        for account, amount in posting.items():
            total[account] = total.get(account, 0) + amount
    last = runs[-1] if runs else {}
    assert {account: amount for account, amount in total.items() if amount} == {
        account: amount for account, amount in last.items() if amount
    }


def test_accounts_come_in_the_order_of_the_later_run() -> None:
    assert list(difference_posting({"gone": 1, "kept": 5}, {"new": 2, "kept": 7})) == ["new", "kept", "gone"]
