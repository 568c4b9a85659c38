"""What is to be issued beside what was: lines by their rates of tax where a kind has several, and all of it together what is owed."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from settlement.invoicing.documents import LineOf
from settlement.invoicing.issued import Claim, Line, Tax, Terms, differences, total

TERMS: Final = Terms("CNY", 130_000, 10_000_000)
RATES: Final = (None, 90_000, 130_000)
HIGH, LOW, ALL = (LineOf("levy", rate) for rate in (130_000, 90_000, None))


def line(amount: int) -> Line:
    return Line("levy", 1_000 * amount, 10_000_000 * amount, amount)


def claim(lines: dict[LineOf, int]) -> Claim:
    """Lines of so many quanta each, and the taxes on them."""
    taxed: dict[int, int] = {}
    for of, amount in lines.items():
        if of.tax_ppm is not None:
            taxed[of.tax_ppm] = taxed.get(of.tax_ppm, 0) + amount
    taxes = {rate: Tax(net, net * rate // 1_000_000) for rate, net in taxed.items()}
    return Claim({of: line(amount) for of, amount in lines.items()}, taxes)


def issued_after(now: Claim, before: Claim) -> list[tuple[dict[LineOf, int], bool]]:
    """The amounts of what is to be issued, and whether its lines have rates."""
    found = differences({TERMS: now}, {TERMS: before})
    return [({of: one.amount for of, one in claim.lines.items()}, is_rated) for _, claim, is_rated in found]


def test_a_kind_of_two_rates_has_a_line_of_each() -> None:
    assert issued_after(claim({HIGH: 100, LOW: 200}), Claim()) == [({HIGH: 100, LOW: 200}, True)]


def test_a_kind_of_one_rate_is_no_reason_for_rates_on_lines() -> None:
    assert issued_after(claim({HIGH: 100}), Claim()) == [({HIGH: 100}, False)]


def test_a_correction_of_one_rate_is_of_this_rate_alone() -> None:
    before = claim({HIGH: 100, LOW: 200})
    assert issued_after(claim({HIGH: 100, LOW: 250}), before) == [({LOW: 50}, True)]


def test_what_was_issued_without_rates_is_corrected_without_them() -> None:
    whole = claim({HIGH: 100, LOW: 200})
    before = Claim({ALL: line(300)}, whole.taxes)
    assert issued_after(whole, before) == []
    assert issued_after(claim({HIGH: 100, LOW: 250}), before) == [({ALL: 50}, False)]


DRAWN: Final = st.dictionaries(
    st.builds(LineOf, st.sampled_from(["levy", "energy"]), st.sampled_from(RATES)), st.integers(-9, 9), max_size=6
).map(claim)


def by_kind(of: Claim) -> tuple[dict[str, int], object]:
    lines = {kind: sum(one.amount for one in of.of_kind(kind)) for kind in ("levy", "energy")}
    return lines, {rate: tax for rate, tax in of.taxes.items() if any(tax)}


@given(st.lists(DRAWN, min_size=1, max_size=4))
def test_all_documents_together_are_what_is_owed_and_nothing_more_is_to_be_issued_then(owed: list[Claim]) -> None:
    documents: list[Claim] = []
    for now in owed:
        documents += [one.claim for one in differences({TERMS: now}, {TERMS: total(documents)})]
    issued = total(documents)
    assert by_kind(issued) == by_kind(owed[-1])
    assert differences({TERMS: owed[-1]}, {TERMS: issued}) == []
