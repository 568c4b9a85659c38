"""Rules that hold the meters of an area against each other: the balance with its losses, voltage against power."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gridwatch.alerts import Alert
from gridwatch.columns import ABSENT, Flags, Int64, Readings
from gridwatch.rules import Balance, Voltage


def check_balance(area: Readings, rule: Balance) -> Iterator[Alert]:
    """Add up what the borders have more than the points, less what was usual; days without a whole set of readings count with the next."""
    if not area.is_border.any() or area.is_measured_elsewhere:
        return
    ends = _whole_boundaries(area)
    taken, given = area.energies(ends[:-1], ends[1:])
    net = taken - given
    unseen_wh = (net[:, area.is_border].sum(axis=1) - net[:, ~area.is_border].sum(axis=1)).tolist()
    slots = (ends[1:] - ends[:-1]).tolist()
    learned = [end <= rule.learn_days * area.slots_of_day for end in ends[1:].tolist()]
    learned_slots = sum(count for count, is_learned in zip(slots, learned, strict=True) if is_learned)
    if not learned_slots:
        return
    usual_wh = sum(wh for wh, is_learned in zip(unseen_wh, learned, strict=True) if is_learned)
    sum_wh, since = 0, int(ends[0])
    for place, (wh, count, is_learned) in enumerate(zip(unseen_wh, slots, learned, strict=True)):
        if is_learned:
            continue
        first, last = int(ends[place]), int(ends[place + 1])
        since = first if sum_wh == 0 else since
        allowance_wh = rule.allowance_wh_per_day * count // area.slots_of_day
        sum_wh = max(0, sum_wh + wh - usual_wh * count // learned_slots - allowance_wh)
        if sum_wh > rule.limit_wh:
            yield _alert(area, "balance", area.area, since, last, sum_wh, rule.limit_wh)
            sum_wh = 0


def _whole_boundaries(area: Readings) -> Int64:
    """Of each day the first boundary at which every meter has a reading."""
    whole = np.flatnonzero(area.is_present.all(axis=1))
    _, first = np.unique(whole // area.slots_of_day, return_index=True)
    return whole[first].astype(np.int64)


def check_voltage(area: Readings, rule: Voltage) -> Iterator[Alert]:
    """Hold each day's drop to a meter against its power: what a learned ohm would give, and what it was."""
    feeders = np.flatnonzero(area.is_feeder)
    if not len(feeders):
        return
    busbar_mv = area.voltage_mv[1:, feeders[0]]
    taken, given = area.slot_energies
    for column in np.flatnonzero(~area.is_border & (area.voltage_mv != ABSENT).any(axis=0)).tolist():
        own_mv = area.voltage_mv[1:, column]
        known = (busbar_mv > 0) & (own_mv > 0) & (taken[:, column] != ABSENT)
        products, squares = _moments(area, busbar_mv - own_mv, taken[:, column] - given[:, column], known)
        yield from _voltage_of_meter(area, rule, column, products, squares)


def _moments(area: Readings, drop_mv: Int64, net_wh: Int64, known: Flags) -> tuple[list[int], list[int]]:
    """Of each day the sums of drop x power and of power x power, of what changed from slot to slot: what is slow is others' too."""
    drop, net = np.diff(drop_mv), np.diff(net_wh)
    is_known = known[:-1] & known[1:]
    products, squares = np.where(is_known, drop * net, 0), np.where(is_known, net * net, 0)
    days = range(0, len(net), area.slots_of_day)

    def by_day(column: Int64) -> list[int]:
        return [int(column[start : start + area.slots_of_day].sum()) for start in days]

    return by_day(products), by_day(squares)


def _voltage_of_meter(
    area: Readings, rule: Voltage, column: int, products: list[int], squares: list[int]
) -> Iterator[Alert]:
    learned_product, learned_square = sum(products[: rule.learn_days]), sum(squares[: rule.learn_days])
    if learned_product <= 0 or learned_square <= 0:  # no line between it and the busbar to speak of
        return
    sums = [0, 0]
    since = rule.learn_days
    for day in range(rule.learn_days, len(products)):
        usual = learned_product * squares[day] // learned_square
        off_percent = 100 * (products[day] - usual) // usual if usual > 0 else 0
        since = day if not any(sums) else since
        sums = [
            max(0, total + sign * off_percent - rule.allowance_percent)
            for total, sign in zip(sums, (1, -1), strict=True)
        ]
        if max(sums) > rule.limit_percent:
            last = min((day + 1) * area.slots_of_day, len(area.boundary_s) - 1)
            meter = area.meters[column].meter
            yield _alert(area, "voltage", meter, since * area.slots_of_day, last, max(sums), rule.limit_percent)
            sums = [0, 0]


def _alert(area: Readings, rule: str, subject: str, first: int, last: int, value: int, limit: int) -> Alert:
    boundary_s = area.boundary_s
    at_s = int(boundary_s[last])
    return Alert(at_s, rule, subject, int(boundary_s[first]), at_s, value, limit, area.heights(first, last))
