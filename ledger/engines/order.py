"""The order in which a proposer puts transactions into a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from gridcore.transactions.reading_batch import ReadingBatch
from ledger.application import Examined

T = TypeVar("T")


class BatchPlace(NamedTuple):
    """Where a reading batch stands among those of its gateway."""

    gateway: str
    epoch: int
    counter: int


def batch_place(examined: Examined) -> BatchPlace | None:
    """The place of an admissible reading batch, else None."""
    content, transaction = examined.content, examined.candidate.transaction
    if transaction is None or not isinstance(content, ReadingBatch):
        return None
    return BatchPlace(transaction.signer, content.epoch, content.counter)


def in_proposers_order(items: Sequence[T], place: Callable[[T], BatchPlace | None]) -> list[T]:
    """Runs of neighbouring batches sorted by (gateway, epoch, counter); everything else keeps its place.

    A batch never moves past a transaction of another kind: it may depend on the ledger time or the epoch that one sets.
    """
    ordered: list[T] = []
    for is_batch, group in groupby(items, key=lambda item: place(item) is not None):
        run = list(group)
        if is_batch:
            run.sort(key=lambda item: place(item) or BatchPlace("", 0, 0))
        ordered.extend(run)
    return ordered
