"""力调电费: the national table of 1983, and the share of any month's energies."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gridcore.registry.tariff import POWER_FACTOR_STANDARDS as STANDARDS
from settlement.errors import SettlementError
from settlement.tariffs.power_factor import power_factor_adjustment
from tests.slow.power_factor import hundredths_of, table

ENERGIES = st.integers(0, 10**12)
PUBLISHED = {
    100: (-0.75, -1.1, -1.3), 95: (-0.75, -1.1, -1.3), 94: (-0.6, -1.1, -1.3), 93: (-0.45, -0.95, -1.3), 66: (14, 9.5, 7),
    65: (15, 10, 7.5), 64: (17, 11, 8), 63: (19, 12, 8.5), 62: (21, 13, 9), 61: (23, 14, 9.5), 60: (25, 15, 10), 59: (27, 17, 11),
    32: (81, 71, 61), 30: (85, 75, 65), 27: (91, 81, 71),
}  # fmt: skip
"""Per cent by the hundredths of the power factor, for the standards 0.90, 0.85 and 0.80: rows of the look-up table that users are billed by."""


def test_the_table_has_the_published_figures() -> None:
    found = {at: tuple(table(standard)[at] / 100 for standard in (90, 85, 80)) for at in PUBLISHED}
    assert found == PUBLISHED


@given(ENERGIES, ENERGIES, ENERGIES, st.sampled_from(STANDARDS))
def test_the_share_of_any_energies_is_that_of_the_table(
    active_wh: int, reactive_varh: int, returned_varh: int, standard: int
) -> None:
    assume(active_wh + reactive_varh + returned_varh)
    found = power_factor_adjustment(active_wh, reactive_varh, returned_varh, standard)
    assert found.hundredths == hundredths_of(active_wh, reactive_varh + returned_varh)
    assert found.share_ppm == table(standard)[found.hundredths] * 100


def test_without_energy_there_is_no_power_factor() -> None:
    with pytest.raises(SettlementError, match=r"^without energy there is no power factor$"):
        power_factor_adjustment(0, 0, 0, 90)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(1, 10**9), st.sampled_from(STANDARDS))
def test_more_reactive_energy_never_costs_less(active_wh: int, reactive_varh: int, more: int, standard: int) -> None:
    less = power_factor_adjustment(active_wh, reactive_varh, 0, standard)
    assert power_factor_adjustment(active_wh, reactive_varh + more, 0, standard).share_ppm >= less.share_ppm
    assert power_factor_adjustment(active_wh, 0, reactive_varh, standard) == less
