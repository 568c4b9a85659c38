"""A reading that the ledger set aside, as the household, the clerk and the regulator live it: contested, corrected, made again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from gridcore.serving.ports import free_port
from gridcore.transactions.market_order import MarketOrder
from gridledger.founding.config import EXAMPLE
from gridweb.i18n import catalogue
from gridweb.pages.runs import COLUMNS
from tests.browser.browser_world import AXE, NEEDS_CHROMIUM, Visit, untranslated
from tests.browser.chromium import Browser, Look
from tests.browser.signing import fill, send, wait_for
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, founded

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
SLOTS = 33
"""To the local midnight, and one more: the day of the reading is yesterday."""
REFUSED_S = FIRST_S + 2 * SLOT_S
SLOT = FIRST_S + SLOT_S
DAY = "2027-01-15"
TRUE_WH, ABSURD_WH = 1_700, 90_000
SOLD_WH = 200
"""What home-2 sells in the slot and feeds in there; without the register at its end only a part of it is seen in the slot."""
LINE = f"/households/home-2/lines/{SLOT}/residual_import"
SHORTFALL = f"/households/home-2/lines/{SLOT}/shortfall"
SAME = {"en": "the same", "zh_CN": "一致"}
TABLE_ROWS = "return document.querySelectorAll('figure.table tbody tr').length"
CELLS_OF = """
const row = document.querySelector(`tr:has(a[href='/slots/north/${arguments[0]}'])`);
return [...row.cells].map((cell) => cell.innerText.trim());
"""
"""What the row of a slot shows."""
LETTER = "We were away on that evening.\n那天晚上我们不在家。"
ANSWER = "The display at the meter shows less: it is corrected."
WORDS = {
    "en": ("more energy than the connection can carry", "agreed", "correction 2"),
    "zh_CN": ("电量超过接入容量", "已同意", "更正 2"),
}

NOT_DUE = {
    "en": ("not due while the dispute stands", "Of it disputed, not due"),
    "zh_CN": ("争议期间不需支付", "其中有争议（暂不需支付）"),
}
"""What the page of the dispute says of the frozen amount, and that of payments."""


def two_homes() -> str:
    """The example's meter once more, for another household."""
    text = EXAMPLE.read_text(encoding="utf-8")
    meter = re.sub(r"(?m)^(number|unit_id) = 1", r"\1 = 2", text[text.index("[[gateways.meters]]") :])
    return "\n" + meter.replace('"M-1"', '"M-2"').replace('"P-1"', '"P-2"').replace('"home-1"', '"home-2"')


def order(side: str) -> MarketOrder:
    """One side of the trade in the slot."""
    limit = {"buy": 450_000, "sell": 300_000}[side]
    return MarketOrder(
        area="north",
        counter=1,
        nonce=side.encode().ljust(16, b"."),
        price_micro_per_kwh=limit,
        quantity_wh=SOLD_WH,
        side=side,
        slot_start_s=SLOT,
    )


def key_of(name: str) -> str:
    """The arguments of a command in somebody's name."""
    return f"--signer {name} --key file:village/keys/{name}.pem --password file:village/keys/{name}.password"


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """Two homes whose day is over; one sold to the other in the slot of which a register was set aside. Node and pages run."""
    monkeypatch.chdir(tmp_path)
    found = founded(tmp_path, more=two_homes(), pages_port=str(free_port()))
    web = tmp_path / "village" / "web.toml"
    web.write_text(web.read_text("utf-8").replace("[web]\n", '[web]\ndemo = true\npeople = "people.db"\n'), "utf-8")
    sender = found.sender(FIRST_S - SLOT_S)
    with found.running(RUN_NODE), found.running("gridledger serve --config village/web.toml"):
        found.advance(FIRST_S - SLOT_S)
        trade = [found.sign("home-1", order("buy")), found.sign("home-2", order("sell"))]
        assert [answer.name for answer in found.submit(trade)] == ["ACCEPTED"] * 2
        for slot in range(SLOTS):
            boundary_s = FIRST_S + slot * SLOT_S
            shown_wh = ABSURD_WH if boundary_s == REFUSED_S else 1_000 * slot
            found.submit([sender.clock(boundary_s)])
            fed_in_wh = SOLD_WH if boundary_s >= REFUSED_S else 0
            registers = [(1, 400 * slot, 0), (2, shown_wh, fed_in_wh)]
            (answer,) = found.submit([sender.batch("gateway-1", boundary_s, registers)])
            assert [code for _, _, code in answer.rows] == ([84] if boundary_s == REFUSED_S else [])
        found.submit([sender.clock(FIRST_S + (SLOTS + 1) * SLOT_S), sender.clock(FIRST_S + (SLOTS + 2) * SLOT_S)])
        yield found


def address_of(village: Village) -> str:
    """Where the pages are."""
    text = (village.folder / "village" / "web.toml").read_text("utf-8")
    (port,) = re.findall(r"(?m)^port = (\d+)", text)
    return f"http://127.0.0.1:{port}"


@dataclass
class Person:
    """Who looks at the pages in one language, and acts on them with its own key file."""

    visit: Visit
    language: str

    @property
    def browser(self) -> Browser:
        """The window."""
        return self.visit.browser

    def become(self, role: str, party: str = "") -> None:
        """Be somebody else; nothing that was seen before has complained."""
        assert self.browser.complaints() == []
        self.browser.open("about:blank")  # a page that is left open asks on under a session that is over
        self.visit.sign_in(role, party)

    def see(self, path: str) -> None:
        """Open a page; all of it is in the language."""
        self.visit.open(f"{path}{'&' if '?' in path else '?'}lang={self.language}")
        self.visit.settle()
        if self.language == "zh_CN":
            assert list(untranslated(self.visit.texts())) == []

    def follow(self, selector: str) -> None:
        """Click on what leads to another page."""
        self.browser.leave(lambda: self.browser.click(selector))
        self.visit.settle()

    def look_at(self, name: str) -> None:
        """The page can be read by everybody, is no wider than a phone, and says nothing in another language; its pictures where they are asked for."""
        if self.language == "zh_CN":
            assert list(untranslated(self.visit.texts())) == []
        assert self.browser.accessibility_findings(AXE) == []
        for look in (Look(360, language=self.language), Look(language=self.language)):
            self.browser.look(look)
            assert self.browser.overflow_px() <= 0, (name, look.name)
            if "GRIDLEDGER_PICTURES" in os.environ:
                self.browser.picture(Path(os.environ["GRIDLEDGER_PICTURES"]) / f"{name}-{look.name}.png", last="footer")

    def fill(self, name: str, *, password: str = "", **fields: str) -> None:
        """Fill in the page's form with somebody's key file."""
        key = Path("village") / "keys" / f"{name}.pem"
        fill(self.browser, key.resolve(), password or key.with_suffix(".password").read_text("utf-8").strip(), **fields)

    def send(self, said: str, *, is_begin: bool = False, goes_on: bool = False) -> None:
        """Sign and send; the form answers so, and then leads on where it is said to."""
        message = next(text for text in catalogue("en") if text.startswith(said)) if is_begin else said
        words = message if self.language == "en" else catalogue(self.language)[message]

        def sign() -> None:
            send(self.browser)
            wait_for(self.browser, words)

        if goes_on:
            self.browser.leave(sign)
            self.visit.settle()
        else:
            sign()


def amount(shown: str) -> Decimal:
    """A number as a table shows it."""
    return Decimal(shown.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def contest(person: Person) -> str:
    """The household contests a line that it does not believe, signed in its browser; what is frozen is not due from then on. The dispute's id."""
    not_due, disputed = NOT_DUE[person.language]
    person.become("household", "home-2")
    person.see(f"/slots/north/{SLOT}")
    person.browser.find(f".contest a[href='/households/home-2/contest/{SLOT}']")
    person.see(f"/households/home-2/statement?day={DAY}")
    person.browser.click(f"details.lines:has(a[href='{LINE}']) > summary")
    person.follow(f"a[href='{LINE}']")
    person.browser.find(f".contest a[href*='/contest/{SLOT}?line=residual_import']")
    person.follow(".contest a[role=button]")
    person.look_at("contest")
    person.fill("home-2", password="wrong", ground="reading", statement=LETTER)
    person.send("Wrong password for this key file.")
    person.fill("utility", statement="")
    person.send("The key is not the one that the ledger has of this signer.")
    person.fill("home-2", statement="")
    person.send("The dispute is open, and the amount is frozen.", goes_on=True)
    person.look_at("dispute")
    assert not_due in person.browser.text("dl.facts-list")
    assert "We were away on that evening." in person.browser.text("ol.said-list")
    dispute = person.browser.driver.current_url.rpartition("/")[2]
    frozen_nano = frozen_of(person, dispute)
    assert frozen_nano > 0
    person.see("/households/home-2/payments")
    assert disputed in person.browser.text("dl.facts-list")
    assert f"{frozen_nano / 10**9:.4f}" in person.browser.text("dl.facts-list")
    return dispute


def frozen_of(person: Person, dispute: str) -> int:
    """What a dispute freezes, nano."""
    (row,) = person.browser.fetch_json("/api/v1/households/home-2/disputes")["rows"]
    assert row[0] == dispute
    return int(row[9])


def correct(person: Person, dispute: str) -> None:
    """The clerk finds yesterday's largest deviation and its cause, corrects the reading, sees the difference posted, and agrees."""
    too_much, _agreed, corrected = WORDS[person.language]
    person.become("utility")
    person.see(f"/households?day={DAY}")
    person.follow("a[href$='parties-sort=-deviation_wh']")
    assert "home-2" in person.browser.text("figure.table tbody tr")
    person.follow("figure.table tbody tr th a")
    person.follow("nav a[href^='/households/home-2/statement']")
    person.browser.click(f"details.lines:has(a[href='{SHORTFALL}']) > summary")
    person.follow(f"a[href='{SHORTFALL}']")
    person.follow(f"a[href='/slots/north/{SLOT}']")
    person.follow("section[aria-labelledby=correct] li a")
    assert person.browser.driver.current_url.endswith(f"/meters/M-2/correction?boundary={REFUSED_S}")
    assert too_much in person.browser.text(".badge.bad")
    person.look_at("correction")
    of_clerk = {"import": f"{TRUE_WH / 1_000}", "export": f"{SOLD_WH / 1_000}", "reason": "protocol of the visit"}
    person.fill("utility", signer="utility", **of_clerk | {"import": "1.70001"})
    person.send("Both registers in kWh as the meter shows them", is_begin=True)
    person.fill("utility", signer="utility", **of_clerk)
    person.send("The register counts", is_begin=True, goes_on=True)
    person.look_at("slot")
    assert corrected in person.browser.text("section:has(#run) tbody")
    person.see(f"/runs?day={DAY}")
    shown = dict(zip((column.key for column in COLUMNS), person.browser.run(CELLS_OF, SLOT), strict=True))
    assert int(shown["runs"]) > 1
    assert shown["estimated_last"] == "0", "nothing of the slot is estimated any more"
    first, last, difference = (amount(shown[key]) for key in ("first_nano", "last_nano", "difference_nano"))
    assert difference == last - first != 0
    person.see(f"/households/home-2/statement?day={DAY}")
    person.browser.find(f"a[href='{LINE}']")
    assert person.browser.driver.find_elements("css selector", f"a[href='{SHORTFALL}']") == []
    person.see(f"/disputes/{dispute}")
    assert "We were away on that evening." in person.browser.text("ol.said-list")
    person.fill("home-2", outcome="agreed", signer="home-2", statement=ANSWER)
    person.send("A utility of the household's organisation answers, a regulator", is_begin=True)
    person.fill("utility", signer="utility", statement="")
    person.send("It stands in the dispute.", goes_on=True)


def follow_to_the_end(person: Person, dispute: str) -> None:
    """The household sees that it was right, in the dispute and on its bill."""
    _too_much, agreed, corrected = WORDS[person.language]
    person.become("household", "home-2")
    person.see("/households/home-2/disputes")
    person.follow("figure.table tbody th a")
    assert agreed in person.browser.text("header .facts")
    assert NOT_DUE[person.language][0] not in person.browser.text("dl.facts-list")
    assert corrected in person.browser.text("dl.facts-list")
    assert ANSWER in person.browser.text("ol.said-list")
    versions = person.browser.fetch_json(f"/api/v1/disputes/{dispute}/versions")["rows"]
    assert len(versions) > 1
    assert versions[-1][1] == 700
    person.look_at("agreed")
    person.see(f"/households/home-2/statement?day={DAY}")
    lines = person.browser.fetch_json(f"/api/v1/households/home-2/lines?day={DAY}")["rows"]
    assert [line[2] for line in lines if line[0] == SLOT and line[1] == "residual_import"] == [700]


def make_again(person: Person) -> None:
    """The regulator has the run made again from the blocks, out of an archive that is taken beside the node."""
    person.become("regulator")
    _too_much, _agreed, corrected = WORDS[person.language]
    person.see(f"/runs?day={DAY}")
    person.follow(f"figure.table a[href='/slots/north/{SLOT}']")
    person.follow("tbody tr:last-child a.again")
    person.look_at("replay")
    person.follow("form.export-form [type=submit]")
    person.browser.wait("return document.querySelector('.replay .facts') !== null")
    found = person.browser.text(".replay")
    assert corrected in found
    assert SAME[person.language] in found
    assert person.browser.driver.find_elements("css selector", ".replay .badge.bad") == []
    person.look_at("replayed")
    assert person.browser.complaints() == []


@pytest.mark.parametrize("language", WORDS)
def test_a_household_contests_a_line_the_clerk_corrects_its_reading_and_the_regulator_makes_the_run_again(
    village: Village, browser: Browser, language: str
) -> None:
    browser.look(Look(language=language))
    person = Person(Visit(browser, address_of(village)), language)
    dispute = contest(person)
    correct(person, dispute)
    follow_to_the_end(person, dispute)
    make_again(person)
