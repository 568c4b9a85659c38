"""``gridledger order`` against a node: orders, ramps and standing rules out of a file, withdrawn, listed and refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from gridcore.signers import save_key
from gridledger.cli import main
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.keys import key
from tests.worlds.nodes import RunningNode, running_node, submit_all

SECOND_S: Final = FIRST_S + SLOT_S
FILE: Final = f"""area = "a-1"

[[order]]
slot_start_s = {FIRST_S}
counter = 1
side = "buy"
quantity_wh = 300
price_micro_per_kwh = 300000
last_price_micro_per_kwh = 400000
steps = 3

[[order]]
slot_start_s = {FIRST_S}
counter = 9
side = "sell"
quantity_wh = 5
price_micro_per_kwh = 350000

[[profile]]
slot_start_s = {SECOND_S}
end_s = {SECOND_S + 2 * SLOT_S}
counter = 1

[[profile.part]]
side = "buy"
price_micro_per_kwh = 300000
quantities_wh = [100]
"""
RULE: Final = """side = "buy"
price_micro_per_kwh = 300000
quantities_wh = [100]
"""
CONDITION: Final = """[[profile.part.condition]]
price_micro_per_kwh = 300000
quantities_wh = [50]
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The household's key as the command line names it."""
    (tmp_path / "password").write_text("correct horse")
    (tmp_path / "password").chmod(0o600)
    save_key(tmp_path / "p-1.pem", key("p-1"), b"correct horse")
    second = f"[[profile]]\nslot_start_s = {SECOND_S}\nend_s = {SECOND_S + SLOT_S}\ncounter = 7\n[[profile.part]]\n{CONDITION}"
    (tmp_path / "orders.toml").write_text(FILE + second)
    return ["--signer", "p-1", "--key", f"file:{tmp_path / 'p-1.pem'}", "--password", f"file:{tmp_path / 'password'}"]


async def order(node: RunningNode, words: list[str], action: str, *more: str) -> int:
    """Run the command in a thread of its own, as a process would."""
    return await asyncio.to_thread(main, ["order", action, "--url", node.url, *words, *more])


async def test_a_household_places_what_its_file_says_lists_and_withdraws_it(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    of_slot = ["--area", "a-1", "--slot", str(FIRST_S)]
    async with running_node(tmp_path / "ledger") as node:
        assert await order(node, words, "place", str(tmp_path / "orders.toml")) == 1
        ramp, crossing, rule, preferring = capsys.readouterr().out.splitlines()
        assert ramp.startswith(f"order {FIRST_S}/1 buy 300 Wh: stands in block ")
        assert crossing.startswith(f"order {FIRST_S}/9 sell 5 Wh: refused, 71 CROSSES_OWN: it could trade with an own")
        assert rule.startswith(f"profile {SECOND_S}/1 until {SECOND_S + 2 * SLOT_S}: stands in block ")
        assert "refused, 10 NOT_CANONICAL: not of a form that the ledger knows: a standing rule has cond" in preferring
        assert await order(node, words, "cancel", *of_slot, "--counter", "2", "--counter", "3", "--json") == 0
        assert json.loads(capsys.readouterr().out)["results"][0]["name"] == "ACCEPTED"
        assert await order(node, words, "list", *of_slot) == 0
        assert capsys.readouterr().out == f"p-1/{FIRST_S}/1  buy        100 Wh at 300000 micro/kWh\n"
        end = ["--area", "a-1", "--slot", str(SECOND_S), "--counter", "1"]
        assert await order(node, words, "end", *end) == 0
        assert await order(node, words, "end", *end) == 1
        assert "refused, 79 NO_SUCH_ORDER" in capsys.readouterr().out


async def test_orders_of_a_standing_rule_are_listed_when_the_gate_has_closed(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    of_slot = ["--area", "a-1", "--slot", str(SECOND_S)]
    async with running_node(tmp_path / "ledger") as node:
        await order(node, words, "place", str(tmp_path / "orders.toml"))
        assert await order(node, words, "list", *of_slot) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "no orders"
        await submit_all(node.client(), [[wire] for wire in node.sender().clocks(SECOND_S - 300)])
        assert await order(node, words, "list", *of_slot) == 0
        line = f"p-1/{SECOND_S}/1  buy        100 Wh at 300000 micro/kWh, got 0 Wh\n"
        assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("steps = 3", "steps = 17", "steps"),
        ("steps = 3\n", "", "order 1: steps and last_price_micro_per_kwh make a ramp together"),
        ("counter = 9", "counter = 9\nreplaces = [3, 2]", "order 2: replaces: counters from 1 to 16, ascending"),
        ("counter = 9", "counter = 9\nquantity = 1", "quantity"),
        ('side = "sell"\n', "", "order 2: side, quantity_wh and price_micro_per_kwh, or [[order.condition]] instead"),
        (
            "price_micro_per_kwh = 350000",
            "price_micro_per_kwh = 350000\n[[order.condition]]\nenergy_wh = 5\nprice_micro_per_kwh = 1",
            "order 2: side: an order with conditions has none; each condition says what it buys",
        ),
        (
            'side = "sell"\nquantity_wh = 5\nprice_micro_per_kwh = 350000',
            '[[order.condition]]\nenergy_wh = 5\nprice_micro_per_kwh = 1\nenergy_kind = "sun"',
            "energy_kind",
        ),
        ("steps = 3", "steps = 3\nall_or_none = true", "order 1: all_or_none is of one order, not of a ramp"),
        ('side = "sell"', 'side = "lend"', "side"),
        ("quantities_wh = [100]", "quantities_wh = [0]", "profile 1: part 1: quantities_wh: 0 to 100000000, not all 0"),
        ("quantities_wh = [100]", "quantities_wh = []", "quantities_wh"),
        (
            RULE,
            f"{RULE}\n{CONDITION}",
            "profile 1: part 1: side: a part with conditions has none; each condition says what it buys",
        ),
        (
            RULE,
            "",
            "part 1: side, price_micro_per_kwh and quantities_wh, or [[profile.part.condition]] instead of them",
        ),
        (
            RULE,
            CONDITION.replace("50", "0"),
            "profile 1: part 1: condition 1: quantities_wh: 0 to 100000000, not all 0",
        ),
        (RULE, f'{CONDITION}\nseller = "H 2"', "condition 1: seller: 'H 2' is no name of a party"),
        (RULE, f'{CONDITION}\nenergy_kind = "sun"', "energy_kind"),
        (RULE, "\n".join([CONDITION] * 5), "condition"),
        (FILE, 'area = "a-1"', "no [[order]] and no [[profile]]"),
    ],
)
def test_a_file_that_says_something_else_is_one_line(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str], before: str, after: str, says: str
) -> None:
    path = tmp_path / "orders.toml"
    path.write_text(FILE.replace(before, after))
    assert main(["order", "place", str(path), "--url", "http://127.0.0.1:1", *words]) == 2
    error = capsys.readouterr().err
    assert (error.count("\n"), says in error, str(path) in error) == (1, True, True), error
