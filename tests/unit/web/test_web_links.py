"""Where pages lead to: nowhere that whoever reads them may not go, and to what they say is needed."""

from __future__ import annotations

import re
from html import unescape
from io import StringIO
from pathlib import Path

import pytest

from gridledger import cli, serving
from gridweb.access import Role
from ledger.client import NodeUnreachable
from tests.unit.web.household_world import DAY_START_S, PARTY, START_S, fill_day, household_world
from tests.unit.web.test_utility_pages import utility_world
from tests.unit.web.web_world import FIRST_S, Browser

LEAF = {
    "run": "initial",
    "as_of_height": 5,
    "contract": "p2p_call_auction/1",
    "rules": "00" * 32,
    "zone": "z",
    "points": 3,
    "rows_root": "00" * 32,
    "areas_root": "00" * 32,
    "totals_root": "00" * 32,
}
CLEARING = {
    "price_micro_per_kwh": 380_000,
    "volume_wh": 500,
    "orders": 2,
    "rules": "00" * 32,
    "contract": "p2p_call_auction/1",
    "book_root": "00" * 32,
    "fills_root": "00" * 32,
}
RUNS = {"runs": [{"run": "initial", "height": 5, "rows": 3, "estimated": 0, "pays_nano": 7}], "next_run": None}
FORBIDDEN = 403


async def links_of(browser: Browser, path: str) -> set[str]:
    """The addresses of our own to which a page leads."""
    page = unescape(await browser.text(path))
    return {link for link in re.findall(r'href="(/[^"#]*)', page) if not link.startswith(("/static", "//"))}


async def test_no_page_of_a_household_leads_to_one_that_it_may_not_open(tmp_path: Path) -> None:
    world = household_world(tmp_path)
    world.node.answers["areas"]["areas"][0]["rules"] |= {"gate_before_start_s": 300, "open_before_start_s": 86_400}
    await fill_day(world)
    slot = f"areas/A1/slots/{START_S}"
    world.node.answers[f"{slot}/clearing"] = CLEARING
    world.node.answers[f"{slot}/run"] = {"run": "initial", "result": LEAF, "lines": [], "next": None}
    world.node.answers[f"{slot}/runs"] = RUNS
    browser = world.browser(Role.HOUSEHOLD, PARTY)
    pages = ["", "/statement", "/month", "/year", "/tariff", "/disputes"]
    opened = [f"/households/{PARTY}{page}" for page in pages]
    opened += [f"/households/{PARTY}?day={DAY_START_S}", f"/households/{PARTY}/statement?day={DAY_START_S}"]
    opened.append(f"/slots/A1/{START_S}")
    answers = [await browser.get(path) for path in opened]
    links = {
        link
        for path, one in zip(opened, answers, strict=True)
        if one.status_code == 200
        for link in await links_of(browser, path)
    }
    assert answers[-1].status_code == 200
    forbidden = [link for link in sorted(links) if (await browser.get(link)).status_code == FORBIDDEN]
    assert forbidden == []


@pytest.mark.parametrize(("role", "status"), [(Role.UTILITY, 200), (Role.REGULATOR, 200), (Role.HOUSEHOLD, FORBIDDEN)])
async def test_the_anonymous_book_is_offered_to_those_to_whom_the_node_gives_it(
    role: Role, status: int, tmp_path: Path
) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    world.node.answers[f"areas/a-1/slots/{FIRST_S}/clearing"] = CLEARING
    world.node.answers["book"] = b"the book"
    browser = world.browser(role, "H001" if role is Role.HOUSEHOLD else None)
    address = f"/slots/a-1/{FIRST_S}/book"
    assert (address in await links_of(browser, f"/slots/a-1/{FIRST_S}")) == (status == 200)
    answer = await browser.get(address)
    assert answer.status_code == status
    if status == 200:
        assert await answer.get_data() == b"the book"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a-1-2027-01-15T0800.book"'


async def test_errors_name_instants_as_people_read_them(tmp_path: Path) -> None:
    world = await utility_world(tmp_path, ["a-1"])
    browser = world.browser(Role.UTILITY)
    for path in (f"/slots/a-1/{FIRST_S + 1}", f"/api/v1/areas/a-1/slots/{FIRST_S + 1}/positions"):
        answer = await (await browser.get(path)).get_data(as_text=True)
        assert "no slot of area a-1 begins at 2027-01-15T00:00:01Z" in unescape(answer), path


@pytest.mark.parametrize(
    ("known", "status", "said"),
    [
        (True, 0, ""),
        (False, 2, "--party H999: the ledger of http://127.0.0.1:1 has no party of this name; nothing was changed"),
        (None, 0, "whether the ledger knows party H999 could not be asked: no node"),
    ],
)
def test_a_user_of_a_party_that_nobody_knows_is_not_made(
    known: bool | None,
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def knows(parts: object, party: str) -> bool:
        if known is None:
            raise NodeUnreachable("no node")
        return known

    monkeypatch.setattr(serving, "open_parts", lambda config: None)
    monkeypatch.setattr(serving, "knows_party", knows)
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery\n"))
    key = '[key]\nsigner = "web"\nuri = "file:web.pem"\npassword = "file:web.password"\n'
    web = '[web]\ntrust = "trust.json"\nusers = "users.db"\n[series]\npath = "series.db"\n'
    config = tmp_path / "web.toml"
    config.write_text(f'node = "http://127.0.0.1:1"\n{key}{web}')
    words = ["serve", "--config", str(config), "--add-user", "anna", "--role", "household", "--party", "H999"]
    assert cli.main(words) == status
    assert said in capsys.readouterr().err
    assert cli.main(["serve", "--config", str(config), "--list-users"]) == 0
    assert ("anna" in capsys.readouterr().out) == (status == 0)


def test_two_lengths_of_a_demonstration_are_refused_whatever_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    for days in ("1", "2"):
        assert cli.main(["demo", "--headless", "--days", days, "--slots", "2"]) == 2
        assert "not allowed with argument --days" in capsys.readouterr().err
