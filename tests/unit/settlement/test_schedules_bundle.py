"""``schedules_and_deviations/1`` through ledger, bundle and the verifiers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridcore import cbor, verify
from gridcore.master_data import Named
from gridcore.registry.agreement import AGREEMENT
from ledger.evidence import build_bundle
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.external import needs
from tests.second_verifier.verify import verify as verify_again
from tests.unit.settlement.test_agreements_bundle import kept_of
from tests.unit.settlement.test_schedules_and_deviations import PRICES
from tests.unit.verify.javascript import INSTALL, check_agreement, javascript
from tests.unit.verify.mutants import Mutant
from tests.worlds.agreed import AGREED, BEGIN_S, HOUSE
from tests.worlds.community import one_shared_slot
from tests.worlds.consortium import FIRST_S, rules, zone
from tests.worlds.ledgers import ledger_with

pytestmark = needs("node", INSTALL)
SCHEDULED = replace(
    AGREED,
    rules=[rules("agreed", prices=PRICES, terms={})],
    zones=[zone(contract="schedules_and_deviations/1")],
    more=[*AGREED.more[:2], Named(AGREEMENT, "a-house", HOUSE._replace(quantity_wh=500), BEGIN_S), *AGREED.more[3:]],
)
"""The roof exports 601 Wh and sold 500 to the house, which imports 400, and half of its export to the shop, which imports 600."""
LINES = {
    "roof": {
        "schedule_sell": (800, -(500 * 450_000 + 300 * 410_000)),
        "schedule_difference": (1_000, -30_000_000),
        "shortfall": (199, 199 * 700_000),
    },
    "house": {"schedule_buy": (500, 500 * 450_000), "surplus": (100, -100 * 250_000)},
    "shop": {"schedule_buy": (300, 300 * 410_000), "residual_import": (300, 300 * 600_000)},
}


def bundles_of(ledger: Ledger) -> Mapping[str, bytes]:
    return {
        party: build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=next(iter(lines)))
        for party, lines in LINES.items()
    }


def trust_bytes() -> bytes:
    return json.dumps(trust_of(SCHEDULED.genesis)).encode()


def verdict_of(data: bytes) -> Any:
    return verify.verify_bundle(data, verify.decode_trust(trust_bytes()))


def test_schedule_and_deviation_are_lines_that_each_sides_bundle_proves(tmp_path: Path) -> None:
    with ledger_with(tmp_path, SCHEDULED, one_shared_slot(SCHEDULED.sender())) as ledger:
        kept, bundles = kept_of(ledger), bundles_of(ledger)
    assert (kept["bought_wh"], kept["sold_wh"]) == ([0, 500, 300], [800, 0, 0])
    pays = []
    for party, lines in LINES.items():
        verdict = verdict_of(bundles[party])
        assert verdict.answer == verify.VERIFIED, verdict.reason
        again = verify_again(bundles[party], trust_bytes(), None)
        assert again.answer == "verified", again
        found = {line["line_kind"]: (line["energy_wh"], line["amount_nano"]) for line in verdict.facts["lines"]}
        assert {kind: found[kind] for kind in lines} == lines
        pays.append(sum(nano for _, nano in found.values()))
    assert pays == kept["pays_nano"]


def test_a_bundle_with_other_agreements_is_not_verified(tmp_path: Path) -> None:
    with ledger_with(tmp_path, SCHEDULED, one_shared_slot(SCHEDULED.sender())) as ledger:
        house = cbor.decode(bundles_of(ledger)["house"])
    without = {name: part for name, part in house.items() if name != "agreements"}
    verdict = verdict_of(cbor.encode(without))
    assert (verdict.answer, "the energy bought is not what the agreements say" in verdict.reason) == (
        verify.NOT_VERIFIED,
        True,
    )


def test_the_verifier_in_javascript_says_the_same(tmp_path: Path) -> None:
    with ledger_with(tmp_path / "ledger", SCHEDULED, one_shared_slot(SCHEDULED.sender())) as ledger:
        bundles = bundles_of(ledger)
    shop = cbor.decode(bundles["shop"])
    cut = cbor.encode({**shop, "agreements": shop["agreements"][:1], "series": shop["series"][1:]})
    told = [*bundles.items(), ("without its hedge", cut)]
    with javascript() as found:
        said = check_agreement(
            found, (Mutant(name, data, trust_bytes(), None, is_unkeyed=True) for name, data in told), tmp_path
        )
    assert said.keys() >= {verify.VERIFIED}
