"""``balance_terms/<area>``: who answers for what the grid of an area loses, and what its losses and imbalances are worth.

No run of a slot rests on it: what it comes to is computed from settled runs (docs/settlement-runs.md, "The balance of an area").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.forms import NAME, Form, choice, integer
from gridcore.registry.entity import Entity, Shape
from gridcore.registry.price_series import PRICE_MICRO_PER_KWH_MAX

LOSS_PRICE: Final = "loss_price_micro_per_kwh"
"""Paid by who answers for losses for what went into the area and came out nowhere."""
GAIN_PRICE: Final = "gain_price_micro_per_kwh"
"""Received by him where more came out than went in."""
SURPLUS_PRICE: Final = "surplus_price_micro_per_kwh"
"""Received by a balance group for what it gave more, or took less, than its trades say."""
SHORTFALL_PRICE: Final = "shortfall_price_micro_per_kwh"
"""Paid by a balance group for what it lacks."""
BALANCE_PRICES: Final = (GAIN_PRICE, LOSS_PRICE, SHORTFALL_PRICE, SURPLUS_PRICE)

BOTH: Final = "both"
SHORT_ONLY: Final = "short_only"
SIDES: Final = (BOTH, SHORT_ONLY)
"""Which deviations beyond the tolerance cost: surpluses and shortfalls, or shortfalls alone."""


class BalancePenalty(NamedTuple):
    """What a balance group pays for leaving its schedule: ``penalty_ppm`` of the price (at least 0) for each kWh beyond ``tolerance_ppm`` of the schedule.

    sides: one of ``SIDES``; both shares in millionths.
    """

    penalty_ppm: int
    price_micro_per_kwh: int
    sides: str
    tolerance_ppm: int


class BalanceTerms(NamedTuple):
    """loss_responsible: name of the balance responsible party that answers for losses; prices: by ``BALANCE_PRICES``, micro per kWh.

    series: for some of the prices the name of the price series that says them slot by slot; where it says none, the price above holds.
    penalty: the map of a ``BalancePenalty``; None where nothing more is paid than the prices above say.
    """

    loss_responsible: str
    prices: Mapping[str, int]
    series: Mapping[str, str] | None = None
    penalty: Mapping[str, Any] | None = None


def _are_prices(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {*BALANCE_PRICES}
        and all(type(price) is int and abs(price) <= PRICE_MICRO_PER_KWH_MAX for price in value.values())
    )


def _are_series(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and value.keys() <= {*BALANCE_PRICES}
        and all(map(NAME.holds, value.values()))
    )


_SHARE: Final = integer(0, 1_000_000)
_PENALTY: Final = Shape(
    BalancePenalty,
    {
        "penalty_ppm": _SHARE,
        "price_micro_per_kwh": integer(0, PRICE_MICRO_PER_KWH_MAX),
        "sides": choice(*SIDES),
        "tolerance_ppm": _SHARE,
    },
)


def _fault_of_penalty(terms: BalanceTerms) -> str:
    fault = "" if terms.penalty is None else _PENALTY.fault_of(terms.penalty)
    return f"penalty: {fault}" if fault else ""


BALANCE_TERMS: Final[Entity[BalanceTerms]] = Entity(
    "balance_terms",
    Shape(
        BalanceTerms,
        {
            "loss_responsible": NAME,
            "prices": Form(
                f"a map of {', '.join(BALANCE_PRICES)}, each -{PRICE_MICRO_PER_KWH_MAX} to {PRICE_MICRO_PER_KWH_MAX}",
                _are_prices,
            ),
            "series": Form("a map of some of the prices, each to the name of its price series", _are_series),
            "penalty": Form(f"a map of {', '.join(_PENALTY.forms)}", lambda value: isinstance(value, dict)),
        },
        optional=frozenset({"series", "penalty"}),
        rule=_fault_of_penalty,
    ),
)
