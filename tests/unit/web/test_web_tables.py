"""Tables as pages, JSON and CSV show them, and values as people read them."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridcore.errors import InvariantError
from gridweb import format as forms
from gridweb.access import Role, Viewer
from gridweb.exports.csv_file import to_csv
from gridweb.exports.json_file import to_json
from gridweb.i18n import LANGUAGES, speaking
from gridweb.source import Source
from gridweb.table_body import SHORT_MAX, body_of
from gridweb.tables import KINDS, Column, Table, _routes, serves_table, table_url
from tests.conftest import REPOSITORY

COLUMNS = (
    Column("name", "Name"),
    Column("energy_wh", "Energy", "energy_wh"),
    Column("amount_nano", "Amount", "amount_nano"),
)


def table(*rows: tuple[object, ...]) -> Table:
    """A table of three columns."""
    return Table("t", COLUMNS, rows, title="T", currency="CNY")


def test_the_body_of_a_table_escapes_its_cells_links_its_heads_and_says_that_there_are_none() -> None:
    columns = (Column("name", "Name"), Column("kind", "Kind", words={"a": "Alpha"}), COLUMNS[1], COLUMNS[2])
    rows = [("<b>", "a", 1_500, 4), ("c&d", "<i>", None, 3)]
    shown = Table("t", columns, rows, links=["/x?a=1&b=2"], totals=(None, None, None, 7), currency="CNY")
    with speaking("en"):
        first, second = body_of(shown).splitlines()
        empty = body_of(table())
    assert first == (
        '<tr><th scope="row"><a href="/x?a=1&amp;b=2">&lt;b&gt;</a></th><td class="words short">Alpha</td>'
        '<td class="number">1.500</td><td class="number">0.0000</td></tr>'
    )
    assert second.startswith(
        '<tr><th scope="row">c&amp;d</th><td class="words short">&lt;i&gt;</td><td class="number">–</td>'
    )
    assert empty == '<tr><td colspan="3" class="empty">No rows</td></tr>'


def test_months_and_days_stay_on_one_line_as_times_do() -> None:
    columns = (Column("month", "Month", "month"), Column("day", "Day", "day"), Column("text", "Text"))
    with speaking("en"):
        (row,) = body_of(Table("t", columns, [("2026-06", "2026-06-21", "2026-06")])).splitlines()
    assert row == ('<tr><th scope="row" class="time">2026-06</th><td class="time">2026-06-21</td><td>2026-06</td></tr>')
    style = (REPOSITORY / "gridweb" / "static" / "gridledger.css").read_text("utf-8")
    assert "tbody :is(.time, .short) {\n  white-space: nowrap;\n}" in style


@pytest.mark.parametrize(
    ("word", "is_short"),
    [
        ("x" * SHORT_MAX, True),
        ("x" * (SHORT_MAX + 1), False),
        ("已" * (SHORT_MAX // 2), True),
        ("已" * SHORT_MAX, False),
    ],
)
def test_words_stay_on_one_line_where_the_longest_is_short(word: str, is_short: bool) -> None:
    columns = (COLUMNS[0], Column("state", "State", words={"a": "A", "b": word}))
    with speaking("en"):
        (row,) = body_of(Table("t", columns, [("n", "a")])).splitlines()
    assert ('class="words short"' in row, 'class="words"' in row) == (is_short, not is_short)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["initial run", "correction 2", "final run", "dispute run 1"]),
        ("zh_CN", ["初算", "更正 2", "最终批次", "争议批次 1"]),
    ],
)
def test_runs_stand_in_words_on_a_page_and_by_name_in_files(language: str, said: list[str]) -> None:
    names = ["initial", "correction-2", "final", "dispute-1"]
    runs = Table("t", (COLUMNS[0], Column("run", "Run", "run")), [("a", name) for name in names])
    with speaking(language):
        rows = body_of(runs).splitlines()
    assert rows == [f'<tr><th scope="row">a</th><td class="words">{text}</td></tr>' for text in said]
    assert [row[1] for row in to_json(runs)["rows"]] == names
    assert [row[1] for row in csv.reader(io.StringIO(to_csv(runs).decode()))] == ["run", *names]


def test_a_button_stands_before_its_row_is_escaped_and_a_row_without_one_has_an_empty_cell() -> None:
    rows = [("a", None), ("b", None)]
    shown = Table("t", (COLUMNS[0], COLUMNS[0]), rows, buttons=["/x?a=1&b=2", None], button="<Go>")
    with speaking("en"):
        first, second = body_of(shown).splitlines()
    assert first.startswith(
        '<tr><td><a role="button" class="secondary" href="/x?a=1&amp;b=2">&lt;Go&gt;</a></td><th scope="row">'
    )
    assert second.startswith('<tr><td></td><th scope="row">')


def test_json_is_exact_and_names_units() -> None:
    value = to_json(table(("a", 1, 2**70), ("b", None, -1)))
    assert value["rows"] == (("a", 1, 2**70), ("b", None, -1))
    assert [column["unit"] for column in value["columns"]] == ["", "Wh", "1e-9 CNY"]
    assert [column["key"] for column in value["columns"]] == ["name", "energy_wh", "amount_nano"]


def test_csv_has_keys_exact_values_and_empty_fields() -> None:
    data = to_csv(table(("=1+1", 12, -5), ("ü,\n", None, 2**70), ("-", 0, 0)))
    rows = list(csv.reader(io.StringIO(data.decode())))
    assert rows[0] == ["name", "energy_wh", "energy_kwh", "amount_nano", "amount_cny"]
    assert rows[1:] == [
        ["'=1+1", "12", "0.012", "-5", "-0.000000005"],
        ["ü,\n", "", "", str(2**70), "1180591620717.411303424"],
        ["'-", "0", "0.000", "0", "0.000000000"],
    ]


@given(st.text(max_size=20))
@example("＝1＋1")
def test_no_text_is_a_formula_to_a_spreadsheet(text: str) -> None:
    field = next(csv.reader(io.StringIO(to_csv(table((text, 0, 0))).decode().partition("\n")[2]), strict=False), [""])[
        0
    ]
    assert field[:1] not in set("=+-@\t＝＋－＠")


def test_a_column_is_of_a_known_kind() -> None:
    with pytest.raises(InvariantError, match="of a known kind"):
        Column("x", "X", "furlongs")


def test_a_served_table_s_address_has_its_arguments_in_place() -> None:
    try:

        @serves_table("/test/<area>/of/<slot>", Role.UTILITY)
        async def probe_table(
            source: Source, viewer: Viewer, area: str, slot: int, *, run: str = "", day: int
        ) -> Table:
            return table()

        assert table_url(probe_table, area="a/1 ü", slot=-900, run="r&s", day=5) == (
            "/api/v1/test/a%2F1%20%C3%BC/of/-900?run=r%26s&day=5"
        )
        assert table_url(probe_table, area="a", slot=0, run=None, day=5) == "/api/v1/test/a/of/0?day=5"
        route = _routes["probe_table"]
        assert (route.rule, route.takes_viewer) == ("/test/<area>/of/<int(signed=True):slot>", True)
        assert (dict(route.path), dict(route.query)) == ({"area": str, "slot": int}, {"run": str, "day": int})
        assert route.required == {"day"}
        with pytest.raises(InvariantError, match="has these arguments"):
            table_url(probe_table, area="a", slot=0, other=1)
        with pytest.raises(InvariantError, match="one table function is named probe_table"):
            serves_table("/test/<area>/of/<slot>", Role.UTILITY)(probe_table)
        with pytest.raises(InvariantError, match="names the arguments"):
            serves_table("/test/<area>", Role.UTILITY)(probe_table)
    finally:
        _routes.pop("probe_table", None)


# ---------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("language", "nano", "digits", "text"),
    [
        ("en", 12_340_000_000, 2, "12.34 CNY"),
        ("zh_CN", 12_340_000_000, 2, "¥12.34"),
        ("zh_CN", -1_234_567_890_000, 2, "-¥1,234.57"),
        ("en", -4_000_000, 2, "0.00 CNY"),
        ("en", 5_000_000, 2, "0.00 CNY"),  # half to even
        ("en", 15_000_000, 2, "0.02 CNY"),
        ("en", 123_456, 6, "0.000123 CNY"),
        ("en", None, 2, "–"),
    ],
)
def test_money_is_written_with_its_digits_in_each_language(
    language: str, nano: int | None, digits: int, text: str
) -> None:
    with speaking(language):
        assert forms.money(nano, "CNY", digits) == text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("wh", "micro"),
    [(1_000, 460_000), (1, 370_001), (7, 375_120), (1_234_567, 1_000_003), (3, 0), (0, 460_000), (-5, 7)],
)
def test_an_exact_product_is_a_true_equation(language: str, wh: int, micro: int) -> None:
    def number(text: str) -> Decimal:
        return Decimal("".join(character for character in text if character in "-.0123456789"))

    with speaking(language):
        energy, price = forms.energy(wh), forms.price(micro, "CNY", is_exact=True)
        assert number(energy) * number(price) == number(forms.money(wh * micro, "CNY", 6, is_exact=True))


def test_exact_values_have_as_many_digits_as_they_need_and_no_fewer_than_others() -> None:
    with speaking("en"):
        assert forms.price(460_000, "CNY", is_exact=True) == "0.4600 CNY/kWh"
        assert forms.price(370_010, "CNY", is_exact=True, with_unit=False) == "0.37001"
        assert forms.money(12_340_000_000, "CNY", 6, is_exact=True) == "12.340000 CNY"
        assert forms.money(-1_000_000_010, "CNY", 6, is_exact=True) == "-1.00000001 CNY"


def test_energy_prices_shares_and_counts() -> None:
    with speaking("en"):
        assert forms.energy(1_234_567) == "1,234.567 kWh"
        assert forms.energy(-1, with_unit=False) == "-0.001"
        assert forms.show(-49_999, "amount_nano") == "0.0000", "what rounds to zero has no sign"
        assert forms.show(-50_001, "amount_nano") == "-0.0001"
        assert forms.price(460_000, "CNY") == "0.4600 CNY/kWh"
        assert forms.price(None, "CNY") == "–"
        assert forms.share(973_000) == "97.3 %"
        assert forms.volts(230_449) == "230.4 V"
        assert forms.count(1_234_567) == "1,234,567"
    with speaking("zh_CN"):
        assert forms.price(460_000, "CNY") == "0.4600 元/kWh"
        assert forms.price(460_000, "EUR") == "0.4600 EUR/kWh"
        assert [forms.unit(kind, "CNY") for kind in ("amount_nano", "price_micro", "energy_wh")] == [
            "元",
            "元/kWh",
            "kWh",
        ]
        assert forms.unit("amount_nano", "EUR") == "EUR"


def test_instants_are_shown_in_the_zone_of_the_area() -> None:
    with speaking("en"):
        assert forms.instant(1_800_000_000, "Asia/Shanghai") == "2027-01-15 16:00"
        assert forms.instant(1_800_000_000, "Europe/Berlin") == "2027-01-15 09:00"
        assert forms.instant(1_800_000_000, "no/zone") == "2027-01-15 08:00"
        assert forms.slot(1_800_000_000, "Asia/Shanghai") == "2027-01-15 16:00–16:15"
        assert forms.day(1_800_000_000, "Asia/Shanghai") == "15 January 2027"
        assert forms.iso(1_800_000_000) == "2027-01-15T08:00:00Z"
    with speaking("zh_CN"):
        assert forms.day(1_800_000_000, "Asia/Shanghai") == "2027年1月15日"


def test_states_are_told_by_a_sign_and_a_word() -> None:
    with speaking("en"):
        assert (
            str(forms.quality("measured"))
            == '<span class="badge good"><span aria-hidden="true">✓</span> measured</span>'
        )
    with speaking("zh_CN"):
        assert "缺失" in forms.quality("missing")
    assert "unheard-of" in forms.quality("unheard-of")
    assert forms.digest("ab" * 32) == f'<code title="{"ab" * 32}">abababababab…</code>'


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_column_has_a_way_to_be_shown(kind: str) -> None:
    value = "measured" if kind in ("text", "digest", "quality") else 1_800_000_000
    with speaking("en"):
        assert forms.show(value, kind, tz="UTC", currency="CNY") not in ("", forms.NO_VALUE)
        assert forms.show(None, kind) == forms.NO_VALUE


@given(st.integers(-(10**24), 10**24))
def test_amounts_lose_nothing_at_nine_digits(nano: int) -> None:
    with speaking("en"):
        assert Decimal(forms.money(nano, "CNY", 9).removesuffix(" CNY").replace(",", "")).scaleb(9) == nano
