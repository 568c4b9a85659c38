"""``/households/<party>/payments``: what is owed, what may still be ordered for, and what was paid; a household sees its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from ledger.client import NodeUnreachable
from tests.unit.web.household_world import NEIGHBOUR, PARTY, START_S, household, household_world
from tests.unit.web.web_world import World

PAGE = f"/households/{PARTY}/payments"
UNKNOWN = "cannot be read now: it may be that not all of it is due"


def paid_world(tmp_path: Path, **credit: Any) -> World:
    world = household_world(tmp_path)
    world.node.answers["credit"] = {
        "party": PARTY, "area": "A1", "credit_nano": 50 * 10**9, "held_nano": 126 * 10**6, "owes_nano": 3 * 10**9, "shares_points": False, **credit
    }  # fmt: skip
    world.node.answers["payments"] = {
        "party": PARTY,
        "payments": [
            {"point": "P-1", "amount_nano": amount, "ground": ground, "reference": "ab" * 32, "signer": "util", "time_s": START_S, "height": at}
            for at, (ground, amount) in enumerate((("received", 5 * 10**9), ("paid_out", 10**9)), 7)
        ],
    }  # fmt: skip
    world.node.answers["disputes"] = {"disputes": [], "next": None}
    return world


async def test_what_is_contested_of_slots_is_not_due_and_the_credit_limit_counts_it(tmp_path: Path) -> None:
    world = paid_world(tmp_path)
    of = {"party": PARTY, "month": None, "is_closed": False}
    others = [{**of, "is_closed": True}, {**of, "month": "2026-10"}, {**of, "party": NEIGHBOUR}]
    contested = [{**of, "amount_nano": 4 * 10**8}, {**of, "amount_nano": -(10**8)}]
    disputes = [*contested, *({**one, "amount_nano": 10**9} for one in others)]
    world.node.answers["disputes"] = {"disputes": disputes, "next": None}
    page = await household(world).text(PAGE)
    said = ["Of it disputed, not due", "0.4000", "the credit limit counts it", "Due now", "2.6000", "46.874"]
    assert [one for one in said if one not in page] == []
    chinese = await household(world, "zh_CN").text(PAGE)
    assert "计入信用额度" in chinese


async def test_where_disputes_cannot_be_read_the_page_says_that_not_all_may_be_due(tmp_path: Path) -> None:
    world = paid_world(tmp_path)

    def silent(**_asked: Any) -> Any:
        raise NodeUnreachable("http://127.0.0.1:1: no answer")

    world.node.answers["disputes"] = silent
    page = await household(world).text(PAGE)
    said = ["You owe", "3.0000", UNKNOWN, "the ledger node, which is away since"]
    assert [one for one in said if one not in page] == []
    assert "Due now" not in page
    assert "可能并非全部应付" in await household(world, "zh_CN").text(PAGE)


async def test_a_household_reads_what_it_owes_and_what_new_orders_may_cost(tmp_path: Path) -> None:
    world = paid_world(tmp_path)
    page = await household(world).text(PAGE)
    assert "You owe" in page
    assert UNKNOWN not in page
    assert "46.874" in page
    assert page.index("paid to the party") < page.index("paid by the party")
    assert "/blocks/" not in page, "a household may not open blocks"
    chinese = await household(world, "zh_CN").text(PAGE)
    assert "您欠" in chinese


@pytest.mark.parametrize(
    ("credit", "words"),
    [
        (
            {"owes_nano": -(2 * 10**9), "credit_nano": 0},
            ["You have in credit", "none: what is ordered has been paid before", "1.874"],
        ),
        ({"credit_nano": None}, ["without bound"]),
        ({"owes_nano": 60 * 10**9}, ["New orders may cost at most", "<strong>0.00"]),
    ],
)
async def test_a_balance_is_told_in_words_whatever_its_sign_and_bound(
    tmp_path: Path, credit: dict[str, Any], words: list[str]
) -> None:
    page = await household(paid_world(tmp_path, **credit)).text(PAGE)
    assert [one for one in words if one not in page] == []


async def test_of_a_node_that_does_not_say_whether_points_are_shared_the_own_slots_are_told(tmp_path: Path) -> None:
    world = paid_world(tmp_path)
    del world.node.answers["credit"]["shares_points"]
    world.node.answers["areas/A1/payments"] = {"payments": [], "next": None}
    page = await household(world).text(PAGE)
    assert ["own slots since the first" in page, "3.0000" in page] == [True, False]


async def test_who_may_open_blocks_is_led_to_those_of_the_payments(tmp_path: Path) -> None:
    assert "/blocks/7" in await paid_world(tmp_path).browser(Role.UTILITY).text(PAGE)


async def test_nobody_reads_the_payments_of_a_neighbour(tmp_path: Path) -> None:
    browser = household(paid_world(tmp_path))
    for path in (f"/households/{NEIGHBOUR}/payments", f"/api/v1/households/{NEIGHBOUR}/payments"):
        assert (await browser.get(path)).status_code == 403


async def test_a_party_without_payments_is_told_so(tmp_path: Path) -> None:
    world = paid_world(tmp_path)
    world.node.answers["payments"] = {"party": PARTY, "payments": []}
    assert "No payment is recorded yet." in await world.browser(Role.UTILITY).text(PAGE)
