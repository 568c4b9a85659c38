"""Prices of a slot out of a price series, and a member with rules of its own: settled, shown, proved, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore import cbor, verify
from gridcore.errors import UsageError
from gridcore.master_data import Named
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import (
    PRICE_MICRO_PER_KWH_MAX,
    PRICE_SERIES,
    SPANS_MAX,
    PriceSeries,
)
from gridcore.registry.rules import RULES, SERIES_MAX, Rules
from gridevidence.view import decode_bundle
from gridledger.registering.rows_file import read_rows
from ledger.contract import Billed, StatementLine
from ledger.evidence import build_bundle
from ledger.genesis_check import check_genesis
from ledger.leaves.run import RUN
from ledger.registry.areas import Area
from ledger.runs import lines_of, load_rows
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement import statements
from settlement.catalogue import CONTRACTS
from tests.worlds.community import COMMUNITY, PRICES, one_shared_slot
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium
from tests.worlds.ledgers import ledger_with

LEVY, RETAIL, FEED_IN = (f"{name}_micro_per_kwh" for name in ("levy", "residual_price", "feed_in_price"))


def series(name: str, *prices: int, from_s: int = FIRST_S, slot_s: int = SLOT_S) -> Named[PriceSeries]:
    return Named(PRICE_SERIES, name, PriceSeries.of(slot_s, prices), from_s)


def varied(name: str, named: dict[str, str], from_s: int = FIRST_S) -> Named[Rules]:
    """Rules whose prices of these keys vary."""
    return Named(RULES, name, Rules(PRICES, {}, series=named), from_s)


OWN = Named(RULES, "own", Rules({**PRICES, LEVY: 1_000}, {}, series={"network_traded_micro_per_kwh": "net"}))
WORLD = replace(
    COMMUNITY,
    more=[
        series("spot", 30_000, 50_000),
        series("net", 7, from_s=0, slot_s=86_400),
        series("net", -5),
        varied("shared", {LEVY: "spot"}),
        OWN,
        Named(POINT, "P-3", Point("a-1", "load", "shop", rules="own"), FIRST_S),
    ],
)


def line_of(ledger: Ledger, party: str, point: str, kind: str) -> StatementLine:
    run = RUN.must(ledger, FIRST_S, "z-1", "initial")
    zone = ledger.registry.at(FIRST_S, run.as_of_height).zone(ledger.registry.zones[0])
    area = Area("a-1", 0, zone, ledger.registry)
    rows = load_rows(ledger, run, area.settling_rows_of(party))
    shown = statements.lines(lines_of(ledger, CONTRACTS, area, run, rows), [Billed(party, point)])
    return next(line for line in shown if line.line_kind == kind)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with ledger_with(tmp_path_factory.mktemp("own"), WORLD, one_shared_slot(WORLD.sender())) as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("party", "point", "kind", "price"),
    [
        ("house", "P-2", "levy", 30_000),
        ("house", "P-2", "network_traded", 60_000),
        ("shop", "P-3", "levy", 1_000),
        ("shop", "P-3", "network_traded", -5),
    ],
)
def test_a_line_has_the_price_of_its_slot_and_point_and_is_verified(
    settled: Ledger, party: str, point: str, kind: str, price: int
) -> None:
    line = line_of(settled, party, point, kind)
    assert (line.price_micro_per_kwh, line.amount_nano) == (price, line.energy_wh * price)
    data = build_bundle(settled, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)
    verdict = verify.verify_bundle(data, verify.decode_trust(json.dumps(trust_of(WORLD.genesis)).encode()))
    assert verdict.answer == verify.VERIFIED, verdict.reason
    (proved,) = (found for found in verdict.facts["lines"] if found["line_kind"] == kind)
    assert (proved["price_micro_per_kwh"], proved["amount_nano"]) == (price, line.amount_nano)


def test_the_page_of_a_line_shows_the_prices_of_the_slot_and_point(settled: Ledger) -> None:
    view = decode_bundle(build_bundle(settled, CONTRACTS, party="shop", slot_start_s=FIRST_S, line_kind="levy"))
    assert dict(view.run.prices) == {**PRICES, LEVY: 1_000, "network_traded_micro_per_kwh": -5}


@pytest.mark.parametrize("part", ["series", "point_rules"])
def test_a_bundle_without_what_its_prices_rest_on_is_not_verified(settled: Ledger, part: str) -> None:
    parts = cbor.decode(build_bundle(settled, CONTRACTS, party="shop", slot_start_s=FIRST_S, line_kind="levy"))
    del parts[part]
    verdict = verify.verify_bundle(
        cbor.encode(parts), verify.decode_trust(json.dumps(trust_of(WORLD.genesis)).encode())
    )
    assert verdict.answer == verify.NOT_VERIFIED
    assert verdict.claim is not None
    assert verdict.claim.word == "registry"


@pytest.mark.parametrize(
    ("prices", "feed_in"),
    [((), 400_000), ((600_001,), 400_000), ((-1,), 400_000), ((600_000,), 600_000), ((0,), 0)],
)
def test_where_a_series_ends_or_the_contract_refuses_its_prices_the_rules_own_hold(
    tmp_path: Path, prices: Sequence[int], feed_in: int
) -> None:
    before = series("spot", 9, from_s=FIRST_S - SLOT_S)
    world = replace(
        COMMUNITY, more=[before, *([series("spot", *prices)] if prices else []), varied("shared", {FEED_IN: "spot"})]
    )
    with ledger_with(tmp_path, world, one_shared_slot(world.sender())) as ledger:
        run = RUN.must(ledger, FIRST_S, "z-1", "initial")
        alone = load_rows(
            ledger, run, ledger.registry.at(FIRST_S, run.as_of_height).zone(ledger.registry.zones[0]).settling
        )
        assert alone.columns["supplier_only_nano"].tolist()[0] == -601 * feed_in


def test_a_series_has_at_most_a_month_of_quarter_hours_and_no_absurd_price() -> None:
    fits = PriceSeries.of(900, [PRICE_MICRO_PER_KWH_MAX, -PRICE_MICRO_PER_KWH_MAX] * (SPANS_MAX // 2))
    assert PRICE_SERIES.fault_of(PRICE_SERIES.encode(fits)) == ""
    assert len(next(Named(PRICE_SERIES, "x" * 64, fits).rows()).encode()) <= 32_768
    assert fits.price_at(100, 100 + 900 * SPANS_MAX - 1) == -PRICE_MICRO_PER_KWH_MAX
    assert fits.price_at(100, 100 + 900 * SPANS_MAX) is None
    for wrong in ([0] * (SPANS_MAX + 1), [PRICE_MICRO_PER_KWH_MAX + 1], []):
        assert "prices is 1 to 3000" in PRICE_SERIES.fault_of(PRICE_SERIES.encode(PriceSeries.of(900, wrong)))


def test_rules_vary_only_prices_that_they_have_and_not_too_many() -> None:
    assert "none of the prices" in RULES.fault_of({"prices": {}, "terms": {}, "series": {"levy": "spot"}})
    many = {f"p{number}": "spot" for number in range(SERIES_MAX + 1)}
    assert "1 to 8 prices" in RULES.fault_of({"prices": dict.fromkeys(many, 1), "terms": {}, "series": many})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([varied("shared", {LEVY: "spot"})], "there is no row price_series/spot"),
        ([series("spot", 1, from_s=FIRST_S + 1), varied("shared", {LEVY: "spot"})], "begins at"),
        ([Named(POINT, "P-3", Point("a-1", "load", "shop", rules="own"), FIRST_S)], "there is no row rules/own"),
        (
            [
                Named(RULES, "own", Rules({LEVY: 1}, {})),
                Named(POINT, "P-3", Point("a-1", "load", "shop", rules="own"), FIRST_S),
            ],
            "rules/own: under mid_market_rate/1",
        ),
    ],
)
def test_what_prices_rest_on_is_there_and_is_taken_by_the_contract(
    more: Sequence[Named[Rules | PriceSeries | Point]], words: str
) -> None:
    world: Consortium = replace(COMMUNITY, more=more)
    with pytest.raises(UsageError, match=words):
        check_genesis(world.genesis, CONTRACTS)


TOML = """[[price_series]]
name = "spot"
from_s = 2027-01-31T00:00:00+08:00
slot_s = 900
prices = [460000, -5]

[[point]]
name = "P-1"
from_s = 5
area = "a-1"
role = "household"
rules = "own"
share_ppm = 250000
priority = 2
"""
CSV = """kind,name,from_s,slot_s,prices,area,role,rules,share_ppm,priority
price_series,spot,2027-01-31T00:00:00+08:00,900,"[460000, -5]",,,,,
point,P-1,5,,,a-1,household,own,250000,2
"""


@pytest.mark.parametrize(("name", "text"), [("rows.toml", TOML), ("rows.csv", CSV)])
def test_files_of_rows_write_prices_as_numbers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    prices, point = (found.row for found in read_rows(tmp_path / name))
    assert PRICE_SERIES.record_of(prices.value) == PriceSeries.of(900, [460_000, -5])
    assert POINT.record_of(point.value) == Point("a-1", "household", rules="own", share_ppm=250_000, priority=2)


@pytest.mark.parametrize("prices", ["[460000, 1.5]", '["spot"]', "[]", "[1000000001]", "460000"])
def test_prices_in_a_file_that_are_none_are_named(tmp_path: Path, prices: str) -> None:
    (tmp_path / "rows.toml").write_text(TOML.replace("[460000, -5]", prices))
    with pytest.raises(
        UsageError, match=r"rows\.toml: price_series 1, price_series/spot: prices is 1 to 3000 whole numbers"
    ):
        read_rows(tmp_path / "rows.toml")
