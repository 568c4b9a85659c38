"""Imported energies: an import stands whole or not at all, instead of what was imported before (docs/spec/import.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, Column, Leaf, Transaction, decode_column, first, fits, pack, salted_root

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK, DAY, IMPORTS_MAX, ABSENT = 1_024, 86_400, 64, 0xFF
QUALITIES = (0x00, 0x01, 0x02, 0x04, 0x21, ABSENT)


class Cell(NamedTuple):
    """What an import says of one meter in one slot."""

    meter: int
    slot: int
    quality: int
    import_wh: int
    export_wh: int


def take_import(twin: Twin, tx: Transaction) -> int:
    """Keep the energies of an import."""
    body = tx.content["body"]
    gateway = twin.in_force("gateway/" + tx.signer)
    end = body["first_slot_s"] + body["slots"] * twin.slot_s
    code = first(
        (gateway is None or "retired" in gateway, 15),
        (body["slot_s"] != twin.slot_s or body["first_slot_s"] % twin.slot_s != 0, 46),
        (body["first_slot_s"] < twin.first_boundary_s, 46),
        (end > twin.ledger_time_s, 45),
    )
    if code:
        return code
    held = decode_cells(tx.attachment, body)
    if held is None:
        return 47
    seed, cells = held
    if not all(may_stand(twin, tx.signer, cell) for cell in cells):
        return 48
    parts: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.quality != ABSENT:
            zone, row = place_of(twin, cell)
            parts.setdefault(f"intervals/{cell.slot // DAY * DAY}/{zone}/{row // CHUNK}", []).append(cell)
    if any(len(twin.leaves[key]["imports"]) >= IMPORTS_MAX for key in parts if key in twin.leaves):
        return 57
    for key, part in parts.items():
        write(twin, key, part, tx.id, seed)
    return 0


def may_stand(twin: Twin, importer: str, cell: Cell) -> bool:
    """Whether the meter is the importer's in the slot, and can have used this."""
    if cell.quality not in QUALITIES:
        return False
    number = f"installation/{cell.meter}"
    installation = twin.registry.value(number, cell.slot, twin.height - 1)
    if cell.quality == ABSENT:
        return cell.meter in twin.registry.installations and cell.import_wh == cell.export_wh == 0
    if installation is None or installation.get("gateway") != importer:
        return False
    zone, _ = place_of(twin, cell)
    if cell.slot < twin.timeline(zone)["first_slot_start_s"] or twin.is_final(zone, cell.slot):
        return False
    most: int = installation["limit_wh"] * installation["ratio"]
    return max(cell.import_wh, cell.export_wh) <= most


def place_of(twin: Twin, cell: Cell) -> tuple[str, int]:
    """Zone and row of a cell's meter."""
    installation = twin.registry.must(f"installation/{cell.meter}", cell.slot, twin.height - 1)
    return twin.place(installation["point"])


def write(twin: Twin, key: str, cells: list[Cell], transaction_id: bytes, seed: bytes) -> None:
    """Put the cells of one chunk and day into its leaf."""
    _, day, zone, chunk = key.split("/")
    size = min(CHUNK, len(twin.registry.points[zone]) - int(chunk) * CHUNK)
    slots = DAY // twin.slot_s
    leaf = twin.leaves.setdefault(
        key,
        {
            "export_wh": Column(),
            "import_wh": Column(),
            "imports": [],
            "quality": bytearray(),
            "seed": ZEROS,
            "slots": slots,
        },
    )
    before = len(leaf["quality"]) // slots
    for name, blank in (("quality", ABSENT), ("import_wh", 0), ("export_wh", 0)):
        rows = [leaf[name][at * before : (at + 1) * before] for at in range(slots)]
        flat = [value for row in rows for value in (*row, *[blank] * (size - before))]
        leaf[name] = bytearray(flat) if name == "quality" else Column(flat)
    for cell in cells:
        at = (cell.slot - int(day)) // twin.slot_s * size + place_of(twin, cell)[1] % CHUNK
        leaf["quality"][at], leaf["import_wh"][at], leaf["export_wh"][at] = cell[2:]
    leaf["imports"] = [*leaf["imports"], transaction_id]
    leaf["seed"] = sm3(leaf["seed"] + seed)
    starts = [cell.slot for cell in cells]
    twin.imported.append((zone, min(starts), max(starts) + twin.slot_s))


def decode_cells(attachment: bytes, body: Leaf) -> tuple[bytes, list[Cell]] | None:
    """The seed and the cells that the body names; None where the attachment does not hold them (47)."""
    try:
        content = cbor.decode(attachment, items_max=9)
    except EncodingError:
        return None
    if not fits(content, {"columns": [bytes] * 4, "seed": 32}):
        return None
    meters, slots = body["meters"], body["slots"]
    counts = (meters, *[meters * slots] * 3)
    columns = [decode_column(data, count) for data, count in zip(content["columns"], counts, strict=True)]
    ends = (2**32, 256, 2**63, 2**63)
    for column, end in zip(columns, ends, strict=True):
        if column is None or not all(0 <= value < end for value in column):
            return None
    meter, *values = (column for column in columns if column is not None)
    if meter != sorted(set(meter)):
        return None
    cells = [
        Cell(meter[at % meters], body["first_slot_s"] + at // meters * body["slot_s"], *(own[at] for own in values))
        for at in range(meters * slots)
    ]
    if salted_root(content["seed"], [pack("IqBqq", *cell) for cell in cells]) != body["rows_root"]:
        return None
    return content["seed"], cells


def imported_at(twin: Twin, zone: str, row: int, slot: int) -> tuple[int, int, int] | None:
    """Quality, import and export of a row in a slot, None where nothing was imported."""
    chunk, at = divmod(row, CHUNK)
    leaf = twin.leaves.get(f"intervals/{slot // DAY * DAY}/{zone}/{chunk}")
    if leaf is None:
        return None
    size = len(leaf["quality"]) // leaf["slots"]
    at += slot % DAY // twin.slot_s * size
    if at >= (slot % DAY // twin.slot_s + 1) * size or leaf["quality"][at] == ABSENT:
        return None
    return leaf["quality"][at], leaf["import_wh"][at], leaf["export_wh"][at]


def seed_at(twin: Twin, zone: str, chunk: int, slot: int) -> bytes | None:
    """The seed of a chunk's imports of the day of a slot."""
    leaf = twin.leaves.get(f"intervals/{slot // DAY * DAY}/{zone}/{chunk}")
    return None if leaf is None else leaf["seed"]
