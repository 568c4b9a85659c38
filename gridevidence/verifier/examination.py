"""One bundle under examination: its records, and what the claims found in them so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gridevidence.layout import CLEARED_ROW, ESTIMATED, PAIRED_CLEARED_ROW, PRICES
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, Halt, hold, plain
from gridevidence.verifier.bundle import Bundle, KeyEntry
from gridevidence.verifier.contract import Agreed, Contract, Settled
from gridevidence.verifier.contracts import CONTRACTS
from gridevidence.verifier.records import AreaRow, Opened, PositionRow, Transaction, unpack_area, unpack_position
from gridevidence.verifier.shapes import conform
from gridevidence.verifier.trust import Trust


class ClearedArea(NamedTuple):
    """The area's row of the clearing."""

    area: int
    orders: int
    volume_wh: int
    has_price: int
    price: int
    rules: bytes
    book_root: bytes
    fills_root: bytes
    trades: int = 0
    trades_root: bytes = b""
    """Under a contract whose trades have prices of their own; b"" under another one."""


def _cleared_area(row: bytes) -> ClearedArea:
    layout = CLEARED_ROW if len(row) == CLEARED_ROW.size else PAIRED_CLEARED_ROW
    return ClearedArea(*layout.unpack(row))


class UsedKey(NamedTuple):
    """The key that was in force for a transaction, and the height that recorded it."""

    transaction: Transaction
    entry: KeyEntry
    recorded_height: int


class Examination:
    """What the claims are checked on, in their order: each finds here what those before it have found."""

    def __init__(self, bundle: Bundle, trust: Trust | None, book: bytes | None) -> None:
        self.bundle, self.trust, self.book_data = bundle, trust, book
        self.facts: dict[str, Any] = {}
        self.run: dict[str, Any] = bundle.run.value
        self.start_s: int = self.run["slot_start_s"]
        self.end_s: int = self.start_s + bundle.chain.value["slot_s"]
        self.position: PositionRow = unpack_position(bundle.position.row)
        self.siblings: list[PositionRow] = [unpack_position(one.position.row) for one in bundle.siblings]
        self.area: AreaRow = unpack_area(bundle.area_result.row)
        self.cleared = _cleared_area(bundle.clearing.area.row) if bundle.clearing is not None else None
        self.used_keys: list[UsedKey] = []  # one for each transaction

    @property
    def is_estimated(self) -> bool:
        """Whether the position says that the ledger estimated its energy: neither registers nor an import tell it."""
        return self.position.quality in ESTIMATED and self.bundle.imported is None

    @property
    def contract(self) -> Contract | None:
        """The arithmetic of the run's contract; None where it is unknown here."""
        return CONTRACTS.get(self.run["contract"])

    def known_contract(self) -> Contract:
        """The same; halts where it is unknown."""
        contract = self.contract
        if contract is None:
            raise Halt(CANNOT_BE_DECIDED, f"the contract {plain(self.run['contract'])} is unknown here")
        return contract

    def settled(self) -> Settled:
        """What the lines of the point rest on; halts unless rules and rows have exactly what the contract declares."""
        contract, rules = self.known_contract(), self.bundle.rules
        hold(contract.takes_agreements or not self.bundle.agreements, "the contract settles no agreements")
        return Settled(
            import_wh=self.position.import_wh,
            export_wh=self.position.export_wh,
            columns=dict(zip(contract.position_columns, self.position.columns, strict=True)),
            area=dict(zip(contract.area_columns, self.area.columns, strict=True)),
            prices=self._prices(self.bundle.point_rules or rules),
            area_prices=self._prices(rules),
            terms=rules.row.value["terms"],
            point=self.bundle.point.row.value,
            trade_price=self.cleared.price if self.cleared is not None and self.cleared.has_price else 0,
            agreements=[self._agreed(one.row.value) for one in self.bundle.agreements],
        )

    def _agreed(self, stated: Mapping[str, Any]) -> Agreed:
        """What an agreement says of the slot; halts for a difference without a reference price: it does not hold in it."""
        is_difference, is_seller = (
            stated["basis"] == "difference",
            stated["seller_point"] == self.bundle.point.entity.name,
        )
        said = self._series_price(stated["series"]) if "series" in stated else None
        hold(not is_difference or said is not None, "a difference has no reference price in the slot")
        strike: int = stated["price_micro_per_kwh"]
        price = strike - (said or 0) if is_difference else strike if said is None else said
        return Agreed(is_seller, is_difference, price, stated.get("quantity_wh"), stated.get("share_ppm"))

    def _series_price(self, name: str) -> int | None:
        """What a price series says of the slot, None where it says nothing."""
        row = next(one.row for one in self.bundle.series if one.entity.name == name)
        place = (self.start_s - row.from_s) // row.value["slot_s"] * 8
        value = row.value["prices"][place : place + 8]
        return int.from_bytes(value, "little", signed=True) if value else None

    def _prices(self, rules: Opened) -> dict[str, int]:
        """The prices of rules in the slot: what series say instead holds, unless the contract does not take them together."""
        contract, stated, varied = self.known_contract(), rules.row.value, dict(rules.row.value["prices"])
        conform(stated["terms"], contract.terms, "the terms of the rules")
        contract.check_terms(stated["terms"])
        hold(stated["prices"].keys() == set(contract.price_keys), "the rules have not the prices of the contract")
        is_taken = all(price in PRICES for price in varied.values()) and contract.takes_prices(varied)
        hold(is_taken, f"the prices of {plain(rules.row.key)} are none that the contract takes")
        for key, name in stated.get("series", {}).items():
            said = self._series_price(name)
            varied[key] = varied[key] if said is None else said
        return varied if contract.takes_prices(varied) else dict(stated["prices"])
