"""Pages of disputes: everybody's for readers, its own for a household; each act is for whoever may do it, and passed on as it was signed."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.node_interface import CBOR_TYPE
from gridcore.sm import SigningKey
from gridcore.sm3 import sm3
from gridcore.transactions.content import Content, sign_content
from gridcore.transactions.dispute_open import DisputeOpen
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from gridweb.access import Role
from gridweb.acts import STATEMENT_CHARACTERS_MAX
from gridweb.pages.disputes import STATUS_STATES, STATUS_TITLES, STEP_KINDS
from tests.unit.web.household_world import NEIGHBOUR, PARTY, START_S, household, household_world
from tests.unit.web.test_orders_page import post
from tests.unit.web.web_world import NOW_S, World

OWN, OTHER = "ab" * 32, "cd" * 32


def dispute(name: str, party: str, status: str = "open", **changes: Any) -> dict[str, Any]:
    """What the node says of a dispute; one that is closed has the step that closed it."""
    is_closed = status in ("agreed", "upheld", "dismissed", "withdrawn")
    end = {"outcome": status, "signer": "util", "time_s": START_S + 9_000, "height": 11, "statement": "56" * 32}
    return {
        "dispute": name,
        "party": party,
        "point": f"P-{party}",
        "slot_start_s": START_S,
        "zone": "z-1",
        "run": "initial",
        "line_kind": "levy",
        "ground": "reading",
        "amount_nano": -1_500_000_000,
        "statement": "12" * 32,
        "opened_s": START_S + 3_600,
        "opened_height": 7,
        "answer_by_s": START_S + 867_600,
        "status": status,
        "is_closed": is_closed,
        "steps": [end] if is_closed else [],
        "later_runs": [],
        "month": None,
        "part": None,
        **changes,
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A site whose node knows a dispute of the household and one of its neighbour."""
    return dispute_world(tmp_path)


def dispute_world(folder: Path, names: Sequence[str] = (OTHER, OWN)) -> World:
    """A site whose node knows disputes."""
    world = household_world(folder)
    step = {"outcome": "rejected", "signer": "util", "time_s": START_S + 7_200, "height": 9, "statement": "34" * 32}
    found = [
        dispute(OTHER, NEIGHBOUR, "rejected", steps=[step], amount_nano=9),
        dispute(OWN, PARTY, later_runs=["correction-1"]),
    ]
    found = [one for one in found if one["dispute"] in names]
    world.node.answers["disputes"] = {"disputes": found, "next": None}
    world.node.answers |= {f"disputes/{one['dispute']}": one for one in found}
    return world


async def test_a_reader_sees_all_disputes_the_largest_first_with_what_is_frozen(world: World) -> None:
    browser = world.browser(Role.REGULATOR)
    table = await (await browser.get("/api/v1/disputes")).get_json()
    assert [row[0] for row in table["rows"]] == [OWN, OTHER]
    assert table["totals"][[column["key"] for column in table["columns"]].index("amount_nano")] == -1_500_000_000 + 9
    page = await browser.text("/disputes")
    assert f'href="/disputes/{OWN}"' in page


async def test_an_export_has_the_disputes_of_an_area_and_what_each_came_to_since(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    form = {"content": "disputes", "area": "A1", "month": "2024-06", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    assert (job.state, job.file_name) == ("done", "A1-disputes.zip")
    answer = await browser.get(f"/exports/{job.job}/file")
    with zipfile.ZipFile(io.BytesIO(await answer.get_data(as_text=False))) as file:
        assert file.namelist() == ["A1-disputes.csv", f"{OWN}-versions.csv", f"{OTHER}-versions.csv"]
        held = [file.read(name).decode() for name in file.namelist()]
    alone = [f"/api/v1/disputes/{dispute}/versions?format=csv" for dispute in (OWN, OTHER)]
    assert held == [await browser.text(path) for path in ("/api/v1/disputes?format=csv", *alone)]
    await world.site.exports.close()


async def test_a_household_sees_its_own_disputes_alone(world: World) -> None:
    browser = household(world)
    table = await (await browser.get(f"/api/v1/households/{PARTY}/disputes")).get_json()
    assert [row[0] for row in table["rows"]] == [OWN]
    assert (await browser.get("/disputes")).status_code == 403
    assert (await browser.get(f"/disputes/{OTHER}")).status_code == 403
    assert (await browser.get(f"/households/{NEIGHBOUR}/disputes")).status_code == 403


def form_of(page: str) -> str:
    """The form on a page that is signed; "" where it has none."""
    return next(iter(re.findall(r"<form class=\"signed\".*?</form>", page, re.DOTALL)), "")


@pytest.mark.parametrize(
    ("status", "may_act"),
    [
        ("open", {Role.UTILITY, Role.HOUSEHOLD}),
        ("overdue", {Role.UTILITY, Role.REGULATOR, Role.HOUSEHOLD}),
        ("rejected", {Role.REGULATOR, Role.HOUSEHOLD}),
        *((over, set[Role]()) for over in ("agreed", "upheld", "dismissed", "withdrawn")),
    ],
)
async def test_whoever_may_act_in_a_dispute_has_the_form_of_its_act_and_nobody_else(
    world: World, status: str, may_act: set[Role]
) -> None:
    world.node.answers[f"disputes/{OWN}"] = dispute(OWN, PARTY, status)
    browsers = {role: household(world) if role is Role.HOUSEHOLD else world.browser(role) for role in Role}
    forms = {role: form_of(await browser.text(f"/disputes/{OWN}")) for role, browser in browsers.items()}
    assert {role for role, form in forms.items() if form} == may_act
    for role in may_act:
        assert f'data-act="{STEP_KINDS[role].kind}"' in forms[role]
        assert re.findall(r'<option value="(\w+)"', forms[role]) == list(STEP_KINDS[role].outcomes)
        assert ('data-field="signer"' in forms[role]) is (role is not Role.HOUSEHOLD)
        assert " name=" not in forms[role], "nothing that is typed can get into an address"


@pytest.mark.parametrize("status", STATUS_TITLES)
def test_every_status_has_a_sign(status: str) -> None:
    assert status in STATUS_STATES


async def test_both_versions_of_what_is_contested_stand_side_by_side(world: World) -> None:
    world.node.answers[f"disputes/{OWN}"] = dispute(OWN, PARTY, "agreed", later_runs=["correction-1"])
    paid = {"initial": -1_500_000_000, "correction-1": 250_000_000}

    def positions(run: str, party: str) -> dict[str, Any]:
        assert party == PARTY
        row = {"points": [f"P-{PARTY}"], "import_wh": [7], "export_wh": [0], "pays_nano": [paid[run]], "quality": [0]}
        return {**row, "run": run, "next": None}

    world.node.answers[f"areas/A1/slots/{START_S}/positions"] = positions
    table = await (await household(world).get(f"/api/v1/disputes/{OWN}/versions")).get_json()
    assert [(row[0], row[4], row[5]) for row in table["rows"]] == [
        ("initial", -1_500_000_000, None),
        ("correction-1", 250_000_000, 1_750_000_000),
    ]
    assert (await household(world).get(f"/api/v1/disputes/{OTHER}/versions")).status_code == 403


WORDS = "We were away on that evening."


def submission(content: Content, signer: str, words: str | None = WORDS) -> bytes:
    """What a page's script sends."""
    wire = sign_content(content, chain="test-0123", signer=signer, sign=SigningKey.generate().sign).wire
    return cbor.encode([wire] if words is None else [wire, words])


def step(kind: type[DisputeStep], **changes: Any) -> DisputeStep:
    """A step of the household's dispute."""
    fields: dict[str, Any] = {
        "dispute": bytes.fromhex(OWN),
        "outcome": kind.outcomes[0],
        "statement": sm3(WORDS.encode()),
    }
    return kind(client_id=bytes(16), valid_until_s=NOW_S, **(fields | changes))


def opening(**changes: Any) -> DisputeOpen:
    """A dispute of the household."""
    fields: dict[str, Any] = {"ground": "reading", "line_kind": "levy", "point": f"P-{PARTY}", "run": "initial"}
    fields |= {"slot_start_s": START_S, "statement": sm3(WORDS.encode())}
    return DisputeOpen(client_id=bytes(16), valid_until_s=NOW_S, **(fields | changes))


@pytest.mark.parametrize("role", STEP_KINDS)
async def test_a_signed_step_is_passed_on_byte_by_byte_and_its_words_are_kept_for_who_may_see_the_dispute(
    tmp_path: Path, role: Role
) -> None:
    world = dispute_world(tmp_path)
    browser = household(world) if role is Role.HOUSEHOLD else world.browser(role)
    body = submission(step(STEP_KINDS[role]), PARTY if role is Role.HOUSEHOLD else "somebody")
    answer = await (await post(browser, body, f"/disputes/{OWN}/steps")).get_json()
    assert (answer["is_taken"], answer["next"]) == (True, f"/disputes/{OWN}")
    assert world.node.submitted == [cbor.decode(body)[0]]
    assert world.site.people is not None
    assert world.site.people.words_of(PARTY) == {sm3(WORDS.encode()): WORDS}
    said = {
        "outcome": "rejected",
        "signer": "util",
        "time_s": START_S,
        "height": 9,
        "statement": sm3(WORDS.encode()).hex(),
    }
    world.node.answers[f"disputes/{OWN}"] = dispute(OWN, PARTY, "rejected", steps=[said])
    assert WORDS in await household(world).text(f"/disputes/{OWN}")


async def test_words_are_not_kept_where_the_site_keeps_no_people_nor_of_what_the_ledger_refuses(tmp_path: Path) -> None:
    world = dispute_world(tmp_path)
    world.app.extensions["gridweb"] = replace(world.site, people=None)
    body = submission(opening(), PARTY)
    answer = await (await post(household(world), body, f"/households/{PARTY}/disputes")).get_json()
    assert answer["is_taken"]
    assert answer["next"] == f"/disputes/{sm3(cbor.decode(body)[0]).hex()}"
    page = await household(world).text(f"/disputes/{OWN}")
    assert "This site keeps no words" in page
    assert "data-save" in form_of(page)
    (tmp_path / "kept").mkdir()
    world = dispute_world(tmp_path / "kept")
    world.node.submit_code = Code.DISPUTED_ALREADY
    answer = await (await post(household(world), body, f"/households/{PARTY}/disputes")).get_json()
    assert answer == {
        "code": Code.DISPUTED_ALREADY,
        "name": "DISPUTED_ALREADY",
        "is_taken": False,
        "words": "You have contested this slot already.",
        "next": answer["next"],
    }
    assert world.site.people is not None
    assert world.site.people.words_of(PARTY) == {}


@pytest.mark.parametrize(
    ("body", "role"),
    [
        (submission(step(DisputeWithdrawal), "util"), Role.UTILITY),
        (submission(step(DisputeAnswer), "reg"), Role.REGULATOR),
        (submission(step(DisputeDecision), PARTY), Role.HOUSEHOLD),
        (submission(step(DisputeWithdrawal), NEIGHBOUR), Role.HOUSEHOLD),
        (submission(step(DisputeAnswer, dispute=bytes.fromhex(OTHER)), "util"), Role.UTILITY),
        (submission(step(DisputeAnswer), "util", words=None), Role.UTILITY),
        (submission(step(DisputeAnswer), "util", words="other words"), Role.UTILITY),
        (submission(step(DisputeAnswer, statement=sm3(b"x" * 2_001)), "util", words="x" * 2_001), Role.UTILITY),
        (cbor.encode([b"x", WORDS]), Role.UTILITY),
        (b"", Role.UTILITY),
    ],
    ids=["withdrawal", "answer", "decision", "another's", "of another", "no words", "others", "long", "none", "empty"],
)
async def test_a_step_that_is_not_of_the_role_the_party_or_the_dispute_is_refused_and_not_passed_on(
    world: World, body: bytes, role: Role
) -> None:
    browser = household(world) if role is Role.HOUSEHOLD else world.browser(role)
    assert (await post(browser, body, f"/disputes/{OWN}/steps")).status_code == 400
    assert world.node.submitted == []


async def test_words_of_the_greatest_length_are_taken(world: World) -> None:
    words = "字" * STATEMENT_CHARACTERS_MAX
    body = submission(step(DisputeAnswer, statement=sm3(words.encode())), "util", words=words)
    assert (await (await post(world.browser(Role.UTILITY), body, f"/disputes/{OWN}/steps")).get_json())["is_taken"]


async def test_a_neighbours_dispute_takes_no_act_and_an_act_needs_the_token_of_a_page(world: World) -> None:
    body = submission(step(DisputeWithdrawal, dispute=bytes.fromhex(OTHER)), PARTY)
    assert (await post(household(world), body, f"/disputes/{OTHER}/steps")).status_code == 403
    own = household(world)
    answer = await own.client.post(f"/disputes/{OWN}/steps", data=body, headers={"Content-Type": CBOR_TYPE})
    assert answer.status_code == 403
    assert world.node.submitted == []


CONTEST = f"/households/{PARTY}/contest/{START_S}"


def contestable(world: World, run: str = "correction-1", **changes: Any) -> None:
    """Let the slot be settled."""
    row = {"points": ["P-17"], "meters": ["M-H001"], "import_wh": [700], "export_wh": [0], "pays_nano": [41_000_000]}
    world.node.answers |= {
        f"areas/A1/slots/{START_S}/positions": {**row, "quality": [0], "run": run, "next": None},
        f"areas/A1/slots/{START_S}/runs": {"runs": [], "next_run": {"run_type": "final", "due_s": None}} | changes,
    }


@pytest.mark.parametrize(
    ("query", "line_kind", "ground"),
    [("?line=levy", "levy", "reading"), ("", "", "reading"), (f"?reading={START_S + 900}", "", "reading")],
    ids=["line", "slot", "reading"],
)
async def test_a_line_a_slot_and_a_reading_are_contested_by_the_run_that_is_last(
    tmp_path: Path, query: str, line_kind: str, ground: str
) -> None:
    world = dispute_world(tmp_path, ())
    contestable(world)
    form = form_of(await household(world).text(CONTEST + query))
    (fixed,) = re.findall(r'data-fixed="([^"]*)"', form)
    named = {"line_kind": line_kind, "point": "P-17", "run": "correction-1", "slot_start_s": START_S}
    assert json.loads(html.unescape(fixed)) == named
    assert ('value="reading" selected' in form) is ("reading=" in query)
    assert ("The reading of meter M-H001 at" in form) is ("reading=" in query)
    assert f'data-signer="{PARTY}"' in form


async def test_what_cannot_be_contested_says_why_instead_of_a_form(tmp_path: Path) -> None:
    world = dispute_world(tmp_path)
    page = await household(world).text(CONTEST)
    assert f'href="/disputes/{OWN}"' in page
    assert form_of(page) == ""
    world.node.answers["disputes"] = {"disputes": [], "next": None}
    world.node.height += 1
    world.progress.newest = world.progress.height = world.node.height
    assert "not settled yet" in await household(world).text(CONTEST)
    world.node.height += 1
    world.progress.newest = world.progress.height = world.node.height
    contestable(world, next_run=None)
    page = await household(world).text(CONTEST)
    assert "This slot is closed" in page
    assert form_of(page) == ""


@pytest.mark.parametrize("query", ["line=nonsense", "reading=1", f"reading={START_S - 900}"])
async def test_a_line_or_a_reading_that_is_none_of_the_slot_is_refused(world: World, query: str) -> None:
    assert (await household(world).get(f"{CONTEST}?{query}")).status_code == 400


async def test_what_is_no_dispute_is_not_found(world: World) -> None:
    assert (await world.browser(Role.REGULATOR).get("/disputes/xyz")).status_code == 404
