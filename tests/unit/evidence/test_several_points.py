"""A party with several points: the bundle of each shows the others, and the verifier deals its trades again."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from gridcore import cbor, verify
from gridevidence.sources import EvidenceError
from ledger.evidence import build_bundle
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, household
from tests.worlds.ledgers import decide, open_ledger
from tests.worlds.transactions import Sender

HOMES = Consortium(
    meters=[
        household(1, "p-1", point="P-b"),
        household(2, "p-2"),
        household(3, "p-1", point="P-a"),
        household(4, "p-1", point="P-c"),
    ]
)


def one_slot(sender: Sender) -> list[list[bytes]]:
    """p-1 buys 1,000 Wh: its points took 300, 200 and nothing."""
    return [
        [
            sender.order("p-1", "a-1", "buy", 1_000, 450_000, FIRST_S),
            sender.order("p-2", "a-1", "sell", 1_000, 300_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 300, 0), (2, 0, 900), (3, 200, 0), (4, 0, 0)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
        [sender.clock(FIRST_S + 2 * SLOT_S + 1)],
    ]


def bundle_of(ledger: Ledger, point: str | None) -> bytes:
    """What p-1 bought."""
    return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="trade_buy", point=point)


def test_the_bundle_of_each_point_is_verified_and_names_the_others(tmp_path: Path) -> None:
    trust_file = json.dumps(trust_of(HOMES.genesis)).encode()
    trust = verify.decode_trust(trust_file)
    with closing(open_ledger(tmp_path, HOMES)) as ledger:
        for wires in one_slot(HOMES.sender()):
            assert decide(ledger, wires) == [0] * len(wires)
        shown = {}
        for point in (None, "P-a", "P-b"):
            bundle = bundle_of(ledger, point)
            verdict = verify.verify_bundle(bundle, trust)
            assert verdict.answer == "verified", verdict.reason
            assert verify_again(bundle, trust_file, None).answer == "verified"
            parts = cbor.decode(bundle, items_max=len(bundle))
            shown[point] = [cbor.decode(one["point"]["row"])[0] for one in parts["siblings"]]
        assert shown == {
            None: ["point/P-b", "point/P-c"],
            "P-a": ["point/P-b", "point/P-c"],
            "P-b": ["point/P-a", "point/P-c"],
        }
        with pytest.raises(EvidenceError, match="has no line trade_buy"):
            bundle_of(ledger, "P-c")
        with pytest.raises(EvidenceError, match="no point 'P-2' is billed to it"):
            bundle_of(ledger, "P-2")
