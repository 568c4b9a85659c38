"""What a cheat can do to a bundle: change one digit in a copy, or change it and make every digest anew that needs no key.

Used to show that neither helps (``gridcore.verify`` names the claim that fails), and by nothing else. Pure: bytes in, bytes
out, no key anywhere.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridevidence.digests import remade
from gridevidence.layout import FILL_ROW, INTERVAL_ROW, PLACED_ROW, POSITION_HEAD, READING_ROW
from gridevidence.verifier.answers import Halt
from gridevidence.verifier.bundle import decode_parts, read_bundle
from gridevidence.verifier.contract import Contract
from gridevidence.verifier.examination import Examination

Parts = dict[str, Any]

_IMPORT_REGISTER, _COUNTER, _SIDE, _LIMIT, _FILLED, _IMPORTED_WH = 3, 1, 2, 4, 5, 3
_PRICE = "price_micro_per_kwh"
"""Fields of a reading row, of a fill row, which begins like the row of an order, and of a row of an import."""
_END_IMPORT, _IMPORT_WH = 3, 6
"""Fields of a position row's head."""
_CHARGE: Final = "levy_micro_per_kwh"
"""A price that every contract has: a charge on all import."""


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
    pieces = parts["pieces"]
    is_read = bool(pieces) and "start" in pieces[0] and "end" in pieces[-1]
    needs = (
        (OF_ORDERS, parts["orders"]),
        (OF_CERTIFICATES, parts["certificate"]),
        (OF_READINGS, is_read),
        (OF_METERS, pieces),
        (OF_IMPORTS, "imported" in parts),
    )
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
    before = _decode(data)
    parts = copy.deepcopy(before)
    try:
        change = ALTERATIONS[what](parts)
        altered = remade(before, parts) if is_forgery(what) else parts
    except (Halt, LookupError, TypeError, ValueError, ArithmeticError, struct.error) as error:
        raise EncodingError(f"no evidence bundle: a part of it is not what it should be ({error})") from None
    return Altered(cbor.encode(altered), change)


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


def _in_row(part: Parts, layout: struct.Struct, place: int, unit: str) -> Change:
    """One digit of a field of a row; what stands behind the layout stays."""
    values = list(layout.unpack_from(part["row"]))
    before = values[place]
    values[place] = other_digit(before)
    part["row"] = layout.pack(*values) + part["row"][layout.size :]
    return Change(unit, str(before), str(values[place]))


def _in_position(parts: Parts, column: str) -> Change:
    """One digit of a column of the contract in the position."""
    examination = _examined(parts)
    place = examination.known_contract().position_columns.index(column)
    before = examination.position.columns[place]
    _put_columns(parts, {column: other_digit(before)}, examination)
    return Change("nano", str(before), str(other_digit(before)))


def _in_map(value: Any, key: Any, unit: str) -> Change:
    before = value[key]
    value[key] = other_digit(before)
    return Change(unit, str(before), str(value[key]))


def _in_encoded(part: Parts, key: str, unit: str, *place: Any) -> Change:
    """One digit of a value at a place inside an encoded part."""
    value = whole = cbor.decode(part[key])
    for step in place[:-1]:
        value = value[step]
    change = _in_map(value, place[-1], unit)
    part[key] = cbor.encode(whole)
    return change


def _in_signature(holder: Any, key: Any) -> Change:
    """The last hex digit of a signature."""
    before: bytes = holder[key]
    holder[key] = before[:-1] + bytes((before[-1] ^ 1,))
    return Change("hex", before.hex(), holder[key].hex())


# --------------------------------------------------------------------------------------------------- with all that follows


def _examined(parts: Parts) -> Examination:
    return Examination(read_bundle(cbor.encode(parts)), None, None)


def _put_columns(parts: Parts, columns: dict[str, int], of: Examination) -> None:
    """Put columns of the contract, by name, into the position."""
    names = of.known_contract().position_columns
    merged = {**dict(zip(names, of.position.columns, strict=True)), **columns}
    row: bytes = parts["position"]["row"]
    parts["position"]["row"] = row[: POSITION_HEAD.size] + struct.pack(f"<{len(names)}q", *merged.values())


def _settle(parts: Parts) -> None:
    """Make the sums of the position follow from energies, trades and prices again."""
    of = _examined(parts)
    contract: Contract = of.known_contract()
    settled = of.settled()
    pays_nano = sum(line.amount_nano for line in contract.lines_of_point(settled))
    _put_columns(parts, {"pays_nano": pays_nano, "supplier_only_nano": contract.supplier_only(settled)}, of)


def _forge_reading(parts: Parts) -> Change:
    """A tenth less import at the end of the slot (at least 1 Wh; more where there was none), and all that follows from it."""
    of = _examined(parts)
    meter = of.bundle.pieces[-1].installation.row.value
    position, reading = list(POSITION_HEAD.unpack_from(parts["position"]["row"])), parts["pieces"][-1]["end"]["reading"]
    values = list(READING_ROW.unpack(reading["row"]))
    before = values[_IMPORT_REGISTER]
    advance_wh = position[_IMPORT_WH] // meter["ratio"]
    less_wh = max(1, advance_wh // 10) if advance_wh else -1
    after = (before - less_wh) % (meter["modulus_wh"] or 1 << 53)
    values[_IMPORT_REGISTER] = position[_END_IMPORT] = after
    position[_IMPORT_WH] -= less_wh * meter["ratio"]
    reading["row"] = READING_ROW.pack(*values)
    parts["position"]["row"] = POSITION_HEAD.pack(*position) + parts["position"]["row"][POSITION_HEAD.size :]
    _settle(parts)
    return Change("wh", str(before), str(after))


def _forge_import(parts: Parts) -> Change:
    """A tenth less of what was imported (at least 1 Wh; more where there was nothing), and all that follows from it."""
    interval, position = (list(layout.unpack_from(row)) for layout, row in _imported_rows(parts))
    before = interval[_IMPORTED_WH]
    interval[_IMPORTED_WH] = position[_IMPORT_WH] = after = before - max(1, before // 10) if before else 1
    parts["imported"]["interval"]["row"] = INTERVAL_ROW.pack(*interval)
    parts["position"]["row"] = POSITION_HEAD.pack(*position) + parts["position"]["row"][POSITION_HEAD.size :]
    _settle(parts)
    return Change("wh", str(before), str(after))


def _imported_rows(parts: Parts) -> tuple[tuple[struct.Struct, bytes], ...]:
    return (INTERVAL_ROW, parts["imported"]["interval"]["row"]), (POSITION_HEAD, parts["position"]["row"])


def _forge_limit(parts: Parts) -> Change:
    """Another limit in the party's first order, in its fill too; still on the good side of every price."""
    part = parts["orders"][0]
    if "order" in part:
        placed = list(PLACED_ROW.unpack_from(part["order"]["row"]))
        before = placed[_LIMIT]
        placed[_LIMIT] = after = before + (-1_000 if placed[_SIDE] else 1_000)
        part["order"]["row"] = PLACED_ROW.pack(*placed) + part["order"]["row"][PLACED_ROW.size :]
    else:
        signed, fill = cbor.decode(part["signed"]), FILL_ROW.unpack_from(part["fill"]["row"])
        before = fill[_LIMIT]
        after = before + (-1_000 if fill[_SIDE] else 1_000)
        holder, keys = _signed_limits(signed, part)
        for key in keys:  # of a ramp both ends: every step moves alike
            holder[key] += after - before
        _put_signed(parts, part, signed)
    row = list(FILL_ROW.unpack_from(part["fill"]["row"]))
    row[_LIMIT] = after
    part["fill"]["row"] = FILL_ROW.pack(*row) + part["fill"]["row"][FILL_ROW.size :]
    return Change("micro", str(before), str(after))


def _in_limit(parts: Parts) -> Change:
    """One digit of the limit that the party's first order has, wherever it was signed."""
    part = parts["orders"][0]
    if "order" in part:
        return _in_row(part["order"], PLACED_ROW, _LIMIT, "micro")
    signed = cbor.decode(part["signed"])
    holder, keys = _signed_limits(signed, part)
    change = _in_map(holder, keys[-1], "micro")
    _put_signed(parts, part, signed)
    return change


def _put_signed(parts: Parts, part: Parts, signed: Parts) -> None:
    """Put what is signed into an order's part; a bid with conditions stands with each of them: that of an order has their highest limit itself."""
    body, old = signed["body"], part["signed"]
    if not any("conditions" in one for one in (body, *body.get("parts", ()))):
        part["signed"] = cbor.encode(signed)
        return
    if "conditions" in body:
        body[_PRICE] = max(condition[_PRICE] for condition in body["conditions"])
    for one in parts["orders"]:
        if one.get("signed") == old:
            one["signed"] = cbor.encode(signed)


def _signed_limits(signed: Parts, part: Parts) -> tuple[Parts, list[str]]:
    """Where an order, or a profile, says the limit of a fill's order: a map, and its keys, of a ramp's two the one that counts more last."""
    body, key = signed["body"], _PRICE
    place = FILL_ROW.unpack_from(part["fill"]["row"])[_COUNTER] - signed["identity"]["counter"]
    said = [one for part in body.get("parts", [body]) for one in part.get("conditions", [part])]
    if said != [body]:
        return said[place], [key]
    ends = [key, "last_price_micro_per_kwh"] if "steps" in body else [key]
    return body, ends if place else ends[::-1]


def _forge_rules(parts: Parts) -> Change:
    """Another charge in the rules, and all money that follows from it: nothing of it was signed by gateway or party."""
    change = _in_encoded(parts["rules"], "row", "micro", 2, "prices", _CHARGE)
    _settle(parts)
    return change


ALTERATIONS: Final[dict[str, Callable[[Parts], Change]]] = {
    "amount": lambda parts: _in_position(parts, "pays_nano"),
    "energy": lambda parts: _in_row(parts["position"], POSITION_HEAD, _IMPORT_WH, "wh"),
    "rules_price": lambda parts: _in_encoded(parts["rules"], "row", "micro", 2, "prices", _CHARGE),
    "ratio": lambda parts: _in_encoded(parts["pieces"][0]["installation"], "row", "times", 2, "ratio"),
    "order_limit": _in_limit,
    "filled": lambda parts: _in_row(parts["orders"][0]["fill"], FILL_ROW, _FILLED, "wh"),
    "start_register": lambda parts: _in_row(
        parts["pieces"][0]["start"]["reading"], READING_ROW, _IMPORT_REGISTER, "wh"
    ),
    "end_register": lambda parts: _in_row(parts["pieces"][-1]["end"]["reading"], READING_ROW, _IMPORT_REGISTER, "wh"),
    "gateway_signature": lambda parts: _in_signature(parts["pieces"][-1]["end"], "signature"),
    "imported_energy": lambda parts: _in_row(parts["imported"]["interval"], INTERVAL_ROW, _IMPORTED_WH, "wh"),
    "signer_signature": lambda parts: _in_signature(parts["certificate"][0], 1),
    "forged_amount": lambda parts: _in_position(parts, "pays_nano"),
    "forged_reading": _forge_reading,
    "forged_import": _forge_import,
    "forged_limit": _forge_limit,
    "forged_rules": _forge_rules,
}
"""By name; the forged ones make all digests anew that need no key."""

OF_ORDERS: Final = frozenset(("order_limit", "filled", "forged_limit"))
"""Those that need an order in the bundle."""

OF_READINGS: Final = frozenset(("start_register", "end_register", "gateway_signature", "forged_reading"))
"""Those that need a reading at both ends of the slot."""
OF_METERS: Final = frozenset(("ratio",))
"""Those that need a meter: an estimated energy has none."""

OF_IMPORTS: Final = frozenset(("imported_energy", "forged_import"))
"""Those that need an imported energy."""

OF_CERTIFICATES: Final = frozenset(("signer_signature",))
"""Those that need a certificate: a bundle may come without one, to be checked by whoever has it from elsewhere."""
