"""Two settlements of the same readings, party by party: what each comes to, and the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from unicodedata import east_asian_width

from gridcore.errors import UsageError
from gridcore.report.markup import kilo, money
from gridledger.settling.files.stamps import to_iso
from gridledger.settling.participants import Participant


class Side(NamedTuple):
    """A settlement: its name, for people, and its parties by their names."""

    name: str
    participants: Mapping[str, Participant]


class Measures(NamedTuple):
    """What is compared: shared energy, the documents' amounts, and the saving against the supplier alone."""

    bought_wh: int
    sold_wh: int
    net_nano: int
    tax_nano: int
    gross_nano: int
    saving_nano: int


class Difference(NamedTuple):
    """A party, or all of them, under both settlements."""

    party: str
    a: Measures
    b: Measures

    @property
    def change(self) -> Measures:
        """What ``b`` has more than ``a``."""
        return Measures._make(b - a for a, b in zip(self.a, self.b, strict=True))


class Comparison(NamedTuple):
    """Every party in the order of ``a``, their sums (party ""), and the currency of both."""

    differences: Sequence[Difference]
    sums: Difference
    currency: str


COLUMNS = ("party", "currency", *(f"{of}_{name}" for of in ("a", "b", "change") for name in Measures._fields))
"""The columns of a comparison as CSV."""
_SHOWN: Final = {
    "en": ("party", "bought kWh", "sold kWh", "net", "gross", "saving"),
    "zh_CN": ("用户", "购入 kWh", "售出 kWh", "不含税", "含税", "节省"),
}
_ALL: Final = {"en": "all", "zh_CN": "合计"}
_UNDER: Final = {
    "en": "amounts in {}; in brackets: the change",
    "zh_CN": "金额单位 {}；括号内为变化",
}


def compare(a: Side, b: Side) -> Comparison:
    """UsageError, one line, where both are not of the same slots, parties, points, readings and currency."""
    _check_same(a, b)
    differences = [
        Difference(party, _measures(of_party), _measures(b.participants[party]))
        for party, of_party in a.participants.items()
    ]
    sums = Difference("", _sums(one.a for one in differences), _sums(one.b for one in differences))
    return Comparison(differences, sums, next(iter(a.participants.values())).currency)


def csv_rows(comparison: Comparison) -> list[tuple[str | int, ...]]:
    """The rows of COLUMNS, without sums."""
    return [(one.party, comparison.currency, *one.a, *one.b, *one.change) for one in comparison.differences]


def as_json(comparison: Comparison) -> dict[str, object]:
    """Every number, by names."""
    return {
        "currency": comparison.currency,
        "participants": [{"party": one.party, **_by_name(one)} for one in comparison.differences],
        "sums": _by_name(comparison.sums),
    }


def text(comparison: Comparison, language: str) -> str:
    """A table for a terminal: what ``b`` comes to, and in brackets what that is more than ``a``."""
    every = [*comparison.differences, comparison.sums]
    rows = [_SHOWN[language], *(_shown(one, _ALL[language]) for one in every)]
    return f"{aligned(rows)}\n{_UNDER[language].format(comparison.currency)}"


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of fields as a table for a terminal, the first ``left`` columns to the left, the others to the right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]

    def field(place: int, cell: str) -> str:
        space = " " * (widths[place] - _width(cell))
        return cell + space if place < left else space + cell

    return "\n".join("  ".join(field(place, cell) for place, cell in enumerate(row)) for row in rows)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: a Chinese character takes two."""
    return len(text) + sum(east_asian_width(character) in "WF" for character in text)


def _check_same(a: Side, b: Side) -> None:
    ours, theirs = (next(iter(side.participants.values())) for side in (a, b))
    for side, other in ((a, b), (b, a)):
        for party in side.participants:
            if party not in other.participants:
                raise UsageError(f"{other.name}: has no party {party}, and {side.name} has; compare the same points")
    times = [(one.first_slot_start_s, one.end_s) for one in (ours, theirs)]
    if times[0] != times[1]:
        spans = [f"from {to_iso(first_s)} to {to_iso(end_s)}" for first_s, end_s in times]
        raise UsageError(f"{b.name}: is {spans[1]}, and {a.name} {spans[0]}; compare the same days")
    if ours.currency != theirs.currency:
        raise UsageError(f"{b.name}: is in {theirs.currency}, and {a.name} in {ours.currency}; compare one currency")
    for party, of_a in a.participants.items():
        of_b = b.participants[party]
        if of_a.points != of_b.points:
            what = f"party {party} has {of_b.points} points, and {of_a.points} in {a.name}"
            raise UsageError(f"{b.name}: {what}; compare the same points")
        energies = [f"{kilo(one.import_wh)} kWh imported, {kilo(one.export_wh)} exported" for one in (of_a, of_b)]
        if energies[0] != energies[1]:
            what = f"party {party} has {energies[1]}, and {energies[0]} in {a.name}"
            raise UsageError(f"{b.name}: {what}; compare settlements of the same readings")


def _measures(participant: Participant) -> Measures:
    return Measures._make(getattr(participant, name) for name in Measures._fields)


def _sums(measures: Iterable[Measures]) -> Measures:
    return Measures._make(map(sum, zip(*measures, strict=True)))


def _by_name(difference: Difference) -> dict[str, object]:
    return {"a": difference.a._asdict(), "b": difference.b._asdict(), "change": difference.change._asdict()}


def _shown(difference: Difference, name_of_all: str) -> tuple[str, ...]:
    b, change = difference.b, difference.change
    energies = [(b.bought_wh, change.bought_wh), (b.sold_wh, change.sold_wh)]
    amounts = [(b.net_nano, change.net_nano), (b.gross_nano, change.gross_nano), (b.saving_nano, change.saving_nano)]
    return (
        difference.party or name_of_all,
        *(f"{kilo(now)} ({signed(kilo(more), more)})" for now, more in energies),
        *(f"{hundredths(now)} ({signed(hundredths(more), more)})" for now, more in amounts),
    )


def signed(shown: str, value: int) -> str:
    """A change as it is shown, with its sign."""
    return f"+{shown}" if value > 0 else shown


def hundredths(nano: int) -> str:
    """Hundredths of the currency, rounded half up, away from zero."""
    hundredths = (abs(nano) + 5_000_000) // 10_000_000
    return money(-hundredths if nano < 0 else hundredths, 10_000_000)
