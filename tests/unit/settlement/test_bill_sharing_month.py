"""A month under bill_sharing/1 through ledger and bundle: its last slot bills it, and what comes late bills it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridcore import verify
from gridcore.registry.calendar import Calendar
from ledger.evidence import build_bundle
from ledger.leaves.accounts import ACCOUNTS
from ledger.leaves.period import PERIOD
from ledger.leaves.runs import RUNS
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.slow.sharing import GridPrices, bill_sharing
from tests.worlds.community import COMMUNITY, PRICES
from tests.worlds.consortium import DAYS, FIRST_S, SLOT_S, zone
from tests.worlds.ledgers import ledger_with

SLOTS = 4
LAST_S = FIRST_S + (SLOTS - 1) * SLOT_S
MONTH = replace(
    COMMUNITY,
    zones=[zone(contract="bill_sharing/1")],
    calendar=Calendar(days=DAYS, months=[FIRST_S, FIRST_S + SLOTS * SLOT_S], tz="UTC", tz_version="1"),
)
TRUST = verify.decode_trust(json.dumps(trust_of(MONTH.genesis)).encode())
# registers at the boundaries: roof's export, house's and shop's import
ROOF, HOUSE, SHOP = (0, 600, 600, 700, 700), (0, 100, 500, 500, 900), (0, 300, 300, 400, 700)
NETS = [
    [ROOF[end] - ROOF[end - 1], HOUSE[end - 1] - HOUSE[end], SHOP[end - 1] - SHOP[end]] for end in range(1, SLOTS + 1)
]
BILL = bill_sharing(
    [[house, roof, shop] for roof, house, shop in NETS],
    GridPrices(PRICES["residual_price_micro_per_kwh"], PRICES["feed_in_price_micro_per_kwh"]),
)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """House's register at the first boundary comes when the month has been billed."""
    sender = MONTH.sender()
    blocks: list[list[bytes]] = []
    for boundary in range(SLOTS + 1):
        rows = [(1, 0, ROOF[boundary]), (3, SHOP[boundary], 0), (4, 0, 0)]
        rows += [(2, HOUSE[boundary], 0)] if boundary != 1 else []
        time_s = FIRST_S + boundary * SLOT_S
        blocks += [[sender.clock(time_s)], [sender.batch("gw-1", time_s, sorted(rows))]]
    blocks.append([sender.clock(LAST_S + 2 * SLOT_S)])
    blocks.append([sender.batch("gw-1", FIRST_S + SLOT_S, [(2, HOUSE[1], 0)])])
    with ledger_with(tmp_path_factory.mktemp("month"), MONTH, blocks) as ledger:
        yield ledger


def test_a_late_reading_in_the_first_slots_settles_the_months_last_slot_again(settled: Ledger) -> None:
    runs = [[name for name, _ in RUNS.must(settled, FIRST_S + slot * SLOT_S, "z-1").runs] for slot in range(SLOTS)]
    assert [names[-1] for names in runs] == ["correction-2", "correction-1", "initial", "correction-1"]


def test_all_runs_together_post_the_bill_of_the_month_as_if_nothing_had_come_late(settled: Ledger) -> None:
    accounts = ACCOUNTS.must(settled, "z-1", 0)
    units, nano = (int(column["community"][0]) for column in (accounts.units, accounts.nano))
    assert units * 10**9 + nano == BILL.grid_receives_nano
    sums = PERIOD.must(settled, FIRST_S, "z-1", 0).columns
    roof, house, shop = (sum(max(-slot[member], 0) for slot in NETS) for member in range(3))
    assert sums["deficit_wh"].tolist()[:3] == [roof, house, shop]


@pytest.mark.parametrize(("party", "kind"), [("house", "community_buy"), ("roof", "community_sell")])
def test_the_line_of_the_month_is_verified_and_has_the_amount_of_the_bill(
    settled: Ledger, party: str, kind: str
) -> None:
    bundle = build_bundle(settled, CONTRACTS, party=party, slot_start_s=LAST_S, line_kind=kind)
    verdict = verify.verify_bundle(bundle, TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    (line,) = (line for line in verdict.facts["lines"] if line["line_kind"] == kind)
    assert line["amount_nano"] == BILL.pays_nano[["house", "roof", "shop"].index(party)]
    assert line["price_micro_per_kwh"] is None
    assert any("month" in text for text in verdict.not_checked)
