"""A household's bill: its curve out of the time series, the ledger's statement lines, and the sentences that say what it comes to.

Nothing is computed here that the ledger has settled: only sums of it. Pure but for the language of the request: Wh, micro/kWh
and nano, exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridcore.quality import MISSING, quality_words
from gridseries.series import IntervalRow, IntervalValues, SlotRow
from gridweb import format as shown
from gridweb.i18n import _

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


def intervals_of(rows: Iterable[IntervalRow], slots: Iterable[SlotRow]) -> list[Interval]:
    """A point's curve, with the prices of its area's slots: rows of the series INTERVALS and SLOTS."""
    prices = {row.time_s: row.values.price_micro_per_kwh for row in slots}
    return [
        Interval(start_s, taken, fed, bought, sold, prices.get(start_s), pays, alone, _word(quality))
        for _, start_s, (taken, fed, bought, sold, pays, alone, quality) in rows
    ]


def sum_of_points(points: Sequence[Sequence[IntervalRow]]) -> Sequence[IntervalRow]:
    """The rows of a party's points as those of one, slot by slot; what is missing of one point is missing of the sum."""
    if len(points) == 1:
        return points[0]
    by_time: dict[int, list[IntervalRow]] = {}
    for row in (row for rows in points for row in rows):
        by_time.setdefault(row.time_s, []).append(row)
    return [_summed(by_time[time_s], len(points)) for time_s in sorted(by_time)]


def _summed(rows: Sequence[IntervalRow], points: int) -> IntervalRow:
    """The rows of one slot; its quality is the worst of theirs."""
    *columns, qualities = zip(*(row.values for row in rows), strict=True)
    is_whole = len(rows) == points
    sums = [sum(column) if is_whole and None not in column else None for column in columns]
    worst = max(MISSING if quality is None else quality & 15 for quality in qualities) if is_whole else MISSING
    return rows[0]._replace(values=IntervalValues._make([*sums, worst]))


def _word(quality: int | None) -> str:
    return _QUALITY_WORDS[MISSING if quality is None else quality]


def totals_of(intervals: Iterable[Interval], expected: int) -> Totals:
    """Sums over the settled ones of these intervals, of ``expected`` slots."""
    settled = [(*interval[1:5], *interval[6:8]) for interval in intervals if interval.is_settled]
    sums = [sum(value or 0 for value in column) for column in zip(*settled, strict=True)] or [0] * 6
    return Totals(expected, len(settled), *sums)


@dataclass(frozen=True)
class KindSum:
    """All lines of one kind."""

    kind: str
    lines: int
    energy_wh: int
    amount_nano: int


def sums_by_kind(lines: Sequence[BillLine], kinds: Iterable[str]) -> list[KindSum]:
    """The sums of a statement by kind of line, in the order of ``kinds``, the contract's."""
    found = []
    for kind in kinds:
        of_kind = [line for line in lines if line.kind == kind]
        if of_kind:
            energy_wh = sum(line.energy_wh for line in of_kind)
            found.append(KindSum(kind, len(of_kind), energy_wh, sum(line.amount_nano for line in of_kind)))
    return found


# -------------------------------------------------------------------------------------------------------------- sentences


@dataclass(frozen=True)
class Saying:
    """What a bill comes to, in words of the request's language. ``trend``: "good", "bad" or "idle", by the saving."""

    paid: str
    alone: str
    saving: str
    traded: str
    trend: str


def say(totals: Totals, currency: str, party: str | None) -> Saying:
    """The sentences about a bill, to the household itself (``party`` None) or about one.

    Amounts are rounded to whole cents, and the saving is the difference of what stands there: whoever subtracts finds it.
    """
    pays, alone = round_to_cents(totals.pays_nano), round_to_cents(totals.supplier_only_nano)
    saving = alone - pays
    values = {"party": party or "", "amount": shown.money(abs(pays), currency)}
    compared = {"amount": shown.money(abs(alone), currency)}
    saved = {"amount": shown.money(abs(saving), currency), "share": _share(saving, alone)}
    energies = {"bought": shown.energy(totals.bought_wh), "sold": shown.energy(totals.sold_wh)}
    return Saying(
        paid=_say_paid(pays, is_own=party is None) % values,
        alone=_say_alone(alone, is_own=party is None) % compared,
        saving=_say_saving(saving, alone) % saved,
        traded=_("Bought from the neighbourhood %(bought)s, sold %(sold)s.") % energies,
        trend="good" if saving > 0 else "bad" if saving < 0 else "idle",
    )


def round_to_cents(nano: int) -> int:
    """Nano rounded to whole hundredths of the currency, half to even."""
    cent = 10_000_000
    whole, rest = divmod(nano, cent)
    return (whole + (2 * rest > cent or (2 * rest == cent and whole % 2 == 1))) * cent


def _say_paid(pays: int, *, is_own: bool) -> str:
    if pays > 0:
        return _("You paid %(amount)s.") if is_own else _("%(party)s paid %(amount)s.")
    if pays < 0:
        return _("You were paid %(amount)s.") if is_own else _("%(party)s was paid %(amount)s.")
    return _("You paid nothing.") if is_own else _("%(party)s paid nothing.")


def _say_alone(alone: int, *, is_own: bool) -> str:
    if alone < 0:
        return (
            _("With your supplier alone you would have been paid %(amount)s.")
            if is_own
            else _("With the supplier alone it would have been paid %(amount)s.")
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
