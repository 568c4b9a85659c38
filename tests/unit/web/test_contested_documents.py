"""A household contests a line of its documents on the pages, a wrong tariff is corrected, and both versions stand on the dispute's page."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gridcore import cbor
from gridcore.master_data import Named
from gridcore.registry.tariff import TARIFF
from gridcore.sm3 import sm3
from gridcore.transactions.content import sign_content
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision
from gridweb.access import Role
from ledger.client import NodeRefused
from tests.unit.web.ledger_world import LedgerWorld, ledger_world
from tests.unit.web.test_dispute_pages import form_of
from tests.unit.web.test_orders_page import post
from tests.unit.web.web_world import Browser
from tests.worlds.consortium import START_S, UTILITY
from tests.worlds.keys import key
from tests.worlds.tariffed import COMPONENTS, HOME, MONTH, SLOTS, TARIFFED, first_slots, metered

DOCUMENTS = f"areas/a-1/months/{MONTH}/documents"
CONTEST = f"/households/p-1/contest-document?month={MONTH}"
CENT = 10_000_000
WORDS = "12 kW were never contracted at this price."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LedgerWorld]:
    """Parties with a tariff, four settled slots."""
    async with ledger_world(tmp_path, consortium=TARIFFED, is_settled=False) as world:
        await world.submit(*first_slots(world.sender))
        yield world


def household(world: LedgerWorld, party: str = "p-1", language: str = "en") -> Browser:
    """A party in front of its pages."""
    return world.web.browser(Role.HOUSEHOLD, party, language=language)


async def demand_nano(world: LedgerWorld, **as_of: int) -> int:
    """What the demand charge of p-1 comes to."""
    answer: Any = await world.node.client("p-1").query(DOCUMENTS, **as_of)
    return sum(
        line["amount"] * one["quantum_nano"]
        for one in answer["documents"]
        for line in one["lines"]
        if line["line_kind"] == "demand"
    )


def fixed_of(form: str) -> Any:
    """What a page says of the act of its form."""
    (fixed,) = re.findall(r'data-fixed="([^"]*)"', form)
    return json.loads(html.unescape(fixed))


async def contest(world: LedgerWorld, browser: Browser, page: str, party: str = "p-1", **changes: Any) -> Any:
    """What the page's script sends and is answered."""
    fixed = fixed_of(form_of(page))
    content = DisputeDocument(
        client_id=bytes(16),
        valid_until_s=world.sender.now_s + 3_600,
        ground="tariff",
        statement=sm3(WORDS.encode()),
        **{**fixed, "amount_nano": int(fixed["amount_nano"]), **changes},
    )
    wire = sign_content(content, chain=world.node.chain, signer=party, sign=key(party).sign).wire
    answer = await post(browser, cbor.encode([wire, WORDS]), f"/households/{party}/document-disputes")
    return await answer.get_json()


async def correct_the_price(world: LedgerWorld, price: int) -> None:
    """The utility registers the right price of the demand charge from the start on."""
    components = [{**one, "price": price} if one["name"] == "demand" else one for one in COMPONENTS]
    await world.submit(
        [world.sender.register(list(Named(TARIFF, "home", HOME._replace(components=components), START_S).rows()))]
    )


async def test_a_household_contests_a_line_of_its_documents_and_sees_both_versions_after_the_correction(
    world: LedgerWorld,
) -> None:
    browser = household(world)
    month = await browser.text(f"/households/p-1/month?month={MONTH}")
    for query in ("part=line&amp;line=demand", "part=tax", "part=total"):
        assert f'<a role="button" class="secondary" href="{CONTEST}&amp;{query}">Contest</a>' in month
    assert "part=line&amp;line=levy" not in month
    before_nano = await demand_nano(world)
    page = await browser.text(f"{CONTEST}&part=line&line=demand")
    assert fixed_of(form_of(page)) == {
        "amount_nano": str(before_nano),
        "line_kind": "demand",
        "month": MONTH,
        "part": "line",
    }
    answer = await contest(world, browser, page)
    assert (answer["is_taken"], answer["words"]) == (True, "The dispute is open, and the amount is frozen.")
    await world.follow()
    address = answer["next"]
    assert "You have contested this already." in await browser.text(f"{CONTEST}&part=line&line=demand")
    dispute = bytes.fromhex(address.rpartition("/")[2])
    await world.submit([world.sender.step(DisputeAnswer, dispute, "util", "agreed")])
    await correct_the_price(world, 30_000_000)
    after_nano = await demand_nano(world)
    assert after_nano < before_nano
    table: Any = await (await browser.get(f"/api/v1{address}/versions")).get_json()
    keys = [column["key"] for column in table["columns"]]
    then, now, difference = (dict(zip(keys, row, strict=True)) for row in table["rows"])
    assert (then["amount_nano"], now["amount_nano"]) == (before_nano, after_nano)
    assert difference["amount_nano"] == after_nano - before_nano
    assert difference["gross_nano"] == now["gross_nano"] - then["gross_nano"] < difference["amount_nano"] < 0
    shown = await browser.text(address)
    assert "the difference is a credit note" in shown
    assert "another amount" not in shown
    assert f'<a href="/households/p-1/month?month={MONTH}">documents of {MONTH}</a>: Line' in shown
    assert WORDS in shown
    assert "红字单据" in await household(world, language="zh_CN").text(address)
    listed: Any = await (await browser.get("/api/v1/households/p-1/disputes")).get_json()
    keys = [column["key"] for column in listed["columns"]]
    (row,) = (dict(zip(keys, row, strict=True)) for row in listed["rows"])
    assert (row["month"], row["part"], row["line_kind"], row["slot_start_s"]) == (MONTH, "line", "demand", None)
    assert MONTH in await browser.text("/households/p-1/disputes")


async def test_a_contested_line_and_its_tax_are_not_due_until_it_is_dismissed(world: LedgerWorld) -> None:
    browser, demand = household(world), await demand_nano(world)
    before: Any = await (await browser.get(f"/api/v1/households/p-1/account/months?year={MONTH[:4]}")).get_json()
    answer = await contest(world, browser, await browser.text(f"{CONTEST}&part=line&line=demand"))
    await world.follow()
    found: Any = await (await browser.get(f"/api/v1/households/p-1/account/months?year={MONTH[:4]}")).get_json()
    closing_nano, disputed_nano, due_nano = found["rows"][-1][4:]
    assert before["rows"][-1][4:] == [closing_nano, 0, closing_nano]
    assert demand < disputed_nano <= demand * 113 // 100 + CENT
    assert disputed_nano + due_nano == closing_nano
    account = await browser.text(f"/households/p-1/account?month={MONTH}")
    assert "Of it disputed, not due" in account
    assert "is disputed, and not due while the dispute stands" in await browser.text(
        f"/households/p-1/month?month={MONTH}"
    )
    assert "not due while the dispute stands; tax on it neither" in await browser.text(answer["next"])
    dispute = bytes.fromhex(answer["next"].rpartition("/")[2])
    await world.submit([world.sender.step(DisputeAnswer, dispute, UTILITY, "rejected")])
    await world.submit([world.sender.step(DisputeDecision, dispute, "reg", "dismissed")])
    await world.follow()
    after: Any = await (await browser.get(f"/api/v1/households/p-1/account/months?year={MONTH[:4]}")).get_json()
    assert after["rows"][-1][4:] == [closing_nano, 0, closing_nano]
    assert "Of it disputed, not due" not in await browser.text(f"/households/p-1/account?month={MONTH}")
    assert "no longer: due again since" in await browser.text(answer["next"])


async def test_what_further_slots_of_the_month_come_to_is_not_called_a_further_debit(world: LedgerWorld) -> None:
    browser = household(world)
    answer = await contest(world, browser, await browser.text(f"{CONTEST}&part=total"))
    await world.submit(*metered(world.sender, range(SLOTS + 1, SLOTS + 3)))
    await world.follow()
    table: Any = await (await browser.get(f"/api/v1{answer['next']}/versions")).get_json()
    keys = [column["key"] for column in table["columns"]]
    then, now, difference = (dict(zip(keys, row, strict=True)) for row in table["rows"])
    assert difference["gross_nano"] == now["gross_nano"] - then["gross_nano"] > 0
    shown = await browser.text(answer["next"])
    assert "further debit" not in shown
    assert "The month went on: 4 slots of it were settled then, 6 are now." in shown
    assert "该月仍在继续：当时已结算 4 个时段，现在为 6 个。" in await household(world, language="zh_CN").text(
        answer["next"]
    )


async def test_an_amount_that_no_document_has_is_told_on_the_page_of_the_dispute(world: LedgerWorld) -> None:
    browser = household(world)
    answer = await contest(world, browser, await browser.text(f"{CONTEST}&part=tax"), amount_nano=10**18)
    await world.follow()
    regulator = world.web.browser(Role.REGULATOR)
    shown = await regulator.text(answer["next"])
    assert "The party signed another amount than its documents had then." in shown
    assert "credit note" not in shown
    assert form_of(shown) == ""
    assert form_of(await world.web.browser(Role.UTILITY).text(answer["next"])) != ""
    assert (await household(world, "p-2").get(answer["next"])).status_code == 403


async def test_documents_as_of_a_block_stay_what_they_were(world: LedgerWorld) -> None:
    height, before_nano = world.node.ledger.height, await demand_nano(world)
    await correct_the_price(world, 64_000_000)
    assert await demand_nano(world, height=height) == before_nano
    assert await demand_nano(world) > before_nano
    assert await demand_nano(world, height=world.node.ledger.height) == await demand_nano(world)
    with pytest.raises(NodeRefused, match="there is no block 9999 yet"):
        await demand_nano(world, height=9_999)
    with pytest.raises(NodeRefused, match="area a-1 has no settled slot of it; none is settled yet"):
        await demand_nano(world, height=0)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("part=line&line=levy", "contest the slot that is wrong"),
        ("part=line&line=nonsense", "Your documents of this month have no such line."),
    ],
)
async def test_what_is_no_line_of_the_tariff_has_no_form(world: LedgerWorld, query: str, said: str) -> None:
    page = await household(world).text(f"{CONTEST}&{query}")
    assert said in page
    assert form_of(page) == ""


async def test_the_command_of_a_line_is_that_line_for_a_shell_whatever_its_name_is(tmp_path: Path) -> None:
    name = "--it's; rm -r x"
    components = [{**one, "name": name} if one["name"] == "stay" else one for one in COMPONENTS]
    consortium = replace(
        TARIFFED, more=[Named(TARIFF, "home", HOME._replace(components=components)), *TARIFFED.more[1:]]
    )
    async with ledger_world(tmp_path, consortium=consortium, is_settled=False) as world:
        await world.submit(*first_slots(world.sender))
        page = await household(world).text(f"{CONTEST}&part=line&{urlencode({'line': name})}")
    (command,) = re.findall(r"<code>(gridledger dispute open .*?)</code>", page)
    words = shlex.split(html.unescape(command))
    assert [word for word in words if "rm" in word] == [f"--line={name}"]


@pytest.mark.parametrize("query", ["part=half", "part=line", "part=tax&line=demand", "part=total&line=x"])
async def test_a_part_that_is_none_is_refused(world: LedgerWorld, query: str) -> None:
    assert (await household(world).get(f"{CONTEST}&{query}")).status_code == 400


async def test_only_the_household_itself_has_the_buttons_and_passes_on_its_own_disputes_alone(
    world: LedgerWorld,
) -> None:
    month = await world.web.browser(Role.UTILITY).text(f"/households/p-1/month?month={MONTH}")
    assert "demand" in month
    assert "contest-document" not in month
    assert (await world.web.browser(Role.UTILITY).get(f"{CONTEST}&part=tax")).status_code == 403
    assert (await household(world, "p-2").get(f"{CONTEST}&part=tax")).status_code == 403
    page = await household(world).text(f"{CONTEST}&part=tax")
    fixed = fixed_of(form_of(page))
    content = DisputeDocument(
        client_id=bytes(16),
        valid_until_s=world.sender.now_s + 3_600,
        ground="tariff",
        statement=sm3(WORDS.encode()),
        **{**fixed, "amount_nano": int(fixed["amount_nano"])},
    )
    wire = sign_content(content, chain=world.node.chain, signer="p-2", sign=key("p-2").sign).wire
    body = cbor.encode([wire, WORDS])
    assert (await post(household(world), body, "/households/p-1/document-disputes")).status_code == 400
