"""What homes of each strategy, and of each named group, came to: a table of ``report.html``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gridcore.report.markup import Cell, Text, number, paragraph, say, section, table
from gridledger.simulating.settled import PartyRow
from gridledger.simulating.world_files import trader_rows
from simulators.grid.world import World
from simulators.scenarios.schema import FORECAST, GREEDY, STRATEGIES, ZERO_INTELLIGENCE

_NANO: Final = 10**9
_WORDS: Final[Mapping[str, Text]] = {
    ZERO_INTELLIGENCE: Text("limit drawn at random", "随机报价"),
    FORECAST: Text("limit by yesterday's scarcity", "按前一日供需报价"),
    GREEDY: Text("limit that trades most surely", "以成交为先报价"),
}


def strategies_section(world: World, parties: Sequence[PartyRow], currency: str) -> str:
    """What homes of each strategy and group bought, sold and saved; nothing where all have one."""
    rows = trader_rows(world)
    if not rows:
        return ""
    of_party = {party.party: party for party in parties}
    found: dict[tuple[str, str], list[PartyRow]] = {}
    for party, strategy, group in rows:
        found.setdefault((strategy, group), []).append(of_party[party])
    heads = [
        (Text("Strategy", "策略"), False),
        (Text("Homes", "户数"), True),
        (Text("Bought, kWh", "购入（kWh）"), True),
        (Text("Sold, kWh", "售出（kWh）"), True),
        (Text(f"Saved, {currency}", f"节省（{currency}）"), True),
        (Text(f"Saved by each, {currency}", f"户均节省（{currency}）"), True),
    ]
    order = sorted(found, key=lambda key: (STRATEGIES.index(key[0]), key[1]))
    title = Text("What each strategy saves", "各策略节省金额")
    what = Text("traders.csv has the strategy and group of each home.", "各户的策略和分组见 traders.csv。")
    return section(title, table(heads, [_row(*key, found[key]) for key in order]), paragraph(what))


def _row(strategy: str, group: str, homes: Sequence[PartyRow]) -> list[Cell]:
    bought_wh, sold_wh = (sum(getattr(home, name) for home in homes) for name in ("bought_wh", "sold_wh"))
    saved = sum(home.supplier_only_nano - home.pays_nano for home in homes) / _NANO
    numbers = (bought_wh / 1000, sold_wh / 1000, saved, saved / len(homes))
    words = _WORDS[strategy]
    named = Text(f"{words.en}: {group}", f"{words.zh}：{group}") if group else words
    return [Cell(say(named)), number(f"{len(homes):,}"), *(number(f"{value:,.2f}") for value in numbers)]
