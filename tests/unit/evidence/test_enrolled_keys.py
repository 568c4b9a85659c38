"""Bundles that rest on keys enrolled after genesis: each is followed to a key of genesis, out of a real ledger."""

from __future__ import annotations

import json
from pathlib import Path

from gridcore import verify
from gridcore.registry.row import Row
from gridcore.registry.signer import SIGNER, Signer
from ledger.evidence import build_bundle
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.ledgers import ledger_with
from tests.worlds.transactions import Sender
from tests.worlds.two_areas import TWO_AREAS

TRUST = verify.decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())


def enrol(sender: Sender, name: str, new_key: str, role: str, *, admin_key: str) -> bytes:
    """The administrator records another key of a signer, signed by one of its own."""
    row = Row(SIGNER.key(name), START_S, SIGNER.encode(Signer(UTILITY, key(new_key).public_key, [role])))
    return sender.register([row], key=admin_key)


def test_keys_enrolled_one_by_another_are_tied_to_genesis(tmp_path: Path) -> None:
    sender = TWO_AREAS.sender()
    rows = [(1, 1000, 0), (2, 500, 100), (3, 10, 0), (4, 70, 5)]
    later = [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)]
    blocks = [
        [enrol(sender, "admin", "admin-2", "administrator", admin_key="admin")],
        [enrol(sender, "p-1", "p-1-new", "prosumer", admin_key="admin-2")],
        [
            sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S, key="p-1-new"),
            sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, rows)],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, later)],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]
    with ledger_with(tmp_path / "ledger", TWO_AREAS, blocks) as ledger:
        for party in ("p-1", "p-2"):
            kind = "trade_buy" if party == "p-1" else "trade_sell"
            data = build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
            verdict = verify.verify_bundle(data, TRUST)
            assert verdict.answer == verify.VERIFIED, verdict.reason
            ties = {entry["signer"]: entry["origin"] for entry in verdict.facts["keys"]}
            assert ties["gw-1"] == "genesis"
            if party == "p-1":
                assert "admin at height 2" in ties["p-1"]
            else:
                assert ties["p-2"] == "genesis"
