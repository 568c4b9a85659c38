"""A household makes a standing rule in its browser, withdraws an order and ends the rule, all signed there; a real node takes each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridcore.registry.rules import Rules
from gridcore.serving.ports import free_port
from gridledger.founding import entities
from ledger.client import Client, run_with_client
from settlement.catalogue import CONTRACTS
from tests.browser.browser_world import AXE, LANGUAGE_TAGS, NEEDS_CHROMIUM, Visit, untranslated
from tests.browser.chromium import Browser, Look
from tests.browser.signing import fill, send, wait_for
from tests.browser.test_order_placed import ORDER, PARTY, SLOT, address_of, orders_of
from tests.integration.village import FIRST_S, RUN_NODE, Village, founded

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
RULE = {"buy_quantity": "0.5", "buy_price": "0.4", "sell_quantity": "1.2", "sell_price": "0.45", "days": "31"}
PREFERRED = {"kind": "solar", "seller": PARTY, "other": "0.35"}
WORDS = {
    "en": ("The standing rule stands.", "The standing rule gives no more orders.", "The order is withdrawn."),
    "zh_CN": ("常设申报已生效。", "该常设申报不再产生申报。", "申报已撤回。"),
}
WIDTHS = {"en": 1280, "zh_CN": 390}


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """As of the test that places an order, but under a contract that takes preferences, which ``genesis new`` founds no chain with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(entities, "CONTRACT", CONTRACTS["conditional_bid/1"])
    monkeypatch.setattr(entities, "Rules", lambda prices, _terms: Rules(prices, {"price_rule": "pay_as_bid"}))
    found = founded(tmp_path, pages_port=str(free_port()))
    web = tmp_path / "village" / "web.toml"
    web.write_text(web.read_text("utf-8").replace("[web]\n", "[web]\ndemo = true\n"), "utf-8")
    with found.running(RUN_NODE), found.running("gridledger serve --config village/web.toml"):
        found.advance(FIRST_S)
        yield found


def rules_of(village: Village) -> list[dict[str, Any]]:
    """The household's rules, as the node tells the household."""

    async def ask(client: Client) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client.query("profiles", party=PARTY))["profiles"]
        return found

    return run_with_client(village.url, ask, signer_id=PARTY, signer=village.signer(PARTY))


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_a_rule_is_made_seen_and_ended_and_an_order_withdrawn_in_the_browser(
    browser: Browser, village: Village, language: str
) -> None:
    keys = village.folder / "village" / "keys"
    key, password = keys / f"{PARTY}.pem", (keys / f"{PARTY}.password").read_text("utf-8").strip()
    browser.look(Look(WIDTHS[language], language=language))
    visit = Visit(browser, address_of(village))
    visit.sign_in("household", PARTY)
    page = f"/households/{PARTY}/standing"
    visit.open(f"{page}?lang={language}")
    if language == "zh_CN":
        assert list(untranslated(visit.texts())) == []
    fill(browser, key, password, **RULE, **PREFERRED)
    send(browser)
    wait_for(browser, WORDS[language][0])
    browser.wait("return document.querySelector('main figure.table tbody td.number') !== null")
    (rule,) = rules_of(village)
    own = {"price_micro_per_kwh": 400_000, "quantities_wh": [500], "energy_kind": "solar", "seller": PARTY}
    assert rule["parts"] == [
        {"side": "buy", "conditions": [own, {"price_micro_per_kwh": 350_000, "quantities_wh": [500]}]},
        {"side": "sell", "price_micro_per_kwh": 450_000, "quantities_wh": [1_200]},
    ]
    assert 30 * 86_400 < rule["end_s"] - rule["slot_start_s"] <= 31 * 86_400
    assert "1.200" in browser.text("main figure.table")
    assert browser.overflow_px() <= 0
    assert browser.accessibility_findings(AXE) == []

    end = "form[data-act='market/profile_end']"
    fill(browser, key, password, form=end)
    send(browser, form=end)
    wait_for(browser, WORDS[language][1], form=end)
    assert rules_of(village) == []

    visit.open(f"/households/{PARTY}/orders?slot={SLOT}")
    fill(browser, key, password, **ORDER)
    send(browser)
    browser.wait("return document.querySelector(\"form[data-act='market/cancel']\") !== null")
    assert len(orders_of(village)) == 1
    withdrawal = "form[data-act='market/cancel']"
    fill(browser, key, password, form=withdrawal)
    send(browser, form=withdrawal)
    wait_for(browser, WORDS[language][2], form=withdrawal)
    assert orders_of(village) == []
    assert browser.overflow_px() <= 0
    assert browser.complaints() == []
