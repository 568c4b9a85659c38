"""A household places an order in its browser, signed there with its key file, and a real node takes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.serving.ports import free_port
from ledger.client import Client, run_with_client
from tests.browser.browser_world import AXE, LANGUAGE_TAGS, NEEDS_CHROMIUM, Visit, untranslated
from tests.browser.chromium import Browser, Look
from tests.browser.signing import fill, send, wait_for
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, founded

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
PARTY, AREA = "home-1", "north"
SLOT = FIRST_S + SLOT_S
ORDER = {"side": "buy", "quantity": "1.25", "price": "0.4155"}
WORDS = {
    "en": ("Wrong password for this key file.", "The order stands."),
    "zh_CN": ("该密钥文件的密码错误。", "申报已生效。"),
}


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """A chain with one household, whose node and pages run; the slots after the next one take orders."""
    monkeypatch.chdir(tmp_path)
    found = founded(tmp_path, pages_port=str(free_port()))
    web = tmp_path / "village" / "web.toml"
    web.write_text(web.read_text("utf-8").replace("[web]\n", "[web]\ndemo = true\n"), "utf-8")
    with found.running(RUN_NODE), found.running("gridledger serve --config village/web.toml"):
        found.advance(FIRST_S)
        yield found


def address_of(village: Village) -> str:
    """Where the pages are."""
    text = (village.folder / "village" / "web.toml").read_text("utf-8")
    (port,) = re.findall(r"(?m)^port = (\d+)", text)
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("language", LANGUAGE_TAGS)
def test_an_order_signed_in_the_browser_stands_on_the_ledger_and_the_key_stays_there(
    browser: Browser, village: Village, language: str
) -> None:
    keys = village.folder / "village" / "keys"
    password = (keys / f"{PARTY}.password").read_text("utf-8").strip()
    browser.look(Look(390, language=language))
    visit = Visit(browser, address_of(village))
    visit.sign_in("household", PARTY)
    visit.open(f"/households/{PARTY}/orders?slot={SLOT}&lang={language}")
    if language == "zh_CN":
        assert list(untranslated(visit.texts())) == []

    fill(browser, keys / f"{PARTY}.pem", password + "x", **ORDER)
    send(browser)
    wait_for(browser, WORDS[language][0])
    assert orders_of(village) == []

    visit.open(f"/households/{PARTY}/orders?slot={SLOT}")
    browser.run(
        "window.sent = []; const send = window.fetch;"
        "window.fetch = (address, what) => { if (what?.body) window.sent.push(what.body); return send(address, what); };"
    )
    fill(browser, keys / f"{PARTY}.pem", password, **ORDER)
    send(browser)
    wait_for(browser, WORDS[language][1])
    sent = browser.run("return window.sent.map((body) => body.length ?? -1)")
    browser.wait("return document.querySelector('main figure.table tbody td.number') !== null")

    (order,) = orders_of(village)
    assert (order["side"], order["quantity_wh"], order["price_micro_per_kwh"]) == ("buy", 1_250, 415_500)
    assert len(sent) == 1
    assert 0 < sent[0] < 500, "a signed order is shorter than a key file"
    assert "1.250" in browser.text("main figure.table")
    assert browser.overflow_px() <= 0
    assert browser.accessibility_findings(AXE) == []
    assert browser.complaints() == []


def orders_of(village: Village) -> list[dict[str, object]]:
    """The household's orders of the slot, as the node tells the household."""

    async def ask(client: Client) -> list[dict[str, object]]:
        found: list[dict[str, object]] = (await client.query(f"areas/{AREA}/slots/{SLOT}/orders", party=PARTY))[
            "orders"
        ]
        return found

    return run_with_client(village.url, ask, signer_id=PARTY, signer=village.signer(PARTY))
