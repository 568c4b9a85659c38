"""A household's orders in a file: a TOML table an order, a ramp or a standing rule. What is wrong ends in one line with file and key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gridcore.config import ConfigError, load_config
from gridcore.errors import excerpt
from gridcore.forms import NAME, TIME_S_MAX
from gridcore.registry.point import ENERGY_KINDS, RENEWABLE
from gridcore.transactions.content import Content
from gridcore.transactions.market_order import (
    CONDITIONS_MAX,
    COUNTER_MAX,
    LIMIT_MICRO_PER_KWH_MAX,
    NONCE_BYTES,
    QUANTITY_WH_MAX,
    SIDES,
    Condition,
    MarketOrder,
)
from gridcore.transactions.market_profile import (
    QUANTITIES_MAX,
    MarketProfile,
    ProfileBid,
    ProfileCondition,
    ProfilePart,
)

ENTRIES_MAX: Final = 1_024
"""Tables of a file: transactions of one call."""
_TIME: Final[dict[str, Any]] = {"min": 0, "max": TIME_S_MAX}
_COUNTER: Final[dict[str, Any]] = {"min": 1, "max": COUNTER_MAX}
_PRICE: Final[dict[str, Any]] = {"min": -LIMIT_MICRO_PER_KWH_MAX, "max": LIMIT_MICRO_PER_KWH_MAX}
_QUANTITY: Final[dict[str, Any]] = {"min": 1, "max": QUANTITY_WH_MAX}
_QUANTITIES: Final[dict[str, Any]] = {"min": 1, "max": QUANTITIES_MAX}
_SELLER: Final[dict[str, Any]] = {"min": 1, "max": 64}
_KINDS: Final[dict[str, Any]] = {"choices": (*ENERGY_KINDS, RENEWABLE)}


@dataclass(frozen=True, kw_only=True)
class ConditionEntry:
    """``[[order.condition]]``: as ``Condition``."""

    energy_wh: int = field(metadata=_QUANTITY)
    price_micro_per_kwh: int = field(metadata=_PRICE)
    seller: str | None = field(default=None, metadata=_SELLER)
    energy_kind: str | None = field(default=None, metadata=_KINDS)


@dataclass(frozen=True, kw_only=True)
class OrderEntry:
    """``[[order]]``: one order, with ``steps`` a price ramp, or a bid with conditions, which say what it buys. slot_start_s: UTC seconds; the rest as
    ``MarketOrder``.
    """

    slot_start_s: int = field(metadata=_TIME)
    counter: int = field(metadata=_COUNTER)
    side: str | None = field(default=None, metadata={"choices": SIDES})
    quantity_wh: int | None = field(default=None, metadata=_QUANTITY)
    price_micro_per_kwh: int | None = field(default=None, metadata=_PRICE)
    condition: tuple[ConditionEntry, ...] = field(default=(), metadata={"max": CONDITIONS_MAX})
    replaces: tuple[int, ...] = field(default=(), metadata={"max": COUNTER_MAX})
    last_price_micro_per_kwh: int | None = field(default=None, metadata=_PRICE)
    steps: int | None = field(default=None, metadata={"min": 2, "max": COUNTER_MAX})
    all_or_none: bool = False


@dataclass(frozen=True, kw_only=True)
class PartConditionEntry:
    """``[[profile.part.condition]]``: as ``ProfileCondition``."""

    price_micro_per_kwh: int = field(metadata=_PRICE)
    quantities_wh: tuple[int, ...] = field(metadata=_QUANTITIES)
    seller: str | None = field(default=None, metadata=_SELLER)
    energy_kind: str | None = field(default=None, metadata=_KINDS)


@dataclass(frozen=True, kw_only=True)
class PartEntry:
    """``[[profile.part]]``: as ``ProfilePart``, or with conditions, which say what it buys, as ``ProfileBid``."""

    side: str | None = field(default=None, metadata={"choices": SIDES})
    price_micro_per_kwh: int | None = field(default=None, metadata=_PRICE)
    quantities_wh: tuple[int, ...] | None = field(default=None, metadata=_QUANTITIES)
    condition: tuple[PartConditionEntry, ...] = field(default=(), metadata={"max": CONDITIONS_MAX})


@dataclass(frozen=True, kw_only=True)
class ProfileEntry:
    """``[[profile]]``: a standing rule from slot_start_s to before end_s, UTC seconds."""

    slot_start_s: int = field(metadata=_TIME)
    end_s: int = field(metadata=_TIME)
    counter: int = field(metadata=_COUNTER)
    part: tuple[PartEntry, ...] = field(metadata={"min": 1, "max": COUNTER_MAX})


@dataclass(frozen=True, kw_only=True)
class OrdersFile:
    """area: the party's, by name; at least one order or profile."""

    area: str = field(metadata={"min": 1, "max": 64})
    order: tuple[OrderEntry, ...] = field(default=(), metadata={"max": ENTRIES_MAX})
    profile: tuple[ProfileEntry, ...] = field(default=(), metadata={"max": ENTRIES_MAX})


def read_orders(path: Path) -> Sequence[MarketOrder | MarketProfile]:
    """What a file orders, orders first, with nonces drawn anew. ConfigError naming file and key."""
    file = load_config(path, OrdersFile)
    if not file.order and not file.profile:
        raise ConfigError(f"{path}: no [[order]] and no [[profile]]")
    orders = [_order(f"{path}: order {number}", file.area, entry) for number, entry in enumerate(file.order, 1)]
    profiles = [_profile(f"{path}: profile {number}", file.area, entry) for number, entry in enumerate(file.profile, 1)]
    return [*orders, *profiles]


def describe(content: Content) -> str:
    """An order or a profile in one line."""
    if isinstance(content, MarketOrder):
        return f"order {content.slot_start_s}/{content.counter} {content.side} {content.quantity_wh} Wh"
    if isinstance(content, MarketProfile):
        return f"profile {content.slot_start_s}/{content.counter} until {content.end_s}"
    return content.kind


def _order(where: str, area: str, entry: OrderEntry) -> MarketOrder:
    if (entry.steps is None) != (entry.last_price_micro_per_kwh is None):
        raise ConfigError(f"{where}: steps and last_price_micro_per_kwh make a ramp together")
    if entry.steps is not None and entry.all_or_none:
        raise ConfigError(f"{where}: all_or_none is of one order, not of a ramp")
    if entry.replaces and not _is_ascending(entry.replaces):
        raise ConfigError(f"{where}: replaces: counters from 1 to {COUNTER_MAX}, ascending")
    asked = _conditions(where, entry)
    said = entry.side, entry.quantity_wh, entry.price_micro_per_kwh
    if asked:
        said = "buy", max(one.energy_wh for one in asked), max(one.price_micro_per_kwh for one in asked)
    side, quantity_wh, price_micro_per_kwh = said
    if side is None or quantity_wh is None or price_micro_per_kwh is None:
        raise ConfigError(f"{where}: side, quantity_wh and price_micro_per_kwh, or [[order.condition]] instead of them")
    return MarketOrder(
        area=area,
        conditions=asked,
        counter=entry.counter,
        nonce=secrets.token_bytes(NONCE_BYTES),
        price_micro_per_kwh=price_micro_per_kwh,
        quantity_wh=quantity_wh,
        side=side,
        slot_start_s=entry.slot_start_s,
        replaces=entry.replaces,
        last_price_micro_per_kwh=entry.last_price_micro_per_kwh,
        steps=entry.steps or 1,
        all_or_none=entry.all_or_none,
    )


def _conditions(where: str, entry: OrderEntry) -> tuple[Condition, ...]:
    """Those of a bid. ConfigError where the entry says beside them what follows from them, or what no bid with conditions is."""
    beside = [
        name
        for name, value in {
            "side": entry.side,
            "quantity_wh": entry.quantity_wh,
            "price_micro_per_kwh": entry.price_micro_per_kwh,
            "steps": entry.steps,
            "all_or_none": entry.all_or_none or None,
        }.items()
        if value is not None
    ]
    if entry.condition and beside:
        raise ConfigError(f"{where}: {beside[0]}: an order with conditions has none; each condition says what it buys")
    return tuple(
        Condition(
            one.energy_wh,
            one.price_micro_per_kwh,
            _seller(f"{where}: condition {number}", one.seller),
            one.energy_kind,
        )
        for number, one in enumerate(entry.condition, 1)
    )


def _seller(where: str, name: str | None) -> str | None:
    if name is not None and not NAME.holds(name):
        raise ConfigError(f"{where}: seller: {excerpt(name)} is no name of a party; it has {NAME.words}")
    return name


def _is_ascending(counters: Sequence[int]) -> bool:
    return list(counters) == sorted(set(counters)) and counters[0] >= 1 and counters[-1] <= COUNTER_MAX


def _profile(where: str, area: str, entry: ProfileEntry) -> MarketProfile:
    return MarketProfile(
        area=area,
        counter=entry.counter,
        end_s=entry.end_s,
        nonce=secrets.token_bytes(NONCE_BYTES),
        parts=[_part(f"{where}: part {number}", part) for number, part in enumerate(entry.part, 1)],
        slot_start_s=entry.slot_start_s,
    )


def _part(where: str, entry: PartEntry) -> ProfilePart | ProfileBid:
    side, price_micro_per_kwh, quantities_wh = entry.side, entry.price_micro_per_kwh, entry.quantities_wh
    if entry.condition:
        said = {"side": side, "price_micro_per_kwh": price_micro_per_kwh, "quantities_wh": quantities_wh}
        beside = [name for name, value in said.items() if value is not None]
        if beside:
            raise ConfigError(
                f"{where}: {beside[0]}: a part with conditions has none; each condition says what it buys"
            )
        return ProfileBid(
            [
                ProfileCondition(
                    one.price_micro_per_kwh,
                    _quantities(f"{where}: condition {number}", one.quantities_wh),
                    _seller(f"{where}: condition {number}", one.seller),
                    one.energy_kind,
                )
                for number, one in enumerate(entry.condition, 1)
            ]
        )
    if side is None or price_micro_per_kwh is None or quantities_wh is None:
        what = "side, price_micro_per_kwh and quantities_wh"
        raise ConfigError(f"{where}: {what}, or [[profile.part.condition]] instead of them")
    return ProfilePart(side, price_micro_per_kwh, _quantities(where, quantities_wh))


def _quantities(where: str, quantities_wh: Sequence[int]) -> Sequence[int]:
    if not all(0 <= quantity <= QUANTITY_WH_MAX for quantity in quantities_wh) or not any(quantities_wh):
        raise ConfigError(f"{where}: quantities_wh: 0 to {QUANTITY_WH_MAX}, not all 0")
    return quantities_wh
