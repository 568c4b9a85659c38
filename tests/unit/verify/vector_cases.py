"""The cases of ``tests/vectors/bundle_verify``: each a bundle with trust root and book, and the answer that the specification gives.

    python -m tests.unit.verify.vector_cases

writes them anew. Chains, keys and signatures follow from names, so the files are the same each time.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridevidence import forgery
from gridevidence.digests import remade
from gridevidence.layout import CLAIMS
from tests.second_verifier.evidence import HEADER, Evidence
from tests.second_verifier.story import KEYS, NEW_SIGNERS, OLD_SIGNERS, PLACED_ORDER, Story
from tests.second_verifier.test_second_asked import ASKED_LIES, BOOK_ASKED, DISTANT, HONEST_ASKED
from tests.second_verifier.test_second_changes import CHANGES, LATER_CHANGES, changed
from tests.second_verifier.test_second_lies import LIES
from tests.second_verifier.test_second_pairs import BOOK_PAIRS, HONEST_PAIRS, PAIR_CHANGES, PAIR_LIES
from tests.second_verifier.test_second_parts import HONEST_PARTS, PART_CHANGES, PART_LIES
from tests.second_verifier.test_second_prices import HONEST_PRICES, PRICE_CHANGES, PRICE_LIES
from tests.second_verifier.test_second_sharing import HONEST_SHARING, SHARING_LIES
from tests.second_verifier.test_second_trust import BOOK_CHANGES
from tests.unit.verify.honest import (
    BOOK_LIES,
    HONEST,
    TRADE,
    Parts,
    certify,
    evidence,
    parts_of,
    replaced,
    sign_all,
    tell,
    with_inner,
)

FOLDER: Final = Path(__file__).parents[2] / "vectors" / "bundle_verify"
SOURCE: Final = "docs/spec/bundle.md"
UNDECIDED, BAD_USAGE = "cannot_be_decided", "bad_usage"
EXIT: Final = {"verified": 0, "not_verified": 1, BAD_USAGE: 2, UNDECIDED: 3}
LATER: Final = HONEST["certified behind a hand-over"]
SHARED: Final = HONEST["a community without orders"]
PLACED: Final = HONEST["an order placed by an aggregator"]
ESTIMATED: Final = HONEST["an energy that is estimated"]
IMPORTED: Final = HONEST["an energy that was imported"]

FORGED: Final = {
    "amount": "position",
    "energy": "position",
    "rules_price": "registry",
    "ratio": "registry",
    "order_limit": "orders",
    "filled": "orders",
    "start_register": "energy",
    "end_register": "energy",
    "gateway_signature": "recorded",
    "imported_energy": "energy",
    "signer_signature": "certificate",
    "forged_amount": "lines",
    "forged_reading": "signatures",
    "forged_import": "signatures",
    "forged_limit": "signatures",
    "forged_rules": "certificate",
}
"""Alterations that the pages offer, and the claim that each breaks."""


class Case(NamedTuple):
    """One case. ``says``: the word of the claim that fails, else the answer."""

    title: str
    says: str
    bundle: bytes
    trust: bytes | None
    book: bytes | None = None

    @property
    def folder_name(self) -> str:
        """The title in lower case, with hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def answer(self) -> str:
        """What is answered."""
        return "not_verified" if self.says in CLAIMS else self.says


def cases() -> list[Case]:
    """All of them."""
    return [*_honest(), *_lies(), *_other_parts(), *_bytes(), *_changed_insides(), *_trust_roots(), *_books()]


def _of(title: str, says: str, of: Evidence) -> Case:
    return Case(title, says, of.bundle_bytes, of.trust_bytes)


def _honest() -> Iterator[Case]:
    for name, of in HONEST.items():
        yield _of(f"honest: {name}", "verified", of)
    for sort, stories in (
        ("prices", HONEST_PRICES),
        ("sharing", HONEST_SHARING),
        ("parts", HONEST_PARTS),
        ("pairs", HONEST_PAIRS),
        ("asked", HONEST_ASKED),
    ):
        for name, story in stories.items():
            yield _of(f"{sort}: {name}", "verified", evidence(story))
    for sort, stories in (("pairs", HONEST_PAIRS), ("asked", HONEST_ASKED)):
        for name, story in stories.items():
            of = evidence(story)
            yield Case(f"{sort} with the book: {name}", "verified", of.bundle_bytes, of.trust_bytes, of.book_bytes)
    yield Case("honest: with the book", "verified", TRADE.bundle_bytes, TRADE.trust_bytes, TRADE.book_bytes)
    yield Case("no trust root", UNDECIDED, TRADE.bundle_bytes, None)
    yield _of("an unknown contract", UNDECIDED, evidence(Story(contract="barter/1")))
    yield _of("a block of a later protocol", UNDECIDED, evidence(Story(protocol_version=3)))


def _lies() -> Iterator[Case]:
    """Everybody signed them, and the signers certified them."""
    for name, claim, story in LIES:
        yield _of(f"certified: {name}", claim, evidence(story))
    for sort, lies in (
        ("prices", PRICE_LIES),
        ("sharing", SHARING_LIES),
        ("parts", PART_LIES),
        ("pairs", PAIR_LIES),
        ("asked", ASKED_LIES),
    ):
        for name, claim, story in lies:
            yield _of(f"certified {sort}: {name}", claim, evidence(story))


def _other_parts() -> Iterator[Case]:
    for name, claim, change in CHANGES:
        yield Case(f"altered: {name}", claim, changed(TRADE, change), TRADE.trust_bytes)
    for sort, of_sort in (("prices", PRICE_CHANGES), ("pairs", PAIR_CHANGES), ("parts", PART_CHANGES)):
        for name, claim, story, change in of_sort:
            of = evidence(story)
            yield Case(f"altered {sort}: {name}", claim, changed(of, change), of.trust_bytes)
    for name, answer, change in LATER_CHANGES:
        says = "certificate" if answer == "not_verified" else answer
        yield Case(f"hand-over: {name}", says, changed(LATER, change), LATER.trust_bytes)
    yield from _placed_orders()
    shown = {name: parts_of(TRADE)[name] for name in ("pieces", "gateways")}
    for title, changes in (
        ("meters of an estimated energy", shown),
        ("a gateway of an estimated energy", {"gateways": shown["gateways"]}),
    ):
        parts = {**parts_of(ESTIMATED), **changes}
        yield Case(f"altered: {title}", "registry", cbor.encode(parts), ESTIMATED.trust_bytes)
    for what, claim in FORGED.items():
        of = IMPORTED if what in forgery.OF_IMPORTS else TRADE
        altered = forgery.alter(of.bundle_bytes, what).data
        yield Case(f"forged: {what.replace('_', ' ')}", claim, altered, of.trust_bytes)
    for title, claim, changed_parts in (
        ("registers beside an imported energy", "registry", shown),
        ("an imported energy as if it were measured", "registry", {"imported": None}),
    ):
        parts = {**parts_of(IMPORTED), **changed_parts}
        parts = {name: part for name, part in parts.items() if part is not None}
        yield Case(f"altered: {title}", claim, cbor.encode(parts), IMPORTED.trust_bytes)


def _placed_orders() -> Iterator[Case]:
    """An aggregator's order with parts missing, or of others."""
    neighbour = tell(PLACED_ORDER)
    changes: dict[str, tuple[str, Callable[[Parts], object]]] = {
        "no mandate": ("shape", lambda order: order.pop("mandate")),
        "no row of the batch": ("shape", lambda order: order.pop("order")),
        "the batch as if it were the order": ("shape", lambda order: (order.pop("mandate"), order.pop("order"))),
        "the row of somebody else": ("orders", lambda order: order.update(order=neighbour.placed.place(1).proof)),
        "the mandate of the neighbour": (
            "registry",
            lambda order: order.update(mandate=neighbour.chain.opened(neighbour.row("party/h2"), HEADER)),
        ),
    }
    for name, (claim, change) in changes.items():
        parts = parts_of(PLACED)
        change(parts["orders"][0])
        yield Case(f"placed: {name}", claim, cbor.encode(parts), PLACED.trust_bytes)


def _bytes() -> Iterator[Case]:
    whole, of = SHARED.bundle_bytes, SHARED
    wrongs = {
        "no bytes": b"",
        "cut at the half": whole[: len(whole) // 2],
        "cut before the last byte": whole[:-1],
        "a byte behind the item": whole + b"\x00",
        "a length in more bytes than it needs": b"\xb8" + bytes([whole[0] & 31]) + whole[1:]
        if whole[0] & 31 < 24
        else whole,
        "an array of no stated length": b"\x9f\xff",
        "a tag": b"\xc0" + whole,
        "a floating-point number": b"\xfb" + bytes(8),
        "null": b"\xf6",
        "a text for a bundle": cbor.encode("gridledger-evidence"),
        "arrays that are nested nine deep": b"\x81" * 9 + b"\x00",
        "an array of 257 items": cbor.encode({"a": [0] * 257}),
    }
    for name, data in wrongs.items():
        if data != whole:
            yield Case(f"bytes: {name}", "shape", data, of.trust_bytes)
    for version in (0, 1, 3):
        data = cbor.encode({"type": "gridledger-evidence", "version": version})
        yield Case(f"a bundle of version {version}", UNDECIDED, data, of.trust_bytes)
    text = cbor.encode({"type": "gridledger-evidence", "version": "2"})
    yield Case("bytes: a version that is a text", "shape", text, of.trust_bytes)


def _lie(parts: Parts, lie: Callable[[Parts], Parts], is_signed: bool) -> bytes:
    """Bytes after a lie: all digests are made anew; where it is signed, everybody signs and certifies it."""
    altered = remade(parts, lie(parts))
    return cbor.encode(certify(sign_all(altered)) if is_signed else altered)


INSIDES: Final[list[tuple[str, str, tuple[Any, ...], tuple[Any, ...], Any]]] = [
    ("a header of another type", "shape", ("header",), (0,), "header/1"),
    ("a header of another chain", "header", ("header",), (1,), "village0123456789abcdef"),
    ("slots of ten minutes", "header", ("chain", "leaf"), (1, "slot_s"), 600),
    ("a chain's leaf with a key too many", "shape", ("chain", "leaf"), (1, "note"), "x"),
    ("a clock of no known sort", "shape", ("chain", "leaf"), (1, "clock"), "real"),
    ("a run under another key", "header", ("run", "leaf"), (0,), "run/9000/z1/final"),
    ("runs of another zone", "header", ("runs", "leaf"), (0,), "runs/9000/z2"),
    ("the run stands twice in the list", "header", ("runs", "leaf"), (1, "runs"), [["initial", 6], ["initial", 6]]),
    ("a run of another zone", "header", ("run", "leaf"), (1, "zone"), "z2"),
    (
        "entries that do not ascend",
        "registry",
        ("area", "leaf"),
        (1, "entries"),
        [[0, 0, bytes(32)], [0, 0, bytes(32)]],
    ),
    ("an entity without entries", "registry", ("rules", "leaf"), (1, "entries"), []),
    ("folded entries without their time", "registry", ("party", "leaf"), (1, "folded"), bytes(32)),
    ("a row of more than 32,768 bytes", "shape", ("rules", "row"), (2, "terms", "x"), "x" * 32_768),
    ("a row of another entity", "registry", ("rules", "row"), (0,), "rules/r2"),
    ("a row from another time on", "registry", ("party", "row"), (1,), 1),
    ("a price that is no 64-bit integer", "shape", ("rules", "row"), (2, "prices", "levy_micro_per_kwh"), 2**63),
    ("a price key that the contract has not", "lines", ("rules", "row"), (2, "prices", "x_micro_per_kwh"), 1),
    ("a term that the contract has not", "lines", ("rules", "row"), (2, "terms", "x"), 1),
    ("another sort of rationing", "lines", ("rules", "row"), (2, "terms", "rationing"), "time"),
    ("a ratio of 0", "shape", ("pieces", 0, "installation", "row"), (2, "ratio"), 0),
    ("a modulus of twice the limit", "shape", ("pieces", 0, "installation", "row"), (2, "modulus_wh"), 10_000),
    ("roles that do not ascend", "shape", ("keys", 1, "row"), (2, "roles"), ["utility", "gateway"]),
    ("a clock's state of no known sort", "shape", ("pieces", 0, "start", "signed"), ("body", "clock", "state"), "good"),
    (
        "a clock that nothing keeps",
        "readings",
        ("pieces", 0, "start", "signed"),
        ("body", "clock", "state"),
        "unsynced",
    ),
    ("a clock half a slot off", "readings", ("pieces", 0, "end", "signed"), ("body", "clock", "offset_ms"), 450_000),
    ("a batch without its clock", "shape", ("pieces", 0, "start", "signed"), ("body", "clock"), {}),
    ("an order of a third side", "shape", ("orders", 0, "signed"), ("body", "side"), "lend"),
    ("an order of another kind", "shape", ("orders", 0, "signed"), ("kind",), "clock/advance"),
    ("a batch of envelope version 2", "shape", ("pieces", 0, "end", "signed"), ("version",), 2),
    (
        "an enrolment for another chain",
        "keys",
        ("keys", 2, "entries", 0, "enrolment", "signed"),
        ("chain",),
        "village0123456789abcdef",
    ),
    ("a clearing of another contract", "clearing", ("clearing", "leaf"), (1, "contract"), "mid_market_rate/1"),
]
"""(what, the claim that fails, place of the bytes, place inside, value): certified by all who have a key."""
NO_TREES: Final[dict[str, list[tuple[int, int]]]] = {
    "a place that stands twice": [(1, 0), (2, 1), (2, 1)],
    "a place before its parent": [(1, 0), (2, 3), (3, 1)],
    "a second place without a parent": [(1, 0), (2, 0)],
    "a first place with a parent": [(1, 2), (2, 1)],
    "a place of the ninth level": [(number, number - 1) for number in range(1, 10)],
}
"""What is no tree: number and parent of each place, 0 for none."""


def _inside(parts: Parts, place: tuple[Any, ...], inner: tuple[Any, ...], value: Any) -> Parts:
    if place[0] == "keys" and len(place) == 3:
        place = (*place[:2], "entries", 0, place[2])
    *parent, key = inner
    return with_inner(parts, place, tuple(parent), lambda whole: _put(whole, key, value))


def _put(whole: Any, key: Any, value: Any) -> Any:
    return {**whole, key: value} if isinstance(whole, dict) else replaced(whole, (key,), lambda _: value)


def _changed_insides() -> Iterator[Case]:
    for name, claim, place, inner, value in INSIDES:
        data = _lie(parts_of(TRADE), lambda parts, at=(place, inner, value): _inside(parts, *at), is_signed=True)  # type: ignore[misc]
        yield Case(f"signed by all: {name}", claim, data, TRADE.trust_bytes)
    along = evidence(DISTANT)
    for name, listed in NO_TREES.items():
        grid = [
            {"fee_micro_per_kwh": 0, "place": number, **({"parent": parent} if parent else {})}
            for number, parent in listed
        ]
        data = _lie(
            parts_of(along),
            lambda parts, grid=grid: _inside(parts, ("rules", "row"), (2, "terms", "grid_places"), grid),  # type: ignore[misc]
            is_signed=True,
        )
        yield Case(f"grid: {name}", "lines", data, along.trust_bytes)
    invented = {**KEYS, "gw1": KEYS["thief"]}
    keyed = _inside(parts_of(TRADE), ("keys", 1, "row"), (2, "public_key"), KEYS["thief"].public)
    data = cbor.encode(certify(sign_all(remade(parts_of(TRADE), keyed), invented)))
    yield Case("signed by all: a gateway's key that the operator invented", "keys", data, TRADE.trust_bytes)


def _signers(*pairs: Any, power: int = 1) -> list[dict[str, Any]]:
    return [{"name": f"node {n}", "power": power, "public_key": pair.public.hex()} for n, pair in enumerate(pairs)]


def _pins(*fingerprints: tuple[str, str]) -> list[dict[str, str]]:
    return [{"fingerprint": fingerprint, "signer": signer} for signer, fingerprint in fingerprints]


def _trust_roots() -> Iterator[Case]:
    h1, thief = (KEYS[name].fingerprint.hex() for name in ("h1", "thief"))
    doubled = TRADE.trust_bytes.replace(b'"chain"', b'"chain": "", "chain"')
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "of another chain": (UNDECIDED, {"chain": "village0123456789abcdef"}),
        "of another genesis": (UNDECIDED, {"genesis": "00" * 32}),
        "of a set that is not yet the header's": (UNDECIDED, {"signers": _signers(*NEW_SIGNERS)}),
        "of a heavier set": (UNDECIDED, {"signers": _signers(*OLD_SIGNERS, *NEW_SIGNERS, power=5)}),
        "that pins the party's key": ("verified", {"pins": _pins(("h1", h1))}),
        "that pins one key of two": ("verified", {"pins": _pins(("h1", thief), ("h1", h1.upper()))}),
        "that pins another key of the party": ("keys", {"pins": _pins(("h1", thief))}),
        "that pins another key of the gateway": ("keys", {"pins": _pins(("gw1", thief))}),
        "that pins another key of the administrator": ("keys", {"pins": _pins(("admin", thief))}),
        "that pins a stranger": ("verified", {"pins": _pins(("gw9", thief))}),
        "of version 1": (UNDECIDED, {"version": 1}),
        "of version 3": (UNDECIDED, {"version": 3, "novelty": 1}),
        "without signers": (BAD_USAGE, {"signers": []}),
        "with a signer twice": (BAD_USAGE, {"signers": _signers(OLD_SIGNERS[0], OLD_SIGNERS[0])}),
        "with a power of 0": (BAD_USAGE, {"signers": _signers(*OLD_SIGNERS, power=0)}),
        "with a power of 2^63": (BAD_USAGE, {"signers": _signers(*OLD_SIGNERS, power=2**63)}),
        "with a key too many": (BAD_USAGE, {"note": ""}),
        "with a short fingerprint": (BAD_USAGE, {"pins": _pins(("gw1", "abc"))}),
        "with a version that is true": (BAD_USAGE, {"version": True}),
        "of another type": (BAD_USAGE, {"type": "trust"}),
    }
    for name, (says, change) in changes.items():
        trust = json.dumps({**TRADE.trust, **change}).encode()
        yield Case(f"trust root {name}", says, TRADE.bundle_bytes, trust)
    for name, data in {"that is no JSON": b"{", "with a key twice": doubled, "that is empty": b""}.items():
        yield Case(f"trust root {name}", BAD_USAGE, TRADE.bundle_bytes, data)
    yield Case("a malformed trust root and no bundle", BAD_USAGE, b"", b"[]")
    new = json.dumps({**LATER.trust, "signers": _signers(*NEW_SIGNERS)}).encode()
    yield Case("trust root that is newer than the hand-over", "verified", LATER.bundle_bytes, new)


def _books() -> Iterator[Case]:
    for name, story in BOOK_LIES.items():
        lie = evidence(story)
        yield Case(f"book: {name}", "book", lie.bundle_bytes, lie.trust_bytes, lie.book_bytes)
    for name, claim, story in BOOK_PAIRS:
        of = evidence(story)
        yield Case(f"book of pairs: {name}", claim, of.bundle_bytes, of.trust_bytes, of.book_bytes)
    for name, story in BOOK_ASKED:
        of = evidence(story)
        yield Case(f"book of asked: {name}", "book", of.bundle_bytes, of.trust_bytes, of.book_bytes)
    for name, change in BOOK_CHANGES:
        book = cbor.decode(TRADE.book_bytes)
        change(book)
        yield Case(f"book: {name}", UNDECIDED, TRADE.bundle_bytes, TRADE.trust_bytes, cbor.encode(book))
    yield Case("book: no canonical item", UNDECIDED, TRADE.bundle_bytes, TRADE.trust_bytes, b"\xff")
    yield Case("book: without a clearing", UNDECIDED, SHARED.bundle_bytes, SHARED.trust_bytes, TRADE.book_bytes)
    lie = next(evidence(story) for name, _, story in LIES if name == "an advance above the limit")
    yield Case("book: a wrong one beside a refuted line", "energy", lie.bundle_bytes, lie.trust_bytes, b"")


def toml_of(case: Case) -> str:
    """The text of a case's ``case.toml``."""
    lines = [
        'handler = "bundle_verify/1"',
        f"title   = {json.dumps(case.title)}",
        f'source  = "{SOURCE}"',
        "[input]",
        'bundle = "bundle.evd"',
    ]
    lines += ['trust = "trust.json"'] if case.trust is not None else []
    lines += ['book = "slot.book"'] if case.book is not None else []
    lines += ["[expect]", f'answer = "{case.answer}"', f"exit = {EXIT[case.answer]}"]
    if case.says in CLAIMS:
        lines.append(f'claim = {{ number = {list(CLAIMS).index(case.says) + 1}, word = "{case.says}" }}')
    return "\n".join(lines) + "\n"


def files_of(case: Case) -> dict[str, bytes]:
    """A case's files by name."""
    files = {"case.toml": toml_of(case).encode(), "bundle.evd": case.bundle}
    files |= {"trust.json": case.trust} if case.trust is not None else {}
    return files | ({"slot.book": case.book} if case.book is not None else {})


def write(folder: Path) -> None:
    """Write all cases anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for case in cases():
        place = folder / case.folder_name
        place.mkdir(parents=True)
        for name, data in files_of(case).items():
            (place / name).write_bytes(data)


if __name__ == "__main__":
    write(FOLDER)
