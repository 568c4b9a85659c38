"""Mutants of honest bundles, drawn from a seed: what verifiers are compared on.

A mutant is made again from its seed and number. Where the digests above a changed value are made anew, it is one that only a missing
key can give away; where ``is_unkeyed`` is False, signers or parties took part in the lie.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError, GridError
from gridevidence import forgery
from gridevidence.digests import remade
from tests.second_verifier.evidence import Evidence
from tests.unit.verify.honest import (
    BOOK_LIES,
    ENCODED,
    HONEST,
    Parts,
    at,
    certify,
    every_place,
    evidence,
    inner_places,
    parts_of,
    replaced,
    sign_all,
    unpacked,
    with_inner,
)

UNBUILDABLE = (GridError, struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised where a value has no place in a bundle: a row's number too wide, a key that is no text."""
WORLDS: list[Evidence] = list(HONEST.values())


class Mutant(NamedTuple):
    """A bundle with what is given beside it. ``what``: how it was made."""

    what: str
    bundle: bytes
    trust: bytes | None
    book: bytes | None
    is_unkeyed: bool


class Draft:
    """A mutant in the making: honest evidence, each part of which a mutation may replace."""

    def __init__(self, world: Evidence) -> None:
        self.world = world
        self.bundle = world.bundle_bytes
        self.trust: bytes | None = world.trust_bytes
        self.book: bytes | None = None
        self.is_unkeyed = True

    def put(self, parts: Any) -> None:
        """Take these parts as the bundle."""
        self.bundle = cbor.encode(parts)


Mutation = Callable[[random.Random, Draft], None]


def mutant(seed: int, number: int) -> Mutant:
    """The mutant of this number; one in eight is changed twice."""
    draw = random.Random(f"{seed}/{number}")
    world = draw.randrange(len(WORLDS))
    draft = Draft(WORLDS[world])
    names = draw.choices(list(MUTATIONS), weights=[weight for weight, _ in MUTATIONS.values()], k=1 + (number % 8 == 7))
    for name in sorted(names, key=list(MUTATIONS).index):
        MUTATIONS[name][1](draw, draft)
    what = f"seed {seed}, number {number}: {list(HONEST)[world]}, {' and '.join(names)}"
    return Mutant(what, draft.bundle, draft.trust, draft.book, draft.is_unkeyed)


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """The first ``count`` mutants of a seed."""
    return (mutant(seed, number) for number in range(count))


def save(one: Mutant, folder: Path) -> None:
    """The mutant's files."""
    for name, data in (("mutant.evd", one.bundle), ("trust.json", one.trust), ("slot.book", one.book)):
        if data is not None:
            (folder / name).write_bytes(data)


# -------------------------------------------------------------------------------------------------------------- values


def other_value(draw: random.Random, value: Any) -> Any:
    """A value near ``value``, mostly of the same type."""
    if draw.random() < 0.05:
        return draw.choice([0, 1, -1, "", b"", [], {}, "x", bytes(32)])
    if isinstance(value, int):
        return draw.choice([value + 1, value - 1, -value, 0, value ^ 1 << draw.randrange(48), (1 << 63) - 1])
    if isinstance(value, bytes):
        return _other_bytes(draw, value)
    if isinstance(value, str):
        return draw.choice([value + "x", value[:-1], "", value.swapcase(), value + "\x00"])
    if isinstance(value, list):
        return draw.choice([value[:-1], value[1:], value + value[-1:], value[::-1], []])
    return _other_map(draw, value)


def _other_bytes(draw: random.Random, value: bytes) -> bytes:
    if not value:
        return b"\x00"
    place = draw.randrange(len(value))
    flipped = value[:place] + bytes([value[place] ^ 1 << draw.randrange(8)]) + value[place + 1 :]
    return draw.choice([flipped, flipped, value[:-1], value + b"\x00", bytes(len(value))])


def _other_map(draw: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    keys = sorted(value)
    if not keys or draw.random() < 0.2:
        return {**value, "novelty": 1}
    key, source = draw.choice(keys), draw.choice(keys)
    if draw.random() < 0.4:
        return {name: item for name, item in value.items() if name != key}
    return {**value, key: value[source]}


# ------------------------------------------------------------------------------------------------- bytes of the bundle


def flip_bits(draw: random.Random, draft: Draft) -> None:
    """One to three bits anywhere."""
    data = bytearray(draft.bundle)
    for _ in range(draw.randint(1, 3)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    draft.bundle = bytes(data)


def cut_or_join(draw: random.Random, draft: Draft) -> None:
    """A piece is missing, doubled, or stands behind the end."""
    data = draft.bundle
    start, end = sorted(draw.sample(range(len(data) + 1), 2))
    draft.bundle = draw.choice(
        [data[:start], data[:start] + data[end:], data[:end] + data[start:], data + data[start:end]]
    )


def write_longer(draw: random.Random, draft: Draft) -> None:
    """One item's head in a form that is not the shortest."""
    data = draft.bundle
    start, argument, end = draw.choice([head for head in _heads(data) if head[1] < 256])
    width = draw.choice([1, 2, 4, 8]) if argument < 24 else draw.choice([2, 4, 8])
    head = bytes([data[start] & 0xE0 | 23 + width.bit_length()]) + argument.to_bytes(width, "big")
    draft.bundle = data[:start] + head + data[end:]


def _heads(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(start, argument, end) of the head of every item of canonical bytes, in their order."""
    start = 0
    while start < len(data):
        major, argument, end = data[start] >> 5, data[start] & 31, start + 1
        if argument >= 24:
            width = 1 << argument - 24
            argument, end = int.from_bytes(data[end : end + width], "big"), end + width
        yield start, argument, end
        start = end + (argument if major in (2, 3) else 0)


# ------------------------------------------------------------------------------------------------- parts of the bundle


def change_part(draw: random.Random, draft: Draft) -> None:
    """One value of the bundle, or of what is encoded inside it; no digest follows."""
    parts = cbor.decode(draft.bundle)
    place = draw.choice([place for place in every_place(parts) if place])
    if place[-1] in ENCODED and draw.random() < 0.8:
        draft.put(replaced(parts, place, lambda data: _changed_inside(draw, data)))
    else:
        draft.put(replaced(parts, place, lambda value: other_value(draw, value)))


def _changed_inside(draw: random.Random, data: bytes) -> bytes:
    value = cbor.decode(data)
    place = draw.choice(list(every_place(value)))
    return cbor.encode(replaced(value, place, lambda item: other_value(draw, item)))


def exchange_parts(draw: random.Random, draft: Draft) -> None:
    """Two parts of one type change places, or one stands in both."""
    parts = cbor.decode(draft.bundle)
    places = [place for place in every_place(parts) if place]
    first = draw.choice(places)
    second = draw.choice([place for place in places if type(at(parts, place)) is type(at(parts, first))])
    one, two = at(parts, first), at(parts, second)
    changed = replaced(parts, first, lambda _: two)
    if draw.random() < 0.5 and second[: len(first)] != first and first[: len(second)] != second:
        changed = replaced(changed, second, lambda _: one)
    draft.put(changed)


def take_from_another(draw: random.Random, draft: Draft) -> None:
    """A part of another good bundle in the place of this one's."""
    other, parts = parts_of(draw.choice(WORLDS)), cbor.decode(draft.bundle)
    key = draw.choice(sorted(set(other) & set(parts)))
    draft.put({**parts, key: other[key]})


# ------------------------------------------------------------------------------------- values, with all digests anew


def _changed(draw: random.Random, parts: Parts) -> Parts:
    """One value of a row, a leaf, a header or a signed map is another one; no digest follows."""
    place = draw.choice(list(inner_places(parts)))
    inner = draw.choice(list(every_place(unpacked(parts, place))))
    return with_inner(parts, place, inner, lambda value: _moved(draw, value))


def _moved(draw: random.Random, value: Any) -> Any:
    """Often a number a little away, which may still have a place; else any other value."""
    if type(value) is int and draw.random() < 0.6:
        return value + draw.choice([1, -1, 16, 900, -900])
    return other_value(draw, value)


def lie(draw: random.Random, draft: Draft) -> None:
    """Values change and every digest that needs no key follows."""
    _lie(draw, draft, lambda parts: parts)


def lie_with_signers(draw: random.Random, draft: Draft) -> None:
    """The same, and the signers certify it."""
    draft.is_unkeyed = False
    _lie(draw, draft, certify)


def lie_with_everybody(draw: random.Random, draft: Draft) -> None:
    """The same, and gateway, party and administrator sign it too."""
    draft.is_unkeyed = False
    _lie(draw, draft, lambda parts: certify(sign_all(parts)))


def _lie(draw: random.Random, draft: Draft, sign: Callable[[Parts], Parts]) -> None:
    """Draw until the changed parts can be built."""
    before = parts_of(draft.world)
    while True:
        try:
            changed = _changed(draw, before)
            if draw.random() < 0.3:
                changed = _changed(draw, changed)
            draft.put(sign(remade(before, changed)))
        except UNBUILDABLE:
            continue
        draft.book = draw.choice([None, draft.world.book_bytes])
        return


def forge(draw: random.Random, draft: Draft) -> None:
    """One of the alterations that pages show; none where the bundle is no longer one."""
    try:
        names = forgery.alterations(draft.bundle)
        draft.bundle = forgery.alter(draft.bundle, draw.choice(names)).data
    except EncodingError:
        return


# ----------------------------------------------------------------------------------------------- trust root and book


def distrust(draw: random.Random, draft: Draft) -> None:
    """Another trust root, a changed one, one with a pin, or none."""
    own, other = draft.world.trust, draw.choice(WORLDS).trust
    place = draw.choice([place for place in every_place(own) if place])
    changed = replaced(own, place, lambda value: other_value(draw, value))
    pinned = {**own, "pins": [{"signer": draw.choice(["gw1", "h1", "admin"]), "fingerprint": "ab" * 32}]}
    chosen = draw.choice([None, other, pinned, changed, changed])
    draft.trust = None if chosen is None else json.dumps(chosen, default=repr).encode()


def change_book(draw: random.Random, draft: Draft) -> None:
    """The slot's book, or one with a changed value or bit."""
    good = draft.world.book_bytes
    parts = cbor.decode(good)
    place = draw.choice([place for place in every_place(parts) if place])
    changed = cbor.encode(replaced(parts, place, lambda value: other_value(draw, value)))
    draft.book = draw.choice([good, changed, changed, _other_bytes(draw, good)])


def lie_about_book(draw: random.Random, draft: Draft) -> None:
    """A chain whose clearing does not follow from its book, and that book."""
    world = evidence(draw.choice(list(BOOK_LIES.values())))
    draft.bundle, draft.trust, draft.book = world.bundle_bytes, world.trust_bytes, world.book_bytes
    draft.is_unkeyed = False


MUTATIONS: dict[str, tuple[int, Mutation]] = {
    "lie": (3, lie),
    "lie with signers": (3, lie_with_signers),
    "lie with everybody": (3, lie_with_everybody),
    "lie about the book": (1, lie_about_book),
    "forge": (1, forge),
    "change part": (4, change_part),
    "exchange parts": (2, exchange_parts),
    "take from another": (1, take_from_another),
    "flip bits": (2, flip_bits),
    "cut or join": (1, cut_or_join),
    "write longer": (1, write_longer),
    "distrust": (1, distrust),
    "change book": (1, change_book),
}
"""By name: how often it is drawn, and what it does. Of two, the one that stands first here is done first."""
