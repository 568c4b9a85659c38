"""What the lines of a party's month come to after a run, step by step, by whole numbers and plain sums: a second way beside the columns.

The contract's lines are summed by local day; each entry of the tariff goes from energies, power or days to its amount. The local time of
each slot, and whether an entry holds in it, are found here again; what both ways have in common are the energies that the runs keep, the
registry's entries, and the contract's lines of each slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from gridledger.settling.dataset import InvoiceTerms
from gridledger.settling.derivation import Step, Text, numbers, sum_formula
from gridledger.settling.entry_steps import Entry, Slots, entry_steps, local_times, nano_unit
from gridledger.settling.results.billing import Billing
from gridledger.settling.results.tariff_lines import Charging
from settlement.catalogue import CATALOGUE
from settlement.tariffs.components import ENERGY_BASES, POWER_BASES, Component
from settlement.tariffs.named_days import kind_of

_HOUR_S: Final = 3_600


class MonthLine(NamedTuple):
    """A kind of line of a month after a run, at one rate of tax (None: no tax), exact. energy_wh: 0 where the line has none."""

    kind: str
    title: Text
    steps: Sequence[Step]
    energy_wh: int
    amount_nano: int
    tax_ppm: int | None

    def plus(self, more: MonthLine) -> MonthLine:
        """With another line of its kind and rate behind it."""
        steps, energy_wh = [*self.steps, *more.steps], self.energy_wh + more.energy_wh
        return self._replace(steps=steps, energy_wh=energy_wh, amount_nano=self.amount_nano + more.amount_nano)


def month_lines(billing: Billing, party: str, run: str) -> list[MonthLine]:
    """All lines of a party's month after a run, in the order in which they are charged. ``billing``: of one month."""
    lines = list(_contract_lines(billing, party, run))
    charging = next((one for one in billing.chargings() if (one.run, one.party) == (run, party)), None)
    if charging is not None:
        lines += _component_lines(billing, charging, _by_kind(lines))
    return [line for line in lines if line.steps]


def _by_kind(lines: Iterable[MonthLine]) -> dict[str, int]:
    """What the lines of each kind come to, at all rates of tax."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.kind] = found.get(line.kind, 0) + line.amount_nano
    return found


# ------------------------------------------------------------------------------------------------- lines of the contract


def _contract_lines(billing: Billing, party: str, run: str) -> Iterator[MonthLine]:
    """The contract's lines of all runs up to this one, by local day; the tax is the tariff's, that of the day."""
    day_of_slot, terms = [local.toordinal() for local in local_times(billing)], own_terms(billing, party)
    of_day: dict[tuple[str, int], dict[int, int]] = {}
    energy_wh: dict[tuple[str, int], int] = {}
    names = billing.sheets.names
    for name in names[: names.index(run) + 1]:
        rows = billing.contract_rows(name, party)
        columns = (rows.slot, rows.kind, rows.energy_wh, rows.amount_nano)
        for slot, place, wh, nano in zip(*(column.tolist() for column in columns), strict=True):
            day = day_of_slot[slot]
            of_line = billing.kinds[place].line_kind, terms.rate_on(day)
            days = of_day.setdefault(of_line, {})
            days[day] = days.get(day, 0) + nano
            energy_wh[of_line] = energy_wh.get(of_line, 0) + wh
    words = CATALOGUE[billing.contract.contract_id].vocabulary.line_kinds
    for (kind, tax_ppm), days in sorted(of_day.items()):
        what = {
            "en": f"Lines {kind} of all slots, by local day; each slot: --line {party}/SLOT/{kind}",
            "zh_CN": f"全部时段的 {kind} 明细，按本地日；每个时段：--line {party}/SLOT/{kind}",
        }
        total = sum(days.values())
        step = Step(
            what, numbers(sum_formula(days[day] for day in sorted(days))), total, nano_unit(billing), holds=True
        )
        yield MonthLine(kind, words[kind].title, [step], energy_wh[kind, tax_ppm], total, tax_ppm)


# ------------------------------------------------------------------------------------------------- lines of the tariff


class _Part(NamedTuple):
    """Days of a month that follow each other, of one rate of tax of an entry."""

    tax_ppm: int | None
    days: Sequence[int]


def _component_lines(billing: Billing, charging: Charging, lines_nano: Mapping[str, int]) -> list[MonthLine]:
    """One line a name and rate of tax; ``lines_nano``: what the contract's lines come to."""
    so_far_nano, of_year = dict(lines_nano), dict[str, int]()
    found: dict[tuple[str, int | None], MonthLine] = {}
    for component in billing.tariffs[charging.party].components:
        before_wh = [*billing.used_before_wh.get(charging.party, {}).get(component.name, {}).values()]
        used_wh = [*before_wh, of_year.get(component.name, 0)] if component.is_of_year else []
        shared_nano = [so_far_nano.get(kind, 0) for kind in component.of]
        for line in _entry_lines(billing, charging, component, shared_nano, used_wh):
            if component.is_of_year:
                of_year[line.kind] = of_year.get(line.kind, 0) + line.energy_wh
            so_far_nano[line.kind] = so_far_nano.get(line.kind, 0) + line.amount_nano
            key = line.kind, line.tax_ppm
            found[key] = found[key].plus(line) if key in found else line
    return list(found.values())


def _entry_lines(
    billing: Billing, charging: Charging, component: Component, shared_nano: Sequence[int], used_wh: Sequence[int]
) -> Iterator[MonthLine]:
    """What an entry comes to at each rate of its tax."""
    title = {"en": f"charge of the tariff, to {component.account}", "zh_CN": f"费率项目，收款科目 {component.account}"}
    local = local_times(billing)
    day_of_slot = [of_slot.toordinal() for of_slot in local]
    billed = [at for at, is_billed in enumerate(charging.is_billed.tolist()) if is_billed]
    places = [at for at in billed if _holds(component, local[at])]
    valid = [at for at in billed if _holds(component.all_hours, local[at])]
    earlier_wh, earlier_nano = 0, 0

    def of_days(of: Sequence[int], first: int, last: int) -> Slots:
        own = [at for at in of if first <= day_of_slot[at] <= last]
        return Slots(own, [day_of_slot[at] for at in own])

    first_day, last_day = day_of_slot[0], day_of_slot[-1]
    for tax_ppm, days in _rate_parts(billing, charging.party, component):
        entry = Entry(
            component=component,
            billing=billing,
            charging=charging,
            slots=of_days(places, days[0], days[-1]),
            so_far=of_days(places, first_day, days[-1]),
            valid=of_days(valid, first_day, days[-1]),
            whole=of_days(places, first_day, last_day),
            days_billed=len({day_of_slot[at] for at in billed}),
            shared_nano=shared_nano,
            earlier_nano=earlier_nano,
            used_wh=used_wh,
            used_here_wh=earlier_wh,
        )
        counted = of_days(valid if component.base in POWER_BASES else places, days[0], days[-1])
        steps = entry_steps(entry) if places and counted.places else []
        energy_wh = steps[0].result if steps and component.base in ENERGY_BASES else 0
        amount_nano = steps[-1].result if steps else 0
        earlier_wh, earlier_nano = earlier_wh + energy_wh, earlier_nano + amount_nano
        yield MonthLine(component.name, title, steps, energy_wh, amount_nano, tax_ppm)


def _rate_parts(billing: Billing, party: str, component: Component) -> list[_Part]:
    """The days of the month by the rate of tax of an entry: its own, else the tariff's on the day, None where no tax is paid."""
    terms, parts = own_terms(billing, party), list[_Part]()
    for day in sorted({local.toordinal() for local in local_times(billing)}):
        rate = terms.rate_on(day) if (own_ppm := component.own_rate_on(day)) is None else own_ppm
        rate_of_day = rate if component.is_taxed else None
        if parts and parts[-1].tax_ppm == rate_of_day:
            parts[-1] = _Part(rate_of_day, [*parts[-1].days, day])
        else:
            parts.append(_Part(rate_of_day, [day]))
    return parts


def own_terms(billing: Billing, party: str) -> InvoiceTerms:
    """By which terms a party's documents of the month are made."""
    return billing.tariffs[party].terms_of(int(billing.months.calendar.day[0]))


def _holds(component: Component, local: datetime) -> bool:
    """Whether an entry holds in the slot that starts at a local time."""
    day, second = local.toordinal(), local.hour * _HOUR_S + local.minute * 60 + local.second
    return (
        (component.from_day is None or component.from_day <= day)
        and (component.until_day is None or day < component.until_day)
        and (not component.months or local.month in component.months)
        and (not component.weekdays or local.isoweekday() in component.weekdays)
        and (not component.day_kinds or kind_of(component, day) in component.day_kinds)
        and (not component.windows or any(start_s <= second < end_s for start_s, end_s in component.windows))
    )
