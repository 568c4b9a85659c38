"""Which signatures are checked for a block: one for each transaction whose signer the state knows."""

from __future__ import annotations

from gridcore import cbor
from gridcore.envelope import decode_transaction
from ledger.state.block import Block
from ledger.state.state import State
from ledger.state.verdicts import SignatureCheck, checks_of
from tests.unit.store.world import CLOCK_KEY, GENESIS, clock_advance, sign


def test_one_check_for_each_transaction_of_a_known_signer() -> None:
    state = State.from_genesis(cbor.decode(GENESIS))
    known = clock_advance(2_000_000_000)
    stranger = sign(CLOCK_KEY, kind="clock/advance", signer="stranger", identity={}, body={})
    block = Block(1, 0, (known, b"no transaction", stranger, known))
    transaction = decode_transaction(known)
    check = SignatureCheck(transaction.digest, CLOCK_KEY.public_key, transaction.signed, transaction.signature)
    assert checks_of(state, block.decoded) == [check, check]
    assert checks_of(state, [None, transaction]) == [check]
