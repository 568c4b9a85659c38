"""What each event of a simulated world did: of the meters that it concerns, what flowed and what was settled, around its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridcore.quality import ABSENT_QUALITY, CODE_MASK, ESTIMATED, MEASURED
from gridcore.report.drawing import legend
from gridcore.report.markup import Cell, Text, number, paragraph, say, section, table, word
from gridcore.report.strips import Share, Strip, strip, strips
from gridledger.simulating.settled import SettledWorld
from simulators.scenarios.schema import AREA_KINDS, SLOT_S, STOLEN_KEY, VALIDATOR_KINDS, Event

DRAWN_MAX: Final = 48
"""Events that are drawn, the first ones."""
TABLE_ROWS_MAX: Final = 100
AROUND_SLOTS: Final = (4, 16)
"""As many slots as an event has are shown before it and behind it, at least and at most so many."""
PLACES_MAX: Final = 192
"""Places in time of a drawing; of a longer one each is the mean of some slots."""
_PER_HOUR: Final = 3600 // SLOT_S

KINDS: Final[Mapping[str, Text]] = {
    "late": Text("answers too late", "应答过迟"),
    "lost": Text("never answers", "无应答"),
    "exception": Text("answers that it has failed", "应答异常码"),
    "no_value": Text("shows no value", "无有效数值"),
    "reset": Text("counts from 0 again", "寄存器清零"),
    "stuck": Text("registers stand still", "寄存器停走"),
    "swapped": Text("two meters in each other's place", "两表互换"),
    "roll_over": Text("register starts again", "寄存器翻转"),
    "word_swap": Text("words change places", "字序颠倒"),
    "reboot": Text("starts again", "电表重启"),
    "meter_clock": Text("clock set back by an hour", "电表时钟回拨一小时"),
    "clock_drift": Text("meter's clock has drifted", "电表时钟漂移"),
    "blackout": Text("black-out", "停电"),
    "dead_gateway": Text("gateway dead", "网关停机"),
    "garbled": Text("interference on the line", "线路干扰"),
    "duplicated": Text("answers come twice", "应答重复"),
    "reordered": Text("answers overtake each other", "应答乱序"),
    "cut_from_meters": Text("gateway cut from its meters", "网关与电表断开"),
    "cut_from_node": Text("gateway cut from the node", "网关与节点断开"),
    "clock_step": Text("gateway's time set back", "网关时间回拨"),
    "dead_broker": Text("MQTT broker dead", "MQTT 代理停机"),
    "validator_down": Text("validator down", "验证节点停机"),
    "partition": Text("validators cut off from the others", "验证节点网络分区"),
    "exchanged": Text("meter exchanged", "换表"),
    "h1": Text("fraud h1: a share of all", "窃电 h1：按比例少计"),
    "h2": Text("fraud h2: nothing for some hours", "窃电 h2：部分时段不计"),
    "h3": Text("fraud h3: another share each slot", "窃电 h3：逐时段比例少计"),
    "h4": Text("fraud h4: shares of the mean", "窃电 h4：按均值比例"),
    "h5": Text("fraud h5: the mean", "窃电 h5：报平均值"),
    "h6": Text("fraud h6: the day reversed", "窃电 h6：日曲线倒序"),
    "bypass": Text("fraud: bypass", "窃电：绕表"),
    "pv_over_report": Text("fraud: more PV than there was", "虚报光伏"),
    "collusion": Text("fraud: two together", "合谋"),
    "reversed_ct": Text("fraud: current transformer reversed", "互感器反接"),
    "stopped": Text("fraud: register stopped", "窃电：停表"),
    "replay": Text("fraud: the day before again", "重放前一日数据"),
    "rollback": Text("fraud: register turned back", "寄存器倒拨"),
    "stolen_key": Text("gateway's key stolen", "网关密钥被盗"),
}


class Effect(NamedTuple):
    """What an event came to. Counts of energies settled while it was on; energies in Wh, both directions together."""

    unmeasured: int
    settled: int
    true_wh: int
    off_wh: int


def event_section(settled: SettledWorld, local: Callable[[int], str]) -> str:
    """The section. local: what a slot's begin is called."""
    events = settled.world.labels
    title = Text("What went wrong, and what it did", "故障及其影响")
    if not events:
        return section(title, paragraph(Text("Nothing: this scenario has no events.", "无：此场景没有事件。")))
    how = Text(
        "Grey: what flowed, kW; black line: what was settled; shaded: the time of the event. The ribbon has the energies of the meters that it concerns, slot by slot.",
        "灰色：真实功率（kW）；黑线：结算功率；底纹：事件时段。色带为所涉电表逐时段的结算质量。",
    )
    keys = [
        ("measured", Text("measured", "实测")),
        ("estimated", Text("estimated or interpolated", "估计或插补")),
        ("suspect", Text("missing or suspect", "缺失或可疑")),
    ]
    drawn = [strips([_figure(settled, event, local) for event in events[:DRAWN_MAX]]), *_not_drawn(events[DRAWN_MAX:])]
    return section(title, paragraph(how), legend(keys), *drawn, *_table(settled, events, local))


def _not_drawn(events: Sequence[Event]) -> list[str]:
    """What is said of the events behind those that are drawn: how many of each kind."""
    if not events:
        return []
    kinds = [(count, KINDS[kind]) for kind, count in Counter(event.kind for event in events).items()]
    english = "; ".join(f"{count:,} × {words.en}" for count, words in kinds)
    chinese = "；".join(f"{words.zh} {count:,} 项" for count, words in kinds)
    shown = f"Drawn are the first {DRAWN_MAX}; not drawn: {english}."
    return [paragraph(Text(shown, f"图示前 {DRAWN_MAX} 项；未图示：{chinese}。"))]


def columns_of(settled: SettledWorld, event: Event) -> NDArray[np.intp]:
    """int[n]: the meters that are settled and that an event concerns."""
    if event.kind in VALIDATOR_KINDS:
        return settled.columns_settled
    if event.kind in (*AREA_KINDS, STOLEN_KEY):
        return settled.columns_of_area[event.target]
    named = {settled.column_of_meter[name] for name in (event.target, event.other) if name}
    return np.array(sorted(column for column in named if settled.world.meters[column].party), dtype=np.intp)


def effect_of(settled: SettledWorld, event: Event) -> Effect:
    """Of the slots beside its boundaries too, whose energies end or begin with a reading of its time."""
    world, at = settled.world, columns_of(settled, event)
    slots = slice(max(0, event.from_slot - 1), min(world.slots, event.until_slot))
    quality = settled.quality[slots][:, at]
    true_wh = world.import_wh[slots][:, at].astype(np.int64) + world.export_wh[slots][:, at]
    off_wh = np.abs(settled.import_wh[slots][:, at].astype(np.int64) - world.import_wh[slots][:, at])
    off_wh += np.abs(settled.export_wh[slots][:, at].astype(np.int64) - world.export_wh[slots][:, at])
    return Effect(int((quality & CODE_MASK != MEASURED).sum()), quality.size, int(true_wh.sum()), int(off_wh.sum()))


def _figure(settled: SettledWorld, event: Event, local: Callable[[int], str]) -> tuple[str, str, str]:
    found = effect_of(settled, event)
    kind = KINDS[event.kind]
    target = " ↔ ".join(name for name in (event.target, event.other) if name)
    head = f"{word(event.label).content} <small>{say(kind)} · {word(target).content}</small>"
    times = f"{local(event.from_slot)} – {local(event.until_slot)}"
    words = Text(
        f"{times}: {found.unmeasured:,} of {found.settled:,} settled without a measurement; {found.true_wh / 1000:,.1f} kWh flowed, settled {found.off_wh / 1000:,.2f} kWh otherwise.",
        f"{times}：{found.settled:,} 个结算值中 {found.unmeasured:,} 个非实测；真实电量 {found.true_wh / 1000:,.1f} kWh，结算偏差 {found.off_wh / 1000:,.2f} kWh。",
    )
    return head, strip(_strip(settled, event, local), _kilo), say(words)


def _strip(settled: SettledWorld, event: Event, local: Callable[[int], str]) -> Strip:
    world, at = settled.world, columns_of(settled, event)
    begin, over = (
        min(event.from_slot, world.slots - 1),
        min(event.until_slot, world.slots),
    )  # a label may end behind the run
    around = min(max(over - begin, AROUND_SLOTS[0]), AROUND_SLOTS[1])
    first, end = max(0, begin - around), min(world.slots, over + around)
    step = -(-(end - first) // PLACES_MAX)
    places = [slice(place, min(place + step, end)) for place in range(first, end, step)]
    times, true, said, titles, parts = [], [], [], [], []
    for place in places:
        quality = settled.quality[place][:, at]
        counts = [int(((quality & CODE_MASK == MEASURED) & (quality != ABSENT_QUALITY)).sum())]
        counts.append(int((quality & CODE_MASK == ESTIMATED).sum()))
        counts.append(quality.size - sum(counts))
        per_kw = _PER_HOUR / 1000 / (place.stop - place.start)
        true.append(
            per_kw
            * int(world.import_wh[place][:, at].sum(dtype=np.int64) + world.export_wh[place][:, at].sum(dtype=np.int64))
        )
        flowed = settled.import_wh[place][:, at].sum(dtype=np.int64) + settled.export_wh[place][:, at].sum(
            dtype=np.int64
        )
        said.append(None if (quality == ABSENT_QUALITY).all() else per_kw * int(flowed))
        times.append(local(place.start))
        parts.append([count / max(1, quality.size) for count in counts])
        shown = "–" if said[-1] is None else _kilo(said[-1])
        titles.append(f"{times[-1]}\n{_kilo(true[-1])} kW; {shown} kW\n{counts[0]} / {quality.size}")
    looks = ("measured", "estimated", "suspect")
    shares = [Share(look, [of[number] for of in parts]) for number, look in enumerate(looks)]
    window = ((begin - first) // step, max(1, -(-(over - first) // step)))
    return Strip(times, window, true, said, shares, titles)


def _table(settled: SettledWorld, events: Sequence[Event], local: Callable[[int], str]) -> list[str]:
    heads = [
        (Text("Event", "事件"), False),
        (Text("Kind", "类型"), False),
        (Text("At", "位置"), False),
        (Text("From – until", "起止"), False),
        (Text("Settled without a measurement", "非实测结算"), True),
        (Text("True energy then, kWh", "当时真实电量（kWh）"), True),
        (Text("Settled otherwise, kWh", "结算偏差（kWh）"), True),
    ]
    what = Text(
        "Settled otherwise: how far settled energies are from the true ones, in the slots beside the event's boundaries too; registers count in steps, so a few Wh are always there.",
        "结算偏差：结算电量与真实电量之差的绝对值之和，含事件两端的时段；表计按步长计数，故总有少量差值。",
    )
    left = len(events) - TABLE_ROWS_MAX
    more = paragraph(Text(f"{left:,} more in events.csv.", f"其余 {left:,} 行见 events.csv。")) if left > 0 else ""
    return [table(heads, [_row(settled, event, local) for event in events[:TABLE_ROWS_MAX]]), more, paragraph(what)]


def _row(settled: SettledWorld, event: Event, local: Callable[[int], str]) -> list[Cell]:
    found = effect_of(settled, event)
    return [
        word(event.label),
        Cell(say(KINDS[event.kind])),
        word(" ↔ ".join(name for name in (event.target, event.other) if name)),
        word(f"{local(event.from_slot)} – {local(event.until_slot)}"),
        number(f"{found.unmeasured:,} / {found.settled:,}"),
        number(f"{found.true_wh / 1000:,.3f}"),
        number(f"{found.off_wh / 1000:,.3f}"),
    ]


def _kilo(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
