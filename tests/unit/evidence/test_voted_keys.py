"""A key that organisations have voted on: a bundle that would rest on it is refused in one line, and the node goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.registry.signer import SIGNER
from gridevidence.sources import EvidenceError
from ledger.evidence_ledger import ReaderEvidence
from tests.unit.governance.council import administrator, membership
from tests.worlds.consortium import Consortium, feeder
from tests.worlds.ledgers import ledger_with

WORLD = Consortium(
    meters=[feeder(1)],
    roles={"admin": ["administrator"], "dso-admin": ["administrator"]},
    organisations={"dso-admin": "dso"},
)


def test_no_bundle_shows_a_key_that_was_given_by_votes(tmp_path: Path) -> None:
    sender = WORLD.sender()
    given = sender.propose(membership([administrator("dso", "dso-new")]))
    with ledger_with(tmp_path, WORLD, [[given], [sender.clock(sender.now_s + 1)]]) as ledger:
        evidence = ReaderEvidence(ledger)
        key = SIGNER.key("dso-admin")
        entry = evidence.entry_in_force(key, sender.now_s, 1)
        assert entry is not None
        with pytest.raises(
            EvidenceError, match="signer/dso-admin has its key by votes, in block 1: no bundle shows votes"
        ):
            evidence.enrolment(key, entry)
