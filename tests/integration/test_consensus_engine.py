"""The machine under the real engine: what several validators decide, certify and answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.header import check_receipt, decode_receipt
from gridcore.light.state import LightState
from gridcore.light.trusted import advance, begin
from gridcore.verify import VERIFIED
from gridledger.light.checking import check_bytes
from ledger.engines.cometbft.program import INSTALLED_BY
from ledger.light import steps
from tests.external import find_program, needs
from tests.waiting import until
from tests.worlds.feeders import batches
from tests.worlds.validators import Node, all_running, homes

pytestmark = [*needs("cometbft", INSTALLED_BY), pytest.mark.slow]
NAMES = ("operator", "north", "south", "west")


PROGRAMS = [name for name in ("cometbft", "cometbft-0.39") if find_program(name)] or ["cometbft"]
"""The engine in use, and the next line where ``make cometbft-next`` has put it."""


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return find_program(request.param) or ""


def state_roots(node: Node, height: int) -> list[bytes]:
    return [node.ledger.header(one).state_root for one in range(1, height + 1)]


async def test_what_one_validator_decides_is_certified_before_it_is_acknowledged(tmp_path: Path, program: str) -> None:
    with homes(tmp_path, program, NAMES[:1]) as [home]:
        wires = batches("gw-1", 3, consortium=home.consortium)
        async with home.running() as node:
            outcomes = await node.engine.submit(wires)
            assert [outcome.code for outcome in outcomes] == [Code.ACCEPTED] * 3
            height = max(outcome.height or 0 for outcome in outcomes)
            assert 0 < height <= node.ledger.certified_height
            genesis = home.consortium.genesis
            receipt = decode_receipt(node.ledger.receipt(outcomes[-1].id) or b"")
            check_receipt(receipt, chain=genesis.chain, digest=receipt.digest, signers=genesis.signers)
            again = await node.engine.submit(wires)
            assert [outcome.code for outcome in again] == [Code.EXISTS] * 3


async def test_four_validators_have_one_state_and_certify_it_together(tmp_path: Path, program: str) -> None:
    with homes(tmp_path, program, NAMES) as made:
        first, second = (batches(name, 8, consortium=made[0].consortium) for name in ("gw-1", "gw-2"))
        async with all_running(made) as nodes:
            answers = await asyncio.gather(nodes[0].engine.submit(first), nodes[2].engine.submit(second))
            assert {answer.code for group in answers for answer in group} == {Code.ACCEPTED}
            height = max(answer.height or 0 for group in answers for answer in group)
            await until(lambda: min(node.ledger.certified_height for node in nodes) >= height)
            roots = [state_roots(node, height) for node in nodes]
            assert roots == roots[:1] * 4
            signed = {node.ledger.certificate_power(one) for node in nodes for one in range(1, height + 1)}
            assert {power.total for power in signed} == {4}
            assert max(power.signed for power in signed) >= 3


async def test_three_of_four_validators_go_on_and_the_fourth_catches_up(tmp_path: Path, program: str) -> None:
    with homes(tmp_path, program, NAMES) as made:
        wires = batches("gw-1", 4, consortium=made[0].consortium)
        async with all_running(made[:3]) as three:
            outcomes = await three[0].engine.submit(wires)
            assert {outcome.code for outcome in outcomes} == {Code.ACCEPTED}
            height = max(outcome.height or 0 for outcome in outcomes)
            await until(lambda: three[1].ledger.certified_height >= height)
            assert three[1].ledger.certificate_power(three[1].ledger.certified_height).signed == 3
            async with made[3].running() as fourth:
                await until(lambda: fourth.ledger.certified_height >= height)
                assert state_roots(fourth, height) == state_roots(three[0], height)


async def test_a_light_client_follows_what_the_engine_decides_and_checks_its_receipts(
    tmp_path: Path, program: str
) -> None:
    with homes(tmp_path, program, NAMES[:1]) as [home]:
        async with home.running() as node:
            ledger, genesis = node.ledger, home.consortium.genesis
            trusted = begin(ledger.chain, ledger.digest(0), genesis.signers)
            for wire in batches("gw-1", 3, consortium=home.consortium):
                (outcome,) = await node.engine.submit([wire])
                for step in steps(ledger, trusted.height, trusted.height):
                    trusted = advance(trusted, step)
                checked = check_bytes(ledger.receipt(outcome.id) or b"", LightState(trusted, ()))
                assert (checked.answer, checked.facts["height"]) == (VERIFIED, outcome.height), checked.reason
            assert 0 < trusted.height <= ledger.certified_height
