"""Every decoder of bytes from outside, as both ways of fuzzing run it: what it reads, what it may refuse, and examples to begin with.

A decoder either returns or raises one of its refusals. Whatever else comes out is a finding, and so is a value that does not
encode to the bytes it was read from, where the form is canonical.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
from google.protobuf.message import DecodeError

from edge.config import EdgeConfig
from edge.dlt645 import decode_frame, decode_load_record
from edge.readers import WrongAnswerError
from firmware_profiles import FOLDER, Dlt645Point, ModbusPoint, MqttProfile, load_profile, profile_ids
from firmware_profiles.bundle import decode_profile_bundle, make_bundle
from firmware_profiles.decode import decode_point, decode_text, register_wh
from firmware_profiles.dlt645 import decode_value
from firmware_profiles.loader import decode_profile
from firmware_profiles.payloads import decode_payload, read_point
from firmware_profiles.schema import ProfileError
from gridcore import cbor
from gridcore.column import decode_column
from gridcore.config import decode_config
from gridcore.envelope import decode_transaction, encode_transaction
from gridcore.errors import EncodingError, GridError, UsageError
from gridcore.genesis import decode_genesis
from gridcore.header import LaterHeader, decode_header, decode_receipt, genesis_header
from gridcore.light import codec
from gridcore.light.state import LightState, decode_state, encode_state
from gridcore.light.trusted import CertifiedHeader, advance
from gridcore.observations import decode_observations
from gridcore.registry.entities import entity_of
from gridcore.registry.row import decode_row
from gridcore.sealed import recipients_of
from gridcore.serving.problems import Problem
from gridcore.sm import SigningKey
from gridcore.transactions.open_epoch import OpenEpoch
from gridcore.transactions.order_batch import ROWS_MAX, PlacedOrder
from gridcore.transactions.readings import split_attachment
from gridcore.transactions.registry_register import AttachedRows, decode_attached_rows
from gridcore.verify import Examination, Halt, Trust, check_book, decode_trust, read_bundle, verify_bundle
from gridcore.x509 import Subject, decode_certificate, issue
from gridevidence.view import decode_bundle
from gridledger.founding.config import FoundingConfig
from gridledger.serving import ServeConfig
from ledger.client import Client
from ledger.config import NodeConfig
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.framing import FrameError, FrameReader, frame
from ledger.engines.cometbft.payloads import (
    NOTHING_INJECTED,
    Injected,
    Vote,
    decode_injected,
    decode_vote,
    decode_wish,
    encode_wish,
)
from ledger.genesis_check import check_genesis
from ledger.http.submission import decode_submission
from ledger.kinds.table import KINDS
from ledger.state.block import Offence
from ledger.state.columns import decode_batch
from ledger.state.order_columns import decode_orders
from ledger.store.block_record import BlockRecord, decode_record, encode_record
from ledger.store.rows import Certified
from ledger.store.snapshot_format import Bodies, Head, History, Leaves, Manifest, decode_manifest, decode_part
from ledger.store.validator_table import SetChange
from settlement.catalogue import CONTRACTS
from tests.fuzz.findings import FindingError
from tests.fuzz.line_bytes import line_answers, read_line_answer
from tests.worlds.certified_chain import CertifiedChain
from tests.worlds.consortium import FIRST_S
from tests.worlds.feeders import FEEDERS, START_S, batches, clock_advance, new_key
from tests.worlds.two_areas import TWO_AREAS

ROOT: Final = Path(__file__).resolve().parents[2]
BUNDLES: Final = ROOT / "tests" / "vectors" / "bundle_verify"
HONEST_BOOK: Final = "honest-with-the-book"
URL: Final = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Decoder:
    """``read`` raises one of ``refusals``, or nothing; ``examples``: bytes that it takes."""

    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    examples: Callable[[], list[bytes]]

    def try_one(self, data: bytes) -> bool:
        """Whether the decoder took the bytes. What is neither taken nor refused passes through."""
        try:
            self.read(data)
        except self.refusals:
            return False
        return True


def _same(data: bytes, encoded: bytes) -> None:
    if encoded != data:
        raise FindingError(f"encodes to {encoded.hex()[:80]}")


def _read_cbor(data: bytes) -> None:
    _same(data, cbor.encode(cbor.decode(data)))


def _read_envelope(data: bytes) -> None:
    transaction = decode_transaction(data)
    _same(data, encode_transaction(transaction.signed, transaction.signature, transaction.attachment))
    kind = KINDS.get(transaction.kind)
    if kind is not None:
        content = kind.content.decode(transaction)
        if (content.identity(), cbor.encode(content.body())) != (transaction.identity, cbor.encode(transaction.body)):
            raise FindingError("another body")
        if kind.attached is not None:
            kind.attached(transaction, content)


def _read_header(data: bytes) -> None:
    _same(data, decode_header(data).encode())


def _read_receipt(data: bytes) -> None:
    _same(data, decode_receipt(data).encode())


def _read_light(data: bytes) -> None:
    """One byte says which of what light clients read follows."""
    read: Sequence[Callable[[bytes], bytes]] = (
        lambda rest: codec.encode_steps(codec.decode_steps(rest)),
        lambda rest: codec.encode_certified(codec.decode_certified(rest)),
        lambda rest: codec.encode_proof(codec.decode_proof(rest)),
        lambda rest: codec.encode_fork(*codec.decode_fork(rest)),
        lambda rest: encode_state(decode_state(rest)),
    )
    _same(data[1:], read[int.from_bytes(data[:1], "big") % len(read)](data[1:]))


def _read_manifest(data: bytes) -> None:
    _same(data, decode_manifest(data).encode())


def _read_chunk(data: bytes) -> None:
    _same(data, decode_part(data).encode())


def _chunks() -> list[bytes]:
    genesis = FEEDERS.genesis
    header = genesis_header(genesis, bytes(32))
    certificate = [(one.public_key, bytes(64)) for one in genesis.validators]
    change = SetChange(3, 2, tuple(genesis.validators))
    head = Head((header, header), certificate, 2, (change,), (Certified(2, certificate),), 7)
    parts = (head, History(0, bytes(64)), Leaves(0, [b"leaf", b""]), Bodies([b"row"]))
    return [part.encode() for part in parts]


def _read_batch(data: bytes) -> None:
    """Two bytes say how many rows are announced, then the attachment: numpy and plain Python must read the same."""
    count, attachment = int.from_bytes(data[:2], "big") % 4_096 + 1, data[2:]
    found = decode_batch(attachment, count)
    columns: list[npt.NDArray[Any]] = [found.meter, found.offset_ms, found.quality, found.import_wh, found.export_wh]
    for column, encoded in zip([column.tolist() for column in columns], split_attachment(attachment)[1], strict=True):
        if column != decode_column(encoded, count):
            raise FindingError("two readings of one column")
    if found.observations:
        decode_observations(found.observations)


def _read_orders(data: bytes) -> None:
    """The same of an aggregator's orders."""
    count, attachment = int.from_bytes(data[:2], "big") % ROWS_MAX + 1, data[2:]
    found = decode_orders(attachment, count)
    if any(len(column) != count for column in (found.party, found.counter, found.quantity_wh)):
        raise FindingError("columns of another length")


def _read_rows(data: bytes) -> None:
    attached = decode_attached_rows(data)
    _same(data, attached.encode())
    for encoded in attached.rows:
        row = decode_row(encoded)
        _same(encoded, row.encode())
        entity, _ = entity_of(row.key) or (None, "")
        if entity is not None:
            entity.decode(row.value)


def _read_genesis(data: bytes) -> None:
    genesis = decode_genesis(data)
    _same(data, genesis.encode())
    check_genesis(genesis, CONTRACTS)


def _read_block(data: bytes) -> None:
    _same(data, encode_record(decode_record(data)))


def _read_abci(data: bytes) -> None:
    """A stream of requests, cut at a place that its first byte says: what comes of it does not depend on the cut."""
    place = (data[0] if data else 0) % (len(data) + 1)
    reader = FrameReader()
    messages = [*reader.feed(data[1:place]), *reader.feed(data[max(1, place) :])]
    if messages != FrameReader().feed(data[1:]):
        raise FindingError("other messages where the stream is cut")
    for message in messages:
        abci.Request.FromString(message)


def _read_payload_of_engine(data: bytes) -> None:
    for found in (decode_vote(data), decode_injected(data)):
        if found is not None:
            _same(data, found.encode())
    height = decode_wish(data)
    if height is not None:
        _same(data, encode_wish(height))


def _read_bundle(data: bytes) -> None:
    verify_bundle(data, _trust())
    decode_bundle(data)


def _read_book(data: bytes) -> None:
    examination = _examination()
    examination.book_data = data
    check_book(examination)


@cache
def _examination() -> Examination:
    """Of a bundle with a clearing, which the verifier has not looked at yet."""
    return Examination(read_bundle((_case(HONEST_BOOK) / "bundle.evd").read_bytes()), _trust(), b"")


def _read_configuration(data: bytes) -> None:
    kinds: Mapping[int, type[Any]] = {0: NodeConfig, 1: EdgeConfig, 2: ServeConfig, 3: FoundingConfig}
    decode_config(data[1:], kinds[data[0] % 4 if data else 0], Path("process.toml"))


def _read_profile(data: bytes) -> None:
    decode_profile(data, Path("profile.toml"))


class _Answering(Client):
    """A client whose node gives the same answer to everything."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(URL)
        self._answer = answer

    async def _request(self, *_: Any, **__: Any) -> bytes:
        return self._answer


def _read_answer(data: bytes) -> None:
    client = _Answering(data)
    for question in (client.status(), client.submit([b""]), client.wait_clock(0), client.query("areas")):
        try:
            question.send(None)  # nothing in it waits
        except StopIteration:
            continue
        except GridError:
            continue
        raise FindingError("a question that waits")


def _read_payload(data: bytes) -> None:
    content = decode_payload(data)
    for profile in _devices():
        for point in profile.points:
            try:
                read_point(content, point)
            except EncodingError:
                continue


@cache
def _places() -> tuple[ModbusPoint | Dlt645Point, ...]:
    """Every point of the shipped meters: each type, order, sum, power of ten and "no value" among them."""
    found = [load_profile(profile_id) for profile_id in profile_ids()]
    return tuple(point for profile in found for point in profile.points if isinstance(point, ModbusPoint | Dlt645Point))


def _read_register(data: bytes) -> None:
    """Two bytes say which point; the rest is what the meter sent. A value that bills is whole and not negative."""
    point = _places()[int.from_bytes(data[:2], "big") % len(_places())]
    rest = data[2:]
    if isinstance(point, Dlt645Point):
        decode_value(rest, point)
        return
    words = [int.from_bytes(rest[start : start + 2], "big") for start in range(0, len(rest), 2)]
    decode_point(words, point)
    decode_text(words)
    if point.resolution_wh and (register := register_wh(words, point)) is not None and register < 0:
        raise FindingError(f"{register} Wh")


def _registers() -> list[bytes]:
    """A zero of every point."""
    sizes = (point.bytes if isinstance(point, Dlt645Point) else 2 * len(point.registers) for point in _places())
    return [number.to_bytes(2, "big") + bytes(size) for number, size in enumerate(sizes)]


@cache
def _devices() -> tuple[MqttProfile, ...]:
    found = [load_profile(profile_id) for profile_id in profile_ids()]
    return tuple(profile for profile in found if isinstance(profile, MqttProfile))


def _case(name: str) -> Path:
    return BUNDLES / name


@cache
def _trust() -> Trust:
    return decode_trust((_case(HONEST_BOOK) / "trust.json").read_bytes())


def transactions() -> list[bytes]:
    """One transaction of each kind, most of them of the chain of two areas."""
    sender = TWO_AREAS.sender()
    order = sender.order("p-1", "a-1", "buy", 400, 450_000, FIRST_S)
    batch = sender.batch("gw-1", FIRST_S, [(1, 100, 7), (2, 5, 0)])
    approval = sender.approve(1, FIRST_S, (100, 7))
    epoch = OpenEpoch(client_id=bytes(16), valid_until_s=FIRST_S, epoch=2, gateway="gw-1", reason="lost")
    accept = sender.accept(FIRST_S, valid_until_s=FIRST_S)
    others = [clock_advance(START_S + 5), new_key("util", 1, START_S + 5)]
    return [order, batch, approval, sender.signed("util", epoch), accept, *others]


def _requests() -> list[bytes]:
    vote = abci.ExtendedVoteInfo(vote_extension=_votes()[0], block_id_flag=abci.BLOCK_ID_FLAG_COMMIT)
    commit = abci.ExtendedCommitInfo(votes=[vote])
    requests = [
        abci.Request(info=abci.InfoRequest(version="0.38.25")),
        abci.Request(check_tx=abci.CheckTxRequest(tx=transactions()[0])),
        abci.Request(prepare_proposal=abci.PrepareProposalRequest(height=3, local_last_commit=commit)),
        abci.Request(finalize_block=abci.FinalizeBlockRequest(txs=[b"", b"wire"], height=3)),
    ]
    return [b"\7" + frame(request.SerializeToString() for request in requests)]


def _votes() -> list[bytes]:
    signature = (bytes([4]) + bytes(64), bytes(64))
    return [
        Vote(7, bytes(32), *signature).encode(),
        Injected(_headers()[0], [signature]).encode(),
        NOTHING_INJECTED.encode(),
        encode_wish(7),
    ]


def _headers() -> list[bytes]:
    return [genesis_header(FEEDERS.genesis, bytes(32)).encode()]


def _light() -> list[bytes]:
    made = CertifiedChain("a")
    made.add("a", "b")
    made.add("a")
    certified = CertifiedHeader(
        made.headers[1], made.certificate(2, "a"), LaterHeader(made.headers[2], made.path(1, 2))
    )
    trusted = advance(made.begin("a"), made.step(0, 1, "a", "b"))
    return [
        b"\0" + codec.encode_steps([made.step(0, 1, "a", "b"), made.step(1, 2, "a")]),
        b"\1" + codec.encode_certified(certified),
        b"\2" + codec.encode_proof(codec.ProvenLeaf(b"leaf", (bytes(33),), made.headers[1], made.certificate(1, "a"))),
        b"\3" + codec.encode_fork(certified, made.certified(1, "a")),
        b"\4" + encode_state(LightState(trusted, (("gw-1", "ab" * 32),))),
    ]


def _attachment(wire: bytes) -> bytes:
    return decode_transaction(wire).attachment


def _batches() -> list[bytes]:
    several = TWO_AREAS.sender().batch("gw-1", FIRST_S, [(1, 100, 7), (2, 5, 0), (3, 1 << 40, 9)])
    return [b"\0\0" + _attachment(batches("gw-1", 1)[0]), b"\0\2" + _attachment(several)]


def _orders() -> list[bytes]:
    rows = [PlacedOrder(number, 1, 0, 400, 450_000) for number in range(3)]
    return [b"\0\2" + _attachment(TWO_AREAS.sender().order_batch("util", "a-1", FIRST_S, rows))]


def _certificates() -> list[bytes]:
    subject = Subject("ca", SigningKey.from_scalar(bytes(31) + b"\7").public_key, 0, 2**33, is_authority=True)
    return [issue(1, b"", subject, lambda _: bytes(range(1, 65)))]


def _sealed() -> list[bytes]:
    return [cbor.encode(["sealed/1", "chain", [[bytes(32), bytes(100)]], bytes(12), bytes(20)])]


def _rows() -> list[bytes]:
    """A key, and one row of every entity that a genesis has."""
    by_kind = {decode_row(row).key.partition("/")[0]: row for row in TWO_AREAS.genesis.registry}
    return [_attachment(new_key("util", 1, START_S + 5)), AttachedRows(bytes(32), list(by_kind.values())).encode()]


def _toml(path: Path) -> bytes:
    return (ROOT / path).read_bytes()


def _configurations() -> list[bytes]:
    node = b'data_dir = "ledger"\n[listen]\nport = 7070\n[key]\nuri = "file:node.pem"\npassword = "file:p"\n'
    founding = _toml(Path("gridledger/founding/example.toml"))
    return [
        b"\0" + node,
        b"\1" + _toml(Path("examples/edge.toml")),
        b"\2" + _toml(Path("examples/web.toml")),
        b"\3" + founding,
    ]


def _profile_bundles() -> list[bytes]:
    files = {name: (FOLDER / f"{name}.toml").read_bytes() for name in profile_ids()[:2]}
    return [make_bundle("fuzz", files, SigningKey.from_scalar((7).to_bytes(32, "big")))]


def _profiles() -> list[bytes]:
    return [path.read_bytes() for path in sorted(FOLDER.glob("*.toml"))]


def _frames() -> list[bytes]:
    paths = (ROOT / "tests" / "vectors" / "dlt645_frame").glob("*/case.toml")
    cases = [tomllib.loads(path.read_text("utf-8")) for path in sorted(paths)]
    return [bytes.fromhex(case["input"]["frame"]) for case in cases if "expect" in case]


_LOAD_RECORD: Final = bytes.fromhex("a0a01b3012290326aaaaaa7856341289000000ffffffffffffffffaaaaaa80e5")
"""Of 12:30 on a day: 123456.78 kWh in, 0.89 kWh out."""
_PAYLOAD: Final = b'{"id":1,"result":{"a_voltage":230.1,"b_voltage":229.8,"total_act":1234.56,"total_act_ret":0}}'
_ANSWER: Final = (
    b'{"answers":[{"id":"","code":0,"name":"ACCEPTED","retry":false,"height":1,"waiting_for":null,"rows":[[0,1,80]],'
    b'"other_history":false}],"ledger_time_s":5,"chain":"c","height":1}'
)


DECODERS: Final[Mapping[str, Decoder]] = {
    "cbor": Decoder(_read_cbor, (EncodingError,), lambda: [cbor.encode([1, -1, "a", b"b", {"k": [True, 2**63]}])]),
    "envelope": Decoder(_read_envelope, (EncodingError,), transactions),
    "header": Decoder(_read_header, (EncodingError,), _headers),
    "receipt": Decoder(_read_receipt, (EncodingError,), list),
    "light": Decoder(_read_light, (EncodingError,), _light),
    "batch": Decoder(_read_batch, (EncodingError,), _batches),
    "orders": Decoder(_read_orders, (EncodingError,), _orders),
    "certificate": Decoder(decode_certificate, (EncodingError,), _certificates),
    "sealed": Decoder(recipients_of, (EncodingError,), _sealed),
    "registry_rows": Decoder(_read_rows, (EncodingError,), _rows),
    "genesis": Decoder(_read_genesis, (EncodingError, UsageError), lambda: [FEEDERS.genesis_file]),
    "block": Decoder(
        _read_block,
        (EncodingError,),
        lambda: [
            encode_record(
                BlockRecord(2, 2, bytes(32), 1, [(b"key", b"signature")], (Offence(bytes(20), 1),), (b"wire",))
            )
        ],
    ),
    "abci": Decoder(_read_abci, (FrameError, DecodeError), _requests),
    "engine_payload": Decoder(_read_payload_of_engine, (), _votes),
    "snapshot_manifest": Decoder(
        _read_manifest, (EncodingError,), lambda: [Manifest("c", 1, (bytes(32),) * 2).encode()]
    ),
    "snapshot_chunk": Decoder(_read_chunk, (EncodingError,), _chunks),
    "submission": Decoder(decode_submission, (Problem,), lambda: [cbor.encode(transactions())]),
    "bundle": Decoder(
        _read_bundle, (EncodingError,), lambda: [(_case("honest-a-later-run") / "bundle.evd").read_bytes()]
    ),
    "book": Decoder(_read_book, (Halt,), lambda: [(_case(HONEST_BOOK) / "slot.book").read_bytes()]),
    "trust": Decoder(decode_trust, (Halt,), lambda: [(_case("honest-a-later-run") / "trust.json").read_bytes()]),
    "profile": Decoder(_read_profile, (UsageError,), _profiles),
    "profile-bundle": Decoder(decode_profile_bundle, (EncodingError, ProfileError), _profile_bundles),
    "configuration": Decoder(_read_configuration, (UsageError,), _configurations),
    "node_answer": Decoder(_read_answer, (), lambda: [_ANSWER]),
    "mqtt_payload": Decoder(_read_payload, (EncodingError,), lambda: [_PAYLOAD]),
    "line_answer": Decoder(read_line_answer, (WrongAnswerError,), line_answers),
    "dlt645_frame": Decoder(decode_frame, (EncodingError,), _frames),
    "load_record": Decoder(decode_load_record, (EncodingError,), lambda: [_LOAD_RECORD]),
    "register": Decoder(_read_register, (EncodingError,), _registers),
}
