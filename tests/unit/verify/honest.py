"""Honest evidence of several shapes, and what a liar makes of it: without keys, with the signers', with everybody's.

The chains are those of ``tests/second_verifier``, put together from docs/spec by no code of the product.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

from gridcore import cbor, verify
from gridcore.sm3 import sm3
from gridevidence.digests import remade
from gridevidence.layout import (
    AREA_HEAD,
    CLEARED_ROW,
    FEE_TRADE_ROW,
    FILL_ROWS,
    INTERVAL_ROW,
    PAIRED_CLEARED_ROW,
    PLACED_ROW,
    POSITION_HEAD,
    READING_ROW,
    TRADE_ROW,
)
from tests.second_verifier.evidence import HEADER, Evidence, certified_later, evidence_of
from tests.second_verifier.signing import KeyPair, sign
from tests.second_verifier.story import (
    APPROVED,
    BOOK,
    BOUGHT,
    BUY,
    END,
    ESTIMATED,
    EXCHANGE,
    IMPORTED,
    KEYS,
    NEW_SIGNERS,
    OLD_SIGNERS,
    PLACED_ORDER,
    POSITION,
    RAMPED,
    RESET,
    SEVERAL,
    SHARED,
    STANDING,
    START,
    WHOLE,
    Story,
)
from tests.second_verifier.test_second_asked import DISTANT, PREFERRED, ROOF
from tests.second_verifier.test_second_pairs import GIVEN_UP, TWICE
from tests.second_verifier.test_second_prices import BOTH_SERIES
from tests.second_verifier.test_second_sharing import BY_KEYS, FIRST_SERVED
from tests.second_verifier.told import Told

Parts = dict[str, Any]

ROLLED: Final = Story(
    modulus_wh=100_000,
    start=START._replace(import_wh=99_500),
    end=END._replace(import_wh=500),
    position=POSITION._replace(start_import=99_500, end_import=500),
)
STORIES: Final = {
    "a trade": Story(),
    "a later run": Story(later_run=True),
    "a register that rolls over": ROLLED,
    "a meter exchanged inside the slot": EXCHANGE,
    "a meter whose registers begin again inside the slot": RESET,
    "a register that an organisation answers for": APPROVED,
    "a community without orders": SHARED,
    "a party with two points": SEVERAL,
    "an order placed by an aggregator": PLACED_ORDER,
    "an order that is a step of a ramp": RAMPED,
    "an order that is all or none": WHOLE,
    "an order that a profile gives": STANDING,
    "an energy that is estimated": ESTIMATED,
    "an energy that was imported": IMPORTED,
    "prices by series and rules of a point's own": BOTH_SERIES,
    "a community that shares by static keys": BY_KEYS,
    "a community that shares by priority": FIRST_SERVED,
    "two trades of one order": TWICE,
    "a trade within the two that were given up": GIVEN_UP,
    "a bid with two conditions": PREFERRED,
    "a sell of the kind of its point": ROOF,
    "a trade along the grid": DISTANT,
}
BOOK_LIES: Final = {
    "price is not the auction's": Story(book=(BOOK[0], (1, 1, 700, 100_001, 600))),
    "ranks out of order": Story(book=(BOOK[0], (2, 1, 700, 100_000, 600))),
    "other fills": Story(book=((0, 0, 600, 300_000, 599), (1, 1, 700, 100_000, 599))),
    "own order with another limit": Story(book=((0, 0, 600, 299_999, 600), BOOK[1])),
    "order without a quantity": Story(book=(BOOK[0], (1, 1, 0, 100_000, 600))),
    "order of a fifth side": Story(book=((0, 4, 600, 300_000, 600), BOOK[1])),
    "order that is all or none in the book alone": Story(book=((0, 2, 600, 300_000, 600), BOOK[1])),
    "part of an order that is all or none": Story(book=(BOOK[0], (1, 3, 700, 100_000, 600))),
    "own order is not there": Story(
        order=BUY._replace(quantity_wh=601), fill=BOUGHT._replace(quantity_wh=601), book=BOOK
    ),
}
"""Chains whose clearing does not follow from the book that it is shown with, nor from the orders."""
PAIRS: Final = {pair.public: pair for pair in (*KEYS.values(), *OLD_SIGNERS, *NEW_SIGNERS)}


@cache
def tell(story: Story) -> Told:
    """The chain of a story."""
    return Told(story)


def evidence(story: Story) -> Evidence:
    """The evidence of a story, certified by the header of the bundle itself."""
    return evidence_of(tell(story))


def honest() -> dict[str, Evidence]:
    """Honest evidence by what is special about it."""
    shapes = {name: evidence(story) for name, story in STORIES.items()}
    trade = tell(STORIES["a trade"])
    return {
        **shapes,
        "certified behind a hand-over": certified_later(trade, shapes["a trade"]),
        "certified behind a set that a header named as waiting": certified_later(trade, shapes["a trade"], HEADER),
    }


HONEST: Final = honest()
TRADE: Final = HONEST["a trade"]


def trust_of(of: Evidence, **changes: object) -> verify.Trust:
    """The trust root of evidence, with other values."""
    return verify.decode_trust(replace(of, trust={**of.trust, **changes}).trust_bytes)


def parts_of(of: Evidence) -> Parts:
    """A copy of its bundle's parts."""
    parts: Parts = cbor.decode(of.bundle_bytes)
    return parts


def refuted(bundle: bytes | Parts, trust: verify.Trust | None, book: bytes | None = None) -> str:
    """The word of the claim that fails, else the answer."""
    data = bundle if isinstance(bundle, bytes) else cbor.encode(bundle)
    verdict = verify.verify_bundle(data, trust, book)
    return verdict.claim.word if verdict.claim is not None else verdict.answer


# ----------------------------------------------------------------------------------------------------------- with keys


def _signed_with(pairs: list[list[bytes]], message: bytes) -> list[list[bytes]]:
    return [[key, sign(PAIRS[key], message) if key in PAIRS else signature] for key, signature in pairs]


def _message(header: bytes) -> bytes:
    items = cbor.decode(header)
    return cbor.encode(["certificate/1", items[1], items[2], sm3(header)])


def certify(parts: Parts) -> Parts:
    """A copy whose certificates are signed again, by the signers that they name."""
    parts = copy.deepcopy(parts)
    header = parts["certified"]["header"] if "certified" in parts else parts["header"]
    parts["certificate"] = _signed_with(parts["certificate"], _message(header))
    for handover in parts["handovers"]:
        handover["certificate"] = _signed_with(handover["certificate"], _message(handover["header"]))
    return parts


def transactions(parts: Parts) -> Iterator[Parts]:
    """Every transaction proof of a bundle."""
    yield from (part for piece in parts["pieces"] for name, part in piece.items() if name in ("start", "end"))
    yield from parts["orders"]
    yield from ([parts["imported"]] if "imported" in parts else [])
    yield from (entry["enrolment"] for key in parts["keys"] for entry in key["entries"] if "enrolment" in entry)


def sign_all(parts: Parts, pairs: dict[str, KeyPair] = KEYS) -> Parts:
    """A copy in which signers of ``pairs`` sign their transactions again; all digests above follow."""
    signed = copy.deepcopy(parts)
    for part in transactions(signed):
        signer = cbor.decode(part["signed"])["signer"]
        if signer in pairs:
            part["signature"] = sign(pairs[signer], part["signed"])
    return remade(parts, signed)


# ---------------------------------------------------------------------------------------------------- changed values

Place = tuple[Any, ...]
ENCODED: Final = ("leaf", "signed", "header")
"""Keys of a bundle whose bytes are an encoded value; ``row`` too where it is a registry row."""
ROWS: Final = {
    "reading": [READING_ROW],
    "interval": [INTERVAL_ROW],
    "fill": [*FILL_ROWS],
    "order": [PLACED_ROW],
    "area": [CLEARED_ROW, PAIRED_CLEARED_ROW],
    "trades": [TRADE_ROW, FEE_TRADE_ROW],
}
"""Layouts of rows by the key that their proof, or the list of their proofs, stands under: no two of a key have one size."""
HEADS: Final = {"position": POSITION_HEAD, "area_result": AREA_HEAD}
"""Of rows whose fields columns of 8 bytes follow."""


def every_place(value: Any) -> Iterator[Place]:
    """The place of every value inside, the whole first."""
    yield ()
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from ((key, *place) for place in every_place(item))


def at(value: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        value = value[step]
    return value


def replaced(value: Any, place: Place, change: Callable[[Any], Any]) -> Any:
    """A copy of ``value`` in which what stands at ``place`` went through ``change``."""
    if not place:
        return change(value)
    key, *rest = place
    if isinstance(value, dict):
        return {name: replaced(item, tuple(rest), change) if name == key else item for name, item in value.items()}
    return [replaced(item, tuple(rest), change) if index == key else item for index, item in enumerate(value)]


def inner_places(parts: Parts) -> Iterator[Place]:
    """Places of bytes that hold an encoded value or a row."""
    for place in every_place(parts):
        if place and (place[-1] in ENCODED or place[-1] == "row") and isinstance(at(parts, place), bytes):
            yield place


def row_layout(parts: Parts, place: Place) -> struct.Struct | None:
    """The layout of the row at a place; None for a registry row, and for what is no row."""
    if place[-1] != "row" or "leaf" in at(parts, place[:-1]) or "entries" in place:
        return None
    key = place[-2] if isinstance(place[-2], str) else place[-3]
    size = len(at(parts, place))
    if key not in HEADS:
        return next(layout for layout in ROWS[key] if layout.size == size)
    head = HEADS[key]
    columns = (size - head.size) // 8
    return struct.Struct(f"{head.format}{columns}q" if columns else head.format)


def unpacked(parts: Parts, place: Place) -> Any:
    """What the bytes at an inner place hold: an encoded value, or the fields of a row as a list."""
    data, layout = at(parts, place), row_layout(parts, place)
    return cbor.decode(data) if layout is None else list(layout.unpack(data))


def packed(parts: Parts, place: Place, value: Any) -> bytes:
    """The bytes for an inner place. struct.error, EncodingError, TypeError for a value that has no place there."""
    layout = row_layout(parts, place)
    return cbor.encode(value) if layout is None else layout.pack(*value)


def with_inner(parts: Parts, place: Place, inner: Place, change: Callable[[Any], Any]) -> Parts:
    """A copy in which one value inside the bytes at a place is another one; no digest follows."""
    data = packed(parts, place, replaced(unpacked(parts, place), inner, change))
    changed: Parts = replaced(parts, place, lambda _: data)
    return changed
