"""The page of a household's orders: which slots take some, and what it passes on to the node."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from quart.wrappers import Response

from gridcore import cbor
from gridcore.codes import Code
from gridcore.node_interface import CBOR_TYPE
from gridcore.sm import SigningKey
from gridcore.transactions.content import Content, sign_content
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import MarketOrder
from gridweb.access import Role
from gridweb.pages.orders import ANSWERS
from gridweb.sessions import form_token
from tests.unit.web.household_world import PARTY, household, household_world
from tests.unit.web.web_world import NOW_S, Browser, World

PAGE = f"/households/{PARTY}/orders"
SLOT_S = 900
GATE_S, OPEN_S = 300, 7_200
FIRST_S = NOW_S + GATE_S + 1 + -(NOW_S + GATE_S + 1) % SLOT_S


def market_world(folder: Path) -> World:
    """A household whose area takes orders for the next two hours, less five minutes."""
    world = household_world(folder)
    (area,) = world.node.answers["areas"]["areas"]
    area["rules"] |= {"gate_before_start_s": GATE_S, "open_before_start_s": OPEN_S}
    order = {"order": f"{PARTY}/{FIRST_S}/1", "party": PARTY, "all_or_none": False, "side": "buy", "quantity_wh": 1_500}
    order |= {"price_micro_per_kwh": 410_000, "filled_wh": None, "amount_nano": None}
    world.node.answers[f"areas/A1/slots/{FIRST_S}/orders"] = {"orders": [order], "next": None}
    return world


def submission(content: Content, signer: str = PARTY) -> bytes:
    """What a page sends."""
    return cbor.encode([sign_content(content, chain="test-0123", signer=signer, sign=SigningKey.generate().sign).wire])


def order(**changes: Any) -> MarketOrder:
    """An order of the first slot that takes some."""
    fields: dict[str, Any] = {
        "area": "A1",
        "counter": 1,
        "nonce": secrets.token_bytes(16),
        "price_micro_per_kwh": 400_000,
    }
    return MarketOrder(**(fields | {"quantity_wh": 500, "side": "sell", "slot_start_s": FIRST_S} | changes))


async def post(browser: Browser, body: bytes, path: str = PAGE, content_type: str = CBOR_TYPE) -> Response:
    """Send as the page's script does."""
    headers = {"X-Form-Token": form_token(browser.token or ""), "Content-Type": content_type}
    answer = await browser.client.post(path, data=body, headers=headers)
    assert isinstance(answer, Response)
    return answer


async def test_the_page_shows_the_orders_of_the_next_slot_that_takes_some_and_the_form(tmp_path: Path) -> None:
    page = await household(market_world(tmp_path)).text(PAGE)
    slots = [int(slot) for slot in re.findall(r'<option value="(\d{10})"', page)]
    assert slots[0] == FIRST_S
    assert all(slot - OPEN_S <= NOW_S < slot - GATE_S for slot in slots)
    assert slots[-1] + SLOT_S - OPEN_S > NOW_S
    assert "1.500" in page
    assert "0.4100" in page
    assert 'data-counter="2"' in page


async def test_a_form_that_is_sent_without_the_script_carries_neither_key_file_nor_password(tmp_path: Path) -> None:
    """A browser that has no scripts, or has not loaded them yet, would put what has a name into the address."""
    page = await household(market_world(tmp_path)).text(PAGE)
    forms = re.findall(r"<form class=\"signed\".*?</form>", page, re.DOTALL)
    assert [form.count('type="password"') for form in forms] == [form.count('type="file"') for form in forms] == [1, 1]
    assert [re.findall(r'name="(\w+)"', form) for form in forms] == [["side", "quantity", "price"], []]


async def test_a_clerk_sees_the_orders_and_has_no_form(tmp_path: Path) -> None:
    world = market_world(tmp_path)
    page = await world.browser(Role.UTILITY).text(PAGE)
    assert "1.500" in page
    assert "data-order" not in page
    assert (await post(world.browser(Role.UTILITY), submission(order()))).status_code == 403


@pytest.mark.parametrize("code", [Code.ACCEPTED, Code.GATE_CLOSED, Code.NO_SUCH_ORDER])
async def test_a_signed_order_is_passed_on_byte_by_byte_and_the_answer_is_in_words(tmp_path: Path, code: Code) -> None:
    world = market_world(tmp_path)
    world.node.submit_code = code
    body = submission(order())
    answer = await (await post(household(world), body)).get_json()
    assert world.node.submitted == cbor.decode(body)
    assert answer["is_taken"] == (code is Code.ACCEPTED)
    assert answer["words"] == ANSWERS.get(code, "The ledger refuses it.")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (submission(order()), "application/json"),
        (b"", CBOR_TYPE),
        (cbor.encode([]), CBOR_TYPE),
        (cbor.encode([b"x"]), CBOR_TYPE),
        (cbor.encode(cbor.decode(submission(order())) * 2), CBOR_TYPE),
        (submission(order(), signer="H002"), CBOR_TYPE),
        (submission(MarketCancel(area="A1", counters=[1], nonce=bytes(16), slot_start_s=FIRST_S)), CBOR_TYPE),
    ],
    ids=["type", "nothing", "none", "no transaction", "two", "another's", "no order"],
)
async def test_what_is_no_order_of_the_household_is_refused_and_not_passed_on(
    tmp_path: Path, body: bytes, content_type: str
) -> None:
    world = market_world(tmp_path)
    answer = await post(household(world), body, content_type=content_type)
    assert answer.status_code == 400
    assert world.node.submitted == []


async def test_a_neighbours_orders_are_neither_shown_nor_taken(tmp_path: Path) -> None:
    world = market_world(tmp_path)
    browser = household(world, party="H002")
    assert (await browser.get(PAGE)).status_code == 403
    assert (await post(browser, submission(order()))).status_code == 403
    assert world.node.submitted == []


async def test_a_slot_that_takes_no_orders_now_says_so_instead_of_a_form(tmp_path: Path) -> None:
    world = market_world(tmp_path)
    past_s = FIRST_S - 8 * SLOT_S
    world.node.answers[f"areas/A1/slots/{past_s}/orders"] = {"orders": [], "next": None}
    page = await household(world).text(f"{PAGE}?slot={past_s}")
    assert "This slot takes no orders now." in page
    assert "data-order" not in page


async def test_under_a_contract_that_takes_preferences_the_form_has_fields_for_them(tmp_path: Path) -> None:
    world = market_world(tmp_path)
    (contract,) = world.node.answers["areas"]["contracts"]
    world.node.answers["areas"]["contracts"] = [{**contract, "takes_conditions": True}]
    page = await household(world).text(PAGE)
    (form,) = re.findall(r"<form class=\"signed\" data-order.*?</form>", page, re.DOTALL)
    assert re.findall(r'name="(\w+)"', form) == ["side", "quantity", "price", "kind", "seller", "other"]
    assert 'value="renewable"' in form
    (shown,) = world.node.answers[f"areas/A1/slots/{FIRST_S}/orders"]["orders"]
    shown |= {"choice": 2, "energy_kind": "renewable", "seller": None}
    table = await (await household(world).get(f"/api/v1{PAGE}?slot_start_s={FIRST_S}")).get_json()
    assert table["rows"] == [["buy", 1_500, 410_000, 2, "renewable", None, None, f"{PARTY}/{FIRST_S}/1"]]


async def test_an_order_of_the_slot_is_withdrawn_by_its_counter(tmp_path: Path) -> None:
    world = market_world(tmp_path)
    page = await household(world).text(PAGE)
    assert '<select data-field="counter"><option value="1">1</option></select>' in page
    body = submission(MarketCancel(area="A1", counters=[1], nonce=bytes(16), slot_start_s=FIRST_S))
    answer = await (await post(household(world), body, f"{PAGE}/withdrawn")).get_json()
    assert (answer["is_taken"], answer["words"]) == (True, "The order is withdrawn.")
    assert world.node.submitted == cbor.decode(body)
    assert (await post(household(world), submission(order()), f"{PAGE}/withdrawn")).status_code == 400
    assert (await post(household(world, party="H002"), body, f"{PAGE}/withdrawn")).status_code == 403
