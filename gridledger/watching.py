"""The watch beside a running node: as its blocks come the rules look again, and what they now find, or find no longer, is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gridwatch.alerts import Alert
from gridwatch.ledger_source import GrowingLedger
from gridwatch.rules import Rules
from gridwatch.watch import alerts_of
from ledger.store.copying import copy_of, take_new
from settlement.catalogue import CONTRACTS, pins


class News(NamedTuple):
    """What is other at a height than at the look before. withdrawn: alerts that later readings have taken the ground from; standing: all that hold."""

    height: int
    areas: int
    found: tuple[Alert, ...]
    withdrawn: tuple[Alert, ...]
    standing: tuple[Alert, ...]


def news_of(height: int, areas: int, before: Sequence[Alert], now: Sequence[Alert]) -> News:
    """What is other between two looks; both keep their order."""
    known, standing = frozenset(before), frozenset(now)
    found = tuple(alert for alert in now if alert not in known)
    withdrawn = tuple(alert for alert in before if alert not in standing)
    return News(height, areas, found, withdrawn, tuple(now))


def follow(
    data_dir: Path, copy_dir: Path, rules: Rules, tell: Callable[[News], None], wait: Callable[[], bool]
) -> None:
    """Keep a copy of a running node's ledger and look at it whenever it has grown, until ``wait`` says that it is enough: then once more.

    What stands at any height is what a replay of the ledger up to there finds.
    """
    ledger, standing, height, is_enough = GrowingLedger(), list[Alert](), -1, False
    with copy_of(data_dir, copy_dir, CONTRACTS, pins()) as copy:
        while True:
            take_new(copy, data_dir)
            if copy.height > height:
                height, watched = copy.height, ledger.watched(copy)
                news = news_of(height, len(watched.areas), standing, alerts_of(watched, rules))
                standing = [*news.standing]
                tell(news)
            if is_enough:
                return
            is_enough = wait()
