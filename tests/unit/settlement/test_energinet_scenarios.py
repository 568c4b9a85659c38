"""Energinet's published settlement scenarios, as far as they map (docs/settlement-cases.md): given, when, then out of TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from settlement.invoicing.total import HALF_UP_AWAY, invoice_total
from settlement.split import spread
from settlement.tariffs import components_of
from settlement.tariffs.charges import Tariff, Usage
from settlement.tariffs.holding import Calendar, Holding
from settlement.tariffs.network import grid_loss

FOLDER = Path(__file__).with_name("energinet")
MICRO_NANO = 1_000
Case = Mapping[str, Any]


def scenario(name: str) -> Case:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def pairs(kind: str) -> list[Any]:
    """Every when and then of the scenarios of one kind."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        case = scenario(path.stem)
        if case["kind"] == kind:
            rows = zip(case["when"], case["then"], strict=kind != "total")
            found += [pytest.param(when, then, id=f"{path.stem}-{at}") for at, (when, then) in enumerate(rows)]
    return found


FIRST_DAY = 738_552


def charged(energy_wh: int, days: int, *entries: dict[str, Any]) -> int:
    """Nano of one component's entries in a month of which the first ``days`` are settled, in one slot a day."""
    calendar = Calendar(
        slot_s=86_400,
        month=np.zeros(days, dtype=np.int64),
        month_of_year=np.full(days, 2, dtype=np.int64),
        day=FIRST_DAY + np.arange(days),
        second=np.zeros(days, dtype=np.int64),
        days_of_month=[28],
    )
    energy = np.zeros(days, dtype=np.int64)
    energy[0] = energy_wh
    components = components_of([{"name": "c", "account": "grid"} | entry for entry in entries], [])
    charges = Tariff(components, Holding(calendar)).charges("supplier", Usage(energy, energy, energy), [{}])
    return sum(charge.amount_nano for charge in charges)


@pytest.mark.parametrize(("when", "then"), pairs("grid_loss"))
def test_a_grid_area_loses_what_energinet_says(when: Case, then: Case) -> None:
    loss = grid_loss(when["exchange_in_wh"], 0, when["production_wh"], when["consumption_wh"])
    assert (loss.loss_consumption_wh, loss.loss_production_wh) == (
        then["loss_consumption_wh"],
        then["loss_production_wh"],
    )


@pytest.mark.parametrize(("when", "then"), pairs("spread"))
def test_an_hour_becomes_the_quarters_that_energinet_says(when: Case, then: Case) -> None:
    assert list(spread(when["energy_wh"], 4)) == then["quarters_wh"]


@pytest.mark.parametrize(("when", "then"), pairs("tariff"))
def test_a_tariff_comes_to_what_energinet_says(when: Case, then: Case) -> None:
    component = {"base": "import", "price_micro_per_kwh": when["price_micro_per_kwh"]}
    amount_nano = charged(when["energy_wh"], 3, component)
    (line,) = invoice_total([amount_nano], 0, MICRO_NANO, HALF_UP_AWAY).lines
    assert line == then["amount_micro"]


def entry_of(span: Case) -> dict[str, Any]:
    """A span of days in which some pieces are charged: a piece more is a price of the day more."""
    return {
        "base": "day",
        "price_micro_per_day": span["price"] * span["pieces"],
        "valid_from": date.fromordinal(FIRST_DAY + span["from"]),
        "valid_until": date.fromordinal(FIRST_DAY + span["until"]),
    }


@pytest.mark.parametrize(("when", "then"), pairs("day"))
def test_pieces_of_subscriptions_and_fees_come_to_what_energinet_says(when: Case, then: Case) -> None:
    amount_nano = charged(0, when["days"], *map(entry_of, when["spans"]))
    assert amount_nano == then["amount_micro"] * MICRO_NANO


def test_a_supplier_s_month_is_the_sum_of_its_rounded_charges() -> None:
    case = scenario("total_of_a_supplier")
    lines_nano = [
        charged(0, row["days"], {"base": "day", "price_micro_per_day": row["price_micro_per_day"]})
        if "days" in row
        else row["amount_micro"] * MICRO_NANO
        for row in case["when"]
    ]
    assert invoice_total(lines_nano, 0, MICRO_NANO, HALF_UP_AWAY).net == case["then"][0]["amount_micro"]


def test_every_scenario_is_of_a_kind_that_is_run() -> None:
    kinds = {scenario(path.stem)["kind"] for path in FOLDER.glob("*.toml")}
    assert kinds == {"change", "day", "grid_loss", "spread", "tariff", "total"}
