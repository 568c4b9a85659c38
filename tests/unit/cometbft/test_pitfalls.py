"""The fourteen pitfalls of a certificate by vote extensions, each by its number: what others' chains halted on, this machine does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.header import (
    certificate_message,
    check_certificate,
    check_receipt,
    decode_receipt,
    signers_digest,
)
from gridcore.sm import is_valid_signature
from gridcore.sm.curve import N, der_of
from ledger import signatures
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.payloads import NOTHING_INJECTED, Injected, Vote, decode_injected, decode_vote
from simulators.consensus.founding import START_S, key_of
from simulators.consensus.messages import Vote as EngineVote
from tests.worlds.quartet import FOUR, Quartet, quartet


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Quartet]:
    """Four validators after two heights: the header of the first is voted on."""
    with quartet(tmp_path) as found:
        found.decide([found.clock(START_S + 1)])
        found.decide()
        yield found


def certified(wires: tuple[bytes, ...]) -> Injected:
    """What a block begins with."""
    found = decode_injected(wires[0])
    assert found is not None
    return found


def vote(four: Quartet, number: int) -> Vote:
    """The vote that a validator gave last."""
    found = decode_vote(four.extensions[number])
    assert found is not None
    return found


def with_extension(four: Quartet, number: int, extension: bytes) -> list[bytes]:
    """The extensions of the newest height, one of them replaced."""
    return [extension if at == number else known for at, known in enumerate(four.extensions)]


def test_pitfall_1_a_genesis_without_vote_extensions_at_height_1_is_refused(four: Quartet) -> None:
    request = abci.InitChainRequest(chain_id=FOUR.chain, consensus_params=abci.ConsensusParams(), initial_height=1)
    with pytest.raises(UsageError, match="vote extensions"):
        four.machines[0].machine.init_chain(request)


def test_pitfall_2_signatures_that_a_proposer_drops_are_lost_and_the_next_certificate_covers_their_height(
    four: Quartet,
) -> None:
    wire = four.clock(START_S + 2)
    four.decide([wire])  # height 3
    four.decide()
    four.decide(proposed=[NOTHING_INJECTED.encode()])  # would have certified height 3
    four.decide()
    four.decide()
    ledger = four.ledger(3)
    assert ledger.certificate(3) == []
    receipt = decode_receipt(ledger.receipt(ledger.results(3)[0].id) or b"")
    assert receipt.header.height == 3
    check_receipt(receipt, chain=FOUR.chain, digest=receipt.digest, signers=ledger.signers_of(4))


def test_pitfall_3_an_extension_counts_by_what_it_says_and_not_by_the_engines_signature(four: Quartet) -> None:
    other_header = vote(four, 0)._replace(digest=bytes(32))
    other_height = vote(four, 0)._replace(height=2)
    for changed in (other_header, other_height):
        message = certificate_message(FOUR.chain, changed.height, changed.digest)
        signed = changed._replace(signature=key_of(FOUR.validators[0].name).sign(message))
        assert len(certified(four.prepare(extensions=with_extension(four, 0, signed.encode()))).certificate) == 3


def test_pitfall_4_late_votes_that_nobody_verified_are_verified_by_the_proposer(four: Quartet) -> None:
    late = with_extension(four, 3, vote(four, 3)._replace(signature=bytes(64)).encode())
    proposed = four.prepare(extensions=late)
    assert len(certified(proposed).certificate) == 3
    assert four.verdicts(proposed) == {True}


def test_pitfall_4_a_vote_in_anothers_name_takes_no_ones_place(four: Quartet) -> None:
    stolen = vote(four, 0)._replace(signature=bytes(64)).encode()
    assert len(certified(four.prepare(extensions=with_extension(four, 3, stolen))).certificate) == 3


@pytest.mark.parametrize(("extension", "is_taken"), [(b"", True), (b"x" * 512, True), (b"x" * 513, False)])
def test_pitfall_5_a_vote_is_lost_for_the_length_of_its_extension_alone(
    four: Quartet, extension: bytes, is_taken: bool
) -> None:
    request = abci.VerifyVoteExtensionRequest(height=3, vote_extension=extension)
    status = four.machines[0].machine.verify_vote_extension(request).status
    assert (status == abci.VerifyVoteExtensionResponse.ACCEPT) is is_taken


def test_pitfall_5_without_enough_valid_votes_the_chain_goes_on_and_certifies_a_later_header(four: Quartet) -> None:
    assert certified(four.prepare(extensions=[b"", b"x", *four.extensions[2:]])) == NOTHING_INJECTED
    four.decide(proposed=[NOTHING_INJECTED.encode()])
    four.decide()
    four.decide()
    assert four.ledger().certified_height == 3


def test_pitfall_5_at_a_change_of_the_set_a_header_that_stays_uncertified_breaks_no_chain_of_sets(
    four: Quartet,
) -> None:
    remaining = FOUR.validators[:3]
    for wire in four.vote_for(remaining):
        four.decide([wire])
    pending_height = four.height
    four.decide()
    four.decide([four.clock(START_S + 2)])  # brings the certificate of the header that names the set as pending
    took_over = four.height
    four.decide()
    four.decide(proposed=[NOTHING_INJECTED.encode()])  # the votes of the old set on the header of the take-over: lost
    for _ in range(3):
        four.decide()
    ledger = four.ledger(2)
    before, after = ledger.signers_of(took_over), ledger.signers_of(took_over + 1)
    assert (len(before), len(after)) == (4, 3)
    assert ledger.certificate(took_over) == []
    named = ledger.header(pending_height)
    assert named.signers_pending == signers_digest(after)
    check_certificate(named, ledger.certificate(pending_height), before)
    (clock,) = ledger.results(took_over)
    receipt = decode_receipt(ledger.receipt(clock.id) or b"")
    assert receipt.certified_header.height > took_over
    check_receipt(receipt, chain=FOUR.chain, digest=receipt.digest, signers=after)
    assert four.extensions[3] == b"", "who left the set votes on nothing"


@pytest.mark.parametrize("answer", [bytes(64), OSError("no answer")])
def test_pitfall_6_an_own_signature_that_does_not_come_or_hold_gives_an_empty_extension(
    four: Quartet, monkeypatch: pytest.MonkeyPatch, answer: bytes | OSError
) -> None:
    def sign(message: bytes) -> bytes:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(four.homes[0].key, "sign", sign)
    assert four.machines[0].extend(four.block(four.prepare())) == b""
    assert four.machines[1].extend(four.block(four.prepare())) != b""


def test_pitfall_7_signers_and_power_are_those_of_the_own_state(four: Quartet) -> None:
    proposed = four.prepare()
    header, certificate = certified(proposed)
    message = certificate_message(FOUR.chain, 1, four.ledger().digest(1))
    strangers = sorted((key_of(name).public_key, key_of(name).sign(message)) for name in ("x", "y", "z"))
    spoilt = [
        Injected(header, strangers),
        Injected(header, certificate[:2]),
        Injected(header, [certificate[0]] * 4),
        Injected(header, certificate[::-1]),
        Injected(four.ledger().header_bytes(2), certificate),
        Injected(b"", certificate),
        Injected(header, []),
    ]
    for wrong in spoilt:
        assert four.verdicts([wrong.encode()]) == {False}
    for wires in ([], [b"x"], [*proposed, proposed[0]], [four.clock(START_S + 9)]):
        assert four.verdicts(wires) == {False}
    assert four.verdicts([Injected(header, certificate[:3]).encode()]) == {True}


def test_pitfall_7_absent_and_nil_votes_are_no_stumbling_block(four: Quartet) -> None:
    precommits = four.precommits()
    member, found = precommits[0]
    assert found is not None
    nil = EngineVote(True, found.height, 0, found.voter, None)
    for entry in (None, nil):
        proposed = four.machines[0].prepare(3, four.time_ms, [], [(member, entry), *precommits[1:]], [])
        assert len(certified(proposed).certificate) == 3
    assert certified(four.machines[0].prepare(3, four.time_ms, [], [], [])) == NOTHING_INJECTED


def test_pitfall_8_a_certificate_changes_no_app_hash_so_that_empty_blocks_end(four: Quartet) -> None:
    before = four.decide()
    assert certified(four.wires) != NOTHING_INJECTED
    assert four.decide(proposed=[NOTHING_INJECTED.encode()]) == before
    assert four.decide() == before
    assert four.machines[0].wish() is None


def test_pitfall_9_a_proposal_never_has_more_bytes_than_it_may(four: Quartet) -> None:
    wires = [four.clock(START_S + second) for second in (2, 3, 4)]
    for most in (20, 40, 500, 700, 900, 2_000):
        request = abci.PrepareProposalRequest(
            max_tx_bytes=most, txs=wires, height=3, time=abci.Time(seconds=START_S + 3)
        )
        for member, found in four.precommits():
            validator = abci.Validator(address=member.address, power=1)
            assert found is not None
            request.local_last_commit.votes.add(
                validator=validator, vote_extension=found.extension, block_id_flag=abci.BLOCK_ID_FLAG_COMMIT
            )
        proposed = four.machines[0].machine.prepare_proposal(request).txs
        assert sum(len(wire) + (2 if len(wire) < 128 else 3) for wire in proposed) <= most
        assert decode_injected(proposed[0]) is not None


def test_pitfall_10_a_key_outside_the_set_has_no_weight(four: Quartet) -> None:
    message = certificate_message(FOUR.chain, 1, four.ledger().digest(1))
    stranger = Vote(1, four.ledger().digest(1), key_of("x").public_key, key_of("x").sign(message)).encode()
    assert len(certified(four.prepare(extensions=with_extension(four, 0, stranger))).certificate) == 3
    strangers = [stranger, stranger, *four.extensions[2:]]
    assert certified(four.prepare(extensions=strangers)) == NOTHING_INJECTED


def test_pitfall_11_asked_again_the_same_bytes_are_given_and_an_older_copy_signs_nothing_lower(
    four: Quartet, tmp_path: Path
) -> None:
    home = four.homes[3]
    home.disk.copy(tmp_path / "older")
    block = four.block(four.prepare())
    assert four.machines[3].extend(block) == four.machines[3].extend(block)
    four.decide()
    four.decide()
    home.close()
    home.put_back(tmp_path / "older")
    signed = {height: set(digests) for height, digests in home.key.signed.items()}
    restored = home.open()
    older = abci.ExtendVoteRequest(height=3)
    assert restored.info(abci.InfoRequest()).last_block_height == 2
    assert restored.extend_vote(older).vote_extension == b""
    assert home.key.signed == signed


def test_pitfall_12_no_signature_of_a_transaction_is_verified_twice_on_the_way_into_a_block(
    four: Quartet, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[bytes] = []
    real = is_valid_signature

    def count(public_key: bytes, message: bytes, signature: bytes) -> bool:
        verified.append(signature)
        return real(public_key, message, signature)

    monkeypatch.setattr(signatures, "is_valid_signature", count)
    wire = four.clock(START_S + 2)
    for machine in four.machines:
        assert machine.check(wire) == 0
    four.decide([wire])
    assert len(verified) == len(four.machines)


def test_pitfall_13_signatures_are_64_bytes_and_no_other_form_of_them_counts(four: Quartet) -> None:
    true = vote(four, 0)
    r, s = true.signature[:32], true.signature[32:]
    numbers = int.from_bytes(r, "big"), int.from_bytes(s, "big")
    negated = r + (N - numbers[1]).to_bytes(32, "big")
    forms = [der_of(*numbers), bytes(64), r + bytes(32), bytes(32) + s, true.signature + b"\0", s + r, negated]
    for form in forms:
        changed = true._replace(signature=form).encode()
        assert len(certified(four.prepare(extensions=with_extension(four, 0, changed))).certificate) == 3


def test_pitfall_14_a_block_that_was_never_proposed_here_brings_its_certificate_all_the_same(four: Quartet) -> None:
    block = four.block(four.prepare())
    for machine in four.machines:
        machine.finalize(block)
        machine.commit()
    assert all(four.ledger(number).certified_height == 1 for number in range(4))


def test_pitfall_14_a_certificate_that_does_not_hold_is_ignored_in_a_decided_block_and_nothing_is_raised(
    four: Quartet,
) -> None:
    header, certificate = certified(four.prepare())
    for wrong in (Injected(header, certificate[:1]), Injected(b"", []), Injected(b"\xff", certificate)):
        four.machines[0].finalize(four.block([wrong.encode()]))
    four.machines[0].finalize(four.block([b"no certificate", b""]))
    four.machines[0].commit()
    assert four.ledger().certified_height == 0
