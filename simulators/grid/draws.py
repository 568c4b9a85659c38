"""The first draws of many random streams at once: the same numbers as ``diversity.generator`` gives, stream by stream, for a whole street of homes.

NumPy makes a stream in two steps that its documentation promises to keep: ``SeedSequence`` spreads a key over a state, PCG64 draws from it. Both
are sums, products and shifts of whole numbers; here each of them is done for all streams together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.grid.diversity import generator

UInt32 = NDArray[np.uint32]
UInt64 = NDArray[np.uint64]
_WORD: Final = (1 << 32) - 1
_POOL_WORDS: Final = 4
_STATE_WORDS: Final = 8
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
"""The constants of ``SeedSequence``."""
_PCG_HIGH, _PCG_LOW = np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645)
"""The multiplier of PCG64, 128 bits."""
_LOW_32: Final = np.uint64(_WORD)
_32: Final = np.uint64(32)


class _Wide(NamedTuple):
    """Whole numbers of 128 bits."""

    high: UInt64
    low: UInt64

    def plus(self, other: _Wide) -> _Wide:
        """The sum modulo 2**128."""
        low = self.low + other.low
        return _Wide(self.high + other.high + (low < other.low), low)

    def stepped(self, increment: _Wide) -> _Wide:
        """The next state of PCG64."""
        left, right = self.low >> _32, self.low & _LOW_32
        times_left, times_right = _PCG_LOW >> _32, _PCG_LOW & _LOW_32
        low = right * times_right
        middle = left * times_right + (low >> _32)
        other = right * times_left + (middle & _LOW_32)
        carried = left * times_left + (middle >> _32) + (other >> _32)
        high = carried + self.high * _PCG_LOW + self.low * _PCG_HIGH
        return _Wide(high, self.low * _PCG_LOW).plus(increment)


def first_integers(
    key: Sequence[int], numbers: NDArray[np.int64], bounds: Sequence[tuple[int, NDArray[np.int64]]]
) -> list[NDArray[np.int64]]:
    """What the streams ``(*key, number)`` draw first: of each of two bounds at most a whole number ``low`` to ``high``, both included.

    numbers: int64[n], 0 to 2**32 - 1. bounds: low, and high int64[n], less than 2**32 - 1 apart. int64[n] for each of the bounds.
    """
    halves = _first_halves(key, numbers)
    used, is_other, drawn = np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=np.bool_), []
    for low, high in bounds:
        spread = (high - low).astype(np.uint64)
        product = np.where(used == 0, halves[0], halves[1]) * (spread + np.uint64(1))
        is_drawn = spread > 0
        # NumPy draws again where the remainder lies below a threshold, which is less than the number of values
        is_other |= is_drawn & ((product & _LOW_32) <= spread)
        drawn.append(low + np.where(is_drawn, product >> _32, 0).astype(np.int64))
        used += is_drawn
    for place in np.flatnonzero(is_other).tolist():
        stream = generator(*key, int(numbers[place]))
        for column, (low, high) in zip(drawn, bounds, strict=True):
            column[place] = stream.integers(low, int(high[place]), endpoint=True)
    return drawn


def _first_halves(key: Sequence[int], numbers: NDArray[np.int64]) -> tuple[UInt64, UInt64]:
    """The first 64 bits of each stream: the lower 32, which NumPy draws from first, and the upper ones."""
    words = [np.full(1, word, dtype=np.uint32) for part in key for word in _words(part)]
    state = _states([*words, numbers.astype(np.uint32)])
    seed, sequence = _Wide(state[0], state[1]), _Wide(state[2], state[3])
    one = np.uint64(1)
    increment = _Wide(sequence.high << one | sequence.low >> np.uint64(63), sequence.low << one | one)
    # seeded: a step from 0, the seed added, a step; the first draw makes one more
    at = increment.plus(seed).stepped(increment).stepped(increment)
    turned, by = at.high ^ at.low, at.high >> np.uint64(58)
    bits = turned >> by | turned << (np.uint64(64) - by & np.uint64(63))
    return bits & _LOW_32, bits >> _32


def _words(part: int) -> list[int]:
    """A whole number as words of 32 bits, the lowest first, at least one."""
    return [part & _WORD, *(_words(part >> 32) if part >> 32 else [])]


class _Hash:
    """The running hash of ``SeedSequence``."""

    def __init__(self, constant: int, multiplier: int) -> None:
        self._constant, self._multiplier = constant, multiplier

    def of(self, value: UInt32) -> UInt32:
        """The hash of the next words."""
        value = value ^ np.uint32(self._constant)
        self._constant = self._constant * self._multiplier & _WORD
        value = value * np.uint32(self._constant)
        return value ^ value >> np.uint32(16)


def _mixed(left: UInt32, right: UInt32) -> UInt32:
    value: UInt32 = _MIX_LEFT * left - _MIX_RIGHT * right
    return value ^ value >> np.uint32(16)


def _states(entropy: Sequence[UInt32]) -> list[UInt64]:
    """``SeedSequence(entropy).generate_state(4, uint64)`` of each stream. entropy: words, at least as many as the pool has."""
    hashed = _Hash(_INIT_A, _MULT_A)
    pool = [hashed.of(word) for word in entropy[:_POOL_WORDS]]
    for source in range(_POOL_WORDS):
        for target in range(_POOL_WORDS):
            if source != target:
                pool[target] = _mixed(pool[target], hashed.of(pool[source]))
    for word in entropy[_POOL_WORDS:]:
        for target in range(_POOL_WORDS):
            pool[target] = _mixed(pool[target], hashed.of(word))
    drawn = _Hash(_INIT_B, _MULT_B)
    words = [drawn.of(pool[place % _POOL_WORDS]).astype(np.uint64) for place in range(_STATE_WORDS)]
    return [low | high << _32 for low, high in zip(words[::2], words[1::2], strict=True)]
