"""Charges and invoices by columns, beside the slow references in plain Python."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.invoicing.total import HALF_EVEN, HALF_UP_AWAY, invoice_total
from settlement.tariffs.charges import Calendar, Tariff, Usage
from settlement.tariffs.components import BASES, ENERGY_BASES, Component, Step, Window
from tests.slow import invoices, tariffs

FIRST = date(2026, 6, 29).toordinal()
SLOT_S = 6 * 3_600
SLOTS = 4 * 4
PRICES = st.integers(-(10**12), 10**12)
HOURS = st.integers(0, 24).map(lambda hour: hour * 3_600)
NAMES = ("a", "b", "c", "d")


def windows() -> st.SearchStrategy[tuple[Window, ...]]:
    pair = st.tuples(HOURS, HOURS).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Window(*ends))
    return st.lists(pair, max_size=1).map(tuple)


@st.composite
def components(draw: st.DrawFn) -> list[Component]:
    found: list[Component] = []
    for name in NAMES[: draw(st.integers(1, 4))]:
        base = draw(st.sampled_from(BASES))
        is_energy = base in ENERGY_BASES
        steps = (Step(1_000, draw(PRICES)), Step(5_000, draw(PRICES)), Step(None, draw(PRICES)))
        found.append(
            Component(
                name=name,
                account="grid",
                base=base,
                price=draw(PRICES),
                from_day=draw(st.sampled_from([None, FIRST, FIRST + 1, FIRST + 2])),
                until_day=draw(st.sampled_from([None, FIRST + 2, FIRST + 3])),
                months=draw(st.sampled_from([(), (6,), (7,), (6, 7), (8,)])),
                windows=draw(windows()) if is_energy else (),
                steps=steps if is_energy and draw(st.booleans()) else (),
                parties=draw(st.sampled_from([(), ("P1",), ("P2",)])),
                contracted_w={"P1": draw(st.integers(0, 10**9))} if base == "kw_contracted" else {},
                of=("levy", *NAMES[: len(found)]) if base == "percent" else (),
            )
        )
    return found


@given(
    components(),
    st.lists(st.integers(0, 10**7), min_size=2 * SLOTS, max_size=2 * SLOTS),
    st.integers(-(10**15), 10**15),
)
@settings(max_examples=150, deadline=None)
def test_charges_by_columns_are_those_of_the_text(parts: list[Component], energies: list[int], levy: int) -> None:
    imports, exports = energies[:SLOTS], energies[SLOTS:]
    traded = [min(pair) for pair in zip(imports, exports, strict=True)]
    days = [FIRST + slot // 4 for slot in range(SLOTS)]
    months = [date.fromordinal(day).month for day in days]
    seconds = [slot % 4 * SLOT_S for slot in range(SLOTS)]
    slots = [
        tariffs.Slot(month - 6, month, *of_slot)
        for month, *of_slot in zip(months, days, seconds, imports, exports, traded, strict=True)
    ]
    calendar = Calendar(
        slot_s=SLOT_S,
        month=np.array(months, dtype=np.int64) - 6,
        month_of_year=np.array(months, dtype=np.int64),
        day=np.array(days, dtype=np.int64),
        second=np.array(seconds, dtype=np.int64),
        days_of_month=[30, 31],
    )
    usage = Usage(*(np.array(column, dtype=np.int64) for column in (imports, exports, traded)))
    found: dict[tuple[int, str], int] = {}
    for charge in Tariff(parts, calendar).charges("P1", usage, [{"levy": levy}, {"levy": levy}]):
        key = (charge.month, charge.name)
        found[key] = found.get(key, 0) + charge.amount_nano
    assert {key: nano for key, nano in found.items() if nano} == tariffs.charges(
        parts, "P1", slots, SLOT_S, [30, 31], {"levy": levy}
    )


@given(
    st.dictionaries(st.sampled_from(NAMES), st.integers(-(10**12), 10**12)),
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 1_000, 10_000_000]),
    st.sampled_from([HALF_EVEN, HALF_UP_AWAY]),
)
def test_an_invoice_is_that_of_the_text(lines: dict[str, int], tax_ppm: int, quantum_nano: int, rule: str) -> None:
    total = invoice_total(list(lines.values()), tax_ppm, quantum_nano, rule, [kind != "d" for kind in lines])
    assert {
        "net": total.net,
        "tax": total.tax,
        "gross": total.gross,
        "rounding_nano": total.rounding_nano,
    } == invoices.invoice(lines, ["d"], tax_ppm, quantum_nano, rule)
