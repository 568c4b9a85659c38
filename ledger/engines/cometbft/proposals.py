"""Which transactions a proposer puts into a block, and which blocks of others a validator accepts.

Choosing may differ from node to node. Accepting is a function of the committed state and the proposal's bytes alone: all validators that run
this code answer alike, else the chain would stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from gridcore.codes import Code
from gridcore.envelope import Transaction
from ledger.application import Examined
from ledger.engines.cometbft.examined import ExaminedTransactions
from ledger.engines.cometbft.payloads import decode_wish
from ledger.engines.order import batch_place, in_proposers_order
from ledger.engines.pool import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX
from ledger.engines.refusals import RefusalShares
from ledger.engines.shares import Author
from ledger.store.consortium import ConsortiumLedger


class Proposals:
    """Used by one thread at a time, but for ``may_take``. refusals: how much of the blocks that this node proposes refused transactions may take."""

    def __init__(self, ledger: ConsortiumLedger, examined: ExaminedTransactions, refusals: RefusalShares) -> None:
        self._ledger = ledger
        self._examined = examined
        self._refusals = refusals

    def choose(self, wires: Sequence[bytes], room_bytes: int, time_s: int) -> list[bytes]:
        """Transactions of the mempool for the next block, of ``time_s``, in its order; the others wait.

        room_bytes: of the block, each transaction counted with its frame (``framed_bytes``).
        """
        wanted = [wire for wire in wires if decode_wish(wire) is None]
        entries = [entry for entry in self._examined.examine(wanted, time_s) if entry.code is Code.ACCEPTED]
        entries = list(_that_fit(in_proposers_order(entries, batch_place), min(room_bytes, BLOCK_BYTES_MAX)))
        codes = self._ledger.application.foresee(entries, time_s) if entries else []
        return [
            entry.candidate.wire
            for entry, code in zip(entries, codes, strict=True)
            if code is Code.ACCEPTED or self._has_place(entry, code)
        ]

    def are_acceptable(self, wires: Sequence[bytes], time_s: int) -> bool:
        """Whether each transaction of a proposed block, of ``time_s``, may enter it: none twice, none that anybody could have made up."""
        if len(wires) > BLOCK_TRANSACTIONS_MAX or len(set(wires)) < len(wires):
            return False
        return all(entry.code is Code.ACCEPTED for entry in self._examined.examine(wires, time_s))

    def may_take(self, entry: Examined, code: Code) -> bool:
        """Whether a transaction that would be refused may get a place, so that there is a receipt of its refusal; asked by any thread."""
        transaction = entry.candidate.transaction
        if transaction is None or code in (Code.EXISTS, Code.COUNTER_GAP):
            return False
        if self._ledger.find_transaction(transaction.id) is not None:
            return False
        return self._refusals.fits(Counter({_author_of(transaction, entry): len(entry.candidate.wire)}))

    def _has_place(self, entry: Examined, code: Code) -> bool:
        """Give a transaction that would be refused its place, where it may have one."""
        transaction = entry.candidate.transaction
        if transaction is None or not self.may_take(entry, code):
            return False
        return self._refusals.take(_author_of(transaction, entry), len(entry.candidate.wire))


def _author_of(transaction: Transaction, entry: Examined) -> Author:
    return Author(transaction.signer, entry.organisation)


def framed_bytes(wire: bytes) -> int:
    """What a transaction takes of a block: its bytes, their length as a varint, and a tag (``ComputeProtoSizeForTxs``)."""
    return 1 + max(1, -(-len(wire).bit_length() // 7)) + len(wire)


def _that_fit(entries: Sequence[Examined], room_bytes: int) -> Iterator[Examined]:
    for entry in entries[:BLOCK_TRANSACTIONS_MAX]:
        room_bytes -= framed_bytes(entry.candidate.wire)
        if room_bytes < 0:
            return
        yield entry
