"""Pages of an area whose orders trade in pairs: lines without one price, the trades behind them, the slot and its book."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest

from gridweb.access import Role
from ledger.trust import trust_of
from tests.unit.web.ledger_world import ledger_world
from tests.worlds.consortium import FIRST_S
from tests.worlds.pairs import CONTINUOUS, PAIRS, SHOP_NANO, one_continuous_slot, one_paired_slot


async def test_pages_show_the_trades_behind_a_line_and_that_a_gate_has_no_one_price(tmp_path: Path) -> None:
    async with ledger_world(tmp_path, consortium=PAIRS, is_settled=False) as world:
        await world.submit(*one_paired_slot(world.sender))
        world.web.site.config.trust.write_text(json.dumps(trust_of(PAIRS.genesis)))
        clerk, line = world.web.browser(Role.UTILITY), f"/households/shop/lines/{FIRST_S}/trade_buy"
        page = unescape(await clerk.text(line)).replace("\N{NO-BREAK SPACE}", " ")
        for words in (
            "each trade has a price of its own",
            "its amount is what the party's trades come to",
            "400 Wh × 440000 µCNY/kWh = 176000000 nCNY",
            "by their numbers those that the party traded with",
        ):
            assert words in page, words
        assert "no neighbour is named" not in page
        trades = (await (await clerk.get(f"/api/v1{line}/trades")).get_json())["rows"]
        assert [row[1:] for row in trades] == [
            ["buy", 400, 440_000, 400 * 440_000],
            ["buy", 100, 440_000, 100 * 440_000],
        ]
        assert sum(row[-1] for row in trades) == SHOP_NANO
        chinese = world.web.browser(Role.UTILITY, language="zh_CN")
        assert "每笔成交各有其价" in await chinese.text(line)


@pytest.mark.parametrize("is_continuous", [False, True])
async def test_the_slot_page_shows_book_and_money_of_trades(tmp_path: Path, is_continuous: bool) -> None:
    consortium, slot = (CONTINUOUS, one_continuous_slot) if is_continuous else (PAIRS, one_paired_slot)
    async with ledger_world(tmp_path, consortium=consortium, is_settled=False) as world:
        await world.submit(*slot(world.sender))
        clerk = world.web.browser(Role.UTILITY)
        page = unescape(await clerk.text(f"/slots/a-1/{FIRST_S}"))
        assert "Bought from the neighbourhood" in page
        assert "Merit order" in page
