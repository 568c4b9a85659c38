"""What is remembered of transactions that were examined stays within its room, however short they are."""

from __future__ import annotations

from gridcore.codes import Code
from ledger.application import Application, Examined
from ledger.engines.cometbft.examined import ENTRY_BYTES, ExaminedTransactions
from ledger.signatures import Candidate


class Nothing(Application):
    """An application that is never asked."""

    def __init__(self) -> None:
        pass


def junk(number: int) -> Examined:
    wire = number.to_bytes(4, "big")
    return Examined(Candidate(wire, None), {}, Code.NOT_CANONICAL, None, None)


def test_very_many_very_short_transactions_take_no_more_than_the_room_that_there_is() -> None:
    examined = ExaminedTransactions(Nothing(), bytes_max=100 * ENTRY_BYTES)
    examined.remember(map(junk, range(1_000)))
    kept = [number for number in range(1_000) if examined.find(number.to_bytes(4, "big")) is not None]
    assert 90 < len(kept) <= 100
    assert kept[-1] == 999, "the oldest go"


def test_what_is_forgotten_makes_room_again() -> None:
    examined = ExaminedTransactions(Nothing(), bytes_max=10 * ENTRY_BYTES)
    for first in range(0, 90, 9):
        examined.remember(map(junk, range(first, first + 9)))
        assert all(examined.find(number.to_bytes(4, "big")) for number in range(first, first + 9))
        examined.forget(number.to_bytes(4, "big") for number in range(first, first + 9))
    assert examined._bytes == 0
