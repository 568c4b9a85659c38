"""The arithmetic of ``sharing_keys/1``: a community's production is given to its consumers by keys, after the fact."""

from __future__ import annotations

import re
from typing import Final

from gridevidence.layout import PRICES
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import (
    TRADE_PRICE,
    Contract,
    LineKind,
    PointLine,
    Settled,
    priced_line,
    supplier_only_nano,
)

SHARING_KINDS: Final = (
    LineKind("trade_buy", "clearing", 1, TRADE_PRICE),
    LineKind("trade_sell", "clearing", -1, TRADE_PRICE),
    LineKind("residual_import", "supplier", 1, "residual_price_micro_per_kwh"),
    LineKind("residual_export", "offtaker", -1, "feed_in_price_micro_per_kwh"),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
PPM: Final = 1_000_000


def _billed(of: Settled) -> Settled:
    """The point's energy that is billed: all of it, or the shared alone; at the price that the terms name for what is shared."""
    of = of._replace(trade_price=of.terms[TRADE_PRICE])
    if of.terms.get("settle_residual", True):
        return of
    return of._replace(import_wh=of.columns["bought_wh"], export_wh=of.columns["sold_wh"])


def lines_of_sharer(of: Settled) -> list[PointLine]:
    """A line of each of SHARING_KINDS, in their order."""
    of = _billed(of)
    bought_wh, sold_wh = of.columns["bought_wh"], of.columns["sold_wh"]
    rest_wh = of.import_wh - bought_wh
    energies_wh = (bought_wh, sold_wh, rest_wh, of.export_wh - sold_wh, bought_wh, rest_wh, of.import_wh)
    return [priced_line(kind, energy_wh, of) for kind, energy_wh in zip(SHARING_KINDS, energies_wh, strict=True)]


def _hold_part(what: str, share: int, total: int, weight: int, weights: int) -> None:
    """Hold that ``share`` is what largest remainder gives: the floor, or one more where the division leaves a rest."""
    floor, rest = divmod(total * weight, weights) if weights else (0, 0)
    hold(floor <= share <= floor + (rest > 0), f"{what} is not the share that is due")


def _check_sharer(of: Settled) -> None:
    """What the point was given and gave, as far as its own energy and the sums of its area tell."""
    area, method = of.area, of.terms["method"]
    bought_wh, sold_wh, shared_wh = of.columns["bought_wh"], of.columns["sold_wh"], area["shared_wh"]
    hold(min(area.values()) >= 0, "a sum of the area is negative")
    hold(shared_wh <= min(area["production_wh"], area["consumption_wh"]), "more was shared than produced, or consumed")
    within = of.import_wh <= area["consumption_wh"] and of.export_wh <= area["production_wh"]
    hold(within, "the point has more import or export than its area")
    hold(
        0 <= bought_wh <= min(of.import_wh, shared_wh), "the point was given more than it consumes, or than was shared"
    )
    _hold_part("what the point gave", sold_wh, shared_wh, of.export_wh, area["production_wh"])
    key_ppm, keys_ppm = of.point.get("share_ppm", 0), area["keys_ppm"]
    pool_wh = area["production_wh"] * min(keys_ppm, PPM) // PPM
    hold(key_ppm <= keys_ppm, "the point's key is more than those of its area")
    if method == "dynamic" or (method == "priority" and shared_wh == area["consumption_wh"]):
        same("the energy that was shared", shared_wh, min(area["production_wh"], area["consumption_wh"]))
        _hold_part("what the point was given", bought_wh, shared_wh, of.import_wh, area["consumption_wh"])
    elif method == "priority":
        same("the energy that was shared", shared_wh, area["production_wh"])
    else:
        floor, rest = divmod(pool_wh * key_ppm, keys_ppm) if keys_ppm else (0, 0)
        hold(shared_wh <= pool_wh, "more was shared than the keys share")
        hold(min(of.import_wh, floor) <= bought_wh, "the point was given less than its key says")
        is_most = bought_wh <= (floor + (rest > 0) if method == "static" else of.import_wh if key_ppm else 0)
        hold(is_most, "the point was given more than its key says")


SHARING_KEYS_1: Final = Contract(
    contract_id="sharing_keys/1",
    position_columns=("bought_wh", "sold_wh", "pays_nano", "supplier_only_nano"),
    area_columns=("production_wh", "consumption_wh", "shared_wh", "keys_ppm"),
    line_kinds=SHARING_KINDS,
    price_keys=tuple(of_line.price for of_line in SHARING_KINDS if of_line.price != TRADE_PRICE),
    terms={
        "method": re.compile("static|static_reallocated|dynamic|priority"),
        "settle_residual?": bool,
        TRADE_PRICE: PRICES,
    },
    takes_prices=lambda _: True,
    lines_of_point=lines_of_sharer,
    check_point=_check_sharer,
    clear=None,
    not_checked=(
        "that the area's production, consumption, keys and shared energy are sums over its points, and who was served before others",
    ),
    supplier_only=lambda of: supplier_only_nano(_billed(of)),
)
