"""An evidence bundle as a person reads it, level by level: bill line, run, trade, readings, signed batches, blocks, certificate.

Everything here is decoded from the bundle's bytes alone, with the layout that the stand-alone verifier has too: what a page
shows is what the proof covers. Nothing is checked beyond its form; whether it holds is ``gridcore.verify``'s to say. Pure
functions: bytes in, frozen values out. Energies in Wh (registers as the meter shows them, before the CT/VT ratio), prices in
micro/kWh, amounts in nano of the currency, instants in UTC seconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridcore import merkle
from gridcore.errors import EncodingError
from gridcore.quality import quality_words
from gridcore.sm3 import sm3
from gridevidence.layout import (
    CHAIN,
    FILL_ROW,
    GATEWAY,
    HEADER,
    INPUT_ROW,
    INSTALLATION,
    LINE_ROW,
    POSITION_ROW,
    PRICE_ABSENT,
    READING_ROW,
    RUN,
    SIGNED_BATCH,
    SIGNED_ORDER,
    SIGNER,
)
from gridevidence.verifier.answers import Halt
from gridevidence.verifier.cbor import decode, encode
from gridevidence.verifier.claims.records import decode_parts
from gridevidence.verifier.contract import Contract, Point, Slot
from gridevidence.verifier.contracts import CONTRACTS


@dataclass(frozen=True)
class PathView:
    """A way from a leaf up to a root: how many siblings it takes, and the root that it leads to."""

    siblings: int
    root: bytes


@dataclass(frozen=True)
class TermView:
    """One kind of line of the point in the slot; where it has a price: amount = sign x energy x price, exactly."""

    kind: str
    sign: int
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    """Positive: the party owes."""


@dataclass(frozen=True)
class LineView:
    """The bill line that the bundle proves."""

    kind: str
    energy_wh: int
    price_micro_per_kwh: int | None
    sign: int
    amount_nano: int
    path: PathView
    """To the run's line root."""


@dataclass(frozen=True)
class RunView:
    """The settlement run of the slot, and the rules it went by."""

    area: str
    slot_start_s: int
    slot_end_s: int
    run: str
    contract: str
    as_of_height: int
    volume_wh: int
    price_micro_per_kwh: int | None
    """The clearing price; None where nothing was traded."""
    rules: str
    rules_digest: bytes
    prices: tuple[tuple[str, int], ...]
    """(name, micro/kWh) of the rules."""
    roots: tuple[tuple[str, bytes], ...]
    path: PathView
    """To the header's state root, as the two below."""
    rules_path: PathView
    clearing_path: PathView | None


@dataclass(frozen=True)
class SpanView:
    """A register over the slot: energy = (end - start, plus modulus where it rolled over) x ratio."""

    register: str
    """"import" or "export"."""
    start_wh: int
    end_wh: int
    modulus_wh: int
    """0 unless the register rolled over in this slot."""
    ratio: int

    @property
    def energy_wh(self) -> int:
        """Primary Wh of the slot."""
        return (self.end_wh - self.start_wh + self.modulus_wh) * self.ratio


@dataclass(frozen=True)
class PositionView:
    """What the point took and traded in the slot, and all that follows from it."""

    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int
    terms: tuple[TermView, ...]
    """Of each kind, in the contract's order."""
    spans: tuple[SpanView, SpanView]
    """Import, export."""
    path: PathView
    input_path: PathView


@dataclass(frozen=True)
class BlockView:
    """The block that recorded a transaction. The paths lead to its data root, and from its digest to the history root."""

    height: int
    time_s: int
    digest: bytes
    data_root: bytes
    data_path: PathView
    history_path: PathView


@dataclass(frozen=True)
class TransactionView:
    """A signed transaction: the bytes that were signed, what they say, by whom, and where they stand."""

    what: str
    """"start", "end", or "order 1" and so on."""
    kind: str
    signer: str
    signed: bytes
    fields: tuple[tuple[str, str], ...]
    """The signed map, flat: (dotted key, value as text); bytes in hex."""
    id: bytes
    signature: bytes
    public_key: bytes
    protection: str
    """Where the signer keeps its key, as enrolment verified it; "" where the ledger does not say."""
    block: BlockView


@dataclass(frozen=True)
class ReadingView:
    """A register reading at a boundary of the slot, and the batch that carried it."""

    when: str
    """"start" or "end"."""
    boundary_s: int
    import_wh: int
    export_wh: int
    quality: str
    flags: tuple[str, ...]
    offset_ms: int
    clock_state: str
    clock_offset_ms: int
    epoch: int
    counter: int
    path: PathView
    """To the batch's rows root."""
    batch: TransactionView


@dataclass(frozen=True)
class OrderView:
    """A filled order of the party."""

    order: str
    side: str
    quantity_wh: int
    limit_micro_per_kwh: int
    filled_wh: int
    path: PathView
    """Of its fill, to the clearing's fills root."""
    transaction: TransactionView


@dataclass(frozen=True)
class HeaderView:
    """The certified header."""

    chain: str
    height: int
    time_s: int
    digest: bytes
    previous: bytes
    history_root: bytes
    data_root: bytes
    state_root: bytes
    signers: bytes


@dataclass(frozen=True)
class BundleView:
    """A whole bundle, from the bill line down to the certificate."""

    party: str
    meter: str
    number: int
    ratio: int
    gateway: str
    currency: str
    simulated: bool
    line: LineView
    run: RunView
    position: PositionView
    readings: tuple[ReadingView, ReadingView]
    """Start, end."""
    orders: tuple[OrderView, ...]
    header: HeaderView
    certificate: tuple[tuple[bytes, bytes], ...]
    """(public key, signature), ascending by key."""
    size: int
    """Bytes of the bundle."""


def decode_bundle(data: bytes) -> BundleView:
    """What a bundle shows. EncodingError where the bytes have not the form of one."""
    try:
        return _Decoder(data).view()
    except (Halt, struct.error) as why:
        reason = why.args[-1]
        raise EncodingError(f"no evidence bundle: {reason}") from None


class _Decoder:
    """One bundle, its leaves decoded."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.parts: Mapping[str, Any] = decode_parts(data)
        self.header: Sequence[Any] = decode(self.parts["header"], "the header", HEADER)
        self.chain = self._leaf("chain", CHAIN)[1]
        self.contract = _contract(self._leaf("run", RUN)[1]["contract"])
        self.run = self._leaf("run", self.contract.run)[1]
        self.rules_key, self.rules = self._leaf("rules", self.contract.rules)
        self.meter = self._leaf("installation", INSTALLATION)[1]
        _, kind, *self.line = LINE_ROW.unpack(self.parts["line"]["row"])
        if kind >= len(self.contract.line_kinds):
            raise EncodingError(f"no evidence bundle: its line is of the unknown kind {kind}")
        self.kind = self.contract.line_kinds[kind]

    def _leaf(self, name: str, shape: Any) -> tuple[str, Mapping[str, Any]]:
        key, value = decode(self.parts[name]["leaf"], f"the {name} leaf", (str, shape))
        return key, value

    def view(self) -> BundleView:
        """All of it."""
        return BundleView(
            party=self.meter["party"],
            meter=self.meter["meter"],
            number=self.meter["number"],
            ratio=self.meter["ratio"],
            gateway=self.meter["gateway"],
            currency=self.chain["currency"],
            simulated=self.chain["clock"] == "simulated",
            line=self._line(),
            run=self._run(),
            position=self._position(),
            readings=(self._reading("start"), self._reading("end")),
            orders=tuple(self._order(number, part) for number, part in enumerate(self.parts["orders"], 1)),
            header=self._header(),
            certificate=tuple((key, signature) for key, signature in self.parts.get("certificate", ())),
            size=self.size,
        )

    def _line(self) -> LineView:
        energy_wh, price, amount_nano = self.line
        shown_price = None if price == PRICE_ABSENT else price
        path = _row_path(self.parts["line"])
        return LineView(self.kind.name, energy_wh, shown_price, self.kind.sign, amount_nano, path)

    def _run(self) -> RunView:
        run, clearing = self.run, self.parts.get("clearing")
        return RunView(
            area=run["area"],
            slot_start_s=run["slot_start_s"],
            slot_end_s=run["slot_start_s"] + self.chain["slot_s"],
            run=run["run"],
            contract=run["contract"],
            as_of_height=run["as_of_height"],
            volume_wh=run["volume_wh"],
            price_micro_per_kwh=run.get("price_micro_per_kwh"),
            rules=self.rules_key.partition("/")[2],
            rules_digest=run["rules"],
            prices=tuple(sorted(self.rules["prices"].items())),
            roots=tuple((name, run[name]) for name in ("line_root", "position_root", "input_root")),
            path=_leaf_path(self.parts["run"]),
            rules_path=_leaf_path(self.parts["rules"]),
            clearing_path=None if clearing is None else _leaf_path(clearing),
        )

    def _position(self) -> PositionView:
        _, bought_wh, sold_wh, pays_nano, alone_nano = POSITION_ROW.unpack(self.parts["position"]["row"])
        _, *registers, _ = INPUT_ROW.unpack(self.parts["input"]["row"])
        spans = self._span("import", *registers[:2]), self._span("export", *registers[2:])
        point = Point(spans[0].energy_wh, spans[1].energy_wh, bought_wh, sold_wh, pays_nano)
        lines = self.contract.lines_of_point(point, Slot(self.run, self.rules["prices"]))
        terms = (
            TermView(kind.name, kind.sign, *line) for kind, line in zip(self.contract.line_kinds, lines, strict=True)
        )
        return PositionView(
            bought_wh=bought_wh,
            sold_wh=sold_wh,
            pays_nano=pays_nano,
            supplier_only_nano=alone_nano,
            terms=tuple(terms),
            spans=spans,
            path=_row_path(self.parts["position"]),
            input_path=_row_path(self.parts["input"]),
        )

    def _span(self, register: str, start_wh: int, end_wh: int) -> SpanView:
        modulus_wh = self.meter["modulus_wh"] if end_wh < start_wh else 0
        return SpanView(register, start_wh, end_wh, modulus_wh, self.meter["ratio"])

    def _reading(self, when: str) -> ReadingView:
        part, keys = self.parts["batches"][when], self.parts["gateways"][when]
        batch = decode(part["signed"], f"the {when} batch", SIGNED_BATCH)
        gateway = decode(keys["gateway"]["leaf"], f"the {when} gateway", (str, GATEWAY))[1]
        _, offset_ms, quality, import_wh, export_wh = READING_ROW.unpack(part["reading"]["row"])
        word, flags = quality_words(quality)
        clock = batch["body"]["clock"]
        numbers = [batch["identity"].get(name, 0) for name in ("epoch", "counter")]
        return ReadingView(
            when=when,
            boundary_s=batch["body"]["boundary_s"],
            import_wh=import_wh,
            export_wh=export_wh,
            quality=word,
            flags=flags,
            offset_ms=offset_ms,
            clock_state=clock["state"],
            clock_offset_ms=clock["offset_ms"],
            epoch=numbers[0],
            counter=numbers[1],
            path=_row_path(part["reading"]),
            batch=_transaction(when, part, batch, keys["signer"], gateway["protection"]),
        )

    def _order(self, number: int, part: Mapping[str, Any]) -> OrderView:
        what = f"order {number}"
        order = decode(part["signed"], what, SIGNED_ORDER)
        if "party" not in self.parts:
            raise EncodingError("no evidence bundle: it shows orders without their party's key")
        filled_wh = FILL_ROW.unpack(part["fill"]["row"])[5]
        identity, body = order["identity"], order["body"]
        return OrderView(
            order=f"{order['signer']}/{identity['slot_start_s']}/{identity['counter']}",
            side=body["side"],
            quantity_wh=body["quantity_wh"],
            limit_micro_per_kwh=body["price_micro_per_kwh"],
            filled_wh=filled_wh,
            path=_row_path(part["fill"]),
            transaction=_transaction(what, part, order, self.parts["party"], ""),
        )

    def _header(self) -> HeaderView:
        _, chain, height, time_s, previous, history_root, data_root, state_root, signers, _ = self.header
        digest = sm3(self.parts["header"])
        return HeaderView(chain, height, time_s, digest, previous, history_root, data_root, state_root, signers)


def _contract(contract_id: str) -> Contract:
    if contract_id not in CONTRACTS:
        raise EncodingError(f"no evidence bundle that can be shown: its contract {contract_id[:64]} is unknown here")
    return CONTRACTS[contract_id]


def _transaction(
    what: str, part: Mapping[str, Any], signed: Mapping[str, Any], signer: Mapping[str, Any], protection: str
) -> TransactionView:
    key = decode(signer["leaf"], f"the signer of {what}", (str, SIGNER))[1]["public_key"]
    return TransactionView(
        what=what,
        kind=signed["kind"],
        signer=signed["signer"],
        signed=part["signed"],
        fields=tuple(_flat(signed, "")),
        id=sm3(part["signed"]),
        signature=part["signature"],
        public_key=key,
        protection=protection,
        block=_block(what, part),
    )


def _block(what: str, part: Mapping[str, Any]) -> BlockView:
    header = decode(part["header"], f"the header of {what}", HEADER)
    digest = sm3(part["header"])
    leaf = encode([sm3(encode([part["signed"], part["signature"], part["attachment_digest"]])), 0])
    return BlockView(
        height=header[2],
        time_s=header[3],
        digest=digest,
        data_root=header[6],
        data_path=_path(leaf, part["data_path"]),
        history_path=_path(digest, part["history_path"]),
    )


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """A decoded value as (dotted key, text), in the order of its bytes."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{key}[{index}]")
    else:
        yield key, value.hex() if isinstance(value, bytes) else str(value)


def _row_path(part: Mapping[str, Any]) -> PathView:
    return _path(part["salt"] + part["row"], part["path"])


def _leaf_path(part: Mapping[str, Any]) -> PathView:
    return _path(part["leaf"], part["path"])


def _path(leaf: bytes, path: Sequence[bytes]) -> PathView:
    return PathView(len(path), merkle.fold(merkle.leaf_hash(leaf), path))
