"""Tariffs in the registry: what is one, who says so, and who names it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcore import cbor
from gridcore.codes import Code
from gridcore.genesis import Thresholds
from gridcore.master_data import Named
from gridcore.registry.grid_connection import GRID_CONNECTION, GridConnection
from gridcore.registry.named_days import NAMED_DAYS_MAX
from gridcore.registry.party import PARTY, Party
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.reactive_energy import REACTIVE_ENERGY, VARH_MAX, ReactiveEnergy
from gridcore.registry.tariff import BASES, COMPONENTS_MAX, PRICE_MAX, TARIFF, Tariff
from gridledger.registering.rows_file import read_rows
from ledger.registry.entries import ENTRIES_MAX
from tests.twin.registry_forms import has_form
from tests.twin.twin import Twin
from tests.unit.registry.test_registry_approvals import WORLD, Chain
from tests.worlds.consortium import FIRST_S, SLOT_S, START_S, UTILITY
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender, transaction_id

ENERGY: dict[str, Any] = {"account": "grid", "base": "import", "name": "energy", "price": 5, "taxed": True}
SHARE: dict[str, Any] = {
    "account": "grid",
    "base": "percent",
    "name": "share",
    "of": ["energy"],
    "price": -7,
    "taxed": False,
}

PEAK: dict[str, Any] = {**ENERGY, "base": "kw_peak", "name": "peak"}
STEPPED: dict[str, Any] = {key: ENERGY[key] for key in ENERGY if key != "price"}


def tariff(*components: dict[str, Any]) -> Tariff:
    return Tariff(list(components), 10_000_000, "half_up_away", 130_000)


@pytest.fixture
def chain() -> Chain:
    return Chain(replace(WORLD, thresholds=Thresholds()))


def submitted(chain: Chain, record: Tariff, signer: str = "admin", from_s: int = FIRST_S) -> int:
    rows = [*Named(TARIFF, "home", record, from_s).rows()]
    return chain.decide(chain.sender.register(rows, signer=signer))


def test_a_utility_registers_a_tariff_and_a_party_names_it(chain: Chain) -> None:
    party = Party("a-1", UTILITY, False, contracted_w={"demand": 12_000}, tariff="home")
    rows = [*Named(PARTY, "p-1", party, FIRST_S).rows()]
    assert chain.decide(chain.sender.register(rows)) == Code.REGISTRY_UNKNOWN
    assert submitted(chain, tariff(ENERGY, SHARE)) == 0
    assert chain.decide(chain.sender.register(rows)) == 0
    assert chain.has("tariff/home")


def test_a_party_may_not_name_a_tariff_that_begins_later(chain: Chain) -> None:
    assert submitted(chain, tariff(ENERGY), from_s=FIRST_S + 1) == 0
    rows = [*Named(PARTY, "p-1", Party("a-1", UTILITY, False, tariff="home"), FIRST_S).rows()]
    assert chain.decide(chain.sender.register(rows)) == Code.REGISTRY_UNKNOWN


def test_a_tariff_may_be_dated_back_and_is_said_once_more_where_it_was_wrong(chain: Chain) -> None:
    assert submitted(chain, tariff(ENERGY), from_s=0) == 0
    assert submitted(chain, tariff({**ENERGY, "price": 6}), from_s=START_S) == 0
    assert submitted(chain, tariff({**ENERGY, "price": 7}), from_s=START_S) == 0


def test_a_component_names_a_price_series_that_has_begun(chain: Chain) -> None:
    dynamic = tariff(ENERGY, {**STEPPED, "name": "market", "price_series": "spot"})
    assert submitted(chain, dynamic) == Code.REGISTRY_UNKNOWN
    spot = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [5, -7]), FIRST_S)
    assert chain.decide(chain.sender.register([*spot.rows()])) == 0
    assert submitted(chain, dynamic, from_s=FIRST_S - 1) == Code.REGISTRY_UNKNOWN
    assert submitted(chain, dynamic) == 0
    assert chain.has("tariff/home")


def test_a_utility_says_at_which_level_a_point_is_connected(chain: Chain) -> None:
    def said(point: str, level: str, from_s: int = FIRST_S, signer: str = "admin") -> int:
        rows = [*Named(GRID_CONNECTION, point, GridConnection(level), from_s).rows()]
        return chain.decide(chain.sender.register(rows, signer=signer))

    assert said("P-9", "10kV") == Code.REGISTRY_UNKNOWN
    assert said("P-1", "") == Code.REGISTRY_FORM
    assert said("P-1", "x" * 65) == Code.REGISTRY_FORM
    assert said("P-1", "x" * 64) == 0
    assert said("P-1", "10kV", START_S) == 0
    assert chain.has("grid_connection/P-1")
    value = {"voltage_level": "10kV"}
    forms: list[dict[str, Any]] = [value, {"voltage_level": ""}, {"voltage_level": 7}, {**value, "level": "x"}, {}]
    assert [has_form("grid_connection", one) for one in forms] == [True, False, False, False, False]
    assert [GRID_CONNECTION.fault_of(one) == "" for one in forms] == [True, False, False, False, False]


def test_a_utility_says_what_a_point_took_of_reactive_energy_in_a_span_of_whole_slots(chain: Chain) -> None:
    def said(until_s: int, from_s: int = FIRST_S, varh: int = VARH_MAX, point: str = "P-1") -> int:
        rows = [*Named(REACTIVE_ENERGY, point, ReactiveEnergy(varh, 0, until_s), from_s).rows()]
        return chain.decide(chain.sender.register(rows, signer="admin"))

    end_s = FIRST_S + SLOT_S
    refused = [
        said(end_s, point="P-9"),
        said(end_s, varh=-1),
        said(end_s, varh=VARH_MAX + 1),
        said(FIRST_S),
        said(end_s - 1),
    ]
    assert refused == [
        Code.REGISTRY_UNKNOWN,
        Code.REGISTRY_FORM,
        Code.REGISTRY_FORM,
        Code.REGISTRY_CONFLICT,
        Code.REGISTRY_CONFLICT,
    ]
    taken = [said(FIRST_S + at * SLOT_S, FIRST_S + (at - 1) * SLOT_S) for at in range(1, ENTRIES_MAX + 1)]
    assert taken == [0] * ENTRIES_MAX
    ahead = said(FIRST_S + 65 * SLOT_S, FIRST_S + 64 * SLOT_S)
    assert ahead == Code.REGISTRY_CONFLICT, "its first entry is still in force at ledger time"


def test_ledger_and_twin_agree_on_series_and_levels_that_tariffs_name() -> None:
    world = replace(WORLD, thresholds=Thresholds())
    ledger, twin = MemoryLedger(world.genesis), Twin(cbor.decode(world.genesis.encode()))
    sender = Sender(world.chain, START_S, sign_cheaply)
    by_level = {**STEPPED, "name": "grid", "levels": [["10kV", 2], ["35kV", 1]], "highest_level": "35kV"}
    by_trade = {**by_level, "name": "way", "base": "traded", "covers": "trade", "place_levels": [[1, "35kV"]]}
    factor = {**SHARE, "name": "factor", "power_factor_standard": 85}
    del factor["price"]
    dynamic = tariff(ENERGY, {**STEPPED, "name": "market", "price_series": "spot"}, by_level, by_trade, factor)
    span = ReactiveEnergy(5, 0, FIRST_S + SLOT_S)
    connection = GridConnection("10kV")
    steps: list[tuple[Named[Any], int]] = [
        (Named(TARIFF, "home", dynamic, FIRST_S), Code.REGISTRY_UNKNOWN),
        (Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [5, -7]), FIRST_S), 0),
        (Named(TARIFF, "home", dynamic, FIRST_S - 1), Code.REGISTRY_UNKNOWN),
        (Named(TARIFF, "home", dynamic, FIRST_S), 0),
        (Named(TARIFF, "home", tariff({**by_level, "highest_level": "6kV"}), FIRST_S), Code.REGISTRY_FORM),
        (Named(TARIFF, "home", tariff({**by_trade, "place_levels": [[0, "35kV"]]}), FIRST_S), Code.REGISTRY_FORM),
        (Named(GRID_CONNECTION, "P-9", connection, FIRST_S), Code.REGISTRY_UNKNOWN),
        (Named(GRID_CONNECTION, "P-1", connection, FIRST_S), 0),
        (Named(GRID_CONNECTION, "P-1", connection, 0), 0),
        (Named(GRID_CONNECTION, "P-1", GridConnection(""), 0), Code.REGISTRY_FORM),
        (Named(TARIFF, "home", tariff({**ENERGY, "power_factor_standard": 85}), FIRST_S), Code.REGISTRY_FORM),
        (Named(TARIFF, "home", tariff(ENERGY, {**factor, "power_factor_standard": 95}), FIRST_S), Code.REGISTRY_FORM),
        (Named(REACTIVE_ENERGY, "P-9", span, FIRST_S), Code.REGISTRY_UNKNOWN),
        (Named(REACTIVE_ENERGY, "P-1", span._replace(returned_varh=-1), FIRST_S), Code.REGISTRY_FORM),
        (Named(REACTIVE_ENERGY, "P-1", span, FIRST_S + SLOT_S), Code.REGISTRY_CONFLICT),
        (Named(REACTIVE_ENERGY, "P-1", span, FIRST_S + 1), Code.REGISTRY_CONFLICT),
        (Named(REACTIVE_ENERGY, "P-1", span, FIRST_S), 0),
    ]
    codes: list[int] = []
    for height, (named, _) in enumerate(steps, 1):
        wire = sender.register([*named.rows()])
        (result,) = ledger.apply([wire], START_S + height).results
        assert ([result.code], ledger.state.root()) == (
            twin.apply_block(height, START_S + height, [wire], is_cheaply_signed),
            twin.state_root(),
        ), named
        codes.append(int(result.code))
    assert codes == [code for _, code in steps]


def test_where_genesis_asks_for_two_organisations_a_tariff_waits_for_the_second_one() -> None:
    chain = Chain()
    wire = chain.sender.register([*Named(TARIFF, "home", tariff(ENERGY), FIRST_S).rows()])
    assert chain.decide(wire) == 0
    assert not chain.has("tariff/home")
    assert chain.approve(transaction_id(wire), "dso-admin") == 0
    assert chain.has("tariff/home")


def test_the_files_of_docs_tariffs_are_registered(tmp_path: Path, chain: Chain) -> None:
    page = Path(__file__).parents[3].joinpath("docs", "tariffs.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    registered = [one for one in blocks if not one.startswith("[[tariff.component]]")]
    for number, block in enumerate(registered):
        file = tmp_path / f"{number}.toml"
        file.write_text(block.replace('"co-op"', f'"{UTILITY}"'), "utf-8")
        assert chain.decide(chain.sender.register([found.row for found in read_rows(file)])) == 0
    names = (
        "tariff/home",
        "party/house",
        "tariff/village-2027",
        "tariff/calendar",
        "tariff/dynamic",
        "tariff/levels",
        "reactive_energy/P-1",
    )
    assert [chain.has(name) for name in names] == [True] * len(names)


FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no account": ([{key: ENERGY[key] for key in ENERGY if key != "account"}], "components, 1: account is missing"),
    "an unknown key": ([{**ENERGY, "rate": 1}], "components, 1: 'rate' is no key of it; it has account, base"),
    "an unknown base": ([{**ENERGY, "base": "water"}], "components, 1: base is one of import, export"),
    "a price past its width": ([{**ENERGY, "price": PRICE_MAX + 1}], "components, 1: price is a whole number"),
    "a tax above 100 %": ([{**ENERGY, "tax_ppm": 1_000_001}], "components, 1: tax_ppm is a whole number, 0 to 1000000"),
    "a tax of what is not taxed": (
        [{**ENERGY, "tax_ppm": 0, "taxed": False}],
        "components, 1: tax_ppm: no tax is paid on it, taxed is false",
    ),
    "price and steps": (
        [{**ENERGY, "steps": [[0, 1]]}],
        "components, 1: it has one of price, steps, price_series, levels",
    ),
    "neither price nor steps": ([STEPPED], "components, 1: it has one of price, steps, price_series, levels"),
    "price and series": (
        [{**ENERGY, "price_series": "spot"}],
        "components, 1: it has one of price, steps, price_series, levels",
    ),
    "a series that is no name": (
        [{**STEPPED, "price_series": "sp ot"}],
        "components, 1: price_series is 1 to 64 of A-Z",
    ),
    "a level twice": ([{**STEPPED, "levels": [["a", 1], ["a", 2]]}], "components, 1: levels is 1 to 16 pairs"),
    "too many levels": (
        [{**STEPPED, "levels": [[f"{at}", 1] for at in range(17)]}],
        "components, 1: levels is 1 to 16",
    ),
    "a user above the highest level": (
        [{**STEPPED, "levels": [["a", 2], ["b", 1]], "user_level": "b", "highest_level": "a"}],
        "components, 1: highest_level: a lies below user_level b",
    ),
    "a highest level that is none": (
        [{**STEPPED, "levels": [["a", 2]], "highest_level": "b"}],
        "components, 1: highest_level: 'b' is none of its levels: a",
    ),
    "covers of all import": (
        [{**STEPPED, "base": "import", "levels": [["a", 2]], "covers": "trade"}],
        "components, 1: covers is of levels and base traded alone",
    ),
    "covers something else": (
        [{**STEPPED, "base": "traded", "levels": [["a", 2]], "covers": "all"}],
        "components, 1: covers is one of trade, not 'all'",
    ),
    "places without trades": (
        [{**STEPPED, "base": "traded", "levels": [["a", 2]], "place_levels": [[1, "a"]]}],
        "components, 1: place_levels are of covers alone",
    ),
    "a place with a level that is none": (
        [{**STEPPED, "base": "traded", "levels": [["a", 2]], "covers": "trade", "place_levels": [[1, "b"]]}],
        "components, 1: place_levels: 'b' of place 1 is none of its levels: a",
    ),
    "a place twice": (
        [{**STEPPED, "base": "traded", "levels": [["a", 2]], "covers": "trade", "place_levels": [[1, "a"], [1, "a"]]}],
        "components, 1: place_levels is 1 to 64 pairs [grid place, level] by ascending places",
    ),
    "a level of a price": ([{**ENERGY, "user_level": "b"}], "components, 1: user_level: 'b' is none of its levels"),
    "a share by a series": (
        [ENERGY, {key: SHARE[key] for key in SHARE if key != "price"} | {"price_series": "spot"}],
        "components, 2: steps, price_series and levels are for import, export, traded, residual alone",
    ),
    "steps not from 0": ([{**STEPPED, "steps": [[1, 1]]}], "components, 1: steps is 1 to 16 pairs"),
    "steps that do not ascend": (
        [{**STEPPED, "steps": [[0, 1], [5, 1], [5, 2]]}],
        "components, 1: steps is 1 to 16 pairs",
    ),
    "steps of a decade": (
        [{**STEPPED, "steps": [[0, 1]], "steps_per": "decade"}],
        "components, 1: steps_per is one of month, year",
    ),
    "a year of a price": ([{**ENERGY, "steps_per": "year"}], "components, 1: steps_per is of steps alone"),
    "windows of a share": (
        [{**SHARE, "windows": [[0, 1]]}],
        "components, 1: windows, weekdays and day_kinds are for import, export, traded, residual, kw_peak alone",
    ),
    "windows over one another": ([{**ENERGY, "windows": [[0, 7200], [3600, 9000]]}], "components, 1: windows is"),
    "a window past midnight": ([{**ENERGY, "windows": [[79200, 93600]]}], "components, 1: windows is"),
    "a day of the week that is none": (
        [{**ENERGY, "weekdays": [0, 1]}],
        "components, 1: weekdays is ascending days of the week, 1 (Monday) to 7",
    ),
    "days of the week of a share": (
        [{**SHARE, "weekdays": [1]}],
        "components, 1: windows, weekdays and day_kinds are for",
    ),
    "a peak of nobody": ([{**PEAK, "peak_of": "house"}], "components, 1: peak_of is one of party, point"),
    "a peak of energy": ([{**ENERGY, "peak_of": "point"}], "components, 1: peak_of is for kw_peak alone"),
    "months twice": ([{**ENERGY, "months": [1, 1]}], "components, 1: months is ascending months"),
    "one name twice": ([ENERGY, ENERGY], "components, 2: name: energy is another component's"),
    "a share of what stands behind": ([SHARE, ENERGY], "components, 1: of: energy does not stand before it"),
    "a share of itself": ([{**SHARE, "of": ["share"]}], "components, 1: of: share does not stand before it"),
    "a share of nothing": ([{**SHARE, "of": []}], "components, 1: of is an array of 1 to 64 kinds"),
    "of without percent": ([{**ENERGY, "of": ["levy"]}], "components, 1: of: the kinds of lines"),
    "a name with a line end": ([{**ENERGY, "name": "a\nb"}], "components, 1: name is a text of 1 to 64"),
    "a name that looks like another": (
        [ENERGY, {**ENERGY, "name": "en\u200bergy"}],
        "components, 2: name is a text of 1 to 64",
    ),
    "a key with a line end": ([{**ENERGY, "a\nb": 1}], "components, 1: 'a\\nb' is no key of it"),
    "too many": (
        [{**ENERGY, "name": f"c{at}"} for at in range(COMPONENTS_MAX + 1)],
        "components is an array of at most 64 maps",
    ),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_what_is_no_tariff_is_refused_in_one_line(chain: Chain, name: str) -> None:
    components, words = FAULTS[name]
    value = TARIFF.encode(tariff(*components))
    assert words in TARIFF.fault_of(value)
    assert "\n" not in TARIFF.fault_of(value)
    assert submitted(chain, tariff(*components)) == Code.REGISTRY_FORM


def named(count: int) -> dict[str, list[str]]:
    """So many days, of two kinds."""
    days = [f"{year}-{month:02}-{day:02}" for year in (2027, 2028) for month in range(1, 13) for day in range(1, 29)]
    return {"holiday": days[:1], "workday": days[1:count]}


def test_a_tariff_names_as_many_days_as_the_limit_and_each_of_one_kind(chain: Chain) -> None:
    off = {**ENERGY, "day_kinds": ["holiday", "weekend"]}
    assert submitted(chain, tariff(off)._replace(days=named(NAMED_DAYS_MAX))) == 0
    faults = {
        "days: 401 days are named, at most 400 can be": named(NAMED_DAYS_MAX + 1),
        "days: 2027-01-02 is of two kinds": {"holiday": ["2027-01-02"], "weekend": ["2027-01-02"]},
        "days: holiday: '2027-02-29' is no day of the calendar, as 2027-02-06": {"holiday": ["2027-02-29"]},
        "days: 'feast' is no kind of day; they are holiday, weekend, workday": {"feast": ["2027-02-06"]},
        "components, 1: day_kinds: the tariff's days name no holiday": {"workday": ["2027-02-06"]},
    }
    found = {words: tariff(off)._replace(days=days) for words, days in faults.items()}
    assert {words: TARIFF.fault_of(TARIFF.encode(record)) for words, record in found.items()} == {
        words: words for words in faults
    }
    assert {submitted(chain, record) for record in found.values()} == {Code.REGISTRY_FORM}
    assert TARIFF.encode(tariff(ENERGY)).keys() == {"components", "quantum_nano", "rounding", "tax_ppm"}


def test_nodes_of_every_python_take_a_name_with_a_character_that_is_newer_than_they_are(chain: Chain) -> None:
    assert submitted(chain, tariff({**ENERGY, "name": NEW})) == 0


@pytest.mark.parametrize(
    ("contracted_w", "is_right"),
    [
        ({"d": 0}, True),
        ({"d": 10**12}, True),
        ({"d": 10**12 + 1}, False),
        ({"d": -1}, False),
        ({}, False),
        ({"": 1}, False),
    ],
)
def test_what_a_party_has_contracted_is_a_power_of_a_component(contracted_w: dict[str, int], is_right: bool) -> None:
    value = PARTY.encode(Party("a-1", UTILITY, False, contracted_w=contracted_w, tariff="home"))
    assert (PARTY.fault_of(value) == "") is is_right
    assert has_form("party", dict(value)) is is_right


NEW = "\U0001fadf"
"""A character of Unicode 16: it has no properties in Pythons that are older."""
NUMBERS = st.sampled_from([-1, 0, 1, 12, 13, 3_600, 86_400, 86_401, 10**12, 10**12 + 1, 10**15, 10**15 + 1, True])
PAIRS = st.lists(st.lists(NUMBERS, min_size=1, max_size=2), max_size=3)
WORDS = st.sampled_from(["energy", "share", "levy", "电", "", "x" * 64, "x" * 65, "a\tb", "a\u200bb", "a\u3000b", NEW])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "account": WORDS,
    "base": st.sampled_from([*BASES, "water"]),
    "covers": st.sampled_from(["trade", "all", 1]),
    "highest_level": WORDS,
    "place_levels": st.lists(st.tuples(NUMBERS, st.sampled_from(["energy", "share", "dear"])).map(list), max_size=3),
    "levels": st.lists(st.tuples(st.sampled_from(["energy", "share", "levy"]), NUMBERS).map(list), max_size=3),
    "months": st.lists(NUMBERS, max_size=3),
    "name": WORDS,
    "of": st.lists(WORDS, max_size=2),
    "price": NUMBERS,
    "price_series": st.sampled_from(["spot", "s p", "", "x" * 65, 7]),
    "steps": PAIRS,
    "tax_ppm": NUMBERS,
    "steps_per": st.sampled_from(["month", "year", "day"]),
    "taxed": st.sampled_from([True, False, 1]),
    "user_level": WORDS,
    "peak_of": st.sampled_from(["party", "point", "both"]),
    "day_kinds": st.lists(st.sampled_from(["holiday", "weekend", "workday", "sunday", 1]), max_size=3),
    "weekdays": st.lists(st.sampled_from([0, 1, 5, 7, 8, True]), max_size=3),
    "windows": PAIRS,
}


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """A component that is right or nearly so."""
    found = dict(draw(st.sampled_from([ENERGY, SHARE, PEAK])))
    for key in draw(st.lists(st.sampled_from([*VALUES]), max_size=3)):
        found[key] = draw(VALUES[key])
        if key in ("steps", "price_series", "levels"):
            found.pop("price", None)
    return found


DAY_TEXTS = st.sampled_from(
    ["2027-02-06", "2027-02-07", "2027-02-29", "2028-02-29", "2100-02-29", "1969-12-31", "2027-2-6", "20270206", "", 7]
)
NAMED_DAYS = st.one_of(
    st.none(),
    st.none(),
    st.just({"holiday": ["2027-02-06"]}),
    st.dictionaries(
        st.sampled_from(["holiday", "weekend", "workday", "day"]), st.lists(DAY_TEXTS, max_size=3), max_size=3
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(changed(), max_size=3), NAMED_DAYS)
def test_the_program_and_its_twin_take_the_same_tariffs(
    components: list[dict[str, Any]], days: dict[str, list[Any]] | None
) -> None:
    value = dict(TARIFF.encode(tariff(*components)._replace(days=days)))
    assert (TARIFF.fault_of(value) == "") == has_form("tariff", value)
