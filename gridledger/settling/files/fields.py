"""From fields to numbers: names, decimals and whole numbers of a whole column at once, or the fault of the first that is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.column import I64_MAX
from gridcore.errors import excerpt
from gridledger.settling.files.fault import nearest
from gridledger.settling.files.table import Fields
from settlement.contract_kit_1 import Int64Column

ABSENT: Final = -1
"""What stands for an empty field, where one may be."""
_DIGITS_MAX: Final = 18
_ZERO, _NINE, _MINUS = b"0"[0], b"9"[0], b"-"[0]
_HASH_SEED: Final = 11
Bools = NDArray[np.bool_]


class Names:
    """Known names; ``codes`` tells of each field which of them it is."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        encoded = [name.encode() for name in names]
        self._words = max((len(name) for name in encoded), default=0) // 8 + 1
        self._factors = np.random.default_rng(_HASH_SEED).integers(1, 2**63, self._words, dtype=np.uint64) * 2 + 1
        padded = b"".join(name.ljust(8 * self._words, b"\0") for name in encoded)
        keys = np.frombuffer(padded, dtype="<u8").reshape(-1, self._words)
        hashes = (keys * self._factors).sum(axis=1, dtype=np.uint64)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._keys = keys[self._order]

    def codes(self, fields: Fields, what: str, *, may_be_empty: bool = False) -> Int64Column:
        """int64[n]: places in the names, ABSENT where a field is empty and may be. ``what``: of what they are names, for people."""
        codes, is_known = self.codes_if_known(fields)
        is_empty = fields.lengths() == 0
        bad = ~is_known & ~(is_empty if may_be_empty else np.False_)
        if bad.any():
            at = int(np.argmax(bad))
            if is_empty[at]:
                raise fields.fault(at, "is empty", f"give a {what}")
            name = fields.text(at)
            raise fields.fault(at, f"{excerpt(name)} is no known {what}", nearest(name, self.names))
        return codes

    def codes_if_known(self, fields: Fields) -> tuple[Int64Column, Bools]:
        """int64[n] and bool[n]: places in the names, ABSENT where a field is none of them; which are."""
        if not self.names:
            return np.full(len(fields), ABSENT), np.zeros(len(fields), dtype=np.bool_)
        keys = fields.matrix(8 * self._words).view("<u8")
        hashes = (keys * self._factors).sum(axis=1, dtype=np.uint64)
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self.names) - 1)
        is_known = (self._keys[place] == keys).all(axis=1) & (fields.lengths() <= 8 * self._words)
        return np.where(is_known, self._order[place], ABSENT), is_known


class Decimals(NamedTuple):
    """Numbers as written. ``value`` int64[n]: number x 10^``places``; ``is_present`` bool[n]: False where a field is empty (0)."""

    value: Int64Column
    is_present: Bools
    places: int


def decimals(fields: Fields, places: int, point: str = ".", hint: str = "") -> Decimals:
    """Numbers of at least 0 with at most ``places`` decimal places; ``point``: how the decimal point is written.

    ``hint``: what else may be right where there are more places.
    """
    length = fields.lengths()
    width = int(length.max(initial=0))
    is_present = length > 0
    characters = fields.matrix(min(width, _DIGITS_MAX + 8))
    is_digit = (characters >= _ZERO) & (characters <= _NINE)
    is_point = characters == point.encode()[0]
    digits = is_digit.sum(axis=1)
    points = is_point.sum(axis=1)
    is_number = (digits + points == length) & (points <= 1) & (digits > 0)
    behind = np.where(points == 1, length - 1 - is_point.argmax(axis=1), 0) if width else length
    is_number &= (behind > 0) | (points == 0)
    bad = is_present & ~(is_number & (behind <= places) & (digits + places - behind <= _DIGITS_MAX))
    if bad.any():
        at = int(np.argmax(bad))
        raise fields.fault(at, *_fault_of_decimal(fields.text(at), places, point, hint))
    value = np.zeros(len(fields), dtype=np.int64)
    for place in range(characters.shape[1]):
        digit = is_digit[:, place]
        value = np.where(digit, value * 10 + (characters[:, place] - _ZERO).astype(np.int64), value)
    return Decimals(value * 10 ** (places - behind), is_present, places)


def _fault_of_decimal(text: str, places: int, point: str, hint: str) -> tuple[str, str]:
    """What is wrong with a number, and what would be right."""
    shown = excerpt(text)
    other = "," if point == "." else "."
    body = text.removeprefix("-")
    if text != body and body.replace(point, "", 1).isdecimal():
        return f"{shown} is negative", "energies and limits are at least 0; what flows the other way has its own column"
    if other in text and text.replace(other, "", 1).isdecimal():
        return f"{shown} has a decimal {'comma' if other == ',' else 'point'}", f"write {text.replace(other, point)!r}"
    whole, _, decimal = text.partition(point)
    if whole.isdecimal() and decimal.isdecimal() and text.isascii() and len(decimal) > places:
        return f"{shown} has {len(decimal)} decimal places", f"give at most {places}{hint}"
    if text.replace(point, "", 1).isdecimal() and text.isascii() and whole and (decimal or point not in text):
        return f"{shown} is too large", f"give at most {_DIGITS_MAX - places} digits before the decimal point"
    return (
        f"{shown} is not a number",
        f"write digits and a decimal {'point' if point == '.' else 'comma'}, such as 1{point}25",
    )


def integers(fields: Fields, low: int, high: int, *, may_be_empty: bool = False, absent: int = ABSENT) -> Int64Column:
    """int64[n]: whole numbers from ``low`` to ``high``; ``absent`` where a field is empty and may be."""
    length = fields.lengths()
    characters = fields.matrix(min(int(length.max(initial=0)), _DIGITS_MAX + 3))
    is_digit = (characters >= _ZERO) & (characters <= _NINE)
    digits = is_digit.sum(axis=1)
    is_negative = characters[:, 0] == _MINUS if characters.shape[1] else np.zeros(len(fields), dtype=np.bool_)
    is_number = (digits + is_negative == length) & (digits > 0) & (digits <= _DIGITS_MAX)
    value = np.zeros(len(fields), dtype=np.int64)
    for place in range(characters.shape[1]):
        digit = is_digit[:, place] & is_number
        value = np.where(digit, value * 10 + (characters[:, place] - _ZERO).astype(np.int64), value)
    value = np.where(is_negative, -value, value)
    is_empty = length == 0
    bad = ~(is_number & (value >= low) & (value <= high)) & ~(is_empty if may_be_empty else np.False_)
    if bad.any():
        at = int(np.argmax(bad))
        right = f"give a whole number, {low} to {high}" if high < I64_MAX else f"give a whole number of at least {low}"
        raise fields.fault(at, "is empty" if is_empty[at] else f"{excerpt(fields.text(at))} is none", right)
    return np.where(is_empty, absent, value)
