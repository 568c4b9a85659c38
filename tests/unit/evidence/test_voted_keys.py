"""Bundles that rest on a key that organisations have voted for: the proposal in the state ends the tie, in both verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.codes import Code
from gridcore.registry.row import Row
from gridcore.registry.signer import SIGNER, Signer
from gridevidence.sources import RegistryEntry, StateProof
from gridevidence.view import decode_bundle
from ledger.evidence import build_bundle
from ledger.evidence_ledger import ReaderEvidence
from ledger.leaves.proposal import PROPOSAL
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.unit.governance.council import membership
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.transactions import transaction_id
from tests.worlds.two_areas import TWO_AREAS

TRUST = json.dumps(trust_of(TWO_AREAS.genesis)).encode()
GIVEN = {"organisation": UTILITY, "public_key": key("admin-2").public_key, "roles": ["administrator"]}
OTHER = {"organisation": UTILITY, "public_key": key("reg-2").public_key, "roles": ["regulator"]}
SENDER = TWO_AREAS.sender()
GIVES = SENDER.propose(membership([["signer/admin", GIVEN]]))
GIVES_OTHER = SENDER.propose(membership([["signer/reg", OTHER]]))


def enrols(from_s: int, by: str = "") -> bytes:
    """A registration of another key of p-1."""
    row = Row(SIGNER.key("p-1"), from_s, SIGNER.encode(Signer(UTILITY, key("p-1-new").public_key, ["prosumer"])))
    return SENDER.register([row], key=by)


def trades() -> list[list[bytes]]:
    """Blocks in which p-1 trades with its other key, and the slot is settled."""
    sender = TWO_AREAS.sender()
    return [
        [
            sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S, key="p-1-new"),
            sender.order("p-2", "a-1", "sell", 300, 300_000, FIRST_S),
        ],
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 1000, 0), (2, 500, 100), (3, 10, 0), (4, 70, 5)])],
        [sender.clock(FIRST_S + SLOT_S)],
        [sender.batch("gw-1", FIRST_S + SLOT_S, [(1, 1900, 0), (2, 500, 600), (3, 12, 0), (4, 90, 5)])],
        [sender.clock(FIRST_S + 2 * SLOT_S)],
    ]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A vote gives the administrator another key, who then enrols another key of p-1; p-1 trades."""
    blocks = [[GIVES_OTHER], [GIVES], [enrols(START_S, "admin-2")], *trades()]
    with ledger_with(tmp_path_factory.mktemp("voted"), TWO_AREAS, blocks) as ledger:
        yield ledger


def export(ledger: Ledger) -> bytes:
    return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="trade_buy")


def test_a_voted_key_is_verified_and_shown_as_such(settled: Ledger) -> None:
    data = export(settled)
    verdict = verify.verify_bundle(data, verify.decode_trust(TRUST))
    assert verdict.answer == verify.VERIFIED, verdict.reason
    ties = {entry["signer"]: entry["origin"] for entry in verdict.facts["keys"]}
    assert ties == {
        "gw-1": "genesis",
        "p-1": "enrolled by admin at height 3",
        "admin": "voted by util at height 2",
    }
    assert verify_again(data, TRUST, None).answer == "verified"
    views = {view.signer: (view.enrolled_by, view.enrolled_height) for view in decode_bundle(data).keys}
    assert views["admin"] == ("util", 2)


def test_a_key_that_was_enrolled_after_a_vote_on_the_same_signer_is_tied_to_its_enrolment(tmp_path: Path) -> None:
    """Such a bundle once showed the vote, which gives another key: not verified, although every word of it is true."""
    lost = {"organisation": UTILITY, "public_key": key("p-1-lost").public_key, "roles": ["prosumer"]}
    voted = SENDER.propose(membership([["signer/p-1", lost]]))
    with ledger_with(tmp_path, TWO_AREAS, []) as ledger:
        in_its_block = decide(ledger, [voted, enrols(START_S + 1)])
        assert in_its_block == [Code.ACCEPTED, Code.REGISTRY_NOT_AHEAD], "who was voted on takes no other row there"
        for wires in ([enrols(START_S + 1)], [SENDER.clock(START_S + 1)], *trades()):
            assert set(decide(ledger, wires)) == {Code.ACCEPTED}
        verdict = verify.verify_bundle(export(ledger), verify.decode_trust(TRUST))
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert {entry["signer"]: entry["origin"] for entry in verdict.facts["keys"]}[
        "p-1"
    ] == "enrolled by admin at height 2"


def _admin(bundle: Any) -> Any:
    return next(part for part in bundle["keys"] if cbor.decode(part["leaf"])[0] == "signer/admin")["entries"][0]


def _both(bundle: Any) -> None:
    entry = _admin(bundle)
    entry["genesis"] = dict(entry["voted"])


CHANGES: dict[str, Callable[[Any], Any]] = {
    "no tie": lambda bundle: _admin(bundle).pop("voted"),
    "two ties": _both,
    "a proposal that is not in the state": lambda bundle: _admin(bundle)["voted"]["path"].pop(),
    "no leaf of a proposal": lambda bundle: _admin(bundle).update(voted=bundle["chain"]),
    "another path": lambda bundle: _admin(bundle)["voted"].update(path=bundle["chain"]["path"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_tie_that_is_changed_is_refuted_by_both_verifiers(settled: Ledger, change: Callable[[Any], Any]) -> None:
    bundle = cbor.decode(export(settled), items_max=1 << 16)
    change(bundle)
    data = cbor.encode(bundle)
    assert verify.verify_bundle(data, verify.decode_trust(TRUST)).answer == verify.NOT_VERIFIED
    assert verify_again(data, TRUST, None).answer == "not_verified"


def test_a_proposal_that_did_not_give_the_key_is_refuted_by_both_verifiers(
    settled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state holds what is shown, under a certified root: a proposal that has passed, and gave another key in another block."""

    def decision(self: ReaderEvidence, key: str, entry: RegistryEntry) -> StateProof | None:
        return self.state_proof(PROPOSAL.key(transaction_id(GIVES_OTHER).hex())) if key == "signer/admin" else None

    monkeypatch.setattr(ReaderEvidence, "decision", decision)
    data = export(settled)
    assert verify.verify_bundle(data, verify.decode_trust(TRUST)).answer == verify.NOT_VERIFIED
    assert verify_again(data, TRUST, None).answer == "not_verified"
