"""``report.html`` of a simulated world: energy, prices, money, the grid, readings, and what each event did."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ABSENT_QUALITY, CODE_MASK, ESTIMATED, MEASURED
from gridcore.report.drawing import Flow, Limit, Series, cells, chart, columns, flows, legend
from gridcore.report.markup import ZH_ZONES, Text, facts, number, page, paragraph, section, table, tiles, word
from gridledger.founding.folder import write_new
from gridledger.settling.dataset import LaterPrices
from gridledger.simulating.event_report import event_section
from gridledger.simulating.report_traders import strategies_section
from gridledger.simulating.settled import PartyRow, SettledWorld
from ledger.contract import Contract, Vocabulary
from settlement.catalogue import CATALOGUE
from settlement.contract_kit_1 import CLEARING_ACCOUNT
from simulators.grid.world import RATED_PHASE_V
from simulators.scenarios.schema import SLOT_S

NAME: Final = "report.html"
POINTS_MAX: Final = 384
"""A chart has so many places in time at most: of longer times each is the mean of some slots, of voltages the extreme."""
ROWS_MAX: Final = 40
"""Meters that a chart of cells shows."""
TABLE_ROWS_MAX: Final = 100
_NANO: Final = 10**9
_PER_HOUR: Final = 3600 // SLOT_S
_DAY_SLOTS: Final = 96
_VOLTS_PER_MILLE: Final = (930, 970, 990, 1010, 1030, 1070)
"""Between these, in per mille of the rated voltage, cells have another colour."""

_LOADS_PER_MILLE: Final = (200, 400, 600, 800, 1000)
"""Between these, in per mille of what is carried at most, cells have another colour."""


class Money(NamedTuple):
    """By what was settled. prices: of the rules, in 1e-6 of the currency per kWh, those of the first slot; later: those that came in their place, and
    when; options: that ``simulate run`` takes to make it again, None where the scenario's file does not say it all.
    """

    contract: str
    currency: str
    prices: Mapping[str, int]
    options: str | None = ""
    later: Sequence[LaterPrices] = ()

    def at(self, key: str, slot_start_s: int) -> int:
        """A price in the slot that begins then."""
        held = [entry.prices[key] for entry in self.later if entry.from_s <= slot_start_s]
        return held[-1] if held else self.prices[key]


def write_report(out: Path, settled: SettledWorld, money: Money) -> None:
    """Make it; the same bytes for the same world and settlement."""
    report = _Report(settled, money)
    zone = settled.world.scenario.calendar.time_zone
    content = page(
        Text(settled.world.scenario.title, settled.world.scenario.title),
        Text("SIMULATED", "模拟数据"),
        report.sections(),
        is_zh=zone in ZH_ZONES,
    )
    write_new(out / NAME, content)


class _Report:
    """The sections, in their order."""

    def __init__(self, settled: SettledWorld, money: Money) -> None:
        self.settled, self.money, self.world = settled, money, settled.world
        self.parties = settled.parties()
        self.is_feeder = np.array([meter.role == "feeder" for meter in self.world.meters])
        self.contract: Contract = CATALOGUE[money.contract].contract
        self.vocabulary: Vocabulary = CATALOGUE[money.contract].vocabulary
        self.step = -(-self.world.slots // POINTS_MAX)
        self.places = [slice(at, at + self.step) for at in range(0, self.world.slots, self.step)]
        self.times = [self._local(place.start) for place in self.places]

    def sections(self) -> list[str]:
        """All of them."""
        found = [self._summary(), self._energy(), self._prices(), self._money(), self._homes()]
        if self.contract.takes_orders:
            found.append(strategies_section(self.world, self.parties, self.money.currency))
        found += [
            self._voltages(),
            self._loadings(),
            self._losses(),
            self._violations(),
            self._readings(),
            event_section(self.settled, self._local),
            self._method(),
        ]
        return found

    def _local(self, slot: int) -> str:
        is_long = self.world.slots > 2 * _DAY_SLOTS
        start = datetime.fromtimestamp(
            int(self.world.slot_start_s[0]) + slot * SLOT_S, self.world.scenario.calendar.zone
        )
        return start.strftime("%m-%d %H:%M" if is_long else "%H:%M")

    def _means(self, values: NDArray[np.int64]) -> list[float]:
        """Of int64[slots] the mean of each place in time."""
        return [float(values[place].mean()) for place in self.places]

    def _kw(self, energies_wh: NDArray[np.int64]) -> list[float]:
        return [mean * _PER_HOUR / 1000 for mean in self._means(energies_wh)]

    def _summary(self) -> str:
        world, parties = self.world, self.parties
        traders = set(world.traders)
        trading = [party for party in parties if party.party in traders]
        taken_wh, traded_wh = (sum(getattr(party, name) for party in parties) for name in ("import_wh", "bought_wh"))
        alone = sum(party.supplier_only_nano for party in trading)
        saved = alone - sum(party.pays_nano for party in trading)
        fed_wh = int((_sums(world.import_wh, self.is_feeder) + _sums(world.export_wh, ~self.is_feeder)).sum())
        measured, all_settled = self._measured()
        items = [
            (f"{traded_wh / 1000:,.1f} kWh", Text("traded between neighbours", "邻里间成交电量")),
            (
                _percent(traded_wh, taken_wh),
                Text("as a share of all energy that was taken", "成交电量相当于全部用电量"),
            ),
            (
                f"{saved / _NANO:,.2f} {self.money.currency}",
                Text("less than with the supplier alone", "比只向售电方购电节省"),
            ),
            (_percent(int(world.loss_wh.sum()), fed_wh), Text("lost in lines and transformers", "线路和变压器损耗")),
            (_percent(measured, all_settled), Text("of settled energies were measured", "的结算电量来自实测")),
            (f"{len(world.violations):,}", Text("times beyond a limit of the grid", "次超出电网限值")),
        ]
        first, last = (
            datetime.fromtimestamp(at, world.scenario.calendar.zone).strftime("%Y-%m-%d %H:%M")
            for at in (int(world.boundary_s[0]), int(world.boundary_s[-1]))
        )
        zone = world.scenario.calendar.time_zone
        counts = Text(
            f"{first} – {last} ({zone}): {len(trading):,} homes that trade, {len(world.meters):,} meters, {len(world.areas):,} {'area' if len(world.areas) == 1 else 'areas'}, seed {world.scenario.seed}. All of it is simulated, prices are illustrative.",
            f"{first} – {last}（{zone}）：{len(trading):,} 户参与交易，{len(world.meters):,} 块电表，{len(world.areas):,} 个台区，随机种子 {world.scenario.seed}。全部为模拟数据，价格仅作示意。",
        )
        return paragraph(counts) + tiles(items)

    def _measured(self) -> tuple[int, int]:
        """Energies that were measured, and all that were settled."""
        quality = self.settled.quality
        return int((quality & CODE_MASK == MEASURED).sum()), int((quality != ABSENT_QUALITY).sum())

    def _energy(self) -> str:
        world, homes = self.world, ~self.is_feeder
        stacked = [
            Series(
                Text("given by homes (PV, batteries)", "住户送出（光伏、电池）"),
                "homes",
                self._kw(_sums(world.export_wh, homes)),
            ),
            Series(
                Text("from the grid above", "来自上级电网"),
                "grid",
                self._kw(_sums(world.import_wh, self.is_feeder)),
            ),
        ]
        taken = Series(
            Text("taken by homes and others", "住户等用电"), "taken", self._kw(_sums(world.import_wh, homes))
        )
        words = (
            Text("traded among neighbours", "邻居间交易")
            if self.contract.takes_orders
            else Text("from neighbour to neighbour", "邻居间流转")
        )
        bought = Series(words, "price", self._kw(self.settled.traded_wh))
        what = Text(
            "What is above the black line went to the grid above, or was lost on the way.",
            "黑线以上的部分送往上级电网，或在途中损耗。",
        )
        return section(
            Text("Energy, kW", "电能平衡（kW）"), chart(self.times, stacked, [taken, bought], _kilo), paragraph(what)
        )

    def _prices(self) -> str:
        """Of a traded kWh; of a contract that shares what there is, what a kWh costs, and what it brings."""
        prices = self.money.prices
        kinds = self.contract.line_kinds
        buys, sells = (self._mean_prices(kind.kind) for kind in kinds[:2])
        if kinds[0].account == CLEARING_ACCOUNT:
            what = Text("Price among neighbours", "邻居间电价")
            lines = [Series(Text("price of a traded kWh", "成交电价"), "price", buys)]
            lines += [] if buys == sells else [Series(Text("what its seller gets", "卖方所得"), "variant", sells)]
        else:
            what = Text("Price in the community", "社区内电价")
            lines = [Series(Text("what a kWh costs who lacks it", "缺电户每度所付"), "price", buys)]
            lines.append(Series(Text("what a kWh brings who has it left", "余电户每度所得"), "variant", sells))
        names = {
            "residual_price_micro_per_kwh": Text("supplier sells", "售电方售价"),
            "feed_in_price_micro_per_kwh": Text("supplier buys", "上网电价"),
        }
        limits = []
        starts_s = [int(self.world.slot_start_s[place.start]) for place in self.places]
        for (key, words), look in zip(names.items(), ("high", "low"), strict=True):
            held = [self.money.at(key, start_s) / 1e6 for start_s in starts_s] if key in prices else []
            if len(set(held)) > 1:
                lines.append(Series(words, look, held))
            elif held:
                limits.append(Limit(words, held[0]))
        title = Text(f"{what.en}, {self.money.currency} per kWh", f"{what.zh}（{self.money.currency}/kWh）")
        if not any(self.settled.traded_wh):
            return section(title, paragraph(Text("Nobody traded.", "没有成交。")))
        return section(title, chart(self.times, [], lines, _price, limits=limits, from_zero=False, height=150))

    def _mean_prices(self, kind: str) -> list[float | None]:
        """What a kWh of lines of a kind comes to at each place in time; one for all where the contract settles by the month."""
        if self.contract.period_columns:
            return [self.settled.mean_price(kind, slice(None))] * len(self.places)
        return [self.settled.mean_price(kind, place) for place in self.places]

    def _money(self) -> str:
        payers, sellers = Text("Who takes energy", "用电方"), Text("Neighbours who sell", "卖电的邻居")
        links = []
        for kind, flow in self.settled.flows.items():
            account = self._account(flow.account)
            title = self._kind(kind)
            if flow.account == CLEARING_ACCOUNT:
                links.append(Flow(payers, sellers, flow.owed_nano / _NANO, "traded"))
                continue
            links.append(Flow(payers, title, flow.owed_nano / _NANO, "grid" if flow.account == "supplier" else "other"))
            links.append(Flow(account, title, flow.owing_nano / _NANO, "homes"))
        show = f"{self.money.currency}"
        return section(Text("Where the money goes", "资金流向"), flows(links, lambda amount: f"{amount:,.2f} {show}"))

    def _kind(self, kind: str) -> Text:
        words = self.vocabulary.line_kinds[kind].title
        return Text(words["en"], words["zh_CN"])

    def _account(self, account: str) -> Text:
        words = self.vocabulary.accounts[account]
        return Text(words["en"], words["zh_CN"])

    def _homes(self) -> str:
        traders = set(self.world.traders)
        trading = sorted(
            (party for party in self.parties if party.party in traders), key=lambda party: (-_saved(party), party.party)
        )
        values = [_saved(party) / _NANO for party in trading]
        title = Text(f"What each home saves, {self.money.currency}", f"各户节省金额（{self.money.currency}）")
        what = Text(
            "Against the supplier alone, before tax, without invoices' rounding; a bar below zero: trading cost more. settlement.csv has every number.",
            "与只向售电方购电相比，税前且未舍入；零线以下表示交易反而多付。全部数字见 settlement.csv。",
        )
        return section(title, columns([party.party for party in trading], values, _plain), paragraph(what))

    def _voltages(self) -> str:
        world, grid = self.world, self.world.scenario.grid
        lit_min = np.where(world.voltage_pu_min > 0, world.voltage_pu_min, np.inf).min(axis=1)
        lowest = [_volts(lit_min[place].min()) for place in self.places]
        highest = [_volts(world.voltage_pu_max[place].max()) for place in self.places]
        percents = (grid.voltage_percent_min, grid.voltage_percent_max)
        limits = [Limit(Text(f"{percent} %", f"{percent} %"), RATED_PHASE_V * percent / 100) for percent in percents]
        lines = [Series(Text("highest", "最高"), "high", highest), Series(Text("lowest", "最低"), "low", lowest)]
        drawn = chart(self.times, [], lines, _volt, limits=limits, from_zero=False, height=150)
        bounds = [f"{bound / 10:.0f} %" for bound in _VOLTS_PER_MILLE]
        names = [
            f"< {bounds[0]}",
            *(f"{low} – {high}" for low, high in itertools.pairwise(bounds)),
            f"> {bounds[-1]}",
        ]
        keys = legend([(f"v{place}", Text(name, name)) for place, name in enumerate(names)])
        what = Text(
            "Each row is a meter, those farthest from their rated voltage first.",
            "每行为一块电表，偏离额定电压最大的在前。",
        )
        return section(
            Text("Voltage at the meters, V", "电表处电压（V）"), drawn, paragraph(what), self._voltage_cells(), keys
        )

    def _voltage_cells(self) -> str:
        """Of each place in time what is farthest from the rated voltage; a meter without power has none."""
        world = self.world
        farthest = np.full(len(world.meters), -1, dtype=np.int16)
        for of_slot in world.voltage_pu:
            np.maximum(farthest, _off(_per_mille(of_slot)), out=farthest)
        worst = np.lexsort((np.arange(farthest.size), -farthest))[:ROWS_MAX].tolist()
        looks, titles = [], []
        for column in worst:
            per_mille = _per_mille(world.voltage_pu[:, column])
            off = _off(per_mille)
            shown = [per_mille[place][off[place].argmax()] for place in self.places]
            classes = np.searchsorted(_VOLTS_PER_MILLE, shown, side="right").tolist()
            looks.append([f"v{number}" if value else "" for value, number in zip(shown, classes, strict=True)])
            titles.append(self._range_of(column))
        return cells(self.times, [world.meters[column].meter for column in worst], looks, titles)

    def _range_of(self, column: int) -> str:
        """A meter with its lowest and its highest voltage of all slots."""
        shown_pu = self.world.voltage_pu[:, column]
        lit_v = shown_pu[shown_pu > 0].astype(np.float64) * RATED_PHASE_V
        name = self.world.meters[column].meter
        return f"{name}: {lit_v.min():.1f} – {lit_v.max():.1f} V" if lit_v.size else name

    def _loadings(self) -> str:
        world, loading = self.world, self.world.loading_per_mille
        elements = len(world.elements)
        by_area = loading.reshape(world.slots, len(world.areas), elements)
        lines_max, transformers_max = by_area[:, :, :-1].max(axis=(1, 2)), by_area[:, :, -1].max(axis=1)
        drawn = [
            Series(Text("fullest line", "负载最重的线路"), "price", self._tops(lines_max)),
            Series(Text("fullest transformer", "负载最重的变压器"), "high", self._tops(transformers_max)),
        ]
        percent = world.scenario.grid.loading_percent_max
        limits = [Limit(Text(f"{percent} %", f"{percent} %"), float(percent))]
        worst_of = loading.max(axis=0)
        worst = np.lexsort((np.arange(worst_of.size), -worst_of.astype(np.int64)))[:ROWS_MAX].tolist()
        looks, titles, names = [], [], []
        for column in worst:
            area, element = world.areas[column // elements], world.elements[column % elements]
            shown = [int(loading[place, column].max()) for place in self.places]
            looks.append([f"l{number}" for number in np.searchsorted(_LOADS_PER_MILLE, shown, side="right").tolist()])
            names.append(element if len(world.areas) == 1 else f"{area} {element}")
            titles.append(f"{area} {element}: {worst_of[column] / 10:.1f} %")
        bounds = [f"{bound // 10} %" for bound in _LOADS_PER_MILLE]
        keys = [f"< {bounds[0]}", *(f"{low} – {high}" for low, high in itertools.pairwise(bounds)), f"> {bounds[-1]}"]
        what = Text(
            "Each row is a line or a transformer, the fullest first; loadings.csv has all of them.",
            "每行为一条线路或一台变压器，负载最重的在前；全部见 loadings.csv。",
        )
        return section(
            Text("Load of lines and transformers, % of what they carry", "线路与变压器负载率（%）"),
            chart(self.times, [], drawn, _kilo, limits=limits, height=150),
            paragraph(what),
            cells(self.times, names, looks, titles),
            legend([(f"l{place}", Text(name, name)) for place, name in enumerate(keys)]),
        )

    def _tops(self, values_per_mille: NDArray[np.uint16]) -> list[float]:
        """Of int[slots] the largest of each place in time, in percent."""
        return [float(values_per_mille[place].max()) / 10 for place in self.places]

    def _losses(self) -> str:
        losses = Series(Text("lost", "损耗"), "loss", self._kw(self.world.loss_wh.sum(axis=1)))
        return section(Text("Losses, kW", "损耗（kW）"), chart(self.times, [losses], [], _kilo, height=110))

    def _violations(self) -> str:
        title = Text("Beyond a limit", "越限")
        found: dict[tuple[str, str, str], list[int]] = {}
        for one in self.world.violations:
            found.setdefault((one.area, one.kind, one.element), []).append(one.value_per_mille)
        if not found:
            return section(
                title,
                paragraph(
                    Text("No voltage, line or transformer was beyond its limit.", "没有电压、线路或变压器越限。")
                ),
            )
        heads = [
            (Text("Area", "台区"), False),
            (Text("What", "类型"), False),
            (Text("Where", "位置"), False),
            (Text("Slots", "时段数"), True),
            (Text("Worst, % of rated", "最严重（额定值的 %）"), True),
        ]
        rows = []
        for (area, kind, element), values in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
            worst = min(values) if kind == "voltage_low" else max(values)
            rows.append(
                [
                    word(area),
                    word(kind.replace("_", " ")),
                    word(element),
                    number(f"{len(values):,}"),
                    number(f"{worst / 10:.1f}"),
                ]
            )
        return section(title, table(heads, rows[:TABLE_ROWS_MAX]), _more(len(rows), "violations.csv"))

    def _readings(self) -> str:
        title = Text("Readings", "读数")
        quality = self.settled.quality
        is_other = (quality != ABSENT_QUALITY) & (quality & CODE_MASK != MEASURED)
        counts = is_other.sum(axis=0)
        meters = np.lexsort((np.arange(counts.size), -counts))[:ROWS_MAX]
        meters = meters[counts[meters] > 0]
        if not meters.size:
            return section(title, paragraph(Text("Every settled energy was measured.", "每个结算电量均为实测。")))
        looks, titles = [], []
        for column in meters.tolist():
            codes = quality[:, column]
            of_row = np.where(
                is_other[:, column], np.where(codes & CODE_MASK == ESTIMATED, "estimated", "suspect"), "measured"
            )
            looks.append([max(of_row[place].tolist(), key=_BADNESS.index) for place in self.places])
            titles.append(f"{self.world.meters[column].meter}: {counts[column]}")
        names = [self.world.meters[column].meter for column in meters.tolist()]
        keys = [
            ("measured", Text("measured", "实测")),
            ("estimated", Text("estimated", "估计")),
            ("suspect", Text("missing or suspect", "缺失或可疑")),
        ]
        return section(
            title,
            cells(self.times, names, looks, titles),
            legend(keys),
            _more(int((counts > 0).sum()), "reported.csv", ROWS_MAX),
        )

    def _price_words(self, key: str) -> str:
        """A price with those that came in its place."""
        words, before = f"{self.money.prices[key] / 1e6:.6f} {self.money.currency}/kWh", self.money.prices[key]
        for entry in self.money.later:
            price = entry.prices[key]
            if price != before:
                day = datetime.fromtimestamp(entry.from_s, self.world.scenario.calendar.zone)
                words += f"; {day:%Y-%m-%d %H:%M}: {price / 1e6:.6f}"
            before = price
        return words

    def _method(self) -> str:
        scenario = self.world.scenario
        pairs = [
            (Text("Grid", "电网"), scenario.grid.source),
            (Text("Weather", "天气"), scenario.weather.model),
            (Text("Contract", "合约"), f"<code>{self.money.contract}</code>"),
            *((Text(key, key), self._price_words(key)) for key in self.money.prices),
        ]
        if self.money.options is not None:
            command = f"gridledger simulate run scenario.toml --seed {scenario.seed}{self.money.options} --out DIR"
            pairs.append((Text("Made again by", "复现方法"), f"<code>{command}</code>"))
        what = Text(
            "scenario.toml beside this file is what was run, manifest.json has the digests of all tables. The same scenario and seed give the same bytes.",
            "同目录的 scenario.toml 是运行的场景，manifest.json 含全部表格的摘要。相同场景与种子得到完全相同的字节。",
        )
        own_grid = Text(
            "grid.csv beside it is the table of the grid: scenario.toml is to name it as its table.",
            "同目录的 grid.csv 是电网表格：scenario.toml 中的 table 须指向它。",
        )
        notes = [what] if scenario.grid.table is None else [what, own_grid]
        return section(Text("Method", "方法"), facts(pairs), *map(paragraph, notes))


_BADNESS: Final = ["measured", "estimated", "suspect"]


def _saved(party: PartyRow) -> int:
    return party.supplier_only_nano - party.pays_nano


def _sums(energies_wh: NDArray[np.int32], which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64[slots]: what some meters have together, of [slots, meters]; slot by slot, as there may be millions."""
    return np.array([of_slot[which].sum(dtype=np.int64) for of_slot in energies_wh], dtype=np.int64)


def _per_mille(voltage_pu: NDArray[np.float32]) -> NDArray[np.int16]:
    """Voltages in per mille of the rated one."""
    return np.rint(voltage_pu * 1000).astype(np.int16)


def _off(per_mille: NDArray[np.int16]) -> NDArray[np.int16]:
    """How far voltages are from the rated one; -1 without power."""
    return np.where(per_mille > 0, np.abs(per_mille - 1000), np.int16(-1))


def _volts(voltage_pu: float) -> float | None:
    """None where nobody had power."""
    return float(voltage_pu) * RATED_PHASE_V if 0 < voltage_pu < np.inf else None


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _more(rows: int, name: str, shown: int = TABLE_ROWS_MAX) -> str:
    left = rows - shown
    return paragraph(Text(f"{left:,} more in {name}.", f"其余 {left:,} 行见 {name}。")) if left > 0 else ""


def _kilo(value: float) -> str:
    return f"{value:,.1f}"


def _price(value: float) -> str:
    return f"{value:.3f}"


def _plain(value: float) -> str:
    return f"{value:,.2f}"


def _volt(value: float) -> str:
    return f"{value:.1f}"
