"""What gateways testify about a history: every accepted batch names the newest header whose receipt its gateway had verified.

A batch that names a header which this history does not have says that another one exists, or existed: blocks were lost, or signers have
certified two histories. It is a gateway's signed word, which anybody finds in the chain, and no proof: a gateway may lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridcore.codes import Code
from gridcore.transactions.reading_batch import ReadingBatch, VerifiedHeader
from ledger.application import Decided


@dataclass
class Testimony:
    """What one gateway says: its first batch that names a strange header, and how many of its batches do.

    height: of the block that holds the first one; witnessed: the header that it names; expected: S_h of that height here, b"" where
    no such block had been decided then.
    """

    gateway: str
    transaction_id: bytes
    height: int
    witnessed: VerifiedHeader
    expected: bytes
    batches: int = 1

    @property
    def line(self) -> str:
        """For a person."""
        here = f"here it is {self.expected.hex()}" if self.expected else "which no block had then"
        return (
            f"{self.gateway} has verified header {self.witnessed.height} as {self.witnessed.digest.hex()}, {here}: another history, told by "
            f"transaction {self.transaction_id.hex()} of block {self.height} and {self.batches - 1} more batches"
        )


class WitnessCheck:
    """Compares what the batches of a replay name with the history up to them. digest_of: S_h by height, None where there is none.

    first_height: of headers before it nothing is known here.
    """

    def __init__(self, digest_of: Callable[[int], bytes | None], first_height: int = 0) -> None:
        self._digest_of = digest_of
        self._first_height = first_height
        self._by_gateway: dict[str, Testimony] = {}

    def hear(self, decided: Decided) -> None:
        """Compare the accepted batches of the next block, once what it decided can be asked for."""
        height = decided.header.height
        for transaction, result in zip(decided.block.decoded, decided.results, strict=True):
            if transaction is None or transaction.kind != ReadingBatch.kind or result.code != Code.ACCEPTED:
                continue
            witnessed = ReadingBatch.decode(transaction).receipt
            if witnessed is None or 0 <= witnessed.height < self._first_height:
                continue
            expected = (self._digest_of(witnessed.height) or b"") if 0 <= witnessed.height < height else b""
            if expected != witnessed.digest:
                self._note(Testimony(transaction.signer, transaction.id, height, witnessed, expected))

    def testimonies(self) -> list[Testimony]:
        """One for each gateway that names a strange header, ascending by the bytes of their names."""
        return [self._by_gateway[name] for name in sorted(self._by_gateway, key=str.encode)]

    def _note(self, testimony: Testimony) -> None:
        known = self._by_gateway.setdefault(testimony.gateway, testimony)
        if known is not testimony:
            known.batches += 1
