"""Parts of a scenario's tables: whole numbers in a range, words, and pairs of a least and a largest one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridcore.errors import UsageError

PPM: Final = 1_000_000
GROUP: Final = 10
"""Devices are given out in groups of so many homes, so that a few homes too hold sellers and buyers."""


def whole(low: int, high: int, default: int | None = None) -> Any:
    """A whole number in a range; required where it has no default."""
    metadata = {"min": low, "max": high}
    return (
        dataclasses.field(metadata=metadata)
        if default is None
        else dataclasses.field(default=default, metadata=metadata)
    )


def one_of(*choices: str) -> Any:
    """One of some words; required."""
    return dataclasses.field(metadata={"choices": choices})


def check_order(low: int, high: int, name: str) -> None:
    """UsageError where the least of a range is above its largest; ``name``: of both keys, without _min and _max."""
    if low > high:
        raise UsageError(f"{name}_min {low} is above {name}_max {high}")


def check_group(homes_of_ten: tuple[int, ...]) -> None:
    """UsageError where of ten homes more than ten have something."""
    for homes in homes_of_ten:
        if not 0 <= homes <= GROUP:
            raise UsageError(f"homes_of_ten: {homes} is not from 0 to {GROUP}")


def check_strategies(strategies: Mapping[str, int], known: Sequence[str], what: str) -> None:
    """UsageError where these are not shares of ten by known names; nothing at all is none. what: of which there are ten."""
    for name, share in strategies.items():
        if name not in known:
            raise UsageError(f"strategies.{name} is not known; choose of {', '.join(known)}")
        if not 0 <= share <= GROUP:
            raise UsageError(f"strategies.{name} {share} is not from 0 to {GROUP}")
    if strategies and sum(strategies.values()) != GROUP:
        raise UsageError(f"strategies are of {GROUP} {what}, and together {sum(strategies.values())}")
