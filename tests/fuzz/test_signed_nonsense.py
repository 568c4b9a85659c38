"""Whatever somebody with a key signs, the state machine answers with a code, the one of its slow twin: values at the ends of their
ranges, rows of others, fields left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.envelope import decode_transaction, encode_transaction
from gridcore.errors import EncodingError
from gridcore.registry.row import Row, decode_row
from ledger.leaves.delivery import DELIVERY
from tests.fuzz.decoders import transactions
from tests.twin.twin import Twin
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.two_areas import TWO_AREAS

SIGNED: Final = 150
"""In every test run, the same ones; `make fuzz` signs its own."""
SIGNED_LONG: Final = 2_000
GATEWAY: Final = "gw-2"
_PARTS: Final = ("identity", "body")
ENDS: Final[tuple[Any, ...]] = (
    0, 1, -1, 255, 900, 10**9, 2**31 - 1, 2**32, 10**13, 10**15, 2**62, 2**63 - 1, -(2**63), FIRST_S, FIRST_S + 1, FIRST_S + SLOT_S,
    "", "a", "a-1", "p-1", "gw-1", "util", "x" * 64, b"", bytes(16), bytes(32), b"\xff" * 32, [], [0], {}, True, False,
)  # fmt: skip


def changed(value: Any, draw: Random) -> Any:
    """A value with one leaf changed, or a key left out."""
    if isinstance(value, dict) and value:
        name = draw.choice(sorted(value))
        if draw.random() < 0.1:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: changed(value[name], draw)}
    if isinstance(value, list) and value:
        at = draw.randrange(len(value))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    if isinstance(value, int) and not isinstance(value, bool) and draw.random() < 0.4:
        return value + draw.choice((-1, 1, SLOT_S, -SLOT_S))
    alike = [end for end in ENDS if type(end) is type(value)]
    return draw.choice(alike if draw.random() < 0.9 else ENDS)


def timely(signed: dict[str, Any], now_s: int, draw: Random) -> dict[str, Any]:
    """The same of another time and identity, so that it is refused for nothing else than what it says."""
    slot_s = now_s // SLOT_S * SLOT_S
    fresh = {
        "valid_until_s": now_s + 3_600,
        "client_id": draw.randbytes(16),
        "slot_start_s": slot_s + SLOT_S * draw.randint(2, 6),
        "boundary_s": slot_s - SLOT_S * draw.randint(0, 6),
        "counter": draw.randint(1, 30),
        "epoch": draw.randint(2, 6),
    }
    parts = {part: {**signed[part], **{key: fresh[key] for key in fresh if key in signed[part]}} for part in _PARTS}
    return {**signed, **parts, "chain": TWO_AREAS.chain}


def batch_of(ledger: MemoryLedger, draw: Random) -> bytes:
    """The next batch of a gateway, with registers that no meter shows."""
    wholes = [end for end in ENDS if type(end) is int and end >= 0]
    rows = [(meter, draw.choice(wholes), draw.choice(wholes)) for meter in range(1, 9) if draw.random() < 0.8]
    delivery = DELIVERY.must(ledger.state, GATEWAY)
    boundary_s = ledger.ledger_time_s // SLOT_S * SLOT_S - SLOT_S * draw.choice((0, 0, 0, 1, 4, -1))
    return TWO_AREAS.sender().batch(
        GATEWAY, boundary_s, rows or [(1, 0, 0)], counter=delivery.counter + 1, previous=delivery.last
    )


def signed_nonsense(ledger: MemoryLedger, draw: Random) -> Iterator[bytes]:
    """Transactions without end, for the ledger as it is then."""
    examples = [decode_transaction(wire) for wire in transactions()]
    rows = [decode_row(row) for row in TWO_AREAS.genesis.registry]
    while True:
        try:
            if draw.random() < 0.15:
                yield batch_of(ledger, draw)
            elif draw.random() < 0.5:
                sender = TWO_AREAS.sender()
                picked = [draw.choice(rows) for _ in range(draw.choice((1, 1, 1, 3)))]
                from_s = ledger.ledger_time_s // SLOT_S * SLOT_S + draw.choice(
                    (0, 37, SLOT_S, -SLOT_S, -9 * SLOT_S, 20 * SLOT_S)
                )
                values = [changed(row.value, draw) if draw.random() < 0.8 else row.value for row in picked]
                made = [Row(row.key, from_s, value) for row, value in zip(picked, values, strict=True)]
                yield sender.register(made, valid_until_s=ledger.ledger_time_s + 3_600)
            else:
                example = draw.choice(examples)
                signed = timely(cbor.decode(example.signed), ledger.ledger_time_s, draw)
                part = draw.choice(("body", "body", "body", "identity", "signer", "kind"))
                signed[part] = changed(signed[part], draw)
                yield encode_transaction(cbor.encode(signed), example.signature, example.attachment)
        except EncodingError:
            continue


class Both:
    """A ledger and its slow twin, whose signatures all hold."""

    def __init__(self) -> None:
        genesis = TWO_AREAS.genesis
        self.ledger = MemoryLedger(genesis, lambda *_: True)
        self._twin = Twin(cbor.decode(genesis.encode()))
        self.codes: set[int] = set()

    def apply(self, wire: bytes) -> None:
        """A block of one transaction: the same code and the same root."""
        (result,) = self.ledger.apply([wire]).results
        assert [result.code] == self._twin.apply_block(self.ledger.height, 0, [wire], lambda *_: True)
        assert self.ledger.state.root() == self._twin.state_root()
        self.codes.add(result.code)


def answered(seed: int, count: int) -> set[int]:
    """The codes of so many transactions on one chain, each in a block of its own, with a step of time now and then."""
    both, clock = Both(), TWO_AREAS.sender()
    for wire in clock.clocks(FIRST_S):
        both.apply(wire)
    nonsense = signed_nonsense(both.ledger, Random(seed))
    for number in range(count):
        if number % 20 == 0:
            both.apply(clock.clock(clock.now_s + SLOT_S, valid_until_s=clock.now_s + 2 * SLOT_S))
        wire = next(nonsense)
        try:
            both.apply(wire)
        except BaseException as error:
            raise AssertionError(f"seed {seed}, transaction {number}: {wire.hex()}") from error
    return both.codes


def test_whatever_is_signed_is_answered_with_a_code() -> None:
    assert {Code.ACCEPTED, Code.NOT_CANONICAL} <= answered(1, SIGNED)


@pytest.mark.fuzz
def test_much_more_that_is_signed_is_answered_with_a_code() -> None:
    answered(secrets.randbits(32), SIGNED_LONG)
