"""``/api/v1``: exact JSON, safe CSV, arguments that are refused in one line, and a document that names every route."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gridcore.serving.problems import Problem
from gridweb import api
from gridweb.access import READS_ALL, Role, rule_of
from gridweb.api import read_query
from gridweb.exports.csv_file import to_csv
from gridweb.exports.formats import FORMATS
from gridweb.exports.json_file import to_json
from gridweb.exports.names import NAME_CHARACTERS_MAX, file_stem, slot_stem
from gridweb.i18n import speaking
from gridweb.openapi import PARAMETERS, openapi
from gridweb.tables import API, Column, Table, table_routes
from tests.unit.web.household_world import household, household_world
from tests.unit.web.web_world import FIRST_S, make_world

COLUMNS = (Column("name", "Meter", "text"), Column("amount_nano", "Amount", "amount_nano"))


def in_braces(rule: str) -> str:
    return re.sub(r"<(?:[^:<>]*:)?(\w+)>", r"{\1}", rule)


async def test_the_document_names_every_route_of_the_api_with_its_arguments(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    document = await (await world.browser().get(f"{API}/openapi.json")).get_json()
    routes = {in_braces(rule.rule) for rule in world.app.url_map.iter_rules() if rule.rule.startswith(f"{API}/")}
    assert set(document["paths"]) == routes
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        named = {one["name"] for one in operations["get"].get("parameters", ()) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path
    identities = [operations["get"]["operationId"] for operations in document["paths"].values()]
    assert len(set(identities)) == len(identities)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = openapi("1", "cookie")
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        found: object = document
        for part in reference.split("/"):
            assert isinstance(found, Mapping)
            found = found[part]


def test_every_argument_is_described_and_every_table_says_what_it_is(tmp_path: Path) -> None:
    make_world(tmp_path)
    routes = table_routes()
    assert len(routes) > 10
    names = {name for route in routes for name in (*route.path, *route.query)}
    assert names <= PARAMETERS.keys()
    assert [route.endpoint for route in routes if not route.function.__doc__] == []


async def test_a_route_of_the_api_has_the_roles_of_its_table(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    for route in table_routes():
        rule = rule_of(world.app.view_functions[f"api.{route.endpoint}"])
        assert rule is not None
        assert rule.roles == frozenset(route.roles)
    assert any(route.roles == READS_ALL for route in table_routes())


def test_csv_gives_no_formula_to_a_spreadsheet_and_keeps_integers_exact() -> None:
    names = ["=1+1", "+1", "-1", "@x", "\tx", 'a "quoted", one', "普通"]
    table = Table("t", COLUMNS, [(name, -(10**18)) for name in names])
    rows = list(csv.reader(io.StringIO(to_csv(table).decode())))
    assert rows[0] == ["name", "amount_nano"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", 'a "quoted", one', "普通"]
    assert {row[1] for row in rows[1:]} == {str(-(10**18))}


def test_json_is_exact_and_titles_are_in_the_language_of_the_request() -> None:
    table = Table("t", COLUMNS, [("x", 10**18), ("y", None)], currency="CNY")
    with speaking("zh_CN"):
        value = to_json(table)
    assert value["rows"] == [("x", 10**18), ("y", None)]
    assert value["columns"][1] == {"key": "amount_nano", "title": "金额", "kind": "amount_nano", "unit": "1e-9 CNY"}


@pytest.mark.parametrize("text", ["", "x", "1.0", "1e3", "²", "0x1", "--1", "-", "1 ", "9" * 19, "9" * 4_000])
def test_what_is_no_whole_number_in_64_bits_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="whole number"):
        read_query({"start_s": int}, {"start_s": text})


def test_whole_numbers_texts_and_formats_are_read() -> None:
    assert read_query({"start_s": int, "day": str}, {"start_s": "-5", "day": "x"}) == (
        "json",
        {"start_s": -5, "day": "x"},
    )
    assert read_query({}, {"format": "csv"}) == ("csv", {})
    assert read_query({"n": int}, {"n": str((1 << 63) - 1)}) == ("json", {"n": (1 << 63) - 1})


async def test_an_answer_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path)
    monkeypatch.setitem(FORMATS, "json", FORMATS["json"]._replace(rows_max=0))
    response = await world.browser(Role.UTILITY).get(f"{API}/condition")
    assert response.status_code == 400
    assert "more than 0 rows" in (await response.get_json())["detail"]


async def test_a_large_table_is_the_same_from_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utility = make_world(tmp_path).browser(Role.UTILITY)
    before = [await (await utility.get(f"{API}/condition?format={form}")).get_data() for form in FORMATS]
    monkeypatch.setattr(api, "ROWS_IN_THREAD", 0)
    after = [await (await utility.get(f"{API}/condition?format={form}")).get_data() for form in FORMATS]
    assert before == after


async def test_csv_comes_as_a_file_in_utf_8(tmp_path: Path) -> None:
    response = await make_world(tmp_path).browser(Role.UTILITY).get(f"{API}/condition?format=csv")
    assert response.content_type == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == 'attachment; filename="condition.csv"'


async def test_errors_of_the_api_are_problems_even_for_a_browser(tmp_path: Path) -> None:
    browser = household(household_world(tmp_path))
    for address, status in (
        ("households/H002/days", 403),
        ("households/H001/days?x=1", 400),
        ("nowhere", 404),
        ("overview", 404),
    ):
        response = await browser.get(f"{API}/{address}", headers={"Accept": "text/html"})
        problem = await response.get_json()
        assert (response.status_code, response.content_type) == (status, "application/problem+json"), address
        assert problem["status"] == status
        assert problem["type"].startswith("urn:gridledger:problem:")


MIDNIGHT_S = 1_799_942_400
"""Of 2027-01-15 in Shanghai."""


@pytest.mark.parametrize(
    ("asked", "stem"),
    [
        ({"area": "A 1"}, "slots-A-1-2027-01-15-to-2027-01-16"),
        ({"area": "a-1", "day": "2027-01-15"}, "slots-a-1-2027-01-15"),
        ({"area": "a-1", "day": str(FIRST_S), "run": "final"}, "slots-a-1-final-2027-01-15-to-2027-01-16"),
        ({}, "slots-2027-01-15-to-2027-01-16"),
    ],
)
def test_a_file_is_named_by_its_table_where_it_is_from_and_the_days_in_it(asked: dict[str, str], stem: str) -> None:
    columns = (Column("slot_start_s", "Slot", "slot"), Column("energy_wh", "Energy", "energy_wh"))
    table = Table("slots", columns, [(FIRST_S, 1), (FIRST_S + 86_400, 2)], tz="Asia/Shanghai")

    assert file_stem(table, asked) == stem


@pytest.mark.parametrize(
    ("asked", "stem"),
    [
        ({"area": "A1", "slot_start_s": MIDNIGHT_S}, "merit-A1-2027-01-15T0000"),
        ({"gateway": "gw-1", "boundary_s": MIDNIGHT_S + 26_100}, "merit-gw-1-2027-01-15T0715"),
        ({"party": "H1", "start_s": MIDNIGHT_S, "end_s": MIDNIGHT_S + 2 * 86_400}, "merit-H1-2027-01-15-to-2027-01-16"),
        ({"party": "H1", "start_s": MIDNIGHT_S, "end_s": MIDNIGHT_S + 86_400}, "merit-H1-2027-01-15"),
        ({"at_s": MIDNIGHT_S + 43_200}, "merit-2027-01-15"),
        ({"slot_start_s": -1, "boundary_s": 10**18}, "merit"),
    ],
)
def test_a_file_without_slots_in_its_rows_is_named_by_those_of_its_address(
    asked: dict[str, str | int], stem: str
) -> None:
    table = Table("merit", (Column("name", "Name"),), [("x",)], tz="Asia/Shanghai")

    assert file_stem(table, asked) == stem


def test_files_of_the_two_slots_of_a_repeated_hour_have_two_names() -> None:
    table = Table("merit", (Column("name", "Name"),), [("x",)], tz="Europe/Berlin")
    first_s = 1_792_887_300  # 2026-10-25, 00:15 UTC

    names = [file_stem(table, {"area": "A1", "slot_start_s": first_s + hour * 3_600}) for hour in (0, 1, 24)]

    assert names == ["merit-A1-2026-10-25T0215+0200", "merit-A1-2026-10-25T0215+0100", "merit-A1-2026-10-26T0115"]


def test_proofs_and_books_of_the_two_slots_of_a_repeated_hour_have_two_names_however_long_the_others_are() -> None:
    first_s = 1_792_887_300  # 2026-10-25, 00:15 UTC
    slots = [first_s + hour * 3_600 for hour in (0, 1, 24)]

    assert [slot_stem("A1", slot_s, "Europe/Berlin", "H 1", "levy", "") for slot_s in slots] == [
        "A1-H-1-levy-2026-10-25T0215+0200",
        "A1-H-1-levy-2026-10-25T0215+0100",
        "A1-H-1-levy-2026-10-26T0115",
    ]
    long = [slot_stem("A" * 64, slot_s, "Europe/Berlin", "H" * 64, "levy") for slot_s in slots]
    assert [len(stem) for stem in long] == [NAME_CHARACTERS_MAX] * 3
    assert len(set(long)) == 3


@pytest.mark.parametrize(
    "asked", [{"boundary_s": 253_402_300_500}, {"start_s": 253_402_290_000, "end_s": 253_402_300_700}]
)
def test_an_instant_whose_local_date_is_beyond_the_last_year_names_no_file(asked: dict[str, int]) -> None:
    table = Table("days", (Column("name", "Name"),), [], tz="Asia/Shanghai")

    assert file_stem(table, asked) == "days"


def test_the_name_of_a_file_is_short_and_holds_no_way_out_of_its_folder() -> None:
    stem = file_stem(Table("slots", (Column("name", "Name"),), []), {"party": "../é/" * 60})

    assert len(stem) <= NAME_CHARACTERS_MAX
    assert set(stem) <= set("slot-.")


def test_a_table_that_names_its_party_itself_does_not_get_it_twice() -> None:
    assert file_stem(Table("H001-disputes", (Column("name", "Name"),), []), {"party": "H001"}) == "H001-disputes"


async def test_the_interface_is_a_page_in_both_languages_that_names_every_table(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    english = await world.browser(Role.UTILITY).text("/interface")
    chinese = await world.browser(Role.UTILITY, language="zh_CN").text("/interface")
    for route in table_routes():
        assert f'id="{route.endpoint}"' in english
    assert "The meters that a gateway reads." in english
    assert "某网关所抄读的电能表。" in chinese
    assert "GET /api/v1/areas/{area}/meters" in chinese
    assert "format=csv" not in await world.browser().text("/interface")
