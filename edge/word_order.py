"""In which byte order do a meter's registers make sense? A guess for who stands before a meter whose values look wrong.

The order of a profile is right for one firmware and one gateway; a converter may turn words around on its way. Each of the four orders is
tried on all values of more than one word: the one that makes most of them plausible is named if it beats the profile's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from firmware_profiles.decode import decode_point
from firmware_profiles.formats import NATURE, ORDERS, order_for, orders_of
from firmware_profiles.modbus import ModbusPoint, ModbusProfile
from gridcore.errors import EncodingError

FLOAT_MIN, FLOAT_MAX = 1e-3, 1e9
"""A float that a meter shows is 0 or lies between these, in base units; one with its words turned around hardly ever does."""


def guess_order(profile: ModbusProfile, words: Mapping[tuple[int, int], int]) -> str:
    """A line that names a better order, or "". ``words`` as they were read: (function code, register) -> word."""
    points = [
        point
        for point in profile.points
        if point.words > 1 and all((point.function_code, register) in words for register in point.registers)
    ]
    if not points:
        return ""
    fitting = {order: sum(_is_plausible(point, order, words) for point in points) for order in ORDERS}
    own = _order_of(points)
    best = max(ORDERS, key=lambda order: (fitting[order], order == own))
    if own is None or fitting[best] <= fitting[own]:
        return ""
    return f"{fitting[best]} of {len(points)} values look right in order {best}, {fitting[own]} in the profile's {own}"


def _order_of(points: list[ModbusPoint]) -> str | None:
    """The four-letter order of all points; None where they have several."""
    own = {orders_of(point.type)[point.order] for point in points}
    return next(name for name, flags in ORDERS.items() if flags in own) if len(own) == 1 else None


def _is_plausible(point: ModbusPoint, order: str, words: Mapping[tuple[int, int], int]) -> bool:
    """Whether a point's value lies within its bounds, and within what any meter shows."""
    turned = dataclasses.replace(point, order=order_for(point.type, order))
    try:
        value = decode_point([words[point.function_code, register] for register in point.registers], turned)
    except EncodingError:
        return False
    if value is None:
        return False
    if NATURE[point.type] == "float" and value and not FLOAT_MIN <= abs(value) <= FLOAT_MAX:
        return False
    return (point.min is None or value >= point.min) and (point.max is None or value <= point.max)
