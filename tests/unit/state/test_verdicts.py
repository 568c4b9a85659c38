"""Which signatures are checked for a block: one for each transaction whose signer the state knows."""

from __future__ import annotations

from dataclasses import replace

from gridcore.envelope import decode_transaction
from gridcore.master_data import Named
from gridcore.registry.signer import SIGNER, RevokedSigner, Signer
from ledger.state.block import Block
from ledger.state.memory import MemoryState
from ledger.state.verdicts import SignatureCheck, checks_of, keys_of
from tests.worlds.feeders import FEEDERS, START_S, clock_advance
from tests.worlds.keys import key

NOW_S = 2_000_000_000


def test_one_check_for_each_transaction_of_a_known_signer() -> None:
    state = MemoryState(FEEDERS.genesis)
    known = clock_advance(NOW_S)
    stranger = FEEDERS.sender().clock(NOW_S, signer="stranger")
    block = Block(1, 0, (known, b"no transaction", stranger, known))
    transaction = decode_transaction(known)
    check = SignatureCheck(transaction.digest, key("clock").public_key, transaction.signed, transaction.signature)
    assert checks_of(state, block.decoded, START_S, START_S) == [check, check]
    assert checks_of(state, [None, transaction], START_S, START_S) == [check]
    assert block.steps_to_s == NOW_S


def test_every_key_that_a_step_of_the_clock_may_bring_into_force_is_checked() -> None:
    rows = [
        Named(SIGNER, "clock", Signer("util", key(f"clock+{number}").public_key, ["clock"]), from_s)
        for number, from_s in enumerate((START_S - 1, START_S + 10, START_S + 30))
    ]
    revoked = Named(SIGNER, "clock", RevokedSigner("util"), START_S + 20)
    state = MemoryState(replace(FEEDERS, more=[*rows, revoked]).genesis)

    def keys(from_s: int, to_s: int) -> list[bytes]:
        return list(keys_of(state, "clock", from_s, to_s))

    first, second, third = (key(f"clock+{number}").public_key for number in range(3))
    assert keys(START_S, START_S) == [first]
    assert keys(START_S, START_S + 10) == [first, second]
    assert keys(START_S, NOW_S) == [first, second, third]
    assert keys(START_S + 20, START_S + 29) == []
    assert keys(NOW_S, NOW_S) == [third]
    assert list(keys_of(state, "nobody", 0, NOW_S)) == []
