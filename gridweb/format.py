"""Values as people read them: kWh, money, prices, instants in the area's zone, in the language of the request.

Exact values are whole numbers (Wh, nano, micro per kWh, UTC seconds); here alone they become decimals, rounded half to even.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import get_decimal_symbol, get_group_symbol, get_minus_sign_symbol
from markupsafe import Markup

from gridcore.run_names import CORRECTION, DISPUTE, FINAL, INITIAL
from gridweb.i18n import N_, _, language, locale, translate

SLOT_S_SHOWN: Final = 900
NO_VALUE: Final = "–"
INSTANT_S_MAX: Final = 253_402_300_800
"""The end of the year 9999."""
AMOUNT_DIGITS: Final = 4
AMOUNT_UNIT_NANO: Final = 100_000
"""An amount in a table has four digits of the currency's unit."""
DAYS_REMEMBERED: Final = 4_096
"""Local days of which it is kept whether the clock changes on them."""
QUALITY_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "measured": (N_("measured"), "good"),
    "estimated": (N_("estimated"), "warn"),
    "corrected": (N_("corrected"), "warn"),
    "substituted": (N_("substituted"), "warn"),
    "suspect": (N_("suspect"), "bad"),
    "missing": (N_("missing"), "bad"),
}
"""Word of a quality -> message id and state (as in ``badge``)."""
MARKS: Final[Mapping[str, str]] = {"good": "✓", "warn": "▲", "bad": "✕", "idle": "○", "live": "●"}
"""A sign for each state, so that none is told by colour alone."""
_DIGEST_SHOWN: Final = 12
_CURRENCY_SIGNS: Final[Mapping[str, str]] = {"CNY": "¥"}


class KindOf(Protocol):
    """What is used of a ``gridweb.tables.Column``."""

    @property
    def kind(self) -> str:
        """Of its values."""


class Summed(Protocol):
    """What is used of a ``gridweb.tables.Table``."""

    @property
    def columns(self) -> Sequence[KindOf]:
        """In their order."""

    @property
    def rows(self) -> Sequence[Sequence[object]]:
        """Values by column."""

    @property
    def totals(self) -> Sequence[object] | None:
        """The last row."""


def energy(wh: int | None, *, with_unit: bool = True) -> str:
    """Wh as kWh with three digits: ``1,234.500 kWh``."""
    if wh is None:
        return NO_VALUE
    text = _decimal(Decimal(wh).scaleb(-3), 3)
    return f"{text} kWh" if with_unit else text


def money(nano: int | None, currency: str, digits: int = 2, *, is_exact: bool = False) -> str:
    """Nano as an amount: ``12.34 CNY``, in Chinese ``¥12.34``; ``is_exact``: with as many more digits as are not zero."""
    if nano is None:
        return NO_VALUE
    if is_exact:
        digits = _digits(nano, 9, digits)
    sign = _CURRENCY_SIGNS.get(currency)
    text = _decimal(Decimal(abs(nano)).scaleb(-9), digits)
    minus = "-" if nano < 0 and any(digit in text for digit in "123456789") else ""
    return f"{minus}{sign}{text}" if sign and language() == "zh_CN" else f"{minus}{text} {currency}".rstrip()


def amounts(nanos: Sequence[int | None], whole_nano: int | None) -> list[str]:
    """A column of amounts with four digits whose sum, as shown, is ``whole_nano`` as shown.

    Where rounding each by itself would not add up, the last digit of those goes up or down that are nearest to it; none is further
    off than one of its last digit. None, and a column whose sum is another (of rows that are not shown): each by itself.
    """
    known = [nano or 0 for nano in nanos]
    parts = [divmod(nano, AMOUNT_UNIT_NANO) for nano in known]
    units = [whole + (2 * rest >= AMOUNT_UNIT_NANO) for whole, rest in parts]
    if whole_nano is not None and sum(known) == whole_nano:
        lacking = (2 * whole_nano + AMOUNT_UNIT_NANO) // (2 * AMOUNT_UNIT_NANO) - sum(units)
        step = 1 if lacking > 0 else -1
        gain = [step * (rest - unit_rest(unit, whole)) for unit, (whole, rest) in zip(units, parts, strict=True)]
        for at in sorted((at for at in range(len(units)) if gain[at] > 0), key=lambda at: -gain[at])[: abs(lacking)]:
            units[at] += step
    texts = (_decimal(Decimal(unit).scaleb(-AMOUNT_DIGITS), AMOUNT_DIGITS) for unit in units)
    return [NO_VALUE if nano is None else text for nano, text in zip(nanos, texts, strict=True)]


def unit_rest(unit: int, whole: int) -> int:
    """What rounding ``whole`` units and a rest to ``unit`` units has taken for the rest, nano."""
    return (unit - whole) * AMOUNT_UNIT_NANO


def price(micro_per_kwh: int | None, currency: str, *, with_unit: bool = True, is_exact: bool = False) -> str:
    """Micro per kWh as a price with four digits: ``0.4600 CNY/kWh``; ``is_exact``: with five or six where they are not zero."""
    if micro_per_kwh is None:
        return NO_VALUE
    text = _decimal(Decimal(micro_per_kwh).scaleb(-6), _digits(micro_per_kwh, 6, 4) if is_exact else 4)
    if not with_unit:
        return text
    return f"{text} {unit('price_micro', currency)}"


def instant(time_s: int | None, tz: str) -> str:
    """UTC seconds as local date and time of a zone: ``2026-06-21 07:15``; with its offset on a day on which the clock changes."""
    return NO_VALUE if time_s is None else _date(time_s, tz, "yyyy-MM-dd HH:mm") + offset(time_s, tz)


def moment(time_s: int | None, tz: str) -> str:
    """UTC seconds as local date and time of a zone to the second: ``2026-06-21 07:15:08``; else as ``instant``."""
    return NO_VALUE if time_s is None else _date(time_s, tz, "yyyy-MM-dd HH:mm:ss") + offset(time_s, tz)


def iso(time_s: int) -> str:
    """UTC seconds as ISO 8601, for programs that read the page."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def query_of(given: Mapping[str, str]) -> str:
    """The query string of the arguments of an address; "" of none."""
    return f"?{urlencode(given)}" if given else ""


def said_instant(time_s: int) -> str:
    """An instant as an error names it: ISO 8601; the number itself beyond the year 9999 and before 1970."""
    return iso(time_s) if 0 <= time_s < INSTANT_S_MAX else str(time_s)


def day(time_s: int | None, tz: str) -> str:
    """UTC seconds as a local date in words: ``21 June 2026``, ``2026年6月21日``."""
    return NO_VALUE if time_s is None else _date(time_s, tz, "long_date")


def clock(time_s: int | None, tz: str) -> str:
    """UTC seconds as local time of day: ``07:15``; with its offset on a day on which the clock changes: ``02:15+02:00``."""
    return NO_VALUE if time_s is None else _date(time_s, tz, "HH:mm") + offset(time_s, tz)


def hour_and_minute(time_s: int, tz: str) -> tuple[str, int]:
    """The hour of the local clock, two digits, and the minute in it."""
    moment = datetime.fromtimestamp(time_s, UTC).astimezone(zone_of(tz))
    return f"{moment:%H}", moment.minute


def offset(time_s: int, tz: str) -> str:
    """The zone's offset to UTC, ``+02:00``, at an instant of a local day that has two of them; "" on all other days.

    An hour that is repeated is told apart by it, and one that is left out is seen to be.
    """
    zone = zone_of(tz)
    moment = datetime.fromtimestamp(time_s, UTC).astimezone(zone)
    return moment.isoformat()[-6:] if _has_change(moment.date(), zone) else ""


@lru_cache(maxsize=DAYS_REMEMBERED)
def _has_change(day: date, zone: ZoneInfo) -> bool:
    """Whether the clock of a zone changes on a local day."""
    start, end = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return start.utcoffset() != end.utcoffset()


def slot(start_s: int | None, tz: str, slot_s: int = SLOT_S_SHOWN) -> str:
    """A slot as its local date and span: ``2026-06-21 07:15–07:30``."""
    return NO_VALUE if start_s is None else f"{instant(start_s, tz)}–{clock(start_s + slot_s, tz)}"


def count(number: int | None) -> str:
    """A whole number with separators of thousands."""
    return NO_VALUE if number is None else _decimal(Decimal(number), 0)


def share(ppm: int | None) -> str:
    """Parts per million as per cent with one digit."""
    return NO_VALUE if ppm is None else f"{_decimal(Decimal(ppm).scaleb(-4), 1)} %"


def volts(milli: int | None) -> str:
    """Millivolt as volts with one digit."""
    return NO_VALUE if milli is None else f"{_decimal(Decimal(milli).scaleb(-3), 1)} V"


def digest(hex_digits: str | None) -> str:
    """The first digits of a digest; the whole of it on hovering, and to be copied."""
    if hex_digits is None:
        return NO_VALUE
    if len(hex_digits) <= _DIGEST_SHOWN:
        return Markup("<code>{}</code>").format(hex_digits)
    return Markup('<code title="{0}">{1}…</code>').format(hex_digits, hex_digits[:_DIGEST_SHOWN])


def badge(state: str, text: str) -> str:
    """A state with its sign: ``good``, ``warn``, ``bad``, ``idle`` or ``live``."""
    return Markup('<span class="badge {0}"><span aria-hidden="true">{1}</span> {2}</span>').format(
        state, MARKS[state], text
    )


def quality(word: str | None) -> str:
    """A reading's quality as a badge."""
    if word is None:
        return NO_VALUE
    text, state = QUALITY_WORDS.get(word, (word, "warn"))
    return badge(state, translate(text))


def run(name: str) -> str:
    """A settlement run in words: the initial run, correction 1, 2, ..., the final run, dispute run 1, 2, ..."""
    kind, _dash, number = name.partition("-")
    if kind == CORRECTION:
        return _("correction %(number)s", number=number)
    if kind == DISPUTE:
        return _("dispute run %(number)s", number=number)
    return {INITIAL: _("initial run"), FINAL: _("final run")}.get(name, name)


def show(value: object, kind: str, *, tz: str = "UTC", currency: str = "") -> str:
    """A table's value by the kind of its column (``gridweb.tables.KINDS``)."""
    if value is None:
        return NO_VALUE
    if kind == "digest":
        return digest(str(value))
    if kind == "name":
        return Markup('<span lang="">{}</span>').format(value)
    if kind in ("text", "month", "day", "run", "quality"):
        return quality(str(value)) if kind == "quality" else str(value)
    return _SHOWS[kind](int(str(value)), tz, currency)


_SHOWS: Final[Mapping[str, Callable[[int, str, str], str]]] = {
    "instant": lambda number, tz, _currency: instant(number, tz),
    "slot": lambda number, tz, _currency: instant(number, tz),
    "energy_wh": lambda number, _tz, _currency: energy(number, with_unit=False),
    "amount_nano": lambda number, _tz, _currency: amounts([number], number)[0],
    "price_micro": lambda number, _tz, currency: price(number, currency, with_unit=False),
    "count": lambda number, _tz, _currency: count(number),
    "voltage_milli": lambda number, _tz, _currency: volts(number),
    "share": lambda number, _tz, _currency: share(number),
}
"""How a number is shown, by the kind of its column: called with a zone and a currency."""


def added_up(table: Summed) -> dict[int, list[str]]:
    """The columns of amounts of a table with sums, as ``amounts`` shows them, by their place."""
    if table.totals is None:
        return {}
    found = {}
    for place, column in enumerate(table.columns):
        total = table.totals[place]
        if column.kind == "amount_nano" and isinstance(total, int):
            values = [row[place] for row in table.rows]
            found[place] = amounts([value if isinstance(value, int) else None for value in values], total)
    return found


def unit(kind: str, currency: str = "") -> str:
    """What stands in a column's head behind its title."""
    word = _("CNY") if currency == "CNY" else currency
    units = {"energy_wh": "kWh", "amount_nano": word, "price_micro": f"{word}/kWh"}
    return units.get(kind, "")


def _digits(value: int, scale: int, least: int) -> int:
    """Decimals that show a whole number of 10**-``scale`` exactly, at ``least`` so many."""
    while scale > least and value % 10 == 0:
        value, scale = value // 10, scale - 1
    return scale


def _decimal(value: Decimal, digits: int) -> str:
    """``value`` with ``digits`` decimals and the separators of the language; what rounds to zero has no sign.

    Python's own formatting, rounded half to even as Babel's: that takes thirty times as long, and a page has thousands of them.
    """
    return f"{value:z,.{digits}f}".translate(_separators(language()))


@cache
def _separators(name: str) -> dict[int, str]:
    """From the separators of Python's formatting to those of a language."""
    of = Locale.parse(name)
    return str.maketrans({",": get_group_symbol(of), ".": get_decimal_symbol(of), "-": get_minus_sign_symbol(of)})


def _date(time_s: int, tz: str, pattern: str) -> str:
    moment = datetime.fromtimestamp(time_s, UTC).astimezone(zone_of(tz))
    if pattern == "long_date":
        pattern = "yyyy年M月d日" if language() == "zh_CN" else "d MMMM yyyy"
    return str(format_datetime(moment, pattern, locale=locale()))


@cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; UTC for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name from the chain that this machine's table lacks
        return ZoneInfo("UTC")
