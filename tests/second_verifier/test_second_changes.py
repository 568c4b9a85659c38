"""What the second verifier answers to a changed bundle, with and without a trust root or an order book."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.second_verifier.encoding import decode, encode
from tests.second_verifier.evidence import HEADER, Evidence, certified_later, evidence_of
from tests.second_verifier.story import END_S, KEYS, NEW_SIGNERS, OLD_SIGNERS, SHARED, Story
from tests.second_verifier.told import Told
from tests.second_verifier.verify import Answer, verify

TOLD = Told(Story())
EVIDENCE = evidence_of(TOLD)


def words(answer: Answer) -> tuple[str, str | None]:
    return answer.answer, answer.claim.word if answer.claim else None


Change = Callable[[Any], object]  # of the bundle's map, in place


def _runs_of_the_next_slot(bundle: Any) -> None:
    bundle["runs"] = TOLD.chain.state_proof(f"runs/{END_S}/z1", HEADER)


def _neighbours_position(bundle: Any) -> None:
    bundle["position"] = TOLD.positions.place(1).proof


def _neighbour(bundle: Any) -> None:
    bundle["party"] = TOLD.chain.opened(TOLD.row("party/h2"), HEADER)


def _other_leaf_for_genesis(bundle: Any) -> None:
    bundle["keys"][0]["entries"][0]["genesis"] = bundle["keys"][1]["entries"][0].get("genesis")


def _thiefs_certificate(bundle: Any) -> None:
    bundle["certificate"] = TOLD.chain.certificate(HEADER, NEW_SIGNERS)


def _one_signer(bundle: Any) -> None:
    bundle["certificate"] = TOLD.chain.certificate(HEADER, OLD_SIGNERS[:2])


def _certificate_of_another_height(bundle: Any) -> None:
    bundle["certificate"] = TOLD.chain.certificate(HEADER - 1, OLD_SIGNERS)


def _turned(octets: bytes) -> bytes:
    return octets[:-1] + bytes([octets[-1] ^ 1])


def _header_of_another_time(bundle: Any) -> None:
    """A header of the forger's own, with the signatures of the real one."""
    header = decode(bundle["header"])
    assert isinstance(header, list)
    header[3] = 11_801
    bundle["header"] = encode(header)


CHANGES: list[tuple[str, str, Change]] = [
    ("a key too many", "shape", lambda bundle: bundle.update(note="paid")),
    ("a key too few", "shape", lambda bundle: bundle.pop("runs")),
    ("another type", "shape", lambda bundle: bundle.update(type="gridledger-book")),
    ("orders without a clearing", "shape", lambda bundle: bundle.pop("clearing")),
    ("no order", "shape", lambda bundle: bundle["orders"].clear()),
    ("neither order nor clearing", "lines", lambda bundle: (bundle["orders"].clear(), bundle.pop("clearing"))),
    ("the order twice", "orders", lambda bundle: bundle["orders"].append(bundle["orders"][0])),
    ("a path with an unknown side", "shape", lambda bundle: bundle["chain"]["path"].append(b"\x02" + bytes(32))),
    ("no end reading", "shape", lambda bundle: bundle["pieces"][0].pop("end")),
    ("the runs of another slot", "header", _runs_of_the_next_slot),
    ("a state path that is cut", "header", lambda bundle: bundle["run"]["path"].pop()),
    ("a genesis that is not the first of the history", "header", lambda bundle: bundle["genesis"]["path"].reverse()),
    ("the neighbour's party", "registry", _neighbour),
    ("the neighbour's position", "position", _neighbours_position),
    ("another salt of a registry row", "registry", lambda bundle: bundle["rules"].update(salt=bytes(16))),
    ("no gateway", "registry", lambda bundle: bundle["gateways"].clear()),
    ("the gateway twice", "registry", lambda bundle: bundle["gateways"].append(bundle["gateways"][0])),
    ("readings in exchange", "energy", lambda bundle: bundle["pieces"][0].update(end=bundle["pieces"][0]["start"])),
    ("another attachment", "recorded", lambda bundle: bundle["orders"][0].update(attachment_digest=bytes(32))),
    (
        "another signature",
        "recorded",
        lambda bundle: bundle["orders"][0].update(signature=_turned(bundle["orders"][0]["signature"])),
    ),
    ("a block from outside the history", "recorded", lambda bundle: bundle["orders"][0]["history_path"].pop()),
    ("no administrator", "keys", lambda bundle: bundle["keys"].pop(0)),
    ("the keys in another order", "keys", lambda bundle: bundle["keys"].reverse()),
    ("a leaf of genesis of another signer", "keys", _other_leaf_for_genesis),
    (
        "an enrolment that does not hold the key",
        "keys",
        lambda bundle: bundle["keys"][2]["entries"][0]["enrolment"]["row_path"].pop(),
    ),
    ("a certificate of strangers", "certificate", _thiefs_certificate),
    ("a certificate of two of three", "certificate", _one_signer),
    ("a certificate of another height", "certificate", _certificate_of_another_height),
    ("a header that nobody signed", "certificate", _header_of_another_time),
]


def changed(evidence: Evidence, change: Change) -> bytes:
    bundle = decode(evidence.bundle_bytes)
    change(bundle)
    return encode(bundle)


@pytest.mark.parametrize(("claim", "change"), [pytest.param(claim, change, id=name) for name, claim, change in CHANGES])
def test_changed_bundle_is_not_verified(claim: str, change: Change) -> None:
    assert words(verify(changed(EVIDENCE, change), EVIDENCE.trust_bytes, None)) == ("not_verified", claim)


def test_bundle_with_a_turned_bit_is_not_verified() -> None:
    for at in range(0, len(EVIDENCE.bundle_bytes), 29):
        data = bytearray(EVIDENCE.bundle_bytes)
        data[at] ^= 1 << at % 8
        assert verify(bytes(data), EVIDENCE.trust_bytes, None).answer in ("not_verified", "cannot_be_decided")


def test_later_header_behind_a_hand_over_is_verified_with_the_old_and_the_new_trust_root() -> None:
    evidence = certified_later(TOLD, EVIDENCE)
    assert verify(evidence.bundle_bytes, evidence.trust_bytes, None).answer == "verified"
    assert verify(evidence.bundle_bytes, trust(signers=NEW_SIGNERS), None).answer == "verified"


def _turn_first(certificate: Any) -> None:
    certificate[0][1] = _turned(certificate[0][1])


def _earlier(bundle: Any) -> None:
    bundle["certified"]["header"] = TOLD.chain.blocks[HEADER - 1].header


def _by_the_old_set(bundle: Any) -> None:
    bundle["certificate"] = TOLD.chain.certificate(HEADER + 2, OLD_SIGNERS)


LATER = certified_later(TOLD, EVIDENCE)
LATER_CHANGES: list[tuple[str, str, Change]] = [
    ("the hand-over is absent", "cannot_be_decided", lambda bundle: bundle["handovers"].clear()),
    (
        "the hand-over is not certified",
        "cannot_be_decided",
        lambda bundle: bundle["handovers"][0]["certificate"].clear(),
    ),
    (
        "the hand-over is signed wrongly",
        "not_verified",
        lambda bundle: _turn_first(bundle["handovers"][0]["certificate"]),
    ),
    ("the hand-over has other signers", "not_verified", lambda bundle: bundle["handovers"][0]["signers"].pop()),
    ("the hand-over is not of the history", "not_verified", lambda bundle: bundle["handovers"][0]["path"].pop()),
    ("the header is not in the certified history", "not_verified", lambda bundle: bundle["certified"]["path"].pop()),
    ("the certificate is that of the bundle's header", "not_verified", lambda bundle: bundle.pop("certified")),
    ("the certified header is an earlier one", "not_verified", _earlier),
    ("the later header is signed by the old set", "not_verified", _by_the_old_set),
    ("there is no certificate", "cannot_be_decided", lambda bundle: bundle["certificate"].clear()),
]


@pytest.mark.parametrize(
    ("answer", "change"), [pytest.param(answer, change, id=name) for name, answer, change in LATER_CHANGES]
)
def test_change_of_a_hand_over(answer: str, change: Change) -> None:
    assert words(verify(changed(LATER, change), LATER.trust_bytes, None)) == (answer, "certificate")


def trust(signers: tuple[Any, ...] = OLD_SIGNERS, **fields: object) -> bytes:
    entries = [{"name": "node", "power": 1, "public_key": pair.public.hex()} for pair in signers]
    return json.dumps({**EVIDENCE.trust, "signers": entries, **fields}).encode()


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
def test_answer_with_a_trust_root(answer: str, trust_bytes: bytes | None) -> None:
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
