"""Words that the ledger and its contracts each hold, because neither may import the other, are the same words."""

from __future__ import annotations

from ledger.state import runs
from settlement.contracts.p2p_call_auction_1 import LINE_KINDS
from settlement.contracts.p2p_call_auction_1 import slot as contract_slot


def test_line_kinds_of_ledger_and_contract_are_the_same_in_the_same_order() -> None:
    assert tuple(kind.kind for kind in LINE_KINDS) == runs.LINE_KINDS


def test_counter_accounts_of_ledger_and_contract_are_the_same() -> None:
    assert set(runs.ACCOUNTS) == set(contract_slot.ACCOUNTS)
