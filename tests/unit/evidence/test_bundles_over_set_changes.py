"""Bundles of a chain whose set of validators changes: each verifies from the first trust root on, whichever certificates never came."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.validator import Validator
from gridevidence.export import TrustedSigner, trust_root
from gridevidence.sources import EvidenceNotYetError
from ledger.evidence import build_bundle
from ledger.store.reader import LedgerReader
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_independently
from tests.worlds.consortium import FIRST_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.lagging import lagging_ledger
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

FOUR = tuple(
    sorted(
        (Validator(f"v-{n}", UTILITY, key(f"v-{n}").public_key, 1, bytes([n]) * 32) for n in range(1, 5)),
        key=lambda one: one.public_key,
    )
)
CHAIN = replace(TWO_AREAS, validators=FOUR)
BLOCKS = one_settled_slot(CHAIN.sender())
OFFENCES = {8: FOUR[0], 13: FOUR[1]}
"""Who is caught in which block, and leaves the set: four validators, three, two."""
END = 20
NAMED, TOOK_OVER = 8, 10
"""The block whose header names the set of three as waiting, and the one that takes it over where every certificate comes."""


def trust_of(ledger: LedgerReader, validators: Sequence[Validator]) -> bytes:
    """A trust file that names a set."""
    signers = [TrustedSigner(one.name, one.public_key, one.power) for one in validators]
    return json.dumps(trust_root(ledger.chain, ledger.digest(0), signers)).encode()


def answer(bundle: bytes, trust: bytes) -> str:
    """What both verifiers say."""
    verdict = verify.verify_bundle(bundle, verify.decode_trust(trust))
    assert verify_independently(bundle, trust, None).answer == verdict.answer.replace(" ", "_"), verdict.reason
    return verdict.answer


def exported(ledger: LedgerReader) -> list[bytes]:
    """The bundle of a line; none while the newest certified header is that in which a set takes over."""
    try:
        return [build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="levy")]
    except EvidenceNotYetError:
        return []


@pytest.mark.parametrize(
    "uncovered",
    [(), (NAMED,), (TOOK_OVER,), (NAMED, NAMED + 1), (TOOK_OVER, TOOK_OVER + 1), (9, 10, 11), (15,), (10, 15, 16)],
    ids=str,
)
def test_a_bundle_verifies_from_the_old_trust_root_over_a_change_under_a_minimal_commit(
    tmp_path: Path, uncovered: Collection[int]
) -> None:
    """Pitfall: the last header of the old set may never get a certificate of its own; a header before it names the new set."""
    with lagging_ledger(tmp_path, CHAIN, BLOCKS, uncovered=uncovered) as ledger:
        bundles = []
        for height in range(len(BLOCKS) + 1, END + 1):
            ledger.decide([], offenders=[OFFENCES[height]] if height in OFFENCES else [])
            if ledger.certified_height > len(BLOCKS):
                bundles += exported(ledger)
        sets = {ledger.validators_at(height) for height in range(1, END + 1)}
        assert sorted(map(len, sets)) == [2, 3, 4]
        assert {answer(bundle, trust_of(ledger, FOUR)) for bundle in bundles} == {verify.VERIFIED}
        *earlier, bundle = bundles
        for validators in sets:
            assert answer(bundle, trust_of(ledger, validators)) == verify.VERIFIED
            later = {answer(one, trust_of(ledger, validators)) for one in earlier}
            assert later <= {verify.VERIFIED, verify.CANNOT_BE_DECIDED}, "a newer trust root refutes no honest bundle"
        facts = verify.verify_bundle(bundle, verify.decode_trust(trust_of(ledger, FOUR))).facts
        assert (facts["signers"], facts["signers_total"]) == (2, 2), "of the set in force, not of the trust root's"
