"""The consortium's pages: who certifies and who was missing, proposals in words, forms that become files, blocks found by what they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gridcore.governance.table import SORTS, decode_action
from gridcore.proposal_file import parse_proposal
from gridcore.registry.organisation import ROLES
from gridweb.access import Role
from gridweb.governance_words import ROLE_TITLES, SORT_TITLES, action_lines
from gridweb.health import STALLS as REASONS
from gridweb.i18n import speaking
from gridweb.pages.block import KIND_TITLES
from gridweb.pages.certifiers import grid_of
from gridweb.pages.consortium import STALL_TITLES
from gridweb.proposal_form import FORMS, fill
from ledger.engines.base import STALLS
from ledger.protocol import VERSIONS
from tests.unit.web.web_world import NOW_S, World, make_world
from tests.worlds.keys import key

NAMES = ("grid", "retailer", "aggregator", "regulator")
ID = "ab" * 32
PIN = "cd" * 32


def validator(name: str, power: int = 1) -> dict[str, Any]:
    """A validator as the node tells of it."""
    public_key = key(name).public_key.hex()
    return {"name": name, "organisation": name, "public_key": public_key, "power": power, "consensus_key": ""}


def block(height: int, *missing: str, covered_by: int | None = -1) -> dict[str, Any]:
    """A block of the node's list, certified by all but some; ``covered_by``: None is nobody yet, another height nobody of its own."""
    is_own = covered_by == -1
    signed = [name for name in NAMES if is_own and name not in missing]
    return {
        "height": height,
        "time_s": NOW_S,
        "transactions": 4,
        "refused": 1,
        "kinds": [{"kind": "clock/advance", "count": 1}, {"kind": "metering/reading_batch", "count": 3}],
        "covered_by": height if is_own else covered_by,
        "signed": signed,
        "missing": [name for name in NAMES if name not in signed],
        "power_signed": len(signed),
        "power": len(NAMES),
    }


BLOCKS = [block(7, covered_by=None), block(6, covered_by=None), block(5, "grid"), block(4, covered_by=5), block(3)]
PROPOSAL = {
    "proposal": ID,
    "organisation": "retailer",
    "sort": "thresholds",
    "status": "open",
    "in_favour": ["retailer"],
    "against": ["grid"],
    "needed": 3,
    "open_until_s": NOW_S + 3_600,
    "proposed_height": 4,
    "decided_height": None,
}
ACTION = {"sort": "thresholds", "contract": 1, "protocol": 1, "registry": 1, "signers": 1}


def organisation(name: str) -> dict[str, Any]:
    """An organisation as the node tells of it."""
    return {
        "organisation": name,
        "title": name.title(),
        "roles": ["administrator"],
        "votes": True,
        "removed": False,
        "authority_until_s": None,
    }


ANSWERS: Mapping[str, Any] = {
    "blocks": {"newest": 7, "blocks": BLOCKS, "next": 2},
    "organisations": {"organisations": [organisation(name) for name in NAMES]},
    "validators": {
        "current": [validator(name) for name in NAMES],
        "current_height": 0,
        "pending": [],
        "pending_height": 0,
        "power": 4,
        "power_needed": 3,
        "offences": [],
    },
    "proposals": {"proposals": [PROPOSAL], "next": None},
    f"proposals/{ID}": {**PROPOSAL, "action": ACTION, "obstacle": None},
    "permissions": {
        "permissions": [{"kind": "market/order", "roles": ["prosumer"], "usual": ["prosumer"]}],
        "thresholds": {"contract": 3, "protocol": 3, "registry": 2, "signers": 3},
        "voters": list(NAMES),
    },
    "contracts": {
        "contracts": [
            {"contract": "p2p_call_auction/1", "pin": PIN, "height": 0, "active": True, "installed": True},
        ],
        "not_approved": [{"contract": "mid_market_rate/1", "pin": PIN}],
    },
    "protocol": {"version": 1, "activations": [{"version": 1, "height": 0}]},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Four organisations, each with a validator; two blocks wait for their certificate."""
    world = make_world(tmp_path)
    world.node.answers |= json.loads(json.dumps(ANSWERS))
    world.node.answers["areas"]["areas"][0]["zone"] = "z-1"
    world.node.certified_height = 5
    world.node.engine = {"engine_peers": 3, "mempool_transactions": 12}
    return world


def test_everything_that_is_decided_sent_or_held_up_has_words() -> None:
    assert SORT_TITLES.keys() == SORTS.keys()
    assert ROLE_TITLES.keys() == set(ROLES)
    assert STALL_TITLES.keys() == REASONS.keys() == STALLS.keys()
    assert VERSIONS[max(VERSIONS)].kinds.keys() <= KIND_TITLES.keys()


def test_a_grid_says_of_each_validator_and_height_signed_missing_covered_by_a_later_one_or_waiting() -> None:
    grid = grid_of(BLOCKS)
    rows = {row.validator: row for row in grid.rows}
    assert grid.heights == (3, 4, 5, 6, 7)
    assert rows["grid"].states == ("signed", "by_later", "missing", "waiting", "waiting")
    assert (rows["retailer"].signed, rows["grid"].signed, rows["grid"].missing) == (2, 1, 1)


def test_a_validator_that_came_later_has_no_state_before() -> None:
    grid = grid_of([{**block(2), "missing": ["store"]}, block(1)])
    assert next(row for row in grid.rows if row.validator == "store").states == (None, "missing")


async def test_the_page_says_who_certifies_how_far_and_who_was_missing(world: World) -> None:
    page = await world.browser(Role.REGULATOR).text("/consortium")
    assert "lag in blocks: 2" in page
    assert "Not in the newest certificate, of block 5: grid" in page
    assert "peers: 3" in page
    assert "waiting transactions: 12" in page
    assert "25.0 %" in page
    assert '<span lang="">Grid</span>' in page
    table = await (await world.browser(Role.UTILITY).get("/api/v1/consortium/certifiers")).get_json()
    assert [7, "grid", "waiting"] in table["rows"]
    assert [5, "grid", "missing"] in table["rows"]


async def test_a_node_that_stands_still_an_offence_and_a_set_that_waits_are_said_in_words(world: World) -> None:
    world.node.stall = "quorum"
    answer = world.node.answers["validators"]
    answer |= {"pending": [validator("grid", 2)], "pending_height": 6}
    answer["offences"] = [{"validator": "retailer", "height": 3}]
    page = await world.browser(Role.ADMINISTRATOR).text("/consortium")
    assert "No two thirds of the power agree on a block." in page
    assert "retailer voted for two blocks of height 3" in page
    assert "named in block 6" in page
    table = await (await world.browser(Role.ADMINISTRATOR).get("/api/v1/consortium/validators")).get_json()
    assert [(row[0], row[2], row[3], row[4], row[7]) for row in table["rows"]][3:] == [
        ("regulator", "current", 1, 250_000, None),
        ("grid", "pending", 2, 1_000_000, None),
    ]


async def test_while_the_node_is_away_the_pages_say_so(world: World) -> None:
    browser = world.browser(Role.ADMINISTRATOR)
    await browser.text("/consortium")
    world.node.away = True
    world.progress.newest += 1
    for path in (
        "/consortium",
        "/consortium/proposals",
        f"/consortium/proposals/{ID}",
        "/consortium/contracts",
        "/blocks",
    ):
        assert "the ledger node: away since" in await browser.text(path), path


async def test_a_proposal_says_what_it_asks_for_who_voted_how_and_which_command_votes(world: World) -> None:
    page = await world.browser(Role.ADMINISTRATOR).text(f"/consortium/proposals/{ID}")
    assert "Organisations needed to approve a contract: 1." in page
    assert f"gridledger consortium vote {ID} --in-favour" in page
    assert "1 of 3 that are needed" in page
    votes = await (await world.browser(Role.UTILITY).get(f"/api/v1/consortium/proposals/{ID}/votes")).get_json()
    assert votes["rows"] == [
        ["aggregator", "none"],
        ["grid", "against"],
        ["regulator", "none"],
        ["retailer", "in_favour"],
    ]


async def test_a_proposal_that_is_decided_has_its_block_and_no_command_any_more(world: World) -> None:
    world.node.answers[f"proposals/{ID}"] |= {"status": "failed", "decided_height": 6}
    page = await world.browser(Role.ADMINISTRATOR).text(f"/consortium/proposals/{ID}")
    assert 'data-status="failed"' in page
    assert 'href="/blocks/6"' in page
    assert "gridledger consortium vote" not in page


@pytest.mark.parametrize("name", ["nonsense", "AB" * 32, "ab" * 31])
async def test_what_is_no_id_of_a_proposal_is_not_found(world: World, name: str) -> None:
    assert (await world.browser(Role.ADMINISTRATOR).get(f"/consortium/proposals/{name}")).status_code == 404


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_every_sort_of_action_is_told_in_words(language: str) -> None:
    public_key = key("grid").public_key.hex()
    signer = {"organisation": "grid", "public_key": public_key, "roles": ["clock"]}
    rows = [
        ["organisation/store", {"title": "The Store", "roles": ["utility"]}],
        ["organisation/grid", {"removed": True}],
        ["signer/a", signer],
        ["signer/b", {"organisation": "grid", "revoked": True}],
    ]
    changed = [
        validator("grid", 2),
        {**validator("retailer"), "public_key": public_key},
        validator("regulator"),
        validator("store"),
    ]
    actions: list[dict[str, Any]] = [
        {"sort": "membership", "rows": rows, "seed": PIN},
        {"sort": "validators", "validators": changed},
        {"sort": "contract", "contract": "c/2", "pin": PIN, "height": 1_000},
        {"sort": "protocol", "version": 2, "height": 9},
        {"sort": "permission", "kind": "market/order", "roles": ["utility"]},
        ACTION,
    ]
    with speaking(language):
        lines = [action_lines(action, ANSWERS["validators"]["current"]) for action in actions]
    assert [action["sort"] for action in actions] == list(SORTS)
    assert [len(found) for found in lines] == [4, 5, 1, 1, 1, 4]
    if language == "en":
        assert lines[1] == [
            "grid gets power 2 instead of 1.",
            "retailer gets another key.",
            "regulator of regulator stays with power 1.",
            "store of store joins with power 1.",
            "aggregator leaves the set.",
        ]


FILLED: Mapping[str, Mapping[str, list[str]]] = {
    "contract": {"contract": ["mid_market_rate/1"], "height": ["9"]},
    "validators": {
        f"{name}-{row}": [str(value)]
        for row, member in enumerate([validator("grid"), validator("store", 2)])
        for name, value in member.items()
    },
    "join": {"name": ["store"], "title": ['The "Store" \\ 店'], "roles": ["utility", "administrator"]},
    "key": {"name": ["a"], "organisation": ["grid"], "roles": ["clock"], "public_key": [key("a").public_key.hex()]},
    "revoke": {"name": ["a"], "organisation": ["grid"]},
    "leave": {"name": ["grid"]},
    "permission": {"kind": ["metering/open_epoch"], "roles": ["aggregator"]},
    "protocol": {"version": ["9"], "height": ["9"]},
    "thresholds": {name: ["2"] for name in ("contract", "protocol", "registry", "signers")},
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_filled_in_well_becomes_a_file_that_the_command_reads(name: str) -> None:
    draft = fill(FORMS[name], FILLED[name])
    assert draft.faults == {}
    action = parse_proposal(draft.file.encode(), Path("p.toml"), {"mid_market_rate/1": bytes.fromhex(PIN)})
    assert decode_action(action.encode()) == action


@pytest.mark.parametrize(
    ("name", "changed", "faults"),
    [
        ("protocol", {"version": ["0"], "height": ["1.5"]}, {"version", "height"}),
        ("protocol", {"height": ["9" * 16]}, {"height"}),
        ("join", {"name": ["a b"], "title": [""], "roles": []}, {"name", "title", "roles"}),
        ("key", {"public_key": ["04" + "0" * 128]}, {"public_key"}),
        ("validators", {"power-1": ["x"], "consensus_key-0": ["12"]}, {"power-1", "consensus_key-0"}),
    ],
)
def test_what_does_not_hold_is_named_by_its_field_and_makes_no_file(
    name: str, changed: Mapping[str, list[str]], faults: set[str]
) -> None:
    draft = fill(FORMS[name], {**FILLED[name], **changed})
    assert (set(draft.faults), draft.file) == (faults, "")


def test_a_certificate_stands_in_the_file_where_there_is_one() -> None:
    for texts, is_there in (([""], False), (["3082"], True)):
        assert ("certificate" in fill(FORMS["key"], {**FILLED["key"], "certificate": texts}).file) is is_there
    assert fill(FORMS["key"], {**FILLED["key"], "certificate": ["308"]}).faults.keys() == {"certificate"}


def test_a_row_without_a_name_is_left_out_of_the_set() -> None:
    draft = fill(FORMS["validators"], {**FILLED["validators"], "name-0": [""]})
    assert draft.file.count("[[validator]]") == 1


@pytest.mark.parametrize("name", FORMS)
async def test_every_form_opens_for_who_writes_and_not_for_who_only_looks(world: World, name: str) -> None:
    path = f"/consortium/proposals/new?form={name}"
    for role in (Role.ADMINISTRATOR, Role.REGULATOR):
        assert "<form" in await world.browser(role).text(path)
        assert "/consortium/proposals/new" in await world.browser(role).text("/consortium/proposals")
    assert "/consortium/proposals/new" not in await world.browser(Role.UTILITY).text("/consortium/proposals")
    assert (await world.browser(Role.UTILITY).get(path)).status_code == 403


async def test_a_fault_stands_beside_its_field_and_what_was_written_stays(world: World) -> None:
    sent = {"form": "protocol", "version": "two", "height": "9", "do": "download"}
    response = await world.browser(Role.ADMINISTRATOR).post("/consortium/proposals/new", sent)
    page = await response.get_data(as_text=True)
    assert 'value="two"' in page
    assert "✕ a whole number from 1 on" in page
    assert not any(path == "proposals/check" for path, _ in world.node.asked)


async def test_the_node_says_who_decides_or_why_it_may_not_be_proposed_and_the_file_is_taken_home(world: World) -> None:
    browser = world.browser(Role.REGULATOR)
    sent = {"form": "contract", "contract": "mid_market_rate/1", "height": "9", "do": "check"}
    world.node.answers["proposals/check"] = {"fault": None, "needed": 3, "voters": list(NAMES)}
    page = await (await browser.post("/consortium/proposals/new", sent)).get_data(as_text=True)
    assert "3 of 4 organisations decide" in page
    assert "gridledger consortium propose contract.toml" in page
    fault = {"code": 59, "name": "SET_PENDING", "words": "a set of validators waits"}
    world.node.answers["proposals/check"] = {"fault": fault, "needed": 3, "voters": list(NAMES)}
    page = await (await browser.post("/consortium/proposals/new", sent)).get_data(as_text=True)
    assert "Another set of validators waits to take over" in page
    response = await browser.post("/consortium/proposals/new", {**sent, "do": "download"})
    assert response.headers["Content-Disposition"] == 'attachment; filename="contract.toml"'
    assert await response.get_data(as_text=True) == '[contract]\ncontract = "mid_market_rate/1"\nheight = 9\n'


async def test_contracts_are_shown_with_the_zones_that_use_them(world: World) -> None:
    page = await world.browser(Role.UTILITY).text("/consortium/contracts")
    assert "z-1" in page
    table = await (await world.browser(Role.UTILITY).get("/api/v1/consortium/contracts")).get_json()
    assert table["rows"] == [["p2p_call_auction/1", PIN, 0, "yes", "yes", "z-1", 1]]


async def test_blocks_are_listed_with_kinds_in_words_and_their_lag(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    page = await browser.text("/blocks")
    assert "clock advance, reading batch × 3" in page
    assert 'href="/blocks?to_height=2"' in page
    table = await (await browser.get("/api/v1/blocks")).get_json()
    kinds = "clock/advance 1, metering/reading_batch 3"
    assert table["rows"][0] == [7, NOW_S, 4, kinds, 1, 0, 4, None, 0]
    assert table["rows"][3] == [4, NOW_S, 4, kinds, 1, 0, 4, 5, 1]


async def test_a_block_is_found_by_its_height_or_by_a_transaction_and_else_the_page_says_no(world: World) -> None:
    world.node.answers[f"transactions/{ID}"] = {"id": ID, "height": 5, "position": 0, "code": 0, "name": "ACCEPTED"}
    browser = world.browser(Role.REGULATOR)
    for find, address in (("3", "/blocks/3"), (f" {ID.upper()} ", "/blocks/5")):
        response = await browser.get("/blocks", query_string={"find": find})
        assert (response.status_code, response.headers["Location"]) == (303, address)
    for find in ("8", "0", "x", "cd" * 32):
        assert "nothing found" in await browser.text(f"/blocks?find={find}")
