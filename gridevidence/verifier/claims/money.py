"""Claims 3 and 4: the amount of the line, and its energy."""

from __future__ import annotations

from gridevidence.layout import INPUT_ROW, LINE_ROW, POSITION_ROW, PRICE_ABSENT
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import Point
from gridevidence.verifier.examination import Examination


def check_line(of: Examination) -> str:
    """3: the bill line, under the run's line root; the price is the one due for its kind, amount = energy x price."""
    row = of.row(of.bundle["line"], LINE_ROW, of.value["run"]["line_root"], "line")
    _, kind, energy_wh, price, amount_nano = row
    kinds, slot = of.contract().line_kinds, of.slot()
    hold(kind < len(kinds) and energy_wh > 0, "the line is of an unknown kind, or has no energy")
    declared, due_price = kinds[kind], slot.price_of(kinds[kind])
    if due_price is None:  # then claim 4 says whether the amount is due
        same("the price of the line", price, PRICE_ABSENT)
        text = f"{declared.name}: {energy_wh} Wh, {amount_nano} nano is a line of the run, without a price of its own."
    else:
        due = slot.priced_line(declared, energy_wh)
        same("price and amount of the line", (price, amount_nano), (due.price_micro_per_kwh, due.amount_nano))
        text = f"{declared.name}: {energy_wh} Wh x {price} micro/kWh = {amount_nano} nano is a line of the run."
    of.facts.update(
        line_kind=declared.name, energy_wh=energy_wh, price_micro_per_kwh=due_price, amount_nano=amount_nano
    )
    return text


def check_energy(of: Examination) -> str:
    """4: energy from registers and trades, and the sum of all lines of the point."""
    run, meter = of.value["run"], of.value["meter"]
    number, *registers, _ = of.row(of.bundle["input"], INPUT_ROW, run["input_root"], "input")
    position = of.row(of.bundle["position"], POSITION_ROW, run["position_root"], "position")
    same("the meter of input and position", (number, position[0]), (meter["number"], meter["number"]))
    _, bought_wh, sold_wh, pays_nano, alone_nano = position
    hold(min(bought_wh, sold_wh, *registers) >= 0, "an energy or a register is negative")
    spans = registers[:2], registers[2:]  # a register with a modulus may have rolled over once
    taken = [(end - start + (meter["modulus_wh"] if end < start else 0)) * meter["ratio"] for start, end in spans]
    hold(min(taken) >= 0, "a register went back")
    contract, slot, point = of.contract(), of.slot(), Point(taken[0], taken[1], bought_wh, sold_wh, pays_nano)
    kind = [declared.name for declared in contract.line_kinds].index(of.facts["line_kind"])
    line = contract.lines_of_point(point, slot)[kind]
    same("the energy of the line", of.facts["energy_wh"], line.energy_wh)
    same("the amount of the line", of.facts["amount_nano"], line.amount_nano)
    contract.check_point(point, slot)
    same("the supplier-only amount of the point", alone_nano, contract.alone_of_point(point, slot))
    of.facts.update(import_wh=taken[0], export_wh=taken[1], bought_wh=bought_wh, sold_wh=sold_wh)
    of.facts.update(slot_pays_nano=pays_nano, slot_supplier_only_nano=alone_nano)
    return (
        f"{taken[0]} Wh in, {taken[1]} Wh out by the registers, {bought_wh} Wh bought, {sold_wh} Wh sold give the line."
    )
