"""The detection table: for each kind of fraud how often an alarm comes, how late, and what was lost by then; beside it clean months.

Every seed is one month of the village, once clean and once with each kind of fraud at a home of its own choice, from a day after the
rules have learned until the end. Truth and labels are used here to score, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

import numpy as np

from gridwatch.alerts import Alert
from gridwatch.rules import Rules
from gridwatch.watch import alerts_of
from simulators.detection.reported import Imperfect, reported
from simulators.grid.diversity import Stream, generator
from simulators.grid.local_time import SLOTS_PER_DAY
from simulators.grid.world import World, build_world
from simulators.scenarios.gallery import find_scenario
from simulators.scenarios.schema import (
    COLLUSION,
    FRAUD_KINDS,
    H5,
    H6,
    PV_OVER_REPORT,
    SLOT_S,
    STOLEN_KEY,
    Event,
    Scenario,
)

BASE: Final = "fraud_month"
HELD_OUT_SEED: Final = 2001
"""The first of those that are scored: nobody looked at them before the limits stood."""
IMPERFECT: Final = Imperfect(error_ppm_max=5_000, lost_ppm=2_000)
"""Meters of class 0.5, and one reading of 500 that gets lost."""
TARGET_PERCENT: Final = 5
"""Of clean feeder-months, how many may have an alarm; twice as many fail."""
FIRST_DAYS: Final = (11, 16)
"""On which day a fraud begins."""
PV_WH_MIN: Final = 20_000
"""What a home gives in the month to count as one with PV."""
BALANCE: Final = "balance"
BALANCE_BLIND: Final = (H5, H6)
"""They steal no energy: what the balance says of them is false."""


@dataclass
class KindScore:
    """How the frauds of one kind were found. days, lost_wh: of those found, until the first alarm; by_rule: how many each rule found."""

    tried: int = 0
    found: int = 0
    days: list[float] = field(default_factory=list)
    lost_wh: list[int] = field(default_factory=list)
    by_rule: dict[str, int] = field(default_factory=dict)

    @property
    def found_percent(self) -> float:
        """Of 100 tried."""
        return 100 * self.found / self.tried


@dataclass
class Score:
    """clean, clean_alarms: feeder-months without fraud, and those with an alarm; kinds: by kind of fraud."""

    clean: int = 0
    clean_alarms: int = 0
    clean_by_rule: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, KindScore] = field(default_factory=lambda: {kind: KindScore() for kind in FRAUD_KINDS})

    @property
    def clean_percent(self) -> float:
        """Of 100 clean feeder-months, those with an alarm."""
        return 100 * self.clean_alarms / self.clean

    def faults(self) -> Iterator[str]:
        """Why this table must not stand: one line each."""
        if self.clean_percent > 2 * TARGET_PERCENT:
            yield f"{self.clean_percent:.1f} % of clean months have an alarm, more than twice the target of {TARGET_PERCENT} %"
        for kind in BALANCE_BLIND:
            score = self.kinds[kind]
            percent = 100 * score.by_rule.get(BALANCE, 0) / max(1, score.tried)
            if percent > 2 * TARGET_PERCENT:
                yield f"{kind} steals no energy, and the balance alone has an alarm in {percent:.1f} % of its months"


def clean_month() -> Scenario:
    """The scenario that every seed is a variant of."""
    return replace(find_scenario(BASE).scenario, events=())


def score_seeds(seeds: Iterable[int], rules: Rules, on_seed: Callable[[int], None] = lambda _: None) -> Score:
    """Clean months, and each kind of fraud in each of them; ``on_seed`` hears which one is next."""
    score = Score()
    for seed in seeds:
        on_seed(seed)
        world = build_world(clean_month().sized(seed=seed))
        _add_clean(score, world, rules)
        for place, kind in enumerate(FRAUD_KINDS):
            _add_fraud(score.kinds[kind], world, _fraud(world, kind, place), rules)
    return score


def _add_clean(score: Score, world: World, rules: Rules) -> None:
    alerts = alerts_of(reported(world, IMPERFECT), rules)
    score.clean += 1
    score.clean_alarms += bool(alerts)
    _count(score.clean_by_rule, alerts)


def _count(by_rule: dict[str, int], alerts: Sequence[Alert]) -> None:
    for rule in {alert.rule for alert in alerts}:
        by_rule[rule] = by_rule.get(rule, 0) + 1


def _fraud(world: World, kind: str, place: int) -> Event:
    """A fraud of a kind at a home that the seed chooses."""
    rng = generator(world.scenario.seed, Stream.FRAUD_PLACES, place)
    start = SLOTS_PER_DAY * int(rng.integers(*FIRST_DAYS))
    homes = [at for at, meter in enumerate(world.meters) if meter.role == "household"]
    if kind == PV_OVER_REPORT:
        homes = [at for at in homes if int(world.export_wh[:, at].sum()) > PV_WH_MIN]
    own, other = rng.permutation(homes)[:2].tolist()
    return Event(
        label=f"a {kind}",
        kind=kind,
        target=world.meters[own].area if kind == STOLEN_KEY else world.meters[own].meter,
        other=world.meters[other].meter if kind == COLLUSION else "",
        from_slot=start,
        until_slot=world.slots,
    )


def _add_fraud(score: KindScore, clean: World, event: Event, rules: Rules) -> None:
    world = replace(clean, scenario=replace(clean.scenario, events=(event,)))
    start_s = int(world.boundary_s[event.from_slot])
    alerts = [alert for alert in alerts_of(reported(world, IMPERFECT), rules) if alert.at_s >= start_s]
    score.tried += 1
    _count(score.by_rule, alerts)
    if alerts:
        boundary = event.from_slot + (alerts[0].at_s - start_s) // SLOT_S
        score.found += 1
        score.days.append((boundary - event.from_slot) / SLOTS_PER_DAY)
        score.lost_wh.append(_lost_wh(world, boundary))


def _lost_wh(world: World, boundary: int) -> int:
    """What has flowed to all meters by then, less what they have counted."""
    true, counted = world.true_registers(boundary), world.counted_registers(boundary)
    lost_wh = (true[0] - true[1]) - (counted[0] - counted[1])
    return int(np.sum(lost_wh))


def table_text(score: Score) -> str:
    """The table as Markdown."""
    lines = [
        "| fraud | found | median delay, days | median kWh lost before the alarm | found by (of those tried) |",
        "|---|---|---|---|---|",
    ]
    for kind, one in score.kinds.items():
        by_rule = ", ".join(
            f"`{rule}` {100 * count // one.tried} %"
            for rule, count in sorted(one.by_rule.items(), key=lambda item: -item[1])
        )
        delay = f"{median(one.days):.1f}" if one.days else "-"
        lost = f"{median(one.lost_wh) / 1000:.1f}" if one.lost_wh else "-"
        lines.append(f"| `{kind}` | {one.found_percent:.0f} % | {delay} | {lost} | {by_rule or '-'} |")
    alarms = f"{score.clean_alarms} of {score.clean} clean months ({score.clean_percent:.1f} %)"
    return "\n".join([*lines, "", f"Alarms in {alarms}; target {TARGET_PERCENT} %."])
