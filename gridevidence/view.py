"""An evidence bundle as a person reads it, level by level: lines, run, trades, readings, signed batches, keys, blocks, certificate.

Everything here is decoded from the bundle's bytes alone, by the records that the stand-alone verifier has too: what a page
shows is what the proof covers. Nothing is checked beyond its form; whether it holds is ``gridcore.verify``'s to say. Pure
functions: bytes in, frozen values out. Energies in Wh (registers as the meter shows them, before the CT/VT ratio), prices in
micro/kWh, amounts in nano of the currency, instants in UTC seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridcore.errors import EncodingError
from gridcore.quality import quality_words
from gridcore.sm3 import sm3
from gridevidence.flat import flat_fields
from gridevidence.layout import ALL_OR_NONE, INTERVAL_ROW, READING_ROW, SIDES
from gridevidence.verifier.answers import Halt, plain
from gridevidence.verifier.bundle import Bundle, KeyEntry, Order, decode_parts, read_bundle
from gridevidence.verifier.cbor import decode
from gridevidence.verifier.claims.bill import Span, spans_of
from gridevidence.verifier.claims.fills import fill_of
from gridevidence.verifier.claims.state import answering_gateways
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.pieces import Reading
from gridevidence.verifier.records import Transaction
from gridevidence.view_agreements import AgreementView, read_agreements
from gridevidence.view_paths import PathView, path_of_leaf, path_of_row
from gridevidence.view_signed import ApprovalView, BlockView, ImportView, ReadingView, TransactionView
from gridevidence.view_trades import TradeView, read_trade


@dataclass(frozen=True)
class TermView:
    """One kind of line of the point in the slot; where it has a price: amount = sign x energy x price, exactly."""

    kind: str
    sign: int
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    """Positive: the party owes."""
    account: str
    price: str | None
    """Which price it is: a name among the rules' prices, another for that of the gate, None for a line without one."""


@dataclass(frozen=True)
class RunView:
    """The settlement run of the slot, and the rules it went by."""

    zone: str
    area: str
    slot_start_s: int
    slot_end_s: int
    run: str
    later_runs: tuple[str, ...]
    """Runs of the slot that stood behind this one in the state of the header."""
    contract: str
    as_of_height: int
    volume_wh: int
    price_micro_per_kwh: int | None
    """The clearing price; None where the party had no filled order."""
    rules: str
    rules_digest: bytes
    """Of the entry of the rules that was in force."""
    prices: tuple[tuple[str, int], ...]
    """(name, micro/kWh) of the point in the slot: of the rules, or what price series say instead."""
    terms: tuple[tuple[str, Any], ...]
    """(name, value) of what else the rules say."""
    roots: tuple[tuple[str, bytes], ...]
    path: PathView
    """To the header's state root, as the two below."""
    rules_path: PathView
    clearing_path: PathView | None


@dataclass(frozen=True)
class SpanView:
    """A register over one meter's part of the slot: energy = (end - start, plus modulus where it rolled over) x ratio."""

    meter: str
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


class PartView(NamedTuple):
    """A slot of which its meter measured a part; UTC seconds. stated_s: when it was put up or taken down, with registers that the registry states."""

    is_put_up: bool
    stated_s: int


@dataclass(frozen=True)
class PositionView:
    """What the point took and traded in the slot, and all that follows from it."""

    row: int
    quality: int
    """The quality byte of the energy."""
    import_wh: int
    export_wh: int
    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int
    terms: tuple[TermView, ...]
    """Of each kind, in the contract's order."""
    columns: tuple[tuple[str, int], ...]
    """(name, value) of what the contract keeps of the point."""
    spans: tuple[SpanView, ...]
    """Import and export of each meter, one after the other."""
    part: PartView | None
    """None where the slot is measured as a whole, or not at all."""
    path: PathView
    """To the run's rows_root."""


@dataclass(frozen=True)
class OrderView:
    """A filled order of the party."""

    order: str
    side: str
    quantity_wh: int
    limit_micro_per_kwh: int
    filled_wh: int
    amount_nano: int | None
    """What its trades come to; None under a contract with one price for all."""
    trades: tuple[TradeView, ...]
    """As far as the bundle shows them."""
    path: PathView
    """Of its fill, to the clearing's fills root."""
    transaction: TransactionView


@dataclass(frozen=True)
class KeyView:
    """A key that signed something in the bundle, and what ties it to the chain."""

    signer: str
    fingerprint: str
    """SM3 of the public key, hex digits."""
    enrolled_by: str
    """Who enrolled it, or the organisations that voted for it; "" for a key of genesis."""
    enrolled_height: int
    """Height of the block that recorded the key; 0 for one of genesis."""


@dataclass(frozen=True)
class HeaderView:
    """The header under whose roots everything lies, and the certified one: the same, or a later one."""

    chain: str
    height: int
    time_s: int
    digest: bytes
    history_root: bytes
    data_root: bytes
    state_root: bytes
    signers: bytes
    certified_height: int
    certified_digest: bytes


@dataclass(frozen=True)
class BundleView:
    """A whole bundle, from the lines down to the certificate."""

    party: str
    point: str
    meter: str
    """Several, one after the other, where meters were exchanged; none where the energy is estimated."""
    number: int | None
    ratio: int | None
    """Of the first meter; None without one."""
    gateway: str
    currency: str
    clock: str
    """"block", "simulated" or "imported"."""
    run: RunView
    position: PositionView
    readings: tuple[ReadingView, ...]
    approvals: tuple[ApprovalView, ...]
    """Start, end; none where the energy is estimated or imported."""
    imported: ImportView | None
    orders: tuple[OrderView, ...]
    agreements: tuple[AgreementView, ...]
    keys: tuple[KeyView, ...]
    header: HeaderView
    certificate: tuple[tuple[bytes, bytes], ...]
    """(public key, signature), ascending by key."""
    size: int
    """Bytes of the bundle."""

    @property
    def trades(self) -> tuple[TradeView, ...]:
        """The trades that it shows, of all orders."""
        return tuple(trade for order in self.orders for trade in order.trades)

    def term(self, kind: str) -> TermView | None:
        """The line of a kind; None where the point has none in the slot."""
        return next((term for term in self.position.terms if term.kind == kind and term.energy_wh), None)


def decode_bundle(data: bytes) -> BundleView:
    """What a bundle shows. EncodingError where the bytes have not the form of one, or its contract is unknown here."""
    try:
        return _Decoder(data).view()
    except Halt as why:
        raise EncodingError(f"no evidence bundle that can be shown: {why.args[1]}") from None
    except (LookupError, ValueError, TypeError) as why:
        raise EncodingError(
            f"no evidence bundle that can be shown: its records do not belong together ({why})"
        ) from None


class _Decoder:
    """One bundle, its records read."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.parts: Mapping[str, Any] = decode_parts(data)
        self.bundle: Bundle = read_bundle(data)
        self.of = Examination(self.bundle, None, None)
        self.keys = {(key.entity.name, entry.row.digest): entry for key in self.bundle.keys for entry in key.entries}

    def view(self) -> BundleView:
        """All of it."""
        bundle, chain = self.bundle, self.bundle.chain.value
        installations = [piece.installation for piece in bundle.pieces]
        installations += [bundle.imported.installation] if bundle.imported is not None else []
        meter = installations[0] if installations else None
        return BundleView(
            party=bundle.party.entity.name,
            point=bundle.point.entity.name,
            meter=" ".join(installation.row.value["meter"] for installation in installations),
            number=None if meter is None else int(meter.entity.name),
            ratio=None if meter is None else meter.row.value["ratio"],
            gateway=answering_gateways(bundle)[-1][1] if installations else "",
            currency=chain["currency"],
            clock=chain["clock"],
            run=self._run(),
            position=self._position(),
            readings=tuple(self._readings()),
            approvals=tuple(self._approvals()),
            imported=self._imported(),
            orders=tuple(
                self._order(order, part) for order, part in zip(bundle.orders, self.parts["orders"], strict=True)
            ),
            agreements=read_agreements(bundle.agreements, self.of.settled().agreements),
            keys=tuple(_key(name, entry) for (name, _), entry in self.keys.items()),
            header=self._header(),
            certificate=bundle.certificate,
            size=self.size,
        )

    def _run(self) -> RunView:
        run, bundle, cleared = self.of.run, self.bundle, self.of.cleared
        runs = [name for name, _ in bundle.runs.value["runs"]]
        return RunView(
            zone=run["zone"],
            area=bundle.area.entity.name,
            slot_start_s=self.of.start_s,
            slot_end_s=self.of.end_s,
            run=run["run"],
            later_runs=tuple(runs[runs.index(run["run"]) + 1 :]),
            contract=run["contract"],
            as_of_height=run["as_of_height"],
            volume_wh=cleared.volume_wh if cleared is not None else 0,
            price_micro_per_kwh=cleared.price if cleared is not None and cleared.has_price else None,
            rules=bundle.rules.entity.name,
            rules_digest=bundle.rules.row.digest,
            prices=tuple(sorted(self.of.settled().prices.items())),
            terms=tuple(sorted(bundle.rules.row.value["terms"].items())),
            roots=tuple((name, run[name]) for name in ("rows_root", "areas_root")),
            path=path_of_leaf(self.parts["run"]),
            rules_path=path_of_leaf(self.parts["rules"]),
            clearing_path=path_of_leaf(self.parts["clearing"]) if "clearing" in self.parts else None,
        )

    def _position(self) -> PositionView:
        position, settled = self.of.position, self.of.settled()
        lines = self.of.known_contract().lines_of_point(settled)
        return PositionView(
            row=position.row,
            quality=position.quality,
            import_wh=position.import_wh,
            export_wh=position.export_wh,
            bought_wh=settled.columns["bought_wh"],
            sold_wh=settled.columns["sold_wh"],
            pays_nano=settled.columns["pays_nano"],
            supplier_only_nano=settled.columns["supplier_only_nano"],
            terms=tuple(
                TermView(kind.name, kind.sign, energy_wh, price, amount_nano, kind.account, kind.price)
                for kind, energy_wh, price, amount_nano in lines
            ),
            columns=tuple(settled.columns.items()),
            spans=tuple(self._spans()),
            part=self._part(),
            path=path_of_row(self.parts["position"]),
        )

    def _spans(self) -> Iterator[SpanView]:
        for piece, span in zip(self.bundle.pieces, spans_of(self.bundle), strict=True):
            yield from _span_views(piece.installation.row.value, span)

    def _part(self) -> PartView | None:
        if not self.bundle.is_part_slot:
            return None
        piece = self.bundle.pieces[0]
        stated = piece.ended_by or piece.installation
        return PartView(is_put_up=piece.ended_by is None, stated_s=stated.row.from_s)

    def _readings(self) -> Iterator[ReadingView]:
        """Of both ends of the slot; an end that was approved has none, nor one at which the meter was not there."""
        pieces = self.parts["pieces"]
        ends = (("start", pieces[0]), ("end", pieces[-1])) if pieces else ()
        shown = [(when, piece[when]) for when, piece in ends if when in piece]
        for (when, part), reading in zip(shown, self.bundle.readings, strict=True):
            yield self._reading(when, reading, part)

    def _approvals(self) -> Iterator[ApprovalView]:
        """Of the ends of the slot for which an organisation answers."""
        pieces, parts = self.bundle.pieces, self.parts["pieces"]
        ends = (("start", 0, pieces[0].approved_start), ("end", -1, pieces[-1].approved_end)) if pieces else ()
        for when, place, approval in ends:
            if approval is not None:
                import_wh, export_wh = approval.body["registers"]
                yield ApprovalView(
                    when=when,
                    boundary_s=approval.body["boundary_s"],
                    import_wh=import_wh,
                    export_wh=export_wh,
                    reason=approval.body["reason"],
                    transaction=self._transaction(approval, parts[place][f"approved_{when}"]),
                )

    def _reading(self, when: str, reading: Reading, part: Mapping[str, Any]) -> ReadingView:
        batch, body = reading.batch, reading.batch.body
        _, offset_ms, quality, import_wh, export_wh = READING_ROW.unpack(reading.row.row)
        word, flags = quality_words(quality)
        return ReadingView(
            when=when,
            boundary_s=body["boundary_s"],
            import_wh=import_wh,
            export_wh=export_wh,
            quality=word,
            flags=flags,
            offset_ms=offset_ms,
            clock_state=body["clock"]["state"],
            clock_offset_ms=body["clock"]["offset_ms"],
            epoch=batch.identity["epoch"],
            counter=batch.identity["counter"],
            path=path_of_row(part["reading"]),
            batch=self._transaction(batch, part),
        )

    def _imported(self) -> ImportView | None:
        imported = self.bundle.imported
        if imported is None:
            return None
        part, body = self.parts["imported"], imported.transaction.body
        _, _, quality, import_wh, export_wh = INTERVAL_ROW.unpack(imported.row.row)
        word, flags = quality_words(quality)
        return ImportView(
            import_wh=import_wh,
            export_wh=export_wh,
            quality=word,
            flags=flags,
            estimates=body["estimates"],
            files=tuple((name, digest.hex()) for name, digest in body["files"]),
            path=path_of_row(part["interval"]),
            transaction=self._transaction(imported.transaction, part),
        )

    def _order(self, order: Order, part: Mapping[str, Any]) -> OrderView:
        transaction, party = order.order, self.bundle.party.entity
        start_s: int = self.bundle.run.value["slot_start_s"]
        terms = order.terms(party.number, start_s, self.bundle.chain.value["slot_s"])
        fill = fill_of(order.fill.row)
        return OrderView(
            order=f"{party.name}/{terms.slot_start_s}/{terms.counter}",
            side=SIDES[terms.side % ALL_OR_NONE],
            quantity_wh=terms.quantity_wh,
            limit_micro_per_kwh=terms.limit,
            filled_wh=fill.filled_wh,
            amount_nano=fill.amount_nano,
            trades=tuple(map(read_trade, part.get("trades", ()))),
            path=path_of_row(part["fill"]),
            transaction=self._transaction(transaction, part),
        )

    def _transaction(self, transaction: Transaction, part: Mapping[str, Any]) -> TransactionView:
        protections = {one.entity.name: one.row.value.get("protection", "") for one in self.bundle.gateways}
        block = transaction.block
        return TransactionView(
            what=transaction.what,
            kind=transaction.kind,
            signer=transaction.signer,
            signed=transaction.signed,
            fields=tuple(flat_fields(decode(transaction.signed, transaction.what))),
            id=sm3(transaction.signed),
            signature=transaction.signature,
            public_key=self._public_key(transaction),
            protection=protections.get(transaction.signer, ""),
            block=BlockView(
                height=block.height,
                time_s=block.time_s,
                digest=block.digest,
                data_root=block.data_root,
                data_path=PathView(len(part["data_path"]), transaction.data_root),
                history_path=PathView(len(part["history_path"]), transaction.history_root),
            ),
        )

    def _public_key(self, transaction: Transaction) -> bytes:
        """The signer's key that was in force for a transaction."""
        block = transaction.block
        for key in self.bundle.keys:
            in_force = key.entity.in_force(block.ledger_time_s, block.height - 1)
            if key.entity.name == transaction.signer and in_force is not None:
                return bytes(self.keys[transaction.signer, in_force.digest].row.value["public_key"])
        raise EncodingError(f"no evidence bundle that can be shown: the key of {plain(transaction.signer)} is absent")

    def _header(self) -> HeaderView:
        header = self.bundle.header
        certified = self.bundle.certified.header if self.bundle.certified is not None else header
        return HeaderView(
            chain=header.chain,
            height=header.height,
            time_s=header.time_s,
            digest=header.digest,
            history_root=header.history_root,
            data_root=header.data_root,
            state_root=header.state_root,
            signers=header.signers,
            certified_height=certified.height,
            certified_digest=certified.digest,
        )


def _span_views(installation: Mapping[str, Any], span: Span) -> Iterator[SpanView]:
    for register, start_wh, end_wh in zip(("import", "export"), span.start, span.end, strict=True):
        modulus_wh = installation["modulus_wh"] if end_wh < start_wh else 0
        yield SpanView(installation["meter"], register, start_wh, end_wh, modulus_wh, installation["ratio"])


def _key(name: str, entry: KeyEntry) -> KeyView:
    enrolled_by, height = "", 0
    if entry.enrolment is not None:
        enrolled_by, height = entry.enrolment.transaction.signer, entry.enrolment.transaction.block.height
    elif entry.voted is not None:
        enrolled_by, height = ", ".join(entry.voted.in_favour), entry.voted.decided_height
    return KeyView(name, sm3(entry.row.value.get("public_key", b"")).hex(), enrolled_by, height)
