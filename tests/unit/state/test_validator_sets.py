"""Sets of validators: one waits at a time, and takes over only once the set before it has certified a header that names it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.codes import Code
from gridcore.errors import EncodingError
from gridcore.governance.table import ACTION_BYTES_MAX, read_action
from gridcore.header import Header, signers_digest
from gridcore.sm3 import sm3
from gridcore.validator import (
    POWER_MAX,
    VALIDATOR_SET,
    VALIDATORS_BYTES_MAX,
    VALIDATORS_MAX,
    Validator,
    decode_validators,
    encode_validators,
    powers_of,
)
from ledger.application import Application
from ledger.leaves.offence import OFFENCE
from ledger.leaves.validators import VALIDATORS
from ledger.replay import Replay, replay_in_memory
from ledger.signatures import SignatureChecker
from ledger.state import transition
from ledger.state.block import Block, Offence
from ledger.state.draft import Draft
from ledger.state.validator_sets import begin_block, propose_set
from settlement.catalogue import CONTRACTS
from tests.twin import validators as twin_sets
from tests.twin.headers import signers_digest as twin_digest
from tests.twin.twin import Twin
from tests.worlds.consortium import START_S, UTILITY, Consortium
from tests.worlds.keys import is_cheaply_signed, key


def members(*numbers: int, power: int = 1) -> tuple[Validator, ...]:
    """A set of validators by number."""
    drawn = [Validator(f"v-{n}", UTILITY, key(f"v-{n}").public_key, power, bytes([n]) * 32) for n in numbers]
    return tuple(sorted(drawn, key=lambda one: one.public_key))


def address(number: int) -> bytes:
    """By which the engine names a validator."""
    return members(number)[0].consensus_address


OLD, NEW, NEXT = members(1, 2, 3, 4), members(2, 3, 4, 5), members(5, power=7)
CHAIN = Consortium(validators=OLD)


class Sets:
    """A chain whose blocks propose sets themselves, as governance does by votes; headers in order, and the twin beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replay: Replay = replay_in_memory(CHAIN.genesis, CONTRACTS, SignatureChecker(threads=1))
        self.twin = Twin(cbor.decode(CHAIN.genesis_file))
        self.headers: list[Header] = [self.application.origin.header]
        self.proposed: Sequence[Validator] | None = None
        self.codes: list[Code] = []
        monkeypatch.setattr(transition, "begin_block", self._begin_block)

    @property
    def application(self) -> Application:
        """The state machine."""
        return self.replay.application

    def _begin_block(self, draft: Draft, block: Block) -> None:
        begin_block(draft, block)
        if self.proposed is not None:
            self.codes.append(propose_set(draft, self.proposed))

    def block(
        self, certified: int, proposed: Sequence[Validator] | None = None, offenders: Sequence[tuple[bytes, int]] = ()
    ) -> tuple[Validator, ...] | None:
        """One block; the set that it takes over. Compares it with the twin."""
        self.proposed, height = proposed, len(self.headers)
        offences = tuple(Offence(*one) for one in offenders)
        decided = self.replay.advance(Block(height, START_S, (), certified_height=certified, offenders=offences))
        self.headers.append(decided.header)
        self.twin.apply_block(height, START_S, [], is_cheaply_signed, certified, offenders)
        if proposed is not None:
            assert twin_sets.propose_set(self.twin, encode_validators(proposed)) == self.codes[-1]
        self._compare(decided.header)
        return decided.validators_changed

    def _compare(self, header: Header) -> None:
        leaf: dict[str, Any] = self.twin.leaves["validators"]
        assert self.application.state.get("validators") == leaf
        assert header.signers == twin_digest(twin_sets.powers(leaf["current"]))
        pending = twin_digest(twin_sets.powers(leaf["pending"])) if leaf["pending"] else b""
        assert header.signers_pending == pending


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> Sets:
    return Sets(monkeypatch)


def digest(validators: Sequence[Validator]) -> bytes:
    """What a header says of a set."""
    return signers_digest(powers_of(validators))


def test_a_set_takes_over_only_once_a_header_that_names_it_is_certified(sets: Sets) -> None:
    assert sets.block(0, NEW) is None
    assert (sets.headers[1].signers, sets.headers[1].signers_pending) == (digest(OLD), digest(NEW))
    assert sets.block(0) is None, "nothing is certified yet"
    assert sets.block(1) == NEW, "header 1 names it and is certified by the set before"
    assert (sets.headers[3].signers, sets.headers[3].signers_pending) == (digest(NEW), b"")
    assert sets.application.validators == NEW
    assert sets.block(2) is None


def test_a_certificate_of_an_earlier_header_lets_no_set_take_over(sets: Sets) -> None:
    sets.block(0)
    sets.block(0, NEW)
    assert [sets.block(1), sets.block(1), sets.block(2)] == [None, None, NEW]


def test_a_pending_set_is_never_replaced_by_another(sets: Sets) -> None:
    sets.block(0, NEW)
    sets.block(0, NEXT)
    assert sets.codes == [Code.ACCEPTED, Code.SET_PENDING]
    assert sets.headers[2].signers_pending == digest(NEW)
    assert sets.block(1) == NEW


def test_a_set_proposed_where_another_takes_over_waits_for_a_certificate_of_the_new_one(sets: Sets) -> None:
    sets.block(0, NEW)
    assert sets.block(1, NEXT) == NEW
    leaf = VALIDATORS.must(sets.application.state)
    assert (leaf.pending, leaf.pending_height) == (NEXT, 3), "header 2 is certified by the set of genesis still"
    assert [sets.block(2), sets.block(3)] == [None, NEXT]


def test_who_votes_twice_is_left_out_of_the_next_set_and_it_is_recorded_once(sets: Sets) -> None:
    sets.block(0, offenders=[(address(3), 1), (bytes(20), 1)])
    assert sets.headers[1].signers_pending == digest(members(1, 2, 4))
    assert OFFENCE.must(sets.application.state, "v-3") == (address(3), 1)
    sets.block(0, offenders=[(address(3), 2)])
    assert OFFENCE.must(sets.application.state, "v-3").height == 1
    assert sets.block(1) == members(1, 2, 4)


def test_who_votes_twice_while_a_set_waits_is_left_out_of_the_one_after_it(sets: Sets) -> None:
    sets.block(0, NEW)
    sets.block(0, offenders=[(address(5), 2)])
    assert sets.headers[2].signers_pending == digest(NEW), "a waiting set is not replaced"
    assert sets.block(1) == NEW
    assert sets.headers[3].signers_pending == digest(members(2, 3, 4))


def test_the_last_validator_stays_whatever_it_did(sets: Sets) -> None:
    sets.block(0, NEXT)
    assert sets.block(1) == NEXT
    sets.block(1, offenders=[(address(5), 3)])
    assert OFFENCE.load(sets.application.state, "v-5") is not None
    assert VALIDATORS.must(sets.application.state).pending == ()


ADDRESSES = [*(address(number) for number in range(1, 6)), bytes(20)]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.none() | st.sampled_from([OLD, NEW, NEXT, members(1, 5)]),
        st.just([]) | st.lists(st.tuples(st.sampled_from(ADDRESSES), st.integers(1, 9)), max_size=2),
    ),
    max_size=12,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_no_set_changes_without_a_certificate_by_the_set_before_it(steps: list[tuple[int, Any, Any]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        sets, certified = Sets(monkeypatch), [0]
        for more, proposed, offenders in steps:
            certified.append(min(certified[-1] + more, len(sets.headers) - 1))
            sets.block(certified[-1], proposed, offenders)
    assert [
        height for height in range(1, len(sets.headers)) if not is_vouched_for(sets.headers, height, certified)
    ] == []
    waiting = [(earlier.signers_pending, later) for earlier, later in pairwise(sets.headers) if earlier.signers_pending]
    assert all(name in (later.signers_pending, later.signers) for name, later in waiting), "a waiting set stays"


def is_vouched_for(headers: Sequence[Header], height: int, certified: Sequence[int]) -> bool:
    """Whether the set that a block took over, if it did, is named by a header that the set before it has certified by then."""
    before, after = headers[height - 1].signers, headers[height].signers
    of_before = (
        h for h in range(1, certified[height] + 1) if headers[h - 1].signers == before
    )  # who certifies header h
    return before == after or any(headers[h].signers_pending == after for h in of_before)


def test_a_set_comes_back_as_it_was_encoded() -> None:
    assert VALIDATOR_SET.holds(encode_validators(OLD))
    assert decode_validators(encode_validators(OLD)) == OLD


def test_a_set_is_at_most_so_large_that_a_proposal_has_room_for_it_and_the_line_that_refuses_it_says_so() -> None:
    keys = sorted(key(f"v-{number}").public_key for number in range(VALIDATORS_MAX))
    engine_keys = [sm3(public_key) for public_key in keys]
    members = [
        Validator(f"v-{n:03}", "x" * 20, public_key, POWER_MAX, engine_key)
        for n, (public_key, engine_key) in enumerate(zip(keys, engine_keys, strict=True))
    ]
    at_limit = encode_validators(members)
    for place in range(VALIDATORS_BYTES_MAX - len(cbor.encode(at_limit))):
        at_limit[place % VALIDATORS_MAX]["name"] += "y"
    assert len(cbor.encode(at_limit)) == VALIDATORS_BYTES_MAX
    assert VALIDATOR_SET.holds(at_limit)
    action = {"sort": "validators", "validators": at_limit}
    assert len(read_action(action).encode()) <= ACTION_BYTES_MAX
    at_limit[0]["name"] += "y"
    assert not VALIDATOR_SET.holds(at_limit)
    with pytest.raises(EncodingError, match="together at most 49000 bytes") as raised:
        read_action(action)
    assert "\n" not in str(raised.value)
