"""A reading that the ledger set aside, as the household, the clerk and the regulator live it: contested, corrected, made again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gridcore.serving.ports import free_port
from gridledger.founding.config import EXAMPLE
from tests.browser.browser_world import AXE, NEEDS_CHROMIUM, Visit, untranslated
from tests.browser.chromium import Browser, Look
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, founded

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
SLOTS = 33
"""To the local midnight, and one more: the day of the reading is yesterday."""
REFUSED_S = FIRST_S + 2 * SLOT_S
SLOT = FIRST_S + SLOT_S
DAY = "2027-01-15"
TRUE_WH, ABSURD_WH = 1_700, 90_000
LINE = f"/households/home-2/lines/{SLOT}/residual_import"
TABLE_ROWS = "return document.querySelectorAll('figure.table tbody tr').length"
WORDS = {
    "en": ("more energy than the connection can carry", "agreed", "correction 1"),
    "zh_CN": ("电量超过接入容量", "已同意", "更正 1"),
}


def two_homes() -> str:
    """The example's meter once more, for another household."""
    text = EXAMPLE.read_text(encoding="utf-8")
    meter = re.sub(r"(?m)^(number|unit_id) = 1", r"\1 = 2", text[text.index("[[gateways.meters]]") :])
    return "\n" + meter.replace('"M-1"', '"M-2"').replace('"P-1"', '"P-2"').replace('"home-1"', '"home-2"')


def key_of(name: str) -> str:
    """The arguments of a command in somebody's name."""
    return f"--signer {name} --key file:village/keys/{name}.pem --password file:village/keys/{name}.password"


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """Two homes whose day is over; of one of them a register was set aside. Node and pages run."""
    monkeypatch.chdir(tmp_path)
    found = founded(tmp_path, more=two_homes(), pages_port=str(free_port()))
    web = tmp_path / "village" / "web.toml"
    web.write_text(web.read_text("utf-8").replace("[web]\n", "[web]\ndemo = true\n"), "utf-8")
    (tmp_path / "letter.txt").write_text("We were away on that evening.", "utf-8")
    sender = found.sender(FIRST_S - SLOT_S)
    with found.running(RUN_NODE), found.running("gridledger serve --config village/web.toml"):
        found.advance(FIRST_S - SLOT_S)
        for slot in range(SLOTS):
            boundary_s = FIRST_S + slot * SLOT_S
            shown_wh = ABSURD_WH if boundary_s == REFUSED_S else 1_000 * slot
            found.submit([sender.clock(boundary_s)])
            (answer,) = found.submit([sender.batch("gateway-1", boundary_s, [(1, 400 * slot, 0), (2, shown_wh, 0)])])
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
    """Who looks at the pages in one language, and acts by commands. ``do``: one command; what it prints."""

    visit: Visit
    language: str
    url: str
    do: Callable[[str], str]

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

    def command_on_page(self, selector: str, name: str, **values: str) -> str:
        """A command as the page gives it, with what ``name`` fills in."""
        text = self.browser.text(selector)
        own = {"URL": self.url, "KEY": f"file:village/keys/{name}.pem", "REF": f"file:village/keys/{name}.password"}
        for word, value in {**values, **own}.items():
            assert re.search(rf"\b{word}\b", text), (word, text)
            text = re.sub(rf"\b{word}\b", value, text, count=1)
        return text


def contest(person: Person) -> str:
    """The household contests a line that it does not believe; the dispute's id."""
    person.become("household", "home-2")
    person.see(f"/households/home-2/statement?day={DAY}")
    person.browser.click(f"details.lines:has(a[href='{LINE}']) > summary")
    person.follow(f"a[href='{LINE}']")
    person.browser.click("details.contest summary")
    command = person.command_on_page("details.contest pre", "home-2", FILE="letter.txt")
    said = person.do(command.replace("reading|energy|trade|price|tariff|other", "reading"))
    (dispute,) = re.findall(r"[0-9a-f]{64}", said)
    return str(dispute)


def correct(person: Person, dispute: str) -> None:
    """The clerk finds yesterday's largest deviation and its cause, answers for the reading, and sees the difference posted."""
    too_much, _agreed, _corrected = WORDS[person.language]
    person.become("utility")
    person.see(f"/overview?day={DAY}")
    person.follow("a[href^='/quality']")
    person.see(f"/quality?day={DAY}")
    worst = person.browser.text(".panel-wide figure.table tbody tr")
    assert too_much in worst
    assert "M-2" in worst
    person.follow(".panel-wide figure.table tbody tr th a")
    approve = person.command_on_page(
        "#correct-a-reading pre", "utility", WH=str(TRUE_WH), TEXT="'protocol of the visit'", ID="utility"
    )
    assert f"--boundary {REFUSED_S} " in approve
    person.do(approve.replace("--export-wh WH", "--export-wh 0"))
    person.see(f"/disputes/{dispute}")
    statement = f"--outcome agreed --statement letter.txt --url {person.url}"
    person.do(f"gridledger dispute answer {dispute} {statement} {key_of('utility')}")
    person.see(f"/runs?day={DAY}")
    table = person.browser.fetch_json(f"/api/v1/areas/north/runs?day={DAY}")
    keys = [column["key"] for column in table["columns"]]
    (found,) = [
        run for run in (dict(zip(keys, row, strict=True)) for row in table["rows"]) if run["slot_start_s"] == SLOT
    ]
    assert found["runs"] > 1
    assert found["difference_nano"] == found["last_nano"] - found["first_nano"]
    assert found["estimated_last"] == 0, "nothing of the slot is estimated any more"
    assert person.browser.accessibility_findings(AXE) == []


def follow_to_the_end(person: Person) -> None:
    """The household sees that it was right, in the dispute and on its bill."""
    _too_much, agreed, corrected = WORDS[person.language]
    person.become("household", "home-2")
    person.see("/households/home-2/disputes")
    person.follow("figure.table tbody th a")
    assert agreed in person.browser.text("header .facts")
    assert corrected in person.browser.text("dl.facts-list")
    person.see(f"/households/home-2/statement?day={DAY}")
    lines = person.browser.fetch_json(f"/api/v1/households/home-2/lines?day={DAY}")["rows"]
    assert [line[2] for line in lines if line[0] == SLOT and line[1] == "residual_import"] == [700]


def make_again(person: Person) -> None:
    """The regulator makes the run again from the blocks, out of an archive that was taken beside the node."""
    person.become("regulator")
    person.see(f"/runs?day={DAY}")
    replay = person.browser.text("p.note code")
    person.do("gridledger node archive --data village/ledger --out archive")
    person.do("gridledger node restore --archive archive --data replica")
    assert "correction" in person.do(replay.replace("DIR", "replica").replace("--slot S", f"--slot {SLOT}"))
    assert person.browser.complaints() == []


@pytest.mark.parametrize("language", WORDS)
def test_a_household_contests_a_line_the_clerk_corrects_its_reading_and_the_regulator_makes_the_run_again(
    village: Village, browser: Browser, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    def do(command: str) -> str:
        village.do(command)
        return capsys.readouterr().out

    browser.look(Look(language=language))
    person = Person(Visit(browser, address_of(village)), language, village.url, do)
    dispute = contest(person)
    correct(person, dispute)
    follow_to_the_end(person)
    make_again(person)
