"""What the second verifier answers with other trust roots, versions and order books."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.second_verifier.encoding import decode, encode
from tests.second_verifier.evidence import certified_later, evidence_of
from tests.second_verifier.story import KEYS, NEW_SIGNERS, OLD_SIGNERS, SHARED, Story
from tests.second_verifier.told import Told
from tests.second_verifier.verify import Answer, verify

TOLD = Told(Story())
EVIDENCE = evidence_of(TOLD)
Change = Callable[[Any], object]  # of the book's map, in place


def words(answer: Answer) -> tuple[str, str | None]:
    return answer.answer, answer.claim.word if answer.claim else None


def trust(signers: tuple[Any, ...] = OLD_SIGNERS, **fields: object) -> bytes:
    entries = [{"name": "node", "power": 1, "public_key": pair.public.hex()} for pair in signers]
    return json.dumps({**EVIDENCE.trust, "signers": entries, **fields}).encode()


def test_later_header_behind_a_hand_over_is_verified_with_the_old_and_the_new_trust_root() -> None:
    evidence = certified_later(TOLD, EVIDENCE)
    assert verify(evidence.bundle_bytes, evidence.trust_bytes, None).answer == "verified"
    assert verify(evidence.bundle_bytes, trust(signers=NEW_SIGNERS), None).answer == "verified"


@pytest.mark.parametrize(
    ("answer", "trust_bytes"),
    [
        pytest.param("cannot_be_decided", None, id="no trust root"),
        pytest.param("cannot_be_decided", trust(chain="village0123456789abcdef"), id="another chain"),
        pytest.param("cannot_be_decided", trust(genesis="00" * 32), id="another genesis"),
        pytest.param("cannot_be_decided", trust(signers=NEW_SIGNERS), id="a set that is not yet that of the header"),
        pytest.param(
            "verified", trust(pins=[{"signer": "gw1", "fingerprint": KEYS["gw1"].fingerprint.hex()}]), id="a pin"
        ),
        pytest.param(
            "not_verified", trust(pins=[{"signer": "gw1", "fingerprint": "ab" * 32}]), id="a pin of another key"
        ),
        pytest.param("verified", trust(pins=[{"signer": "gw9", "fingerprint": "ab" * 32}]), id="a stranger's pin"),
        pytest.param("bad_usage", trust(pins=[{"signer": "gw1", "fingerprint": "abc"}]), id="a short fingerprint"),
        pytest.param("bad_usage", trust(signers=()), id="no signers"),
        pytest.param("bad_usage", trust(signers=(OLD_SIGNERS[0], OLD_SIGNERS[0])), id="a signer twice"),
        pytest.param("bad_usage", trust(note=""), id="a key too many"),
        pytest.param("bad_usage", trust(version=True), id="another version"),
        pytest.param("bad_usage", trust().replace(b'"pins"', b'"chain": "", "pins"'), id="a key twice"),
        pytest.param("bad_usage", b"{", id="no JSON"),
        pytest.param("bad_usage", b"[" * 100_000, id="brackets without end"),
    ],
)
def test_the_trust_root_decides_the_answer(answer: str, trust_bytes: bytes | None) -> None:
    assert verify(EVIDENCE.bundle_bytes, trust_bytes, None).answer == answer


@pytest.mark.parametrize(
    ("claim", "story"),
    [
        pytest.param("header", replace(Story(), protocol_version=3), id="a block of a later protocol"),
        pytest.param("position", replace(Story(), contract="barter/1"), id="an unknown contract"),
    ],
)
def test_unknown_version_cannot_be_decided(claim: str, story: Story) -> None:
    evidence = evidence_of(Told(story))
    assert words(verify(evidence.bundle_bytes, evidence.trust_bytes, None)) == ("cannot_be_decided", claim)


def test_bundle_of_another_version_cannot_be_decided_and_is_not_looked_at() -> None:
    assert words(verify(encode({"type": "gridledger-evidence", "version": 3}), None, None)) == (
        "cannot_be_decided",
        "shape",
    )


BOOK_CHANGES: list[tuple[str, Change]] = [
    ("an order less", lambda book: (book["book"].pop(), book["salts"].pop())),
    ("another order", lambda book: book["book"].reverse()),
    ("a salt too many", lambda book: book["salts"].append(bytes(16))),
    ("another type", lambda book: book.update(type="gridledger-evidence")),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in BOOK_CHANGES])
def test_book_that_is_not_this_slots_cannot_be_decided(change: Change) -> None:
    book = decode(EVIDENCE.book_bytes)
    change(book)
    answer = verify(EVIDENCE.bundle_bytes, EVIDENCE.trust_bytes, encode(book))
    assert words(answer) == ("cannot_be_decided", "book")
    assert answer.reason.startswith("book:")


def test_book_of_the_slot_is_verified_and_without_a_clearing_not_decided() -> None:
    assert verify(EVIDENCE.bundle_bytes, EVIDENCE.trust_bytes, EVIDENCE.book_bytes).answer == "verified"
    shared = evidence_of(Told(SHARED))
    assert words(verify(shared.bundle_bytes, shared.trust_bytes, shared.book_bytes)) == ("cannot_be_decided", "book")


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(replace(Story(), book=((0, 0, 600, 300_000, 600), (1, 1, 700, 100_001, 600))), id="another price"),
        pytest.param(replace(Story(), book=((0, 0, 600, 300_000, 599), (1, 1, 700, 100_000, 599))), id="other fills"),
        pytest.param(
            replace(Story(), book=((0, 0, 600, 300_000, 600), (2, 1, 700, 100_000, 600))), id="a rank left out"
        ),
        pytest.param(replace(Story(), book=((0, 2, 600, 300_000, 600), (1, 1, 700, 100_000, 600))), id="no side"),
        pytest.param(
            replace(Story(), book=((0, 0, 600, 299_999, 600), (1, 1, 700, 100_000, 600))),
            id="another limit of the party",
        ),
    ],
)
def test_book_from_which_the_price_or_a_fill_does_not_follow_is_not_verified(story: Story) -> None:
    evidence = evidence_of(Told(story))
    assert words(verify(evidence.bundle_bytes, evidence.trust_bytes, evidence.book_bytes)) == ("not_verified", "book")
