"""What sharing after the fact keeps: money paid is money received, energy given is energy produced."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total
from tests.slow.sharing_keys import (
    Allocation,
    allocate_by_priority,
    allocate_dynamic,
    allocate_reallocated,
    allocate_static,
)

CONSUMERS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 100_000), st.integers(0, 3)), max_size=10)


@given(st.integers(0, 20_000), CONSUMERS)
def test_every_method_gives_what_was_produced_and_nobody_more_than_they_use(
    production: int, consumers: list[tuple[int, int, int]]
) -> None:
    wanted, keys, priority = ([row[place] for row in consumers] for place in range(3))
    static = allocate_static(production, wanted, keys)
    reallocated = allocate_reallocated(production, wanted, keys)
    dynamic, ordered = (
        allocate_dynamic(production, wanted),
        allocate_by_priority(production, wanted, priority),
    )
    for allocation in (static, reallocated, dynamic, ordered):
        _check_kept(allocation, production, wanted)
    assert reallocated.surplus_wh <= static.surplus_wh
    assert dynamic.surplus_wh == ordered.surplus_wh == max(0, production - sum(wanted))


def _check_kept(allocation: Allocation, production: int, wanted: list[int]) -> None:
    assert sum(allocation.allocated_wh) + allocation.surplus_wh == production
    assert allocation.surplus_wh >= 0
    for given_wh, residual_wh, wanted_wh in zip(allocation.allocated_wh, allocation.residual_wh, wanted, strict=True):
        assert given_wh >= 0
        assert residual_wh >= 0
        assert given_wh + residual_wh == wanted_wh


@given(
    st.lists(st.integers(-(10**12), 10**12), max_size=10),
    st.integers(0, 10**6),
    st.integers(1, 10**8),
    st.sampled_from([HALF_UP_AWAY, HALF_EVEN]),
)
def test_the_lines_of_an_invoice_and_its_rounding_are_what_was_settled(
    lines_nano: list[int], tax_ppm: int, quantum_nano: int, rounding: str
) -> None:
    total = invoice_total(lines_nano, tax_ppm, quantum_nano, rounding)
    assert sum(total.lines) * quantum_nano - total.rounding_nano == sum(lines_nano)
    assert total.net + total.tax == total.gross
    for line, nano in zip(total.lines, lines_nano, strict=True):
        assert 2 * abs(line * quantum_nano - nano) <= quantum_nano
    credit = invoice_total([-line for line in lines_nano], tax_ppm, quantum_nano, rounding)
    assert credit.gross == -total.gross
