"""Recompute ``results_root`` of a demo from registers.csv, fills.csv, postings.csv and statements.csv.

    python3 results_root.py FOLDER [EXPECTED]

Standard library only, and nothing of GridLedger: an own encoder of canonical CBOR (arrays, whole numbers, texts), an own SM3
and an own tree. Prints the root. Exit 1 when it is not EXPECTED or when a file's rows are not in the order of its root.
"""

from __future__ import annotations

import csv
import hashlib
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

Row = tuple[int | str, ...]

# n: number, t: text
FILES = {
    "registers.csv": (["boundary_s", "meter", "import_wh", "export_wh", "quality"], "ntnnt"),
    "fills.csv": (["slot_start_s", "order", "filled_wh", "price_micro_per_kwh"], "ntnn"),
    "postings.csv": (["slot_start_s", "account", "debit_nano", "credit_nano", "run"], "ntnnt"),
    "statements.csv": (
        "run party slot_start_s line_kind energy_wh price_micro_per_kwh amount_nano account".split(),
        "ttntnnnt",
    ),
}
ABSENT_BESIDE_INVOICES = ("registers.csv", "fills.csv")
SHORT, LONG = 0x79CC4519, 0x7A879D8A
START = (0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E)
MASK = 0xFFFFFFFF


class BadFileError(Exception):
    """A file is not what its description says; the text is one line."""


# --------------------------------------------------------------------------------------------------------------- SM3


def rotate(word: int, by: int) -> int:
    """A 32-bit word rotated to the left."""
    by %= 32
    return (word << by | word >> (32 - by)) & MASK


def compress(state: Sequence[int], block: bytes) -> list[int]:
    """One step of SM3 (GB/T 32905): expansion, 64 rounds, and the feed-forward."""
    w = list(struct.unpack(">16I", block))
    for j in range(16, 68):
        mixed = w[j - 16] ^ w[j - 9] ^ rotate(w[j - 3], 15)
        w.append(mixed ^ rotate(mixed, 15) ^ rotate(mixed, 23) ^ rotate(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        constant = rotate(SHORT if j < 16 else LONG, j)
        ss1 = rotate((rotate(a, 12) + e + constant) & MASK, 7)
        ss2 = ss1 ^ rotate(a, 12)
        ff = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
        gg = e ^ f ^ g if j < 16 else (e & f) | (~e & g & MASK)
        tt1 = (ff + d + ss2 + (w[j] ^ w[j + 4])) & MASK
        tt2 = (gg + h + ss1 + w[j]) & MASK
        a, b, c, d = tt1, a, rotate(b, 9), c
        e, f, g, h = tt2 ^ rotate(tt2, 9) ^ rotate(tt2, 17), e, rotate(f, 19), g
    return [old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def plain_sm3(data: bytes) -> bytes:
    """SM3 in plain Python, for an interpreter whose hashlib has none."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack(">Q", 8 * len(data))
    state: Sequence[int] = START
    for offset in range(0, len(padded), 64):
        state = compress(state, padded[offset : offset + 64])
    return struct.pack(">8I", *state)


def choose_sm3() -> Callable[[bytes], bytes]:
    """The interpreter's SM3 where it has one that gives the standard's example, else our own."""
    try:
        if hashlib.new("sm3", b"abc").digest() == plain_sm3(b"abc"):
            return lambda data: hashlib.new("sm3", data).digest()
    except ValueError:
        pass
    return plain_sm3


sm3 = choose_sm3()


# -------------------------------------------------------------------------------------------------------- CBOR and tree


def head(major: int, number: int) -> bytes:
    """The shortest head of a CBOR item."""
    if number < 24:
        return bytes([major << 5 | number])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise BadFileError(f"{number} is too large a number")


def encode(item: int | str) -> bytes:
    """A whole number or a text."""
    if isinstance(item, str):
        data = item.encode()
        return head(3, len(data)) + data
    return head(0, item) if item >= 0 else head(1, -1 - item)


def encode_row(row: Row) -> bytes:
    """The leaf of a row: the array of its fields."""
    return head(4, len(row)) + b"".join(map(encode, row))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162: the left part is the largest power of two below the number of leaves."""
    if not leaves:
        return sm3(b"")
    if len(leaves) == 1:
        return sm3(b"\x00" + leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sm3(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:]))


# ---------------------------------------------------------------------------------------------------------- the files


def parse_field(kind: str, field: str) -> int | str:
    """A field as its column says; an empty one stays an empty text."""
    if kind == "t" or field == "":
        return field
    number = int(field)
    if str(number) != field:
        raise ValueError(field)
    return number


def sort_key(row: Row) -> list[tuple[int, int, bytes]]:
    """Numbers by value, texts by their bytes, an empty field before every number."""
    return [(1, item, b"") if isinstance(item, int) else (0 if item == "" else 2, 0, item.encode()) for item in row]


def load_rows(folder: Path, name: str) -> list[Row]:
    """The rows of a file as they stand there; none of one that a folder of ``settle files`` lacks."""
    columns, kinds = FILES[name]
    if name in ABSENT_BESIDE_INVOICES and (folder / "invoices.csv").exists() and not (folder / name).exists():
        return []
    try:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadFileError(f"{folder / name}: {error}") from None
    if not lines or lines[0] != columns:
        raise BadFileError(f"{name}: columns must be {','.join(columns)}")
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise BadFileError(f"{name} line {number}: {len(line)} fields, must be {len(columns)}")
        try:
            rows.append(tuple(parse_field(kind, field) for kind, field in zip(kinds, line, strict=True)))
        except ValueError:
            raise BadFileError(f"{name} line {number}: a number is not a whole number: {line}") from None
    return rows


def results_root(files: Iterable[Sequence[Row]]) -> bytes:
    """The one digest over the rows of the four files, in the order of FILES."""
    return root_of([root_of([encode_row(row) for row in sorted(rows, key=sort_key)]) for rows in files])


def unsorted_files(folder: Path) -> list[str]:
    """Names of the files whose rows do not stand in the order of their root."""
    found = []
    for name in FILES:
        keys = [sort_key(row) for row in load_rows(folder, name)]
        if any(earlier > later for earlier, later in pairwise(keys)):
            found.append(name)
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the root of the folder named by the first argument; compare it with the second."""
    if len(arguments) not in (1, 2):
        print("usage: results_root.py FOLDER [EXPECTED]", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        root = results_root([load_rows(folder, name) for name in FILES]).hex()
        disorder = unsorted_files(folder)
    except BadFileError as error:
        print(f"results_root: {error}", file=sys.stderr)
        return 2
    print(root)
    for name in disorder:
        print(f"results_root: {name}: rows are not in order", file=sys.stderr)
    wrong = len(arguments) == 2 and arguments[1] != root
    if wrong:
        print(f"results_root: expected {arguments[1]}", file=sys.stderr)
    return 1 if wrong or disorder else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
