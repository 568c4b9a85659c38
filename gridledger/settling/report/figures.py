"""What a report shows of a settled folder, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gridledger.settling.dataset import UnusualPower
from gridledger.settling.uncharged_components import Uncharged
from gridledger.settling.validation_marks import MarkedRow
from ledger.contract import Vocabulary
from settlement.tariffs.components import Component

ROWS_MAX: Final = 500
"""Rows of a table of the page; the files have all of them."""


class Bar(NamedTuple):
    """A local day or month: what members took, how much of that was shared, and what they gave; Wh."""

    name: str
    import_wh: int
    shared_wh: int
    export_wh: int


class DocumentFigures(NamedTuple):
    """An invoice or credit note, in quanta; energies of its party's month, Wh, 0 for a credit note."""

    party: str
    month: str
    run: str
    import_wh: int
    export_wh: int
    shared_wh: int
    net: int
    tax: int
    gross: int


class KindFigures(NamedTuple):
    """What a kind of line comes to over all documents: energy, and the amounts as they were rounded, in quanta."""

    line_kind: str
    account: str
    energy_wh: int
    amount: int


class PointFigures(NamedTuple):
    """A point with intervals that were not measured: how many, and what was settled in them."""

    point: str
    party: str
    missing: int
    estimated: int
    suspect: int
    energy_wh: int


class ComponentFigures(NamedTuple):
    """An entry of a component, and how many parties it is charged to."""

    component: Component
    parties: int


class Figures(NamedTuple):
    """All of a report. first_slot, last_slot_end: local times as text; prices, terms: of the rules; later_prices, later_rates (of tax): by the local day from which they hold; marked: with the local time of each; series: keys of prices that vary; quantum_nano: of amounts; uncharged: components that are left out."""

    first_slot: str
    last_slot_end: str
    timezone: str
    slots: int
    points: int
    parties: int
    readings: int
    missing: int
    estimated: int
    import_wh: int
    export_wh: int
    shared_wh: int
    bars: Sequence[Bar]
    documents: Sequence[DocumentFigures]
    kinds: Sequence[KindFigures]
    exceptions: Sequence[PointFigures]
    currency: str
    quantum_nano: int
    tax_ppm: int
    later_rates: Sequence[tuple[str, int]]
    rounding: str
    contract: str
    contract_pin: str
    vocabulary: Vocabulary
    prices: Mapping[str, int]
    later_prices: Sequence[tuple[str, Mapping[str, int]]]
    terms: Mapping[str, object]
    estimate: str
    series: Sequence[str]
    components: Sequence[ComponentFigures]
    inputs: Sequence[tuple[str, int, str]]
    results_root: str
    unusual: UnusualPower | None
    marked: Sequence[tuple[str, MarkedRow]]
    uncharged: Sequence[Uncharged]
