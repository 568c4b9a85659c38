"""``/households/<party>/payments``: what is owed, what may still be ordered for, and what was paid; a household sees its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridweb.access import Role
from gridweb.pages import payments
from ledger.client import NodeRefused, NodeUnreachable
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


# ------------------------------------------------------------------------------------------------------ of an area

AREA_PAGE = "/payments?area=A1&month=2024-06"


def recorded(count: int) -> list[dict[str, Any]]:
    """Payments of the area as the node has them, in the order of their blocks: each third one was paid out."""
    of = {"point": "P-1", "reference": "ab" * 32, "signer": "util", "transaction": "cd" * 32, "time_s": START_S}
    return [
        {**of, "party": f"H{at % 7:03}", "amount_nano": 10**9 + at, "ground": "paid_out" if at % 3 == 0 else "received", "height": at + 1}
        for at in range(count)
    ]  # fmt: skip


def area_world(tmp_path: Path, count: int) -> World:
    """The payments of June 2024, 4,096 in an answer of the node."""
    world, of_month = household_world(tmp_path), recorded(count)

    def answer(*, from_s: int, until_s: int, start: int = 0) -> dict[str, Any]:
        found = [paid for paid in of_month if from_s <= paid["time_s"] < until_s]
        following = start + 4_096 if start + 4_096 < len(found) else None
        return {"area": "A1", "payments": found[start : start + 4_096], "next": following}

    world.node.answers["areas/A1/payments"] = answer
    return world


async def test_thousands_of_payments_stand_on_pages_of_200_rows_the_last_one_first(tmp_path: Path) -> None:
    browser = area_world(tmp_path, 5_000).browser(Role.REGULATOR)
    page = await browser.text(AREA_PAGE)
    assert ("/blocks/5000" in page, "/blocks/4801" in page, "/blocks/4800" in page) == (True, True, False)
    assert "200 of 5000 rows that were found, of 5000; the files have all." in page
    assert ("Next rows" in page, "Previous rows" in page) == (True, False)
    second = await browser.text(f"{AREA_PAGE}&A1-payments-2024-06-start=200")
    assert ("/blocks/4800" in second, "Previous rows" in second) == (True, True)
    least = await browser.text(f"{AREA_PAGE}&A1-payments-2024-06-sort=height")
    assert ("/blocks/1<" in least or '/blocks/1"' in least, "/blocks/5000" in least) == (True, False)
    held = await browser.text(f"{AREA_PAGE}&contains=H003")
    assert "200 of 714 rows that were found, of 5000" in held
    table = await (await browser.get("/api/v1/areas/A1/payments?month=2024-06")).get_json()
    owed = [paid["amount_nano"] * (1 if paid["ground"] == "paid_out" else -1) for paid in recorded(5_000)]
    assert (len(table["rows"]), table["totals"][4]) == (5_000, sum(owed))
    assert "No payment is recorded yet." in await browser.text("/payments?area=A1&month=2024-07")


async def test_at_the_limit_all_payments_are_shown_with_their_sum_and_of_more_the_first_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = area_world(tmp_path, 2 * 4_096).browser(Role.UTILITY)
    monkeypatch.setattr(payments, "PAYMENTS_MAX", 2 * 4_096)
    whole = await (await browser.get("/api/v1/areas/A1/payments?month=2024-06")).get_json()
    monkeypatch.setattr(payments, "PAYMENTS_MAX", 4_096)
    part = await (await browser.get("/api/v1/areas/A1/payments?month=2024-06")).get_json()
    assert (len(whole["rows"]), whole["totals"] is None, len(part["rows"]), part["totals"]) == (
        8_192,
        False,
        4_096,
        None,
    )
    assert "The first 4,096 payments of the month." in await browser.text(AREA_PAGE)


async def test_a_month_whose_payments_the_node_lacks_says_why_and_is_no_export(tmp_path: Path) -> None:
    world = area_world(tmp_path, 1)

    def behind_a_snapshot(**_asked: Any) -> Any:
        raise NodeRefused("GET: not there", 404, "this ledger began with the snapshot of height 9")

    world.node.answers["areas/A1/payments"] = behind_a_snapshot
    browser = world.browser(Role.UTILITY)
    assert "this ledger began with the snapshot of height 9" in await browser.text(AREA_PAGE)
    form = {"content": "payments", "area": "A1", "month": "2024-06", "format": "csv"}
    assert (await browser.post("/exports", form)).status_code == 303
    (job,) = world.site.exports.of("utility-x")
    assert job.task is not None
    await job.task
    assert job.state == "failed"
    await world.site.exports.close()


async def test_a_household_does_not_read_the_payments_of_an_area(tmp_path: Path) -> None:
    browser = household(area_world(tmp_path, 1))
    assert [(await browser.get(path)).status_code for path in (AREA_PAGE, "/api/v1/areas/A1/payments")] == [403, 403]


async def test_more_payments_of_a_party_than_a_page_has_are_on_the_next(tmp_path: Path) -> None:
    world = paid_world(tmp_path)
    world.node.answers["payments"] = {"party": PARTY, "payments": [{**paid, "party": PARTY} for paid in recorded(201)]}
    browser = world.browser(Role.UTILITY)
    first, second = [await browser.text(f"{PAGE}?{PARTY}-payments-start={start}") for start in (0, 200)]
    assert ('href="/blocks/1"' in first, 'href="/blocks/1"' in second) == (False, True)
    assert 'href="/payments?area=A1"' in first
