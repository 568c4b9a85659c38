"""A line of a month's documents that a household does not believe, to its end: contested, agreed, the tariff corrected, both versions seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridcore.serving.ports import free_port
from tests.browser.browser_world import NEEDS_CHROMIUM, Visit
from tests.browser.chromium import Browser, Look
from tests.browser.test_disputed_reading import Person, address_of, key_of, two_homes
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, founded

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
SLOTS = 4
MONTH = "2027-01"
LINE = "平 tariff · kW peak"
LETTER = "We contracted 8 kW at 20.00, not at 32.00.\n合同价为每千瓦 20 元。"
ANSWER = "The price of last year was registered again: it is corrected."
WORDS = {
    "en": ("the difference is a credit note", "agreed", "Line"),
    "zh_CN": ("差额为红字单据", "已同意", "结算项"),
}
PARTY = """
[[party]]
name = "home-2"
from_s = 2027-01-01T00:00:00+08:00
area = "north"
organisation = "utility"
trades = true
tariff = "home"
"""


def tariff(price: int) -> str:
    """A tariff whose one charge by the month has a price."""
    return f"""
[[tariff]]
name = "home"
from_s = 2027-01-01T00:00:00+08:00
tax_ppm = 130000
quantum_nano = 10000000
rounding = "half_up_away"
components = [
    {{name = "{LINE}", account = "grid", base = "kw_peak", taxed = true, price = {price}}},
    {{name = "subscription", account = "grid", base = "day", taxed = true, price = 150000}},
]
"""


def register(village: Village, text: str) -> None:
    """Register rows in the utility's name."""
    (village.folder / "rows.toml").write_text(text, encoding="utf-8")
    village.do(f"gridledger registry submit rows.toml --url http://127.0.0.1:7070 {key_of('utility')}")


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """Two homes, one of them with a tariff; the first slots of the month are settled. Node and pages run."""
    monkeypatch.chdir(tmp_path)
    found = founded(tmp_path, more=two_homes(), pages_port=str(free_port()))
    web = tmp_path / "village" / "web.toml"
    web.write_text(web.read_text("utf-8").replace("[web]\n", '[web]\ndemo = true\npeople = "people.db"\n'), "utf-8")
    sender = found.sender(FIRST_S - SLOT_S)
    with found.running(RUN_NODE), found.running("gridledger serve --config village/web.toml"):
        found.advance(FIRST_S - SLOT_S)
        register(found, tariff(32_000_000) + PARTY)
        for slot in range(SLOTS + 1):
            boundary_s = FIRST_S + slot * SLOT_S
            found.submit([sender.clock(boundary_s)])
            found.submit([sender.batch("gateway-1", boundary_s, [(1, 400 * slot, 0), (2, 900 * slot, 0)])])
        found.submit([sender.clock(FIRST_S + (SLOTS + 1) * SLOT_S), sender.clock(FIRST_S + (SLOTS + 2) * SLOT_S)])
        yield found


def contest(person: Person) -> str:
    """The household contests the line on its document, signed in its browser; the dispute's id."""
    person.become("household", "home-2")
    person.see(f"/households/home-2/month?month={MONTH}")
    person.look_at("documents")
    person.follow("figure.table a[role=button][href*='part=line'][href*='peak']")
    assert LINE in person.browser.text("dl.facts-list")
    person.look_at("contest-document")
    person.fill("home-2", password="wrong", ground="tariff", statement=LETTER)
    person.send("Wrong password for this key file.")
    person.fill("home-2", statement="")
    person.send("The dispute is open, and the amount is frozen.", goes_on=True)
    person.look_at("document-dispute")
    assert "We contracted 8 kW" in person.browser.text("ol.said-list")
    return person.browser.driver.current_url.rpartition("/")[2]


def agree(person: Person, dispute: str) -> None:
    """The utility finds the dispute and agrees."""
    person.become("utility")
    person.see("/disputes")
    person.follow("figure.table tbody th a")
    person.fill("utility", outcome="agreed", signer="utility", statement=ANSWER)
    person.send("It stands in the dispute.", goes_on=True)
    assert person.browser.driver.current_url.endswith(dispute)


def versions(person: Person, dispute: str) -> list[dict[str, Any]]:
    """The versions of what is contested."""
    table = person.browser.fetch_json(f"/api/v1/disputes/{dispute}/versions")
    keys = [column["key"] for column in table["columns"]]
    return [dict(zip(keys, row, strict=True)) for row in table["rows"]]


def follow_to_the_end(person: Person, dispute: str) -> None:
    """The household sees that it was right: what stood in its documents, what stands there now, and the credit note between."""
    credit_note, agreed, line = WORDS[person.language]
    person.become("household", "home-2")
    person.see("/households/home-2/disputes")
    person.follow("figure.table tbody th a")
    assert agreed in person.browser.text("header .facts")
    facts = person.browser.text("dl.facts-list")
    assert line in facts
    assert LINE in facts
    assert ANSWER in person.browser.text("ol.said-list")
    then, now, difference = versions(person, dispute)
    # 900 Wh in a quarter of an hour are 3,600 W; one of the month's 31 days is settled
    assert then["exact_nano"] == 3_600 * 32_000_000 // 31
    assert now["exact_nano"] == 3_600 * 20_000_000 // 31
    assert difference["amount_nano"] == now["amount_nano"] - then["amount_nano"] < 0
    assert credit_note in person.browser.text("figure.table .note")
    person.look_at("document-agreed")
    assert person.browser.complaints() == []


@pytest.mark.parametrize("language", WORDS)
def test_a_household_contests_a_line_of_its_document_and_the_corrected_tariff_makes_a_credit_note(
    village: Village, browser: Browser, language: str
) -> None:
    browser.look(Look(language=language))
    person = Person(Visit(browser, address_of(village)), language)
    dispute = contest(person)
    agree(person, dispute)
    register(village, tariff(20_000_000))
    follow_to_the_end(person, dispute)
