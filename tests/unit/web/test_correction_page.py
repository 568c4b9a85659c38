"""The page on which a utility answers for what a meter showed: its registers around a boundary, and what is passed on."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.content import Content
from gridcore.transactions.dispute_step import DisputeAnswer
from gridweb import format as forms
from gridweb.access import Role
from gridweb.pages.correcting import ANSWERS
from tests.unit.web.household_world import METER, METER_CODE, PARTY, RATIO, SLOT_S, START_S, household, household_world
from tests.unit.web.test_dispute_pages import form_of, submission
from tests.unit.web.test_orders_page import post
from tests.unit.web.web_world import NOW_S, World

BOUNDARY_S = START_S + SLOT_S
PAGE = f"/meters/{METER_CODE}/correction"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A meter behind a transformer of ratio 2, whose register is missing at one boundary: the ledger set it aside."""
    world = household_world(tmp_path)

    def registers(boundary_s: int, party: str) -> dict[str, Any]:
        assert party == PARTY
        there = boundary_s != BOUNDARY_S
        energies = {"import_wh": RATIO * boundary_s if there else None, "export_wh": 0 if there else None}
        row: dict[str, Any] = {
            "meter": METER_CODE,
            **energies,
            "quality": "measured" if there else "missing",
            "flags": [],
        }
        return {"registers": [row], "next": None}

    batch = {"gateway": "GW-1", "epoch": 1, "counter": 4, "boundary_s": BOUNDARY_S}
    rows = [{"row": 0, "meter": METER, "code": int(Code.ROW_EXCEEDS_LIMIT), "name": "ROW_EXCEEDS_LIMIT"}]
    world.node.answers |= {
        f"meters/{METER_CODE}": {"meter": METER_CODE, "area": "A1"},
        "areas/A1/registers": registers,
        "exceptions": {"exceptions": [batch | {"rows": rows}], "next": None},
    }
    return world


def approval(**changes: Any) -> Content:
    """What a utility signs."""
    fields: dict[str, Any] = {"boundary_s": BOUNDARY_S, "installation": METER, "reason": "read at the meter"}
    return ApproveReading(client_id=bytes(16), valid_until_s=NOW_S, **(fields | {"registers": [1_700, 0]} | changes))


async def test_the_registers_around_a_boundary_are_shown_as_the_meter_shows_them(world: World) -> None:
    browser = world.browser(Role.UTILITY)
    table = await (await browser.get(f"/api/v1/meters/{METER_CODE}/registers?boundary={BOUNDARY_S}")).get_json()
    assert table["rows"] == [
        [START_S, START_S, 0, "measured"],
        [BOUNDARY_S, None, None, "missing"],
        [BOUNDARY_S + SLOT_S, BOUNDARY_S + SLOT_S, 0, "measured"],
    ]
    page = await browser.text(f"{PAGE}?boundary={BOUNDARY_S}")
    assert "not accepted: more energy than the connection can carry" in page
    (fixed,) = re.findall(r'data-fixed="([^"]*)"', form_of(page))
    assert json.loads(html.unescape(fixed)) == {"boundary_s": BOUNDARY_S, "installation": METER}


async def test_only_a_utility_has_the_form_and_only_its_acts_are_passed_on(world: World) -> None:
    for role in (Role.REGULATOR, Role.ADMINISTRATOR):
        assert form_of(await world.browser(role).text(f"{PAGE}?boundary={BOUNDARY_S}")) == ""
        assert (await post(world.browser(role), submission(approval(), "u", None), PAGE)).status_code == 403
    assert (await household(world).get(PAGE)).status_code == 403
    assert (await post(household(world), submission(approval(), PARTY, None), PAGE)).status_code == 403
    assert world.node.submitted == []


@pytest.mark.parametrize("code", [Code.ACCEPTED, Code.NOTHING_TO_APPROVE, Code.GATE_CLOSED])
async def test_signed_registers_are_passed_on_byte_by_byte_and_the_answer_is_in_words(world: World, code: Code) -> None:
    world.node.submit_code = code
    body = submission(approval(), "u", None)
    answer = await (await post(world.browser(Role.UTILITY), body, PAGE)).get_json()
    assert world.node.submitted == cbor.decode(body)
    assert answer["is_taken"] is (code is Code.ACCEPTED)
    assert answer["words"] == ANSWERS.get(code, "The ledger refuses it.")
    assert answer["next"] == f"/slots/A1/{START_S}#run"


async def test_a_correction_that_waits_for_ledger_time_is_told_with_its_date(world: World) -> None:
    due_s = NOW_S + 900
    coming = {"run_type": "correction", "due_s": due_s, "has_changed": True}
    world.node.answers[f"areas/A1/slots/{START_S}/runs"] = {"runs": [], "next_run": coming}
    answer = await (await post(world.browser(Role.UTILITY), submission(approval(), "u", None), PAGE)).get_json()
    area = await world.site.source.area("A1")
    assert answer["words"].startswith(
        "The register counts, and the slots around it are settled anew. What has changed waits"
    )
    assert f"reaches {forms.instant(due_s, area.tz)}." in answer["words"]


@pytest.mark.parametrize(
    "body",
    [
        submission(approval(installation=METER + 1), "u", None),
        submission(approval(boundary_s=BOUNDARY_S + 1), "u", None),
        submission(approval(boundary_s=NOW_S + SLOT_S), "u", None),
        submission(approval(boundary_s=2**40), "u", None),
        submission(approval(), "u", "words"),
        submission(
            DisputeAnswer(
                client_id=bytes(16), valid_until_s=0, dispute=bytes(32), outcome="agreed", statement=bytes(32)
            ),
            "u",
        ),
        b"",
    ],
    ids=["another meter's", "no boundary", "to come", "far away", "words", "another kind", "empty"],
)
async def test_registers_of_another_meter_or_at_no_boundary_are_refused_and_not_passed_on(
    world: World, body: bytes
) -> None:
    assert (await post(world.browser(Role.UTILITY), body, PAGE)).status_code == 400
    assert world.node.submitted == []


@pytest.mark.parametrize("boundary", [BOUNDARY_S + 1, -900, NOW_S + SLOT_S, 10**30, 0])
async def test_an_instant_that_is_no_boundary_is_refused(world: World, boundary: int) -> None:
    assert (await world.browser(Role.UTILITY).get(f"{PAGE}?boundary={boundary}")).status_code == 400


async def test_the_energy_of_a_slot_that_nobody_measured_becomes_the_register_behind_it(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"{PAGE}?boundary={BOUNDARY_S}&energy_import=2.5")
    register_wh = START_S + 2_500 // RATIO
    assert (
        f'data-field="import" data-unit="kwh" inputmode="decimal" autocomplete="off" value="{register_wh / 1000:.3f}"'
        in page
    )
    assert 'data-field="export" data-unit="kwh" inputmode="decimal" autocomplete="off" value="0.000"' in page
    assert 'value="substitute: "' in page
    assert "The register below follows from the stated energy." in page


async def test_a_slot_without_a_register_at_its_start_has_no_substitute_and_it_is_said(world: World) -> None:
    page = await world.browser(Role.UTILITY).text(f"{PAGE}?boundary={BOUNDARY_S + SLOT_S}&energy_import=1")
    assert "No register is known where that slot begins" in page
    assert 'value="substitute: "' not in page


@pytest.mark.parametrize("energy", ["-1", "1.2345", "1e3", "1,5", "x", "9" * 10, "%EF%BC%91"])
async def test_an_energy_that_is_none_is_refused(world: World, energy: str) -> None:
    answer = await world.browser(Role.UTILITY).get(f"{PAGE}?boundary={BOUNDARY_S}&energy_import={energy}")
    assert answer.status_code == 400
    assert "kWh from 0 on" in await answer.get_data(as_text=True)


async def test_an_energy_that_goes_beyond_the_next_register_fills_nothing_in_and_it_is_said(world: World) -> None:
    most_wh = 2 * SLOT_S * RATIO
    at, beyond = (f"{wh // 1000}.{wh % 1000:03}" for wh in (most_wh, most_wh + RATIO))
    page = await world.browser(Role.UTILITY).text(f"{PAGE}?boundary={BOUNDARY_S}&energy_import={at}")
    assert 'value="substitute: "' in page
    page = await world.browser(Role.UTILITY).text(f"{PAGE}?boundary={BOUNDARY_S}&energy_import={beyond}")
    assert "That goes 0.002 kWh beyond the next register that is known: state less." in page
    assert 'value="substitute: "' not in page
