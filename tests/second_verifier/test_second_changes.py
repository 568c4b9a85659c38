"""What the second verifier answers to a changed bundle, with and without a trust root or an order book."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.second_verifier.encoding import decode, encode
from tests.second_verifier.evidence import HEADER, Evidence, certified_later, evidence_of
from tests.second_verifier.facts import END_S
from tests.second_verifier.story import NEW_SIGNERS, OLD_SIGNERS, Story
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


def _first_block_for_genesis(bundle: Any) -> None:
    bundle["genesis"]["header"] = TOLD.chain.blocks[1].header


def _neighbours_key(bundle: Any) -> None:
    row = TOLD.row("signer/h2")
    entry = {**row.opening, "genesis": TOLD.chain.state_proof(row.key, 0)}
    bundle["keys"].append({**TOLD.chain.state_proof(row.key, HEADER), "entries": [entry]})


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
    (
        "a key as the layout writes those that may be absent",
        "shape",
        lambda bundle: bundle.update({"agreements?": [1]}),
    ),
    ("a key too few", "shape", lambda bundle: bundle.pop("runs")),
    ("another type", "shape", lambda bundle: bundle.update(type="gridledger-book")),
    ("orders without a clearing", "shape", lambda bundle: bundle.pop("clearing")),
    ("no order", "shape", lambda bundle: bundle["orders"].clear()),
    ("neither order nor clearing", "lines", lambda bundle: (bundle["orders"].clear(), bundle.pop("clearing"))),
    ("the order twice", "orders", lambda bundle: bundle["orders"].append(bundle["orders"][0])),
    ("a path with an unknown side", "shape", lambda bundle: bundle["chain"]["path"].append(b"\x02" + bytes(32))),
    ("no meter of a measured energy", "registry", lambda bundle: bundle.update(pieces=[], gateways=[])),
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
    ("a genesis that has another height", "header", _first_block_for_genesis),
    ("the party's leaf for the area's", "registry", lambda bundle: bundle.update(area=bundle["party"])),
    ("a contract of another zone's leaf", "registry", lambda bundle: bundle.update(zone_contract=bundle["rules"])),
    ("a gateway of another state", "registry", lambda bundle: bundle["gateways"][0]["path"].pop()),
    ("a position of another run", "position", lambda bundle: bundle["position"]["path"].pop()),
    ("an area row of another run", "position", lambda bundle: bundle["area_result"].update(salt=bytes(16))),
    ("a reading of another batch", "readings", lambda bundle: bundle["pieces"][0]["start"]["reading"]["path"].pop()),
    ("a fill of another clearing", "orders", lambda bundle: bundle["orders"][0]["fill"]["path"].pop()),
    ("an area of another clearing", "clearing", lambda bundle: bundle["clearing"]["area"].update(salt=bytes(16))),
    ("a clearing of another state", "clearing", lambda bundle: bundle["clearing"]["path"].pop()),
    ("a clearing's leaf of another kind", "shape", lambda bundle: bundle["clearing"].update(bundle["runs"])),
    ("a key of another state", "keys", lambda bundle: bundle["keys"][1]["path"].pop()),
    (
        "a key's entry twice",
        "keys",
        lambda bundle: bundle["keys"][1]["entries"].append(bundle["keys"][1]["entries"][0]),
    ),
    (
        "a key's leaf of another genesis",
        "keys",
        lambda bundle: bundle["keys"][1]["entries"][0]["genesis"]["path"].pop(),
    ),
    ("a key that nothing is signed by", "keys", _neighbours_key),
    ("a certificate's keys in another order", "certificate", lambda bundle: bundle["certificate"].reverse()),
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


def _turn_first(certificate: Any) -> None:
    certificate[0][1] = _turned(certificate[0][1])


def _earlier(bundle: Any) -> None:
    bundle["certified"]["header"] = TOLD.chain.blocks[HEADER - 1].header


def _by_the_old_set(bundle: Any) -> None:
    bundle["certificate"] = TOLD.chain.certificate(HEADER + 2, OLD_SIGNERS)


def _handed_over_by(bundle: Any, height: int, signers: Any = OLD_SIGNERS) -> None:
    bundle["handovers"][0] |= {
        "certificate": TOLD.chain.certificate(height, signers),
        "header": TOLD.chain.blocks[height].header,
        "path": TOLD.chain.history_path(height, HEADER + 2),
    }


def _handed_over_twice(bundle: Any) -> None:
    bundle["handovers"].insert(0, dict(bundle["handovers"][0]))
    _handed_over_by(bundle, HEADER)


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
    ("the hand-over twice", "not_verified", lambda bundle: bundle["handovers"].append(bundle["handovers"][0])),
    ("the new signers in another order", "not_verified", lambda bundle: bundle["handovers"][0]["signers"].reverse()),
    ("there is no certificate", "cannot_be_decided", lambda bundle: bundle["certificate"].clear()),
    ("the hand-over names the new set nowhere", "not_verified", lambda bundle: _handed_over_by(bundle, HEADER - 1)),
    (
        "the new set says of itself that it waits",
        "cannot_be_decided",
        lambda bundle: _handed_over_by(bundle, HEADER, NEW_SIGNERS),
    ),
    ("both headers that name the new set", "cannot_be_decided", _handed_over_twice),
]


@pytest.mark.parametrize(
    ("answer", "change"), [pytest.param(answer, change, id=name) for name, answer, change in LATER_CHANGES]
)
def test_change_of_a_hand_over(answer: str, change: Change) -> None:
    assert words(verify(changed(LATER, change), LATER.trust_bytes, None)) == (answer, "certificate")
