"""Bilateral agreements through ledger, bundle and stand-alone verifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from gridcore import cbor, verify
from gridcore.master_data import Named
from gridcore.registry.agreement import AGREEMENT, EndedAgreement
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from ledger.evidence import build_bundle
from ledger.leaves.run import RUN
from ledger.runs import load_rows
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.unit.settlement.test_bilateral_agreements import PRICES, settled, slot_of, worlds
from tests.worlds.agreed import AGREED, BEGIN_S, HOUSE
from tests.worlds.community import one_shared_slot
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium
from tests.worlds.ledgers import ledger_with

BOUGHT = [0, 300, 300]
LINES = {
    "roof": {"agreement_sell": (600, -(300 * 450_000 + 300 * 410_000)), "agreement_difference": (1_000, -30_000_000)},
    "house": {"agreement_buy": (300, 300 * 450_000), "residual_import": (100, 60_000_000)},
    "shop": {"agreement_buy": (300, 300 * 410_000), "agreement_difference": (1_000, 30_000_000)},
}


def kept_of(ledger: Ledger, run: str = "initial") -> Mapping[str, list[int]]:
    """The columns of the three points."""
    leaf = RUN.must(ledger, FIRST_S, "z-1", run)
    settling = ledger.registry.at(FIRST_S, leaf.as_of_height).zone(ledger.registry.zones[0]).settling
    return {name: column.tolist() for name, column in load_rows(ledger, leaf, settling).columns.items()}


def verdict_of(data: bytes, world: Consortium = AGREED) -> Any:
    """What the stand-alone verifier says."""
    return verify.verify_bundle(data, verify.decode_trust(json.dumps(trust_of(world.genesis)).encode()))


def test_each_side_of_an_agreement_is_billed_and_its_bundle_is_verified(tmp_path: Path) -> None:
    with ledger_with(tmp_path, AGREED, one_shared_slot(AGREED.sender())) as ledger:
        kept = kept_of(ledger)
        assert kept["bought_wh"] == BOUGHT
        assert kept["sold_wh"] == [600, 0, 0]
        assert kept["difference_nano"] == [-30_000_000, 0, 30_000_000]
        for party, lines in LINES.items():
            for kind, shown in lines.items():
                verdict = verdict_of(build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind))
                assert verdict.answer == verify.VERIFIED, verdict.reason
                found = {line["line_kind"]: (line["energy_wh"], line["amount_nano"]) for line in verdict.facts["lines"]}
                assert found[kind] == shown


def test_a_bundle_without_one_of_its_agreements_or_with_another_partys_is_not_verified(tmp_path: Path) -> None:
    with ledger_with(tmp_path, AGREED, one_shared_slot(AGREED.sender())) as ledger:
        bundles = {
            party: cbor.decode(build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind="levy"))
            for party in ("house", "shop")
        }
    house, shop = bundles["house"], bundles["shop"]
    assert len(house["agreements"]) == 1
    assert len(shop["agreements"]) == 2
    without = {name: part for name, part in house.items() if name != "agreements"}
    forged = {
        "the energy bought is not what the agreements say": without,
        "of another point": {**house, "agreements": shop["agreements"][:1], "series": shop["series"][1:]},
        "do not ascend": {**shop, "agreements": shop["agreements"][::-1]},
        "the energy of differences": {**shop, "agreements": shop["agreements"][:1], "series": shop["series"][1:]},
        "the price series": {name: part for name, part in shop.items() if name != "series"},
    }
    for words, bundle in forged.items():
        verdict = verdict_of(cbor.encode(bundle))
        assert verdict.answer == verify.NOT_VERIFIED
        assert words in verdict.reason


@pytest.mark.parametrize("case", ["ended", "moved out", "not begun"])
def test_an_agreement_binds_only_while_it_holds_and_its_parties_are_billed_at_its_points(
    tmp_path: Path, case: str
) -> None:
    more = {
        "ended": Named(AGREEMENT, "a-house", EndedAgreement("house", "P-2", "roof", "P-1"), FIRST_S),
        "moved out": Named(POINT, "P-2", Point("a-1", "load", "shop"), FIRST_S),
        "not begun": None,
    }[case]
    kept_rows = [row for row in AGREED.more if case != "not begun" or row.rows().__next__().key != "agreement/a-house"]
    later = [Named(AGREEMENT, "a-house", HOUSE, FIRST_S + 1)] if case == "not begun" else [more]
    world = replace(AGREED, more=[*kept_rows, *(row for row in later if row is not None)])
    with ledger_with(tmp_path, world, one_shared_slot(world.sender())) as ledger:
        assert kept_of(ledger)["bought_wh"] == [0, 0, 300]
        data = build_bundle(ledger, CONTRACTS, party="roof", slot_start_s=FIRST_S, line_kind="agreement_sell")
        assert [cbor.decode(part["leaf"])[0] for part in cbor.decode(data)["agreements"]] == [
            "agreement/b-shop",
            "agreement/hedge",
        ]
        assert verdict_of(data, world).answer == verify.VERIFIED


def test_a_difference_without_a_reference_price_in_the_slot_moves_nothing(tmp_path: Path) -> None:
    silent = Named(PRICE_SERIES, "reference", PriceSeries.of(SLOT_S, [1]), BEGIN_S)
    more = [row for row in AGREED.more if row.rows().__next__().key != "price_series/reference"]
    world = replace(AGREED, more=[silent, *more])
    with ledger_with(tmp_path, world, one_shared_slot(world.sender())) as ledger:
        assert kept_of(ledger)["difference_wh"] == [0, 0, 0]
        data = build_bundle(ledger, CONTRACTS, party="shop", slot_start_s=FIRST_S, line_kind="levy")
        assert verdict_of(data, world).answer == verify.VERIFIED


def test_other_prices_of_a_series_that_agreements_alone_name_correct_their_slots(tmp_path: Path) -> None:
    sender = AGREED.sender()
    blocks = one_shared_slot(sender)
    dearer = [*Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [415_000]), FIRST_S).rows()]
    blocks += [[sender.register(dearer)], [], [], [sender.clock(FIRST_S + 3 * SLOT_S)]]
    with ledger_with(tmp_path, AGREED, blocks) as ledger:
        assert kept_of(ledger)["bought_nano"] == [0, 300 * 450_000, 300 * 410_000]
        assert kept_of(ledger, "correction-1")["bought_nano"] == [0, 300 * 450_000, 300 * 415_000]
        data = build_bundle(ledger, CONTRACTS, party="shop", slot_start_s=FIRST_S, line_kind="agreement_buy")
        assert verdict_of(data).answer == verify.VERIFIED


@given(worlds())
@settings(max_examples=200)
def test_what_a_point_alone_shows_holds_and_amounts_beyond_its_agreements_do_not(
    world: tuple[list[tuple[int, int]], list[tuple[int, ...]]],
) -> None:
    points, rows = world
    result = settled(slot_of(points, rows))
    known = verify.CONTRACTS["bilateral_agreements/1"]
    assert points
    for place, (taken, fed) in enumerate(points):
        columns = {name: int(column[place]) for name, column in result.columns.items()}
        agreements = [
            verify.Agreed(
                seller == place,
                bool(money),
                price - of,
                wh if wh >= 0 else None,
                share if share >= 0 else None,
            )
            for seller, buyer, money, wh, share, price, of in rows
            if place in (seller, buyer)
        ]
        shown = verify.Settled(taken, fed, columns, {}, PRICES, 0, PRICES, {}, {}, agreements)
        known.check_point(shown)
        lines = known.lines_of_point(shown)
        assert sum(line.amount_nano for line in lines) == columns["pays_nano"]
        least = [min((one.price for one in agreements), default=0), max((one.price for one in agreements), default=0)]
        for name, wrong in (("bought_nano", 1), ("sold_nano", 1), ("bought_wh", taken + 1), ("sold_wh", fed + 1)):
            energy = columns["bought_wh" if name.startswith("bought") else "sold_wh"]
            beyond = wrong + max(abs(price) for price in least) * energy if name.endswith("nano") else wrong
            with pytest.raises(verify.Halt):
                known.check_point(shown._replace(columns={**columns, name: beyond}))
