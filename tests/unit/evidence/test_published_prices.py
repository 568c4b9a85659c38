"""A bundle under prices that are published up to a time: both verifiers read the row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gridcore import verify
from ledger.evidence import build_bundle
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.unit.verify.test_verifiers_agree import generated, independent
from tests.worlds.consortium import FIRST_S, rules
from tests.worlds.ledgers import ledger_with
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

PUBLISHED = rules()._replace(record=rules().record._replace(until_s=FIRST_S + 900))
WORLD = replace(TWO_AREAS, rules=[PUBLISHED])


def test_prices_with_a_published_time_are_verified(tmp_path: Path) -> None:
    trust = json.dumps(trust_of(WORLD.genesis)).encode()
    with ledger_with(tmp_path / "ledger", WORLD, one_settled_slot(WORLD.sender())) as ledger:
        data = build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="trade_buy")
    assert generated(data, trust, None) == independent(data, trust, None)
    verdict = verify.verify_bundle(data, verify.decode_trust(trust))
    assert verdict.answer == verify.VERIFIED, verdict.reason
