"""Handlers about energy that no register tells: they call ``settlement.estimation`` and ``settlement.split``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridledger.vectors.cases import CaseInput, CaseRefusedError, by_name, check_unique
from ledger.state.estimates import MISSING
from settlement.estimation import estimate_open, estimate_profile
from settlement.split import spread


def open_gap(case: CaseInput) -> dict[str, object]:
    """``estimate_open/1``."""
    slots = _missing_slots(case)
    limit_wh = np.full(len(slots), case.integer("limit_wh"), dtype=np.int64)
    estimated_wh = estimate_open(_reference_days(case, slots), limit_wh)
    return {"estimated_wh": dict(zip(slots, estimated_wh.tolist(), strict=True))}


def closed_gap(case: CaseInput) -> dict[str, object]:
    """``estimate_profile/1``: one point."""
    slots, measured_wh, advance_wh = _missing_slots(case), case.integer_table("measured_wh"), case.integer("advance_wh")
    check_unique([*slots, *measured_wh], "slot")
    _check_energies({"advance_wh": advance_wh, **measured_wh})
    rest_wh = np.array([advance_wh - sum(measured_wh.values())], dtype=np.int64)
    is_missing = np.ones((1, len(slots)), dtype=np.bool_)
    estimated_wh = estimate_profile(rest_wh, _reference_days(case, slots)[:, None, :], is_missing)
    return {"estimated_wh": dict(zip(slots, estimated_wh[0].tolist(), strict=True))}


def spread_evenly(case: CaseInput) -> dict[str, object]:
    """``spread/1``."""
    return {"parts_wh": spread(case.integer("energy_wh"), case.integer("parts"))}


def _missing_slots(case: CaseInput) -> list[str]:
    slots = case.texts("missing")
    check_unique(slots, "slot")
    return by_name(slots)


def _reference_days(case: CaseInput, slots: list[str]) -> NDArray[np.int64]:
    """int64[days, slots], MISSING where a day does not have the slot."""
    days = case.integer_tables("reference_wh")
    for day in days:
        _check_energies(day)
    values = [[day.get(slot, MISSING) for slot in slots] for day in days]
    return np.array(values, dtype=np.int64).reshape(len(days), len(slots))


def _check_energies(energies_wh: dict[str, int]) -> None:
    for name, energy_wh in energies_wh.items():
        if energy_wh < 0:
            raise CaseRefusedError(f"{name}: a negative energy, {energy_wh}")
