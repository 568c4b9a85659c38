"""Which registers are shown as substitutes is known of those answered for last, however many an organisation answers for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np

from gridcore.quality import CORRECTED, SUBSTITUTED
from gridcore.transactions.approve_reading import SUBSTITUTE, ApproveReading
from ledger.store.reader import LedgerReader
from ledger.substitutes import Substitutes
from tests.worlds.consortium import FIRST_S, UTILITY
from tests.worlds.transactions import Sender


def answered(*installations: int) -> LedgerReader:
    """A ledger in whose blocks, one after the other, substitutes stand for a register of each of these."""
    sender, wires = Sender("test-", FIRST_S), dict[int, bytes]()
    for height, installation in enumerate(installations, 1):
        content = ApproveReading(
            client_id=height.to_bytes(16, "big"),
            valid_until_s=FIRST_S,
            boundary_s=FIRST_S,
            installation=installation,
            reason=f"{SUBSTITUTE}like the week before",
            registers=(height, 0),
        )
        wires[height] = sender.signed(UTILITY, content)
    acts = [SimpleNamespace(height=height, position=0, id=height) for height in wires]
    reader = SimpleNamespace(
        height=len(wires),
        accepted_acts=lambda kind, to_height, after_height: acts,
        transaction=lambda height: SimpleNamespace(wire=wires[height]),
    )
    return cast(LedgerReader, reader)


def shown(reader: LedgerReader, most: int) -> list[int]:
    """Which of three registers are shown as substitutes."""
    numbers = [1, 2, 3]
    quality = Substitutes(reader, most).told(np.full(3, CORRECTED, dtype=np.uint8), numbers, FIRST_S, reader.height)
    return [number for number, one in zip(numbers, quality.tolist(), strict=True) if one == CORRECTED | SUBSTITUTED]


def test_a_register_that_is_answered_for_anew_is_among_the_newest_and_stays_when_one_more_comes() -> None:
    reader = answered(1, 2, 1, 3)
    assert (shown(reader, 3), shown(reader, 2), shown(reader, 1)) == ([1, 2, 3], [1, 3], [3])
