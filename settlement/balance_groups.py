"""Who answers for what: schedules, exchanges and imbalances of balance groups, from settled slots.

A balance group is what one balance responsible party answers for: the imports and the exports of points that name it. Energy in Wh, prices in
micro-currency per kWh, amounts in nano-currency; exact at any size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from settlement.errors import SettlementError
from settlement.tariffs.schedules import deviation


class GroupEnergy(NamedTuple):
    """What the points of a group were metered and traded in a slot, Wh, each at least 0. group: "" where no party answers for it."""

    group: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int

    @property
    def schedule_wh(self) -> int:
        """What it gives by its trades; negative where it takes."""
        return self.sold_wh - self.bought_wh

    @property
    def metered_wh(self) -> int:
        """What it gave by its meters; negative where it took."""
        return self.export_wh - self.import_wh

    @property
    def imbalance_wh(self) -> int:
        """Metered less schedule: positive where more was given, or less taken, than was traded."""
        return self.metered_wh - self.schedule_wh


class SlotGroups(NamedTuple):
    """A settled slot, group by group."""

    slot_start_s: int
    groups: Sequence[GroupEnergy]


class ImbalancePrices(NamedTuple):
    """What a group receives for a kWh that it gives too much, and pays for one that it lacks; of any sign."""

    surplus_micro_per_kwh: int
    shortfall_micro_per_kwh: int


class GroupLine(NamedTuple):
    """A group in a slot. imbalance_nano: what it receives for its imbalance, None without prices."""

    slot_start_s: int
    group: str
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    schedule_wh: int
    metered_wh: int
    imbalance_wh: int
    imbalance_nano: int | None


class ExchangeLine(NamedTuple):
    """Energy that trades of a slot move from the schedule of one group to that of another, Wh, above 0."""

    slot_start_s: int
    from_group: str
    to_group: str
    energy_wh: int


class GroupTotal(NamedTuple):
    """A group over all slots: sums of its lines."""

    group: str
    slots: int
    import_wh: int
    export_wh: int
    schedule_wh: int
    imbalance_wh: int
    surplus_wh: int
    shortfall_wh: int
    imbalance_nano: int | None


class BalanceReport(NamedTuple):
    """Lines by slot, then by the bytes of the groups' names; exchanges in the same order; totals by group."""

    lines: Sequence[GroupLine]
    exchanges: Sequence[ExchangeLine]
    totals: Sequence[GroupTotal]


def balance_report(slots: Iterable[SlotGroups], prices: ImbalancePrices | None = None) -> BalanceReport:
    """Imbalance and schedule exchange of every group, slot by slot. SettlementError for a slot in which not all that was bought was sold."""
    lines: list[GroupLine] = []
    exchanges: list[ExchangeLine] = []
    for slot_start_s, groups in slots:
        ordered = sorted(groups, key=lambda one: one.group.encode())
        lines += [_line(slot_start_s, one, prices) for one in ordered]
        exchanges += [ExchangeLine(slot_start_s, *moved) for moved in schedule_exchanges(ordered)]
    return BalanceReport(lines, exchanges, _totals(lines))


def schedule_exchanges(groups: Sequence[GroupEnergy]) -> list[tuple[str, str, int]]:
    """Energy from group to group, so that each schedule is what the group gives less what it takes. groups: by name.

    Markets with one price name no partners: givers and takers are paired in the order of their names, and nobody gives to itself.
    SettlementError unless the schedules sum to 0.
    """
    if sum(one.schedule_wh for one in groups):
        raise SettlementError("what all groups have bought is not what all have sold")
    moved: list[tuple[str, str, int]] = []
    takers = [one for one in groups if one.schedule_wh < 0]
    place, open_wh = -1, 0
    for giver in groups:
        left_wh = giver.schedule_wh
        while left_wh > 0:
            if open_wh == 0:
                place += 1
                open_wh = -takers[place].schedule_wh
            energy_wh = min(left_wh, open_wh)
            moved.append((giver.group, takers[place].group, energy_wh))
            left_wh, open_wh = left_wh - energy_wh, open_wh - energy_wh
    return moved


def _line(slot_start_s: int, one: GroupEnergy, prices: ImbalancePrices | None) -> GroupLine:
    amount_nano = None
    if prices is not None:
        amount_nano = deviation(one.metered_wh, one.sold_wh, one.bought_wh, *prices).amount_nano
    return GroupLine(slot_start_s, *one, one.schedule_wh, one.metered_wh, one.imbalance_wh, amount_nano)


def _totals(lines: Sequence[GroupLine]) -> list[GroupTotal]:
    """The sums of each group's lines."""
    by_group: dict[str, list[GroupLine]] = {}
    for line in lines:
        by_group.setdefault(line.group, []).append(line)
    return [_total(group, by_group[group]) for group in sorted(by_group, key=str.encode)]


def _total(group: str, own: Sequence[GroupLine]) -> GroupTotal:
    amounts = [line.imbalance_nano for line in own if line.imbalance_nano is not None]
    return GroupTotal(
        group=group,
        slots=len(own),
        import_wh=sum(line.import_wh for line in own),
        export_wh=sum(line.export_wh for line in own),
        schedule_wh=sum(line.schedule_wh for line in own),
        imbalance_wh=sum(line.imbalance_wh for line in own),
        surplus_wh=sum(max(line.imbalance_wh, 0) for line in own),
        shortfall_wh=sum(max(-line.imbalance_wh, 0) for line in own),
        imbalance_nano=sum(amounts) if amounts else None,
    )
