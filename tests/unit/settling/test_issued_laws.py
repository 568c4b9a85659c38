"""Laws of documents that were issued: whatever came between, all of them together are the last state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.settling.dataset import InvoiceTerms, PointRow
from gridledger.settling.outgoing.dues import dues_of
from gridledger.settling.results.balance_book import NO_BALANCE
from gridledger.settling.results.billing import Billing
from settlement.catalogue import CONTRACTS
from settlement.invoicing.documents import LineOf
from settlement.invoicing.issued import Claim, Line, Tax, Terms, differences, total
from settlement.tariffs.reading import components_of
from tests.unit.settling.settled_folder import Grid, dataset_of, runs_of, tariffs_of

KINDS = [kind.kind for kind in CONTRACTS["mid_market_rate/1"].line_kinds]
CHARGES = [
    {"name": "stay", "account": "supplier", "base": "day", "price_micro_per_day": 300_000},
    {"name": "share", "account": "grid", "base": "percent", "share_ppm": -7_501, "of": ["levy", "stay"]},
]
AMOUNTS = st.integers(-(10**6), 10**6)
RATED = st.builds(LineOf, st.sampled_from(["levy", "energy", "stay"]), st.sampled_from([130_000, 60_000, None]))
LINES = st.dictionaries(RATED, st.builds(Line, st.just("grid"), AMOUNTS, AMOUNTS, AMOUNTS))
TERMS = st.sampled_from([Terms("CNY", 130_000, 10**7), Terms("CNY", 60_000, 10**7), Terms("CNY", 130_000, 10**6)])
TAXES = st.dictionaries(st.sampled_from([130_000, 60_000, 0]), st.builds(Tax, AMOUNTS, AMOUNTS))
STATES = st.lists(st.tuples(TERMS, st.builds(Claim, LINES, TAXES)), min_size=1, max_size=6)


@given(STATES)
def test_all_that_was_issued_together_is_the_last_state_whatever_came_between(
    states: Sequence[tuple[Terms, Claim]],
) -> None:
    sent: dict[Terms, list[Claim]] = {}
    for terms, claim in states:
        known = {by: total(claims) for by, claims in sent.items()}
        for by, change, _ in differences({terms: claim}, known):
            assert not change.is_nothing
            sent.setdefault(by, []).append(change)
    last, owed = states[-1]
    found = {by: said(total(claims)) for by, claims in sent.items()}
    assert {by: what for by, what in found.items() if what != said(Claim())} == (
        {} if owed.is_nothing else {last: said(owed)}
    )


SLOTS = 4
POINTS = [PointRow("Z1", "P-1", "A1"), PointRow("Z2", "P-2", "A1")]
ENERGIES = st.lists(st.lists(st.integers(0, 3_000), min_size=2, max_size=2), min_size=SLOTS, max_size=SLOTS).map(
    lambda values: np.array(values, dtype=np.int64)
)


@given(ENERGIES, ENERGIES, st.lists(st.tuples(ENERGIES, st.sets(st.integers(0, SLOTS - 1), min_size=1)), max_size=3))
@settings(max_examples=25, deadline=None)
def test_what_is_issued_after_each_run_comes_to_the_documents_of_all_runs(
    import_wh: Grid, export_wh: Grid, later: Sequence[tuple[Grid, set[int]]]
) -> None:
    """A call after each run, and one from nothing behind the last of them."""
    dataset = dataset_of(
        import_wh, export_wh, POINTS, tariff=components_of(CHARGES, KINDS), invoice=InvoiceTerms(tax_ppm=130_000)
    )
    runs = list(runs_of(dataset))
    sent: dict[str, list[Claim]] = {point.party: [] for point in POINTS}
    for number in range(len(later) + 1):
        if number:
            energies, slots = later[number - 1]
            runs += runs_of(dataset, f"correction-{number}", sorted(slots), import_wh=energies)
        for due in dues_of(Billing(dataset, runs, tariffs_of(dataset)), NO_BALANCE, "z-1", ""):
            before = {due.terms: total(sent[due.of.party])}
            sent[due.of.party] += [one.claim for one in differences({due.terms: due.claim}, before)]
    billing = Billing(dataset, runs, tariffs_of(dataset))
    for run in billing.sheets.names:
        for party in billing.points_of_party:
            billing.billed(billing.run(run), party)
    documents = list(billing.invoices.issued(billing.sheets.names))
    from_nothing = {
        party: [
            sum(getattr(one.document, name) for one in documents if one.party == party)
            for name in ("net", "tax", "gross")
        ]
        for party in sent
    }
    assert {
        party: [sum(getattr(one, name) for one in claims) for name in ("net", "tax", "gross")]
        for party, claims in sent.items()
    } == from_nothing


def said(claim: Claim) -> tuple[dict[str, int], dict[int, Tax], int]:
    """What documents say in quanta: lines by kind, taxes by rate and gross."""
    kinds = {of.line_kind: sum(one.amount for one in claim.of_kind(of.line_kind)) for of in claim.lines}
    amounts = {kind: amount for kind, amount in kinds.items() if amount}
    return amounts, {rate: tax for rate, tax in claim.taxes.items() if any(tax)}, claim.gross
