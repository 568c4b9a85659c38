"""A bundle as records. Reading one is claim 1: its form, and that of everything inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gridevidence.layout import (
    ALL_OR_NONE,
    AREA_HEAD,
    BUNDLE,
    BUNDLE_BYTES_MAX,
    BUNDLE_TYPE,
    CHAIN,
    CLEARED_ROW,
    CLEARING,
    ENROLMENT_KIND,
    FEE_TRADE_ROW,
    FILL_ROW,
    FILL_ROWS,
    IMPORT_KIND,
    INTERVAL_ROW,
    MEMBERSHIP,
    ORDER_BATCH_KIND,
    ORDER_KIND,
    PAIRED_CLEARED_ROW,
    PLACED_BID_ROW,
    PLACED_ROW,
    POSITION_HEAD,
    PROFILE_KIND,
    PROPOSAL,
    RUN,
    RUNS,
    SIDES,
    TRADE_ROW,
    TRADES_MAX,
)
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.cbor import decode
from gridevidence.verifier.conditions import (
    Condition,
    PartOrder,
    condition_of,
    hold_part,
    hold_placed,
    kinds_of,
    part_orders,
    quantity_in,
)
from gridevidence.verifier.pieces import Piece, Reading, hold_pieces, optional, read_piece
from gridevidence.verifier.records import (
    Entity,
    Header,
    Leaf,
    Opened,
    Placed,
    RegistryRow,
    Row,
    Transaction,
    read_entity,
    read_headed_row,
    read_header,
    read_leaf,
    read_opened,
    read_registry_row,
    read_row,
    read_transaction,
)
from gridevidence.verifier.shapes import conform, known_version
from gridevidence.verifier.trees import fold_path, root_of_path


class Terms(NamedTuple):
    """What a filled order says: for which slot, and the beginning of its fill."""

    slot_start_s: int
    party: int
    counter: int
    side: int
    quantity_wh: int
    limit: int


class Order(NamedTuple):
    """A filled order, and its fill. Of an aggregator's batch: its row, and the party's entry that names the aggregator. Of a ramp, a bid with
    conditions or a profile, which give several orders: that of the fill's counter.

    trades: what the fill comes from, under a contract whose trades have prices of their own; none where there are too many.
    """

    order: Transaction
    fill: Row
    row: Row | None
    mandate: Opened | None
    trades: tuple[Row, ...]

    def gives(self, start_s: int, slot_s: int) -> bool:
        """Whether it has an order of the fill's counter in the slot from start_s on; always, where it is one order."""
        identity, body = self.order.identity, self.order.body
        if self.order.kind == PROFILE_KIND:
            is_slot = (start_s - identity["slot_start_s"]) % slot_s == 0
            is_within = identity["slot_start_s"] <= start_s < body["end_s"]
            return is_slot and is_within and 0 <= self._place < len(part_orders(body))
        if "conditions" in body:
            return 0 <= self._place < len(body["conditions"])
        return "steps" not in body or 0 <= self._place < body["steps"]

    def terms(self, party: int, start_s: int, slot_s: int) -> Terms:
        """What it says of the slot from start_s on. party: the number of who signed an order by itself."""
        identity, body = self.order.identity, self.order.body
        if self.row is not None:
            return Terms(body["slot_start_s"], *PLACED_ROW.unpack_from(self.row.row))
        counter = identity["counter"] + self._place
        if self.order.kind == PROFILE_KIND:
            part, slot = self._part, (start_s - identity["slot_start_s"]) // slot_s
            return Terms(start_s, party, counter, part.side, quantity_in(part.quantities, slot), part.limit)
        side, quantity_wh, limit = SIDES.index(body["side"]), body["quantity_wh"], body["price_micro_per_kwh"]
        if "conditions" in body:
            wanted = body["conditions"][self._place % len(body["conditions"])]
            limit, quantity_wh = wanted["price_micro_per_kwh"], wanted["energy_wh"]
            return Terms(identity["slot_start_s"], party, counter, side, quantity_wh, limit)
        if "steps" not in body:
            side += ALL_OR_NONE if "condition" in body else 0
            return Terms(identity["slot_start_s"], party, identity["counter"], side, quantity_wh, limit)
        steps, step = body["steps"], self._place
        part_wh = quantity_wh * (step + 1) // steps - quantity_wh * step // steps
        step_limit = limit + (body["last_price_micro_per_kwh"] - limit) * step // (steps - 1)
        return Terms(identity["slot_start_s"], party, counter, side, part_wh, step_limit)

    @property
    def condition(self) -> Condition | None:
        """That of the fill's counter, of a bid that has conditions."""
        if self.row is not None:
            return condition_of(self.row.row)
        if self.order.kind == PROFILE_KIND:
            return self._part.condition
        conditions = self.order.body.get("conditions")
        if not conditions:
            return None
        wanted = conditions[self._place]
        return Condition(self._place, kinds_of(wanted.get("energy_kind")), wanted.get("seller"))

    def bid_wh(self, start_s: int, slot_s: int) -> int:
        """The largest energy among the conditions of its bid in the slot from start_s on."""
        if self.row is not None:
            return int(PLACED_BID_ROW.unpack(self.row.row)[-1])
        if self.order.kind == PROFILE_KIND:
            slot = (start_s - self.order.identity["slot_start_s"]) // slot_s
            return max(quantity_in(quantities, slot) for quantities in self._part.of_bid)
        return int(self.order.body["quantity_wh"])

    @property
    def bid(self) -> tuple[bytes, int]:
        """Tells bids apart: what is signed, and the counter at which the conditions of one begin."""
        condition, counter = self.condition, FILL_ROW.unpack_from(self.fill.row)[1]
        return self.order.signed, counter - (condition.choice if condition is not None else 0)

    @property
    def _part(self) -> PartOrder:
        """What a profile orders under the fill's counter."""
        orders = part_orders(self.order.body)
        return orders[self._place % len(orders)]

    @property
    def _place(self) -> int:
        """Of the fill's order among those that the transaction gives."""
        counter: int = FILL_ROW.unpack_from(self.fill.row)[1] - self.order.identity["counter"]
        return counter


class Imported(NamedTuple):
    """An import, its row of the meter and the slot, and the meter's entry in force at the slot's start."""

    transaction: Transaction
    row: Row
    installation: Opened


class Sibling(NamedTuple):
    """Another point of the party, and its position."""

    point: Opened
    position: Row


class Enrolled(NamedTuple):
    """The transaction that enrolled a key, and the rows root that the path of the key's row leads to."""

    transaction: Transaction
    rows_root: bytes


class Voted(NamedTuple):
    """A proposal that has passed, by which organisations gave keys; rows: key and value of each entity that it names."""

    leaf: Leaf
    rows: list[list[Any]]

    @property
    def decided_height(self) -> int:
        """Height of the block that recorded the rows."""
        return int(self.leaf.value["decided_height"])

    @property
    def in_favour(self) -> list[str]:
        """The organisations that voted for it."""
        return list(self.leaf.value["in_favour"])


class KeyEntry(NamedTuple):
    """An entry of a signer, and one of its origins: the entity at genesis, its enrolment, or a vote."""

    row: RegistryRow
    genesis: Entity | None
    enrolment: Enrolled | None
    voted: Voted | None


class Key(NamedTuple):
    """A signer, and those of its entries that the bundle rests on."""

    entity: Entity
    entries: tuple[KeyEntry, ...]


class Clearing(NamedTuple):
    """The slot's clearing, and its row of the area."""

    leaf: Leaf
    area: Row


class HandOver(NamedTuple):
    """A header that names another signer set; the history root that its path leads to; its certificate; the set."""

    placed: Placed
    certificate: tuple[tuple[bytes, bytes], ...]
    signers: tuple[tuple[bytes, int], ...]


class Bundle(NamedTuple):
    """All of it, by the names of docs/spec/bundle.md."""

    area: Opened
    agreements: tuple[Opened, ...]
    area_result: Row
    certificate: tuple[tuple[bytes, bytes], ...]
    certified: Placed | None
    chain: Leaf
    clearing: Clearing | None
    gateways: tuple[Opened, ...]
    genesis: Placed
    handovers: tuple[HandOver, ...]
    header: Header
    imported: Imported | None
    keys: tuple[Key, ...]
    orders: tuple[Order, ...]
    party: Opened
    pieces: tuple[Piece, ...]
    point: Opened
    point_rules: Opened | None
    position: Row
    rules: Opened
    run: Leaf
    runs: Leaf
    series: tuple[Opened, ...]
    siblings: tuple[Sibling, ...]
    zone: Opened
    zone_contract: Opened

    @property
    def ends(self) -> Iterator[Reading | Transaction]:
        """What tells the registers at the slot's start, then at its end: a reading, or an approval; none of an estimate, one of a part slot."""
        ends = (self.pieces[0].first, self.pieces[-1].last) if self.pieces else ()
        return (one for one in ends if one is not None)

    @property
    def end_installations(self) -> Iterator[Opened]:
        """The entry in force at the boundary of each of ``ends``."""
        for piece in self.pieces[:1]:
            if piece.first is not None:
                yield piece.installation
        for piece in self.pieces[-1:]:
            if piece.last is not None:
                yield piece.last_installation

    @property
    def is_part_slot(self) -> bool:
        """Whether the meter was put up, or taken down, inside the slot."""
        return len(self.pieces) == 1 and self.pieces[0].is_part

    @property
    def readings(self) -> Iterator[Reading]:
        """Those of ``ends`` that are readings."""
        return (one for one in self.ends if isinstance(one, Reading))

    @property
    def enrolments(self) -> Iterator[Enrolled]:
        """Those of all keys."""
        entries = (entry for key in self.keys for entry in key.entries)
        return (entry.enrolment for entry in entries if entry.enrolment is not None)

    @property
    def transactions(self) -> Iterator[Transaction]:
        """Batches and approvals, or an import; orders, enrolments."""
        yield from (one.batch if isinstance(one, Reading) else one for one in self.ends)
        if self.imported is not None:
            yield self.imported.transaction
        yield from (order.order for order in self.orders)
        yield from (enrolled.transaction for enrolled in self.enrolments)


def decode_parts(data: bytes) -> dict[str, Any]:
    """The parts of a bundle; halts unless ``data`` is a canonical map of a known version with just the parts of a bundle."""
    hold(len(data) <= BUNDLE_BYTES_MAX, f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    parts = known_version(decode(data, "the bundle"), BUNDLE_TYPE, "the bundle")
    conform(parts, BUNDLE, "bundle")
    return parts


def read_bundle(data: bytes) -> Bundle:
    """The records of a bundle; halts where the file, or anything inside, has not the form that it should have."""
    parts = decode_parts(data)
    header = read_header(parts["header"], "the header")
    opened = {
        name: read_opened(parts[name], name.replace("_", " "))
        for name in ("area", "party", "point", "rules", "zone", "zone_contract")
    }
    bundle = Bundle(
        **opened,
        agreements=tuple(read_opened(part, "an agreement") for part in parts.get("agreements", ())),
        area_result=read_headed_row(parts["area_result"], "the area's result", AREA_HEAD),
        certificate=_pairs(parts["certificate"]),
        certified=optional(parts, "certified", lambda part: _placed(part, "the certified header", header.digest)),
        chain=read_leaf(parts["chain"], "the chain", CHAIN),
        clearing=optional(parts, "clearing", _read_clearing),
        gateways=tuple(read_opened(part, "a gateway") for part in parts["gateways"]),
        genesis=_placed(parts["genesis"], "the header of genesis"),
        handovers=tuple(_read_handover(part) for part in parts["handovers"]),
        header=header,
        imported=optional(parts, "imported", _read_imported),
        keys=tuple(_read_key(part) for part in parts["keys"]),
        orders=tuple(_read_order(part, number) for number, part in enumerate(parts["orders"], 1)),
        pieces=tuple(read_piece(part) for part in parts["pieces"]),
        point_rules=optional(parts, "point_rules", lambda part: read_opened(part, "the point's own rules")),
        position=read_headed_row(parts["position"], "the position", POSITION_HEAD),
        run=read_leaf(parts["run"], "the run", RUN),
        runs=read_leaf(parts["runs"], "the runs", RUNS),
        series=tuple(read_opened(part, "a price series") for part in parts.get("series", ())),
        siblings=tuple(_read_sibling(part) for part in parts.get("siblings", ())),
    )
    hold_pieces(bundle.pieces)
    hold((bundle.clearing is None) == (not bundle.orders), "a clearing stands beside orders, and only there")
    shown = [len(order.trades) for order in bundle.orders]
    hold(not any(shown) or all(shown), "the trades of all orders are shown, or of none")
    hold(sum(shown) <= TRADES_MAX, f"a bundle shows at most {TRADES_MAX} trades")
    hold(bool(bundle.orders) or not bundle.siblings, "other points of the party stand beside orders only")
    return bundle


def _pairs(items: list[list[Any]]) -> tuple[tuple[Any, Any], ...]:
    return tuple((key, other) for key, other in items)


def _placed(part: Mapping[str, Any], what: str, leaf: bytes | None = None) -> Placed:
    """A header, and the path beside it: from ``leaf``, or from the header's own digest."""
    header = read_header(part["header"], what)
    return Placed(header, part["path"], root_of_path(header.digest if leaf is None else leaf, part["path"]))


def _read_clearing(part: Mapping[str, Any]) -> Clearing:
    row = read_row(part["area"], "the cleared area", CLEARED_ROW, PAIRED_CLEARED_ROW)
    return Clearing(read_leaf(part, "the clearing", CLEARING), row)


def _read_sibling(part: Mapping[str, Any]) -> Sibling:
    position = read_headed_row(part["position"], "another position", POSITION_HEAD)
    return Sibling(read_opened(part["point"], "another point"), position)


def _read_handover(part: Mapping[str, Any]) -> HandOver:
    return HandOver(_placed(part, "a hand-over"), _pairs(part["certificate"]), _pairs(part["signers"]))


def _read_order(part: Mapping[str, Any], number: int) -> Order:
    what = f"order {number}"
    hold(("order" in part) == ("mandate" in part), "a row of a batch and a mandate stand beside one another")
    kinds = (ORDER_BATCH_KIND,) if "order" in part else (ORDER_KIND, PROFILE_KIND)
    transaction = read_transaction(part, what, *kinds)
    _hold_several(transaction)
    row = optional(part, "order", lambda one: read_row(one, f"the row of {what}", PLACED_ROW, PLACED_BID_ROW))
    if row is not None:
        hold_placed(row.row, what)
    return Order(
        order=transaction,
        fill=read_row(part["fill"], f"the fill of {what}", *FILL_ROWS),
        row=row,
        mandate=optional(part, "mandate", lambda one: read_opened(one, f"the mandate of {what}")),
        trades=tuple(read_row(one, f"a trade of {what}", TRADE_ROW, FEE_TRADE_ROW) for one in part.get("trades", ())),
    )


def _hold_several(order: Transaction) -> None:
    """Hold what a ramp or a profile is beside its fields."""
    what, body = order.what, order.body
    hold("steps" not in body or "condition" not in body, f"{what} is a ramp and has a condition")
    wanted = body.get("conditions", [])
    if wanted:
        hold("steps" not in body and "condition" not in body, f"{what} has conditions, and is a ramp or all or none")
        hold(body["side"] == "buy", f"{what} has conditions, and does not buy")
        most = max(one["energy_wh"] for one in wanted), max(one["price_micro_per_kwh"] for one in wanted)
        same(f"quantity and price of {what}", (body["quantity_wh"], body["price_micro_per_kwh"]), most)
    replaces = body.get("replaces", [])
    hold(replaces == sorted(set(replaces)), f"the counters that {what} replaces do not ascend")
    hold(("steps" in body) == ("last_price_micro_per_kwh" in body), f"{what} is half a ramp")
    for part in body["parts"] if order.kind == PROFILE_KIND else ():
        hold_part(part, what)


def _read_imported(part: Mapping[str, Any]) -> Imported:
    return Imported(
        transaction=read_transaction(part, "the import", IMPORT_KIND),
        row=read_row(part["interval"], "the imported energy", INTERVAL_ROW),
        installation=read_opened(part["installation"], "the installation"),
    )


def _read_key(part: Mapping[str, Any]) -> Key:
    return Key(read_entity(part, "a signer"), tuple(_read_key_entry(entry) for entry in part["entries"]))


def _read_key_entry(part: Mapping[str, Any]) -> KeyEntry:
    origins = [origin for origin in ("genesis", "enrolment", "voted") if origin in part]
    hold(len(origins) == 1, "a key is of genesis, was enrolled, or was voted on, one of the three")
    row = read_registry_row(part["row"], part["salt"], "a signer")
    return KeyEntry(
        row=row,
        genesis=optional(part, "genesis", lambda one: read_entity(one, "a signer at genesis")),
        enrolment=optional(part, "enrolment", lambda one: _read_enrolment(one, row)),
        voted=optional(part, "voted", _read_voted),
    )


def _read_voted(part: Mapping[str, Any]) -> Voted:
    leaf = read_leaf(part, "a proposal", PROPOSAL)
    action = decode(leaf.value["action"], "the action of a proposal", has_booleans=True)
    conform(action, MEMBERSHIP, "the action of a proposal")
    return Voted(leaf, action["rows"])


def _read_enrolment(part: Mapping[str, Any], row: RegistryRow) -> Enrolled:
    transaction = read_transaction(part, f"the enrolment of {row.key}", ENROLMENT_KIND)
    return Enrolled(transaction, fold_path(row.digest, part["row_path"]))
