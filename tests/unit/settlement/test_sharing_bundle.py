"""A community that shares by keys, through ledger, bundle and stand-alone verifier: each method, with the rest and without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from ledger.evidence import build_bundle
from ledger.leaves.run import RUN
from ledger.runs import area_result, load_rows
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.community import COMMUNITY, PRICES, one_shared_slot
from tests.worlds.consortium import FIRST_S, rules, zone
from tests.worlds.ledgers import ledger_with

# 601 Wh fed in by roof; house takes 400 Wh with the key 0.5 and the number 1, shop 600 Wh with the key 0.1 and no number.
GIVEN = {
    "static": (300, 60),
    "static_reallocated": (300, 60),
    "dynamic": (240, 361),
    "priority": (400, 201),
}


@pytest.mark.parametrize("has_rest", [True, False])
@pytest.mark.parametrize("method", GIVEN)
def test_each_line_of_a_shared_slot_is_verified(tmp_path: Path, method: str, has_rest: bool) -> None:
    terms = {"method": method, "trade_price_micro_per_kwh": 370_000, "settle_residual": has_rest}
    world = replace(
        COMMUNITY,
        rules=[rules("shared", prices=PRICES, terms=terms)],
        zones=[zone(contract="sharing_keys/1")],
        more=[
            Named(POINT, "P-2", Point("a-1", "load", "house", share_ppm=500_000, priority=1), FIRST_S),
            Named(POINT, "P-3", Point("a-1", "load", "shop", share_ppm=100_000), FIRST_S),
        ],
    )
    trust = verify.decode_trust(json.dumps(trust_of(world.genesis)).encode())
    with ledger_with(tmp_path, world, one_shared_slot(world.sender())) as ledger:
        run = RUN.must(ledger, FIRST_S, "z-1", "initial")
        settling = ledger.registry.at(FIRST_S, run.as_of_height).zone(ledger.registry.zones[0]).settling
        kept = load_rows(ledger, run, settling).columns
        assert tuple(kept["bought_wh"].tolist()[1:]) == GIVEN[method]
        assert kept["sold_wh"].tolist() == [sum(GIVEN[method]), 0, 0]
        sums = area_result(ledger, run, 0).sums
        assert (sums["production_wh"], sums["consumption_wh"], sums["keys_ppm"]) == (601, 1000, 600_000)
        kinds = [("roof", "trade_sell"), ("house", "trade_buy"), ("shop", "network_traded"), ("shop", "levy")]
        for party, kind in [*kinds, *([("house", "levy"), ("shop", "residual_import")] if has_rest else [])]:
            data = build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
            verdict = verify.verify_bundle(data, trust)
            assert verdict.answer == verify.VERIFIED, verdict.reason
            found = [line["line_kind"] for line in verdict.facts["lines"]]
            assert has_rest or not {"residual_import", "residual_export", "network_residual"} & set(found)
