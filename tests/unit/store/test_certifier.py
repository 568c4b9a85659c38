"""Certificates: one node's signature behind its guard, and those of a set put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.header import certificate_message
from gridcore.sm import SigningKey
from ledger.certifier import Certifier, combine
from ledger.store.errors import GuardError
from ledger.store.guard import Guard
from tests.worlds.faults import UnsyncedFiles

KEYS = sorted((SigningKey.from_scalar(bytes(31) + bytes([n])) for n in range(1, 5)), key=lambda key: key.public_key)
SIGNERS = [(key.public_key, 1) for key in KEYS]
CHAIN, DIGEST = "chain", bytes([7]) * 32


def signatures(count: int, digest: bytes = DIGEST) -> dict[bytes, bytes]:
    return {key.public_key: key.sign(certificate_message(CHAIN, 3, digest)) for key in KEYS[:count]}


@pytest.mark.parametrize(("count", "is_enough"), [(0, False), (2, False), (3, True), (4, True)])
def test_more_than_two_thirds_of_the_power_make_a_certificate(count: int, is_enough: bool) -> None:
    given = signatures(count)
    found = combine(CHAIN, 3, DIGEST, given.items(), SIGNERS)
    assert found == (sorted(given.items()) if is_enough else None)


def test_signatures_of_strangers_and_of_other_headers_count_for_nothing() -> None:
    stranger = SigningKey.from_scalar(bytes(31) + b"\x63")
    given = signatures(2) | {stranger.public_key: stranger.sign(certificate_message(CHAIN, 3, DIGEST))}
    given[KEYS[2].public_key] = signatures(3, bytes(32))[KEYS[2].public_key]
    assert combine(CHAIN, 3, DIGEST, given.items(), SIGNERS) is None
    given[KEYS[3].public_key] = signatures(4)[KEYS[3].public_key]
    assert [key for key, _ in combine(CHAIN, 3, DIGEST, given.items(), SIGNERS) or []] == [
        KEYS[place].public_key for place in (0, 1, 3)
    ]


def test_a_bad_signature_in_the_name_of_another_validator_does_not_keep_out_its_own() -> None:
    honest, forged = signatures(3), [(key.public_key, bytes(63) + b"\1") for key in KEYS]
    assert combine(CHAIN, 3, DIGEST, [*forged, *honest.items(), *forged], SIGNERS) == sorted(honest.items())


def new_guard(folder: Path) -> Guard:
    Guard.create(folder / "guard", 0, bytes(32), UnsyncedFiles())
    return Guard.open(folder / "guard", UnsyncedFiles())


def test_power_counts_not_heads(tmp_path: Path) -> None:
    signers = [(KEYS[0].public_key, 5), (KEYS[1].public_key, 1), (KEYS[2].public_key, 1)]
    assert combine(CHAIN, 3, DIGEST, signatures(1).items(), signers) is not None
    guard = new_guard(tmp_path)
    assert Certifier(CHAIN, KEYS, guard, UnsyncedFiles()).check_alone(1, signers) is KEYS[0]
    for key in KEYS[1:]:
        with pytest.raises(UsageError, match="no power to certify block 1 alone"):
            Certifier(CHAIN, [key], guard, UnsyncedFiles()).check_alone(1, signers)


def test_a_node_signs_one_header_of_a_height_and_gives_the_same_bytes_again(tmp_path: Path) -> None:
    certifier, alone = Certifier(CHAIN, KEYS[:1], new_guard(tmp_path), UnsyncedFiles()), [(KEYS[0].public_key, 1)]
    first = certifier.certify(1, DIGEST, alone)
    assert certifier.certify(1, DIGEST, alone) == first
    assert certifier.sign(1, DIGEST, KEYS[0]) == first[0][1]
    with pytest.raises(GuardError, match="refuses header"):
        certifier.sign(1, bytes(32), KEYS[0])
