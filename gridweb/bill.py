"""A household's bill out of its curve: statement lines slot by slot, sums by kind, and the sentences that say what it comes to.

Lines follow from what the time series holds of a point (registers' energy, trades) and from the rules of its area, with the
arithmetic of the stand-alone verifier; they stand only where they add up to the amount that the ledger itself settled.
Pure but for the language of the request: Wh, micro/kWh and nano, exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridcore import verify
from gridcore.quality import MISSING, quality_words
from gridseries.series import IntervalRow, SlotRow
from gridweb import format as shown
from gridweb.i18n import N_, _

LINE_TITLES: Final[Mapping[str, str]] = {
    "trade_buy": N_("Bought from the neighbourhood"),
    "trade_sell": N_("Sold to the neighbourhood"),
    "residual_import": N_("Bought from the supplier"),
    "surplus": N_("Bought but not used, resold"),
    "residual_export": N_("Fed in, sold to the offtaker"),
    "shortfall": N_("Sold but not delivered, made up"),
    "network_traded": N_("Network charge, traded energy"),
    "network_residual": N_("Network charge, other energy"),
    "levy": N_("Levy"),
}
"""Line kinds in the contract's order, with their message ids."""
PRICE_TITLES: Final[Mapping[str, str]] = {
    "feed_in_price_micro_per_kwh": N_("Feed-in price"),
    "levy_micro_per_kwh": N_("Levy"),
    "network_residual_micro_per_kwh": N_("Network charge, other energy"),
    "network_traded_micro_per_kwh": N_("Network charge, traded energy"),
    "residual_price_micro_per_kwh": N_("Supplier's price"),
    "shortfall_price_micro_per_kwh": N_("Price of shortfall"),
    "surplus_price_micro_per_kwh": N_("Price of surplus"),
}
"""Prices of an area's rules, with their message ids."""
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
    """A line of a statement. ``amount_nano`` > 0: the party owes."""

    slot_start_s: int
    kind: str
    energy_wh: int
    price_micro_per_kwh: int
    amount_nano: int


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


def _word(quality: int | None) -> str:
    return _QUALITY_WORDS[MISSING if quality is None else quality]


def lines_of(interval: Interval, prices: Mapping[str, int]) -> list[BillLine] | None:
    """The lines of a settled slot in the contract's order, or None where they do not add up to what the ledger settled.

    That happens under a contract whose arithmetic is not known here; then the ledger itself has to be asked.
    """
    if interval.pays_nano is None or not prices.keys() >= set(verify.PRICES):
        return None
    taken = (interval.import_wh, interval.export_wh, interval.bought_wh, interval.sold_wh)
    known = [value for value in taken if value is not None]
    if len(known) < len(taken):
        return None
    terms = verify.lines_of_point(known, dict(prices), interval.price_micro_per_kwh or 0)
    lines = [
        BillLine(interval.start_s, kind, energy_wh, price, sign * energy_wh * price)
        for kind, (energy_wh, price, sign) in zip(verify.LINE_KINDS, terms, strict=True)
        if energy_wh > 0
    ]
    return lines if sum(line.amount_nano for line in lines) == interval.pays_nano else None


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


def sums_by_kind(lines: Sequence[BillLine]) -> list[KindSum]:
    """The sums of a statement by kind of line, in the contract's order."""
    found = []
    for kind in LINE_TITLES:
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
