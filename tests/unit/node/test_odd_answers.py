"""One odd JSON answer of a node: whoever asked refuses it in one line, and goes on with the next answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge.clocks import LedgerBoundaries
from edge.meters import SamplePolicy
from edge.standing import fetch_standing
from edge.submit import Outcome, Submitter
from gridledger.cli import main
from gridseries.embedded import EmbeddedSeries
from gridseries.projection import Projector
from gridweb.source import SourceBusy
from ledger.client import AnswerMalformed, Client
from tests.unit.edge_agent.edge_world import FIRST_S, SLOT_S, new_outbox, trusted
from tests.unit.timeseries.projection_world import running
from tests.unit.web.web_world import make_world
from tests.waiting import until
from tests.worlds.false_node import ODD, STATUS, answering, http, odd

ANSWER = {
    "id": "ab" * 32,
    "code": 3,
    "name": "NODE_BUSY",
    "retry": True,
    "height": None,
    "waiting_for": None,
    "other_history": False,
    "rows": [],
}
AREAS: dict[str, Any] = {"areas": [], "contracts": [], "next": None}
every_form = pytest.mark.parametrize("form", ODD)


@every_form
async def test_a_command_ends_with_one_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with answering(lambda _: http(odd(form, STATUS, "height"))) as url:
        status = await asyncio.to_thread(main, ["node", "status", "--url", url, "--log-level", "error"])
    said = capsys.readouterr().err
    assert status == 1
    assert "does not answer like a GridLedger node" in said
    assert said.count("\n") == 1
    assert len(said) < 400


@every_form
@pytest.mark.parametrize("field", STATUS)
async def test_no_field_of_a_status_may_be_odd(form: str, field: str) -> None:
    async with answering(lambda _: http(odd(form, STATUS, field))) as url, Client(url) as client:
        with pytest.raises(AnswerMalformed):
            await client.status()


@every_form
async def test_an_agent_samples_on_after_an_odd_clock(form: str) -> None:
    clock = {"ledger_time_s": FIRST_S}
    answers = [odd(form, clock, "ledger_time_s"), json.dumps(clock).encode()]
    async with (
        answering(lambda _: http(answers.pop(0) if len(answers) > 1 else answers[0])) as url,
        Client(url) as client,
    ):
        boundaries = LedgerBoundaries(client, SamplePolicy(slot_s=SLOT_S))
        async with asyncio.timeout(10):
            assert await boundaries.next_boundary(-1) == FIRST_S


@every_form
async def test_an_agent_keeps_its_batches_over_an_odd_answer_to_them(form: str, tmp_path: Path) -> None:
    answers = {"answers": [ANSWER]}
    inner = odd(form, ANSWER, "code")
    outbox = new_outbox(tmp_path / "o", 1)
    for body in (odd(form, answers, "answers"), b'{"answers": [%s]}' % inner):
        async with answering(lambda _, body=body: http(body)) as url, Client(url) as client:  # type: ignore[misc]  # a default binds the loop's value
            submitter = Submitter(client, outbox, trust=trusted())
            assert await submitter.submit_once() is Outcome.RETRY
    assert outbox.depth == 1


@every_form
async def test_the_projection_says_so_and_asks_again(form: str, tmp_path: Path) -> None:
    said: list[tuple[str, str | None]] = []
    series = EmbeddedSeries(tmp_path / "series.db", 16)
    async with (
        answering(lambda head: http(STATUS if b"/status" in head else odd(form, AREAS, "areas"))) as url,
        Client(url) as client,
        running(Projector(client, series, on_health=lambda *one: said.append(one))),
    ):
        await until(lambda: sum(name == "projection" and reason is not None for name, reason in said) >= 2)
    await series.close()


@every_form
@pytest.mark.parametrize("field", ["epoch", "counter", "last", "last_boundary_s"])
async def test_no_field_of_a_gateway_s_standing_may_be_odd(form: str, field: str) -> None:
    standing = {"epoch": 1, "counter": 0, "last": "00" * 32, "last_boundary_s": -1}
    async with answering(lambda _: http(odd(form, standing, field))) as url, Client(url) as client:
        with pytest.raises(AnswerMalformed):
            await fetch_standing(client, "gw-1")


async def test_a_page_shows_an_odd_answer_as_a_part_that_is_not_there_now(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    for form in ("nested deeply", "half of a surrogate pair", "infinity", "a key given twice", "not UTF-8"):
        world.node.answers["areas"] = odd(form, AREAS, "areas")
        with pytest.raises(SourceBusy, match="no JSON where JSON is expected"):
            await world.site.source.cached("areas")


async def test_pages_of_a_list_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.node.answers["gateways"] = {"gateways": [], "next": 0}
    with pytest.raises(SourceBusy, match="is followed by the one from row 0"):
        await world.site.source.pages("gateways")
