"""Rules about nodes: blocks that do not come, and metrics beyond their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

from gridwatch.alerts import Alert
from gridwatch.columns import BlockTime, Watched
from gridwatch.rules import Blocks, Metrics


def check_blocks(blocks: Sequence[BlockTime], rule: Blocks) -> Iterator[Alert]:
    """Ledger time that passed between two blocks."""
    for before, after in pairwise(blocks):
        silent_s = after.time_s - before.time_s
        if silent_s > rule.silence_s_max:
            heights = (before.height, after.height)
            yield Alert(
                after.time_s, "blocks", "chain", before.time_s, after.time_s, silent_s, rule.silence_s_max, heights
            )


def check_metrics(watched: Watched, rule: Metrics) -> Iterator[Alert]:
    """Values above their limits, at the time of the newest block; a part of one is rounded up."""
    at_s = watched.blocks[-1].time_s if watched.blocks else 0
    for sample in watched.metrics:
        limit = rule.value_max.get(sample.name)
        if limit is not None and sample.value > limit:
            yield Alert(at_s, "metrics", sample.series, at_s, at_s, ceil(sample.value), limit, ())
