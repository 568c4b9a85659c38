"""What a cheat can do to a bundle: change one digit in a copy, or change it and make every digest anew that needs no key.

Used to show that neither helps (``gridcore.verify`` names the claim that fails), and by nothing else. Pure: bytes in, bytes
out, no key anywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.header import data_leaf
from gridcore.sm3 import sm3
from gridevidence.layout import (
    DATA_ROOT,
    FILL_ROW,
    HISTORY_ROOT,
    INPUT_ROW,
    LINE_ROW,
    POSITION_ROW,
    PRICE_ABSENT,
    READING_ROW,
    STATE_ROOT,
)
from gridevidence.verifier.answers import Halt
from gridevidence.verifier.claims.records import decode_parts
from gridevidence.verifier.contract import Point, PointLine, Slot
from gridevidence.verifier.contracts import CONTRACTS

Parts = dict[str, Any]

_BATCH_ROW_IMPORT, _INPUT_ROW_END = 3, (2, 4)
"""Fields of a reading row and of the input row: import register; end import, end export."""


class Change(NamedTuple):
    """The value that was altered, before and after. ``unit``: "wh", "micro", "nano", "times" or "hex"."""

    unit: str
    before: str
    after: str


@dataclass(frozen=True)
class Altered:
    """An altered copy: its bytes, and what was changed in it."""

    data: bytes
    change: Change


def alterations(data: bytes) -> tuple[str, ...]:
    """The names of what ``alter`` can do to this bundle, one digit first. EncodingError for bytes that are no bundle."""
    parts = _decode(data)
    needs = ((OF_ORDERS, parts["orders"]), (OF_CERTIFICATES, parts.get("certificate")))
    impossible = {name for names, needed in needs if not needed for name in names}
    return tuple(name for name in ALTERATIONS if name not in impossible)


def is_forgery(what: str) -> bool:
    """Whether the alteration makes all digests anew."""
    return what.startswith("forged_")


def alter(data: bytes, what: str) -> Altered:
    """A copy of a bundle, altered as ``what``, one of ``alterations(data)``, says.

    EncodingError for bytes that are no bundle, outside or inside; KeyError for another ``what``.
    """
    if what not in alterations(data):
        raise KeyError(what)
    parts = _decode(data)
    try:
        change = ALTERATIONS[what](parts)
    except (LookupError, TypeError, ValueError, ArithmeticError, struct.error) as error:
        raise EncodingError(f"no evidence bundle: a part of it is not what it should be ({error})") from None
    return Altered(cbor.encode(parts), change)


def _decode(data: bytes) -> Parts:
    try:
        return decode_parts(data)
    except Halt as why:
        raise EncodingError(f"no evidence bundle: {why.args[1]}") from None


# ------------------------------------------------------------------------------------------------------------- one digit


def other_digit(number: int) -> int:
    """``number`` with its leading digit changed; length and sign stay, 0 becomes 1."""
    digits = str(abs(number))
    first = "1" if digits[0] == "0" else "2" if digits[0] == "1" else str(int(digits[0]) - 1)
    changed = int(first + digits[1:])
    return -changed if number < 0 else changed


def _in_row(part: Parts, layout: struct.Struct, field: int, unit: str) -> Change:
    values = list(layout.unpack(part["row"]))
    before = values[field]
    values[field] = other_digit(before)
    part["row"] = layout.pack(*values)
    return Change(unit, str(before), str(values[field]))


def _in_map(value: Parts, key: str, unit: str) -> Change:
    before = value[key]
    value[key] = other_digit(before)
    return Change(unit, str(before), str(value[key]))


def _in_leaf(part: Parts, place: Sequence[str], unit: str) -> Change:
    leaf = cbor.decode(part["leaf"])
    value = leaf[1]
    for key in place[:-1]:
        value = value[key]
    change = _in_map(value, place[-1], unit)
    part["leaf"] = cbor.encode(leaf)
    return change


def _in_order(parts: Parts, key: str, unit: str) -> Change:
    part = parts["orders"][0]
    signed = cbor.decode(part["signed"])
    change = _in_map(signed["body"], key, unit)
    part["signed"] = cbor.encode(signed)
    return change


def _in_signature(holder: Any, key: Any) -> Change:
    """The last hex digit of a signature."""
    before: bytes = holder[key]
    holder[key] = before[:-1] + bytes((before[-1] ^ 1,))
    return Change("hex", before.hex(), holder[key].hex())


# --------------------------------------------------------------------------------------------- all unkeyed digests anew


def _reroot(proofs: Sequence[tuple[bytes, list[bytes]]], changed: int, leaf_hash: bytes) -> bytes:
    """The root after the leaf of proof ``changed`` hashes to ``leaf_hash``; mends all ``proofs`` of the tree in place.

    proofs: (leaf hash, sided path). The nodes above the leaf stand as siblings in the other paths: they are renamed there.
    """
    before, path = proofs[changed]
    after, renamed = leaf_hash, {before: leaf_hash}
    for item in path:
        before, after = merkle.fold(before, [item]), merkle.fold(after, [item])
        renamed[before] = after
    for _, siblings in proofs:
        siblings[:] = [item[:1] + renamed.get(item[1:], item[1:]) for item in siblings]
    return after


def _change_row(parts: Sequence[Parts], changed: Parts, row: bytes) -> bytes:
    """Put a row into one of the row proofs ``parts`` of a tree; returns the new root."""
    proofs = [(merkle.salted_leaf_hash(part["salt"], part["row"]), part["path"]) for part in parts]
    changed["row"] = row
    index = next(index for index, part in enumerate(parts) if part is changed)
    return _reroot(proofs, index, merkle.salted_leaf_hash(changed["salt"], row))


def _state_proofs(parts: Parts) -> Iterator[Parts]:
    for name in ("chain", "clearing", "installation", "party", "rules", "run"):
        if name in parts:
            yield parts[name]
    for keys in parts["gateways"].values():
        yield from keys.values()


def _change_leaf(parts: Parts, name: str, **values: Any) -> bytes:
    """Change values of a state leaf and with it the state root of the header; returns the leaf."""
    proofs = list(_state_proofs(parts))
    key, value = cbor.decode(parts[name]["leaf"])
    index = next(index for index, proof in enumerate(proofs) if proof is parts[name])
    hashed = [(merkle.leaf_hash(proof["leaf"]), proof["path"]) for proof in proofs]
    parts[name]["leaf"] = leaf = cbor.encode([key, {**value, **values}])
    _change_header(parts, STATE_ROOT, _reroot(hashed, index, merkle.leaf_hash(leaf)))
    return leaf


def _change_header(part: Parts, item: int, root: bytes) -> None:
    header = cbor.decode(part["header"])
    header[item] = root
    part["header"] = cbor.encode(header)


def _transactions(parts: Parts) -> list[Parts]:
    return [*parts["batches"].values(), *parts["orders"]]


def _data_hash(part: Parts) -> bytes:
    digest = sm3(cbor.encode([part["signed"], part["signature"], part["attachment_digest"]]))
    return merkle.leaf_hash(data_leaf(digest, 0))


def _change_signed(parts: Parts, part: Parts, signed: Parts) -> None:
    """Put other signed bytes under the old signature, into the block that holds them, and that block into the history."""
    in_block = [other for other in _transactions(parts) if other["header"] == part["header"]]
    hashed = [(_data_hash(other), other["data_path"]) for other in in_block]
    part["signed"] = cbor.encode(signed)
    index = next(index for index, other in enumerate(in_block) if other is part)
    root = _reroot(hashed, index, _data_hash(part))
    history = [(merkle.leaf_hash(parts["genesis"]["digest"]), parts["genesis"]["path"])]
    history += [(merkle.leaf_hash(sm3(other["header"])), other["history_path"]) for other in _transactions(parts)]
    before = merkle.leaf_hash(sm3(part["header"]))
    for other in in_block:
        _change_header(other, DATA_ROOT, root)
    changed = next(index for index, (leaf, _) in enumerate(history) if leaf == before)
    _change_header(parts, HISTORY_ROOT, _reroot(history, changed, merkle.leaf_hash(sm3(part["header"]))))


def _value(parts: Parts, name: str) -> Parts:
    value: Parts = cbor.decode(parts[name]["leaf"])[1]
    return value


def _a_price(parts: Parts) -> str:
    """The price of the last kind of line that has one in the rules: a charge of the whole import in every contract so far."""
    kinds = CONTRACTS[_value(parts, "run")["contract"]].line_kinds
    prices = _value(parts, "rules")["prices"]
    return next(str(kind.price) for kind in reversed(kinds) if kind.price in prices)


def _lines(parts: Parts) -> tuple[list[PointLine], int]:
    """All lines of the point as its rows and rules give them now, and the amount with the supplier alone."""
    run, meter, prices = _value(parts, "run"), _value(parts, "installation"), _value(parts, "rules")["prices"]
    _, *registers, _ = INPUT_ROW.unpack(parts["input"]["row"])
    _, bought_wh, sold_wh, _, _ = POSITION_ROW.unpack(parts["position"]["row"])
    taken = [
        (end - start + (meter["modulus_wh"] if end < start else 0)) * meter["ratio"]
        for start, end in (registers[:2], registers[2:])
    ]
    contract, slot = CONTRACTS[run["contract"]], Slot(run, prices)
    point = Point(taken[0], taken[1], bought_wh, sold_wh, None)
    return contract.lines_of_point(point, slot), contract.alone_of_point(point, slot)


def _settle(parts: Parts) -> None:
    """Make position and line follow from registers, trades and rules again, and the run from all its rows."""
    lines, alone_nano = _lines(parts)
    number, bought_wh, sold_wh, _, _ = POSITION_ROW.unpack(parts["position"]["row"])
    kind = LINE_ROW.unpack(parts["line"]["row"])[1]
    line, pays_nano = lines[kind], sum(line.amount_nano for line in lines)
    price = PRICE_ABSENT if line.price_micro_per_kwh is None else line.price_micro_per_kwh
    rows = {
        "position": POSITION_ROW.pack(number, bought_wh, sold_wh, pays_nano, alone_nano),
        "line": LINE_ROW.pack(number, kind, line.energy_wh, price, line.amount_nano),
    }
    roots = {f"{name}_root": _change_row([parts[name]], parts[name], row) for name, row in rows.items()}
    _change_leaf(parts, "run", **roots)


def _forge_amount(parts: Parts) -> Change:
    change = _in_row(copy := {**parts["line"]}, LINE_ROW, 4, "nano")
    _change_leaf(parts, "run", line_root=_change_row([parts["line"]], parts["line"], copy["row"]))
    return change


def _forge_reading(parts: Parts) -> Change:
    """Less import at the end of the slot (or more, where less would leave no line), and all that follows from it."""
    start, end = (INPUT_ROW.unpack(parts["input"]["row"])[index] for index in (1, 2))
    span = end - start + (_value(parts, "installation")["modulus_wh"] if end < start else 0)
    tenth = max(1, span // 10)
    original = parts["input"]["row"]
    for changed in (end - tenth, end + tenth):
        values = list(INPUT_ROW.unpack(original))
        values[_INPUT_ROW_END[0]] = changed
        parts["input"]["row"] = INPUT_ROW.pack(*values)
        lines, kind = _lines(parts)[0], LINE_ROW.unpack(parts["line"]["row"])[1]
        if lines[kind].energy_wh > 0 and all(line.energy_wh >= 0 for line in lines) and changed >= 0:
            break
    changed_row, parts["input"]["row"] = parts["input"]["row"], original
    _change_leaf(parts, "run", input_root=_change_row([parts["input"]], parts["input"], changed_row))
    batch = parts["batches"]["end"]
    reading = list(READING_ROW.unpack(batch["reading"]["row"]))
    reading[_BATCH_ROW_IMPORT] = changed
    root = _change_row([batch["reading"]], batch["reading"], READING_ROW.pack(*reading))
    signed = cbor.decode(batch["signed"])
    signed["body"]["rows_root"] = root
    _change_signed(parts, batch, signed)
    _settle(parts)
    return Change("wh", str(end), str(changed))


def _forge_limit(parts: Parts) -> Change:
    """Another limit in the party's first order, in its fill too; still on the good side of the price."""
    part = parts["orders"][0]
    signed = cbor.decode(part["signed"])
    body = signed["body"]
    before = body["price_micro_per_kwh"]
    body["price_micro_per_kwh"] = before + (1_000 if body["side"] == "buy" else -1_000)
    fill = list(FILL_ROW.unpack(part["fill"]["row"]))
    fill[4] = body["price_micro_per_kwh"]
    fills = [order["fill"] for order in parts["orders"]]
    _change_leaf(parts, "clearing", fills_root=_change_row(fills, part["fill"], FILL_ROW.pack(*fill)))
    _change_signed(parts, part, signed)
    return Change("micro", str(before), str(body["price_micro_per_kwh"]))


def _forge_rules(parts: Parts) -> Change:
    """Another price in the rules, and all money that follows from it: nothing of it was signed by gateway or party."""
    prices = _value(parts, "rules")["prices"]
    change = _in_map(prices, _a_price(parts), "micro")
    digest = sm3(_change_leaf(parts, "rules", prices=prices))
    _change_leaf(parts, "run", rules=digest)
    if "clearing" in parts:
        _change_leaf(parts, "clearing", rules=digest)
    _settle(parts)
    return change


ALTERATIONS: Final[dict[str, Callable[[Parts], Change]]] = {
    "amount": lambda parts: _in_row(parts["line"], LINE_ROW, 4, "nano"),
    "energy": lambda parts: _in_row(parts["line"], LINE_ROW, 2, "wh"),
    "price": lambda parts: _in_row(parts["line"], LINE_ROW, 3, "micro"),
    "rules_price": lambda parts: _in_leaf(parts["rules"], ("prices", _a_price(parts)), "micro"),
    "ratio": lambda parts: _in_leaf(parts["installation"], ("ratio",), "times"),
    "order_limit": lambda parts: _in_order(parts, "price_micro_per_kwh", "micro"),
    "filled": lambda parts: _in_row(parts["orders"][0]["fill"], FILL_ROW, 5, "wh"),
    "start_register": lambda parts: _in_row(parts["batches"]["start"]["reading"], READING_ROW, 3, "wh"),
    "end_register": lambda parts: _in_row(parts["batches"]["end"]["reading"], READING_ROW, 3, "wh"),
    "gateway_signature": lambda parts: _in_signature(parts["batches"]["end"], "signature"),
    "signer_signature": lambda parts: _in_signature(parts["certificate"][0], 1),
    "forged_amount": _forge_amount,
    "forged_reading": _forge_reading,
    "forged_limit": _forge_limit,
    "forged_rules": _forge_rules,
}
"""By name; the forged ones make all digests anew that need no key."""

OF_ORDERS: Final = frozenset(("order_limit", "filled", "forged_limit"))
"""Those that need an order in the bundle."""

OF_CERTIFICATES: Final = frozenset(("signer_signature",))
"""Those that need a certificate: a bundle may come without one, to be checked by whoever has it from elsewhere."""
