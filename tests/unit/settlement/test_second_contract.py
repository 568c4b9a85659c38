"""A second contract through ledger, bundle, node and pages: shares without a price of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from gridcore import verify
from gridcore.errors import UsageError
from gridevidence import forgery
from gridevidence.view import decode_bundle
from gridweb.access import Role
from ledger.evidence import build_bundle
from ledger.genesis_check import check_genesis
from ledger.leaves.run import RUN
from ledger.runs import area_result
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS, pins
from tests.unit.web.ledger_world import ledger_world
from tests.worlds.community import BUYERS_NANO, COMMUNITY, PRICES, one_shared_slot
from tests.worlds.consortium import FIRST_S, rules, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.two_areas import TWO_AREAS

TRUST = verify.decode_trust(json.dumps(trust_of(COMMUNITY.genesis)).encode())
# Of 601 Wh 240.4 are house's and 360.6 shop's: the unit left over is shop's. 539,900,000 nano divide by 1000 Wh.
LINES = {
    ("roof", "community_sell"): (601, -601 * 500_000),
    ("house", "community_buy"): (400, BUYERS_NANO * 400 // 1000),
    ("house", "network_traded"): (240, 240 * 60_000),
    ("house", "network_residual"): (160, 160 * 100_000),
    ("house", "levy"): (400, 400 * 20_000),
    ("shop", "community_buy"): (600, BUYERS_NANO * 600 // 1000),
    ("shop", "network_traded"): (361, 361 * 60_000),
    ("shop", "network_residual"): (239, 239 * 100_000),
    ("shop", "levy"): (600, 600 * 20_000),
}
SHARED = [line for line in LINES if line[1].startswith("community")]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("community")
    with ledger_with(folder, COMMUNITY, one_shared_slot(COMMUNITY.sender())) as ledger:
        yield ledger


def export(ledger: Ledger, party: str, kind: str) -> bytes:
    return build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind=kind)


def test_the_run_holds_what_every_share_rests_on(settled: Ledger) -> None:
    run = RUN.must(settled, FIRST_S, "z-1", "initial")
    result = area_result(settled, run, 0)
    assert result.sums == {"surplus_wh": 601, "deficit_wh": 1000}
    assert (run.points, run.rows, result.volume_wh, result.price_micro_per_kwh) == (3, 4, 0, 0)
    assert result.accounts_nano["community"] == BUYERS_NANO - 601 * 500_000
    assert sorted(result.accounts_nano) == ["community", "levy", "network"]


@pytest.mark.parametrize(("party", "kind"), LINES)
def test_every_line_is_verified(settled: Ledger, party: str, kind: str) -> None:
    data = export(settled, party, kind)
    verdict = verify.verify_bundle(data, TRUST)
    assert verdict.answer == verify.VERIFIED, verdict.reason
    energy_wh, amount_nano = LINES[party, kind]
    (line,) = (line for line in verdict.facts["lines"] if line["line_kind"] == kind)
    assert (line["energy_wh"], line["amount_nano"]) == (energy_wh, amount_nano)
    assert (line["price_micro_per_kwh"] is None) == ((party, kind) in SHARED)
    assert any("left over" in text for text in verdict.not_checked)
    view = decode_bundle(data)
    assert sum(term.amount_nano for term in view.position.terms) == view.position.pays_nano


def test_the_text_for_a_person_names_no_price_where_there_is_none(settled: Ledger) -> None:
    shown = verify.render(verify.verify_bundle(export(settled, "house", "community_buy"), TRUST), as_json=False)
    assert re.search(r"community_buy +400 Wh +0\.21596  community", shown)


@pytest.mark.parametrize(("party", "kind"), [("house", "community_buy"), ("roof", "community_sell"), ("shop", "levy")])
def test_no_alteration_of_a_bundle_is_verified(settled: Ledger, party: str, kind: str) -> None:
    data = export(settled, party, kind)
    names = list(forgery.alterations(data))
    assert {"amount", "energy", "forged_amount", "forged_reading", "forged_rules"} <= set(names)
    for name in names:
        altered = verify.verify_bundle(forgery.alter(data, name).data, TRUST)
        assert altered.answer == verify.NOT_VERIFIED, name


def test_a_genesis_is_refused_that_does_not_fit_its_contract() -> None:
    check_genesis(COMMUNITY.genesis, CONTRACTS, pins())
    dear = {**PRICES, "feed_in_price_micro_per_kwh": 600_001}
    for changed, words in (
        (replace(COMMUNITY, rules=[rules("shared", prices=PRICES, terms={"rationing": "pro_rata"})]), "'rationing'"),
        (replace(COMMUNITY, rules=[rules("shared", prices=dear, terms={})]), "does not hold"),
        (replace(COMMUNITY, zones=[zone(contract="mid_market_rate/1", contract_pin=bytes(32))]), "contract_pin"),
    ):
        with pytest.raises(UsageError, match=words):
            check_genesis(changed.genesis, CONTRACTS, pins())


async def test_pages_show_the_lines_with_their_words(tmp_path: Path) -> None:
    async with ledger_world(tmp_path, consortium=COMMUNITY, is_settled=False) as world:
        await world.submit(*one_shared_slot(world.sender))
        world.web.site.config.trust.write_text(json.dumps(trust_of(COMMUNITY.genesis)))
        clerk = world.web.browser(Role.UTILITY)
        for address, words in (
            (f"/households/house/statement?day={FIRST_S}", "Bought through the community"),
            (f"/households/house?day={FIRST_S}", "Network charge, community energy"),
            (f"/slots/a-1/{FIRST_S}", "The contract of this area takes no orders."),
            (f"/slots/a-1/{FIRST_S}", "community (what it buys and sells)"),
            (f"/households/house/lines/{FIRST_S}/community_buy", "a share: energy and amount"),
            ("/overview", "community (what it buys and sells)"),
        ):
            assert words in unescape(await clerk.text(address)), address
        rows = (await (await clerk.get(f"/api/v1/households/house/lines?day={FIRST_S}")).get_json())["rows"]
        assert rows[0][1:] == ["community_buy", 400, None, LINES["house", "community_buy"][1]]
        chinese = world.web.browser(Role.UTILITY, language="zh_CN")
        assert "经社区购电" in await chinese.text(f"/households/house/statement?day={FIRST_S}")


def test_other_contracts_stand_beside_it() -> None:
    check_genesis(TWO_AREAS.genesis, CONTRACTS, pins())
