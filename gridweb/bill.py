"""A household's bill: its curve out of the time series, the ledger's statement lines, and the sentences that say what it comes to.

Nothing is computed here that the ledger has settled: only sums of it. Pure but for the language of the request: Wh, micro/kWh
and nano, exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final, NamedTuple

from gridcore.quality import CODE_MASK, CORRECTED, MISSING, SUBSTITUTED, quality_words
from gridseries.series import Columns, IntervalValues
from gridweb import format as shown
from gridweb.i18n import _

PRICE: Final = "price_micro_per_kwh"
"""The one value of the series SLOTS that curves have."""
NANO_DIGITS: Final = 9
DIGITS_LEAST: Final = 2
"""Of amounts: whole cents where they do."""
_QUALITY_WORDS: Final = tuple(quality_words(byte)[0] for byte in range(256))
"""The word of each quality byte."""


class Interval(NamedTuple):
    """A point in a slot; None where there is no value yet. Wh, nano, micro/kWh. In the order of the table of intervals."""

    start_s: int
    import_wh: int | None
    export_wh: int | None
    bought_wh: int | None
    sold_wh: int | None
    price_micro_per_kwh: int | None
    pays_nano: int | None
    supplier_only_nano: int | None
    quality: str

    @property
    def is_settled(self) -> bool:
        """Whether the ledger has settled the slot."""
        return self.pays_nano is not None


class BillLine(NamedTuple):
    """A line of a statement. ``amount_nano`` > 0: the party owes. ``price_micro_per_kwh`` None: it has no price of its own."""

    slot_start_s: int
    kind: str
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    point: str = ""
    """Of a party that has several."""

    @property
    def values(self) -> tuple[object, ...]:
        """Those of the table of lines, in its order."""
        return self[:-1]


@dataclass(frozen=True)
class Totals:
    """Sums over settled slots, of ``expected`` there are."""

    expected: int
    settled: int
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int

    @property
    def saving_nano(self) -> int:
        """Negative where trading cost more than the supplier alone."""
        return self.supplier_only_nano - self.pays_nano


IntervalTuple = tuple[int, int | None, int | None, int | None, int | None, int | None, int | None, int | None, str]
"""An ``Interval`` by its places: of a year there are too many for a record each."""


def intervals_of(points: Sequence[Columns], slots: Columns) -> list[IntervalTuple]:
    """A party's curve out of those of its points, with the prices of its area's slots: columns of the series INTERVALS and SLOTS."""
    curve = points[0] if len(points) == 1 else sum_of_points(points)
    prices = dict(zip(slots.time_s, slots.values[PRICE], strict=True))
    *amounts, quality = (curve.values[name] for name in IntervalValues._fields)
    return list(
        zip(curve.time_s, *amounts[:4], map(prices.get, curve.time_s), *amounts[4:], map(_word, quality), strict=True)
    )


def sum_of_points(points: Sequence[Columns]) -> Columns:
    """The curves of a party's points as one, slot by slot; what is missing of one point is missing of the sum."""
    by_time: dict[int, list[tuple[int | None, ...]]] = {}
    for point in points:
        for time_s, *values in zip(point.time_s, *(point.values[name] for name in IntervalValues._fields), strict=True):
            by_time.setdefault(time_s, []).append(tuple(values))
    times = sorted(by_time)
    summed = [_summed(by_time[time_s], len(points)) for time_s in times]
    columns = zip(*summed, strict=True) if summed else [()] * len(IntervalValues._fields)
    return Columns({}, times, dict(zip(IntervalValues._fields, columns, strict=True)))


def _summed(rows: Sequence[tuple[int | None, ...]], points: int) -> IntervalValues:
    """The values of one slot; its quality is the worst of theirs."""
    *columns, qualities = zip(*rows, strict=True)
    is_whole = len(rows) == points
    sums = [sum(column) if is_whole and None not in column else None for column in columns]
    told = [MISSING if quality is None else quality for quality in qualities]
    worst = max(quality & CODE_MASK for quality in told) if is_whole else MISSING
    if worst == CORRECTED and any(quality & SUBSTITUTED == SUBSTITUTED for quality in told):
        worst = SUBSTITUTED
    return IntervalValues._make([*sums, worst])


def _word(quality: int | None) -> str:
    return _QUALITY_WORDS[MISSING if quality is None else quality]


def totals_of(intervals: Iterable[Interval], expected: int) -> Totals:
    """Sums over the settled ones of these intervals, of ``expected`` slots."""
    settled = [(*interval[1:5], *interval[6:8]) for interval in intervals if interval.is_settled]
    sums = [sum(value or 0 for value in column) for column in zip(*settled, strict=True)] or [0] * 6
    return Totals(expected, len(settled), *sums)


def deviation_of(import_wh: int, export_wh: int, bought_wh: int, sold_wh: int) -> tuple[int, int, int]:
    """What of a slot was bought and not taken, sold and not fed in, and both together."""
    not_taken_wh, not_fed_in_wh = max(bought_wh - import_wh, 0), max(sold_wh - export_wh, 0)
    return not_taken_wh, not_fed_in_wh, not_taken_wh + not_fed_in_wh


class Deviation(NamedTuple):
    """What of a slot was bought and not taken, and what was sold and not fed in."""

    start_s: int
    not_taken_wh: int
    not_fed_in_wh: int


def largest_deviation(intervals: Iterable[Interval]) -> Deviation | None:
    """The settled slot with the largest deviation, the first of several; None where every slot was taken and fed in as traded."""
    found, largest_wh = None, 0
    for interval in intervals:
        if interval.is_settled:
            *parts, deviation_wh = deviation_of(*(value or 0 for value in interval[1:5]))
            if deviation_wh > largest_wh:
                found, largest_wh = Deviation(interval.start_s, *parts), deviation_wh
    return found


@dataclass(frozen=True)
class Curve:
    """The settled slots of a party in a span, ascending, as columns of equal length: where they are too many for a record each."""

    start_s: Sequence[int]
    import_wh: Sequence[int]
    export_wh: Sequence[int]
    bought_wh: Sequence[int]
    sold_wh: Sequence[int]
    pays_nano: Sequence[int]
    supplier_only_nano: Sequence[int]

    def between(self, start_s: int, end_s: int) -> Curve:
        """The slots of a part of the span."""
        part = slice(bisect_left(self.start_s, start_s), bisect_left(self.start_s, end_s))
        return Curve(*(getattr(self, column.name)[part] for column in fields(self)))

    def totals(self, expected: int) -> Totals:
        """Their sums, of ``expected`` slots."""
        return Totals(
            expected,
            len(self.start_s),
            sum(self.import_wh),
            sum(self.export_wh),
            sum(self.bought_wh),
            sum(self.sold_wh),
            sum(self.pays_nano),
            sum(self.supplier_only_nano),
        )


NO_CURVE: Final = Curve(*[()] * 7)


def curve_of(points: Sequence[Columns]) -> Curve:
    """The curve of a party out of those of its points (series INTERVALS): slots that are settled at all of them."""
    names = IntervalValues._fields[:-1]
    if len(points) == 1 and None not in points[0].values["pays_nano"]:
        return Curve(points[0].time_s, *(_known(points[0].values[name]) for name in names))
    settled = [
        {time_s: place for place, time_s in enumerate(point.time_s) if point.values["pays_nano"][place] is not None}
        for point in points
    ]
    times = sorted(set.intersection(*map(set, settled)))
    columns = (
        [
            sum(point.values[name][at[time_s]] or 0 for point, at in zip(points, settled, strict=True))
            for time_s in times
        ]
        for name in names
    )
    return Curve(times, *columns)


def joined_curves(curves: Sequence[Curve]) -> Curve:
    """The curve of spans that follow each other."""
    if len(curves) == 1:
        return curves[0]
    return Curve(*([value for curve in curves for value in getattr(curve, one.name)] for one in fields(Curve)))


def _known(column: Sequence[int | None]) -> Sequence[int]:
    return [value or 0 for value in column]


@dataclass(frozen=True)
class KindSum:
    """All lines of one kind."""

    kind: str
    lines: int
    energy_wh: int
    amount_nano: int


def sums_by_kind(lines: Iterable[BillLine], kinds: Iterable[str]) -> list[KindSum]:
    """The sums of a statement by kind of line, in the order of ``added_sums``."""
    return added_sums((KindSum(line.kind, 1, line.energy_wh, line.amount_nano) for line in lines), kinds)


def added_sums(sums: Iterable[KindSum], kinds: Iterable[str]) -> list[KindSum]:
    """Sums by kind of line added up, in the order of ``kinds``, the contract's; behind them those of kinds that an earlier contract of the
    area had: they are a part of what its bills come to.
    """
    found: dict[str, KindSum] = {}
    for one in sums:
        before = found.get(one.kind, KindSum(one.kind, 0, 0, 0))
        counts = before.lines + one.lines, before.energy_wh + one.energy_wh, before.amount_nano + one.amount_nano
        found[one.kind] = KindSum(one.kind, *counts)
    return [found[kind] for kind in dict.fromkeys((*kinds, *found)) if kind in found]


# -------------------------------------------------------------------------------------------------------------- sentences


@dataclass(frozen=True)
class Saying:
    """What a bill comes to, in words of the request's language. ``trend``: "good", "bad" or "idle", by the saving."""

    paid: str
    alone: str
    saving: str
    trend: str


def say(totals: Totals, currency: str, party: str | None) -> Saying:
    """The sentences about a bill, to the household itself (``party`` None) or about one.

    Saving and share are those of the exact amounts. All three are shown with as many digits, two at least, as it takes that whoever
    subtracts what stands there finds the saving.
    """
    pays, alone, saving = totals.pays_nano, totals.supplier_only_nano, totals.saving_nano
    digits = digits_that_add_up(pays, saving, alone)
    values = {"party": party or "", "amount": shown.money(abs(pays), currency, digits)}
    compared = {"amount": shown.money(abs(alone), currency, digits)}
    saved = {"amount": shown.money(abs(saving), currency, digits), "share": _share(saving, alone)}
    return Saying(
        paid=_say_paid(pays, is_own=party is None) % values,
        alone=_say_alone(alone, is_own=party is None) % compared,
        saving=_say_saving(saving, alone) % saved,
        trend="good" if saving > 0 else "bad" if saving < 0 else "idle",
    )


def digits_that_add_up(*nano: int) -> int:
    """The least digits, two at least, with which the last of these amounts is, as shown, the sum of the others as shown."""
    for digits in range(DIGITS_LEAST, NANO_DIGITS):
        *parts, whole = (round_to_digits(amount, digits) for amount in nano)
        if sum(parts) == whole and all(bool(amount) == bool(round_to_digits(amount, digits)) for amount in nano):
            return digits
    return NANO_DIGITS


def round_to_digits(nano: int, digits: int) -> int:
    """Nano rounded to whole units of ``digits`` decimals of the currency, half to even; in those units."""
    unit = 10 ** (NANO_DIGITS - digits)
    whole, rest = divmod(nano, unit)
    is_up: bool = 2 * rest > unit or (2 * rest == unit and whole % 2 == 1)
    return int(whole + is_up)


def _say_paid(pays: int, *, is_own: bool) -> str:
    if pays > 0:
        return _("You pay %(amount)s.") if is_own else _("%(party)s pays %(amount)s.")
    if pays < 0:
        return _("You get %(amount)s.") if is_own else _("%(party)s gets %(amount)s.")
    return _("You pay nothing.") if is_own else _("%(party)s pays nothing.")


def _say_alone(alone: int, *, is_own: bool) -> str:
    if alone < 0:
        return (
            _("With your supplier alone you would get %(amount)s.")
            if is_own
            else _("With the supplier alone it would get %(amount)s.")
        )
    return _("With your supplier alone: %(amount)s.") if is_own else _("With the supplier alone: %(amount)s.")


def _say_saving(saving: int, alone: int) -> str:
    if saving > 0:
        if alone > 0:
            return _("Trading saved %(amount)s (%(share)s).")
        return _("Trading brought %(amount)s more.")
    if saving < 0:
        return _("Trading cost %(amount)s more than the supplier alone would have.")
    return _("Trading made no difference.")


def _share(saving: int, alone: int) -> str:
    return shown.share(saving * 1_000_000 // alone) if alone > 0 else ""
