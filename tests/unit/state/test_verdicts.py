"""Which signatures are checked for a block: one for each transaction whose signer the state knows."""

from __future__ import annotations

from gridcore.envelope import decode_transaction
from ledger.state.block import Block
from ledger.state.memory import MemoryState
from ledger.state.verdicts import SignatureCheck, checks_of
from tests.worlds.feeders import FEEDERS, clock_advance
from tests.worlds.keys import key


def test_one_check_for_each_transaction_of_a_known_signer() -> None:
    state = MemoryState(FEEDERS.genesis)
    known = clock_advance(2_000_000_000)
    stranger = FEEDERS.sender().clock(2_000_000_000, signer="stranger")
    block = Block(1, 0, (known, b"no transaction", stranger, known))
    transaction = decode_transaction(known)
    check = SignatureCheck(transaction.digest, key("clock").public_key, transaction.signed, transaction.signature)
    assert checks_of(state, block.decoded) == [check, check]
    assert checks_of(state, [None, transaction]) == [check]
