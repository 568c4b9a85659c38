"""The power factor of a month, and the share by which it adjusts charges (力调电费): ``power_factor_adjustment/1`` (docs/spec/mechanisms.md).

By the rule of the Ministry of Water Resources and Electric Power and the State Price Bureau, (83)水电财字第215号, 功率因数调整电费办法, with its tables 1 to 3.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.registry.tariff import POWER_FACTOR_STANDARDS as STANDARDS
from settlement.errors import SettlementError

_CAP_PPM: Final = dict(zip(STANDARDS, (7_500, 11_000, 13_000), strict=True))
"""By standard, in hundredths: the most that is taken off."""
_KEEN: Final = 90
"""Above it each hundredth takes more off."""
_MILD_PPM, _KEEN_PPM = 1_000, 1_500
_SLACK, _WORSE = 20, 5
"""Hundredths below the standard that cost 0.5 % each, then 1 % each; all others 2 %."""
_SLACK_PPM, _WORSE_PPM, _WORST_PPM = 5_000, 10_000, 20_000


class PowerFactor(NamedTuple):
    """cos phi in hundredths, and the share of the charges that is added, in millionths; below 0 it is taken off."""

    hundredths: int
    share_ppm: int


class ReactiveMonth(NamedTuple):
    """The reactive energy of a month that was taken, and that was given back, varh."""

    reactive_varh: int
    returned_varh: int


def power_factor_adjustment(active_wh: int, reactive_varh: int, returned_varh: int, standard: int) -> PowerFactor:
    """Of a month's energies. returned_varh: reactive energy that was given back, which counts as what was taken does; standard: one of STANDARDS.

    SettlementError for a negative energy, none at all, and another standard.
    """
    if min(active_wh, reactive_varh, returned_varh) < 0:
        raise SettlementError("an energy must not be negative")
    if standard not in STANDARDS:
        raise SettlementError(f"the standard is one of {', '.join(map(str, STANDARDS))} hundredths, not {standard}")
    apparent = active_wh**2 + (reactive_varh + returned_varh) ** 2
    if not apparent:
        raise SettlementError("without energy there is no power factor")
    hundredths = _rounded_hundredths(active_wh, apparent)
    return PowerFactor(hundredths, _share_ppm(hundredths, standard))


def _rounded_hundredths(active_wh: int, apparent: int) -> int:
    """100 x cos phi to the nearest whole number, a half up, without a root: the last one whose lower bound is not above it.

    apparent: the square of the apparent energy.
    """
    return max(at for at in range(101) if at == 0 or (2 * at - 1) ** 2 * apparent <= (200 * active_wh) ** 2)


def _share_ppm(hundredths: int, standard: int) -> int:
    if hundredths >= standard:
        keen = max(0, hundredths - _KEEN)
        mild = hundredths - standard - keen
        return -min(_CAP_PPM[standard], mild * _MILD_PPM + keen * _KEEN_PPM)
    below = standard - hundredths
    slack = min(below, _SLACK)
    worse = min(below - slack, _WORSE)
    return slack * _SLACK_PPM + worse * _WORSE_PPM + (below - slack - worse) * _WORST_PPM
