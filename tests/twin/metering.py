"""Reading batches: each row gets a verdict, accepted values go into the columns of their zone (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, Column, Leaf, Row, Transaction, decode_rows, first, pack, salted_root

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK, NEIGHBOURS, REGISTER_WH_MAX, LATE_MAX = 1_024, 96, 10**13, 8
ABSENT, CORRECTED, INTERPOLATED = 0xFF, 2, 2
Registers = tuple[int, int]


def advance(old: int, new: int, modulus_wh: int) -> int:
    """How far a register went, over its rollover where it has one."""
    return new - old + (modulus_wh if new < old else 0)


def advance_verdict(old: int, new: int, slots: int, limit_wh: int, modulus_wh: int) -> int:
    """0, 83 or 84: may a register have gone from ``old`` to ``new`` in so many slots?"""
    wh = advance(old, new, modulus_wh)
    most = min(slots * limit_wh, modulus_wh // 2) if modulus_wh else slots * limit_wh
    return first((wh < 0, 83), (wh > most, 83 if new < old else 84))


def open_epoch(twin: Twin, content: Leaf) -> int:
    """A gateway that lost its outbox starts again at counter 1, if its organisation says so; the hole stays visible."""
    body = content["body"]
    gateway = twin.in_force("gateway/" + body["gateway"])
    if gateway is not None and gateway["organisation"] != twin.in_force_signer(content["signer"])["organisation"]:
        return 15
    key = "delivery/" + body["gateway"]
    delivery = twin.leaves.get(key)
    if gateway is None or delivery is None or body["epoch"] != delivery["epoch"] + 1:
        return 49
    twin.leaves[key] = delivery | {"epoch": body["epoch"], "counter": 0, "last": ZEROS}
    return 0


def approve(twin: Twin, tx: Transaction) -> int:
    """An organisation answers for registers: they stand at the boundary, whatever stood there."""
    body, height = tx.content["body"], twin.height - 1
    boundary = body["boundary_s"]
    installation = twin.registry.value(f"installation/{body['installation']}", boundary, height) or {"removed": True}
    modulus = installation.get("modulus_wh", 0)
    code = first(
        (boundary < twin.first_boundary_s or boundary % twin.slot_s != 0, 46),
        (boundary > twin.ledger_time_s, 45),
        ("removed" in installation or (modulus > 0 and max(body["registers"]) >= modulus), 58),
        ("point" in installation and twin.is_final(twin.place(installation["point"])[0], boundary), 58),
    )
    if code:
        return code
    gateway = twin.in_force("gateway/" + installation["gateway"])
    if (
        gateway is None
        or "retired" in gateway
        or gateway["organisation"] != twin.in_force_signer(tx.signer)["organisation"]
    ):
        return 15
    row = Row(body["installation"], 0, CORRECTED, tuple(body["registers"]))
    write_row(twin, row, boundary, sm3(tx.signature), set())
    return 0


def is_barred(twin: Twin, protection: str, boundary_s: int) -> bool:
    """Whether gateways of this class send nothing more for this boundary."""
    policy = twin.in_force("key_policy/gateway") or {"protections": []}
    return boundary_s >= policy.get("batches_from_s", boundary_s + 1) and protection not in policy["protections"]


def take_batch(twin: Twin, tx: Transaction) -> int:
    """A batch stands or falls as a whole by its chain of counters; each of its rows gets a verdict of its own."""
    identity, body, name = tx.content["identity"], tx.content["body"], tx.signer
    gateway, delivery = twin.in_force("gateway/" + name), twin.leaves.get("delivery/" + name)
    if gateway is None or "retired" in gateway or delivery is None:
        return 15
    counter, boundary = identity["counter"], body["boundary_s"]
    is_late = boundary <= delivery["last_boundary_s"]
    late = twin.leaves.get(f"late/{boundary}/{name}", {"batches": 0})
    code = first(
        (identity["epoch"] != delivery["epoch"], 40),
        (counter == delivery["counter"], 1 if tx.id == delivery["last"] else 42),
        (counter < delivery["counter"], 43),
        (counter > delivery["counter"] + 1, 41),
        (body["previous"] != delivery["last"], 44),
        (boundary < twin.first_boundary_s or boundary % twin.slot_s != 0, 46),
        (boundary > twin.ledger_time_s, 45),
        (is_barred(twin, gateway["protection"], boundary), 96),
        (is_late and late["batches"] >= LATE_MAX, 57),
    )
    if code:
        return code
    held = decode_rows(tx.attachment, body)
    if held is None:
        return 47
    if is_late:
        twin.leaves[f"late/{boundary}/{name}"] = {"batches": late["batches"] + 1}
    twin.batches.append((name, body, *held, f"exception/{name}/{identity['epoch']}/{counter}"))
    last_boundary_s = max(delivery["last_boundary_s"], boundary)
    twin.leaves["delivery/" + name] = delivery | {
        "counter": counter,
        "last": tx.id,
        "last_boundary_s": last_boundary_s,
    }
    return 0


def take_rows(twin: Twin, gateway: str, body: Leaf, seed: bytes, rows: Sequence[Row], exception_key: str) -> None:
    """Verdict by verdict; accepted values are written at the end, so that no row of a batch judges by another."""
    boundary: int = body["boundary_s"]
    exceptions: list[list[int]] = []
    accepted: list[Row] = []
    met: set[int] = set()
    for index, row in enumerate(rows):
        verdict = row_verdict(twin, row, gateway, body, met)
        met.add(row.meter)
        if verdict is None:
            accepted.append(row)
        elif verdict != 0:
            exceptions.append([index, row.meter, verdict])
    if exceptions:
        codes = [code for _, _, code in exceptions]
        twin.leaves[exception_key] = {
            "boundary_s": boundary,
            "counts": [[code, codes.count(code)] for code in sorted(set(codes))],
            "rows_root": salted_root(sm3(seed + b"exceptions"), [pack("IIB", *row) for row in exceptions]),
        }
    reseeded: set[str] = set()
    for row in accepted:
        write_row(twin, row, boundary, seed, reseeded)


def row_verdict(twin: Twin, row: Row, gateway: str, body: Leaf, met: set[int]) -> int | None:
    """81 to 91; 0 for a value that already stands; None for a row to accept."""
    boundary, clock = body["boundary_s"], body["clock"]
    installation = twin.registry.value(f"installation/{row.meter}", boundary, twin.height - 1)
    if installation is None or "removed" in installation:
        return 82
    zone, place = twin.place(installation["point"])
    standing = row_at(twin, zone, place, boundary)
    code = first(
        (installation["gateway"] != gateway, 86),
        (row.meter in met, 85),
        (row.quality % 8 != 0 or row.quality >> 4 & INTERPOLATED != 0, 87),
        (abs(row.offset_ms) > 500 * twin.slot_s, 88),
        (clock["state"] == "unsynced" or abs(row.offset_ms) + abs(clock["offset_ms"]) > 500 * twin.slot_s, 89),
        (twin.is_final(zone, boundary), 91),
        (standing is not None and standing[0] != row.registers, 81),
    )
    if code or standing is not None:
        return code
    before, after = bounds_of(twin, row.meter, installation, boundary)
    for register in (0, 1):
        verdict = range_verdict(installation, before, after, register, row.registers[register])
        if verdict:
            return verdict
    return None


class Bound(NamedTuple):
    """What a register is measured against: so many slots away; stated: by the registry, not by a reading."""

    slots: int
    registers: Registers
    is_stated: bool = False


class Span(NamedTuple):
    """From where to where a meter's registers go on, with the registers there as far as they are known."""

    since_s: int
    first: Registers | None
    until_s: int
    final: Registers | None


def span_of(twin: Twin, number: int, boundary: int) -> Span:
    """The span of an installation around a boundary."""
    span = Span(-1, None, 2**62, None)
    for from_s, value in twin.registry.standing(number, twin.height - 1):
        first, final = value.get("first_registers"), value.get("final_registers")
        if from_s <= boundary and first is not None:
            span = span._replace(since_s=from_s, first=tuple(first))
        if from_s > boundary and (final is not None or "removed" in value):
            return span._replace(until_s=from_s, final=None if final is None else tuple(final))
    return span


def bounds_of(twin: Twin, number: int, installation: Leaf, boundary: int) -> tuple[Bound | None, Bound | None]:
    """What a row is measured against, before and after it."""
    zone, place = twin.place(installation["point"])
    span, slot_s = span_of(twin, number, boundary), twin.slot_s
    before, after = None, None
    latest = latest_of(twin, zone, place)
    near = latest if latest is not None and span.since_s <= latest[0] < span.until_s else None
    if latest is not None and latest[0] >= boundary:
        for direction in (-1, +1):
            for slots in range(1, NEIGHBOURS + 1):
                at_s = boundary + direction * slots * slot_s
                found = row_at(twin, zone, place, at_s) if span.since_s <= at_s < span.until_s else None
                if found is not None:
                    bound = Bound(slots, found[0])
                    before, after = (bound, after) if direction < 0 else (before, bound)
                    break
        if after is None and near is not None:
            after = Bound((near[0] - boundary) // slot_s, near[1])
    elif near is not None:
        before = Bound((boundary - near[0]) // slot_s, near[1])
    if before is None and span.first is not None:
        before = Bound((boundary - span.since_s) // slot_s + 1, span.first, True)
    if after is None and span.final is not None:
        after = Bound((span.until_s - boundary) // slot_s + 1, span.final, True)
    return before, after


def range_verdict(installation: Leaf, before: Bound | None, after: Bound | None, register: int, new: int) -> int:
    """0, 83, 84 or 90 for one register of a row."""
    limit, modulus = installation["limit_wh"], installation["modulus_wh"]
    if new > REGISTER_WH_MAX or (modulus > 0 and new >= modulus):
        return 84
    if before is not None:
        verdict = advance_verdict(before.registers[register], new, before.slots, limit, modulus)
        if verdict:
            return 90 if before.is_stated else verdict
    return 0 if after is None else advance_verdict(new, after.registers[register], after.slots, limit, modulus)


def row_at(twin: Twin, zone: str, row: int, boundary: int) -> tuple[Registers, int] | None:
    """(registers, quality) that stand for a row of a zone at a boundary; missing is never zero."""
    chunk, index = divmod(row, CHUNK)
    leaf = twin.leaves.get(f"registers/{boundary}/{zone}/{chunk}")
    if leaf is None or index >= len(leaf["quality"]) or leaf["quality"][index] == ABSENT:
        return None
    return (leaf["registers"][0][index], leaf["registers"][1][index]), leaf["quality"][index]


def latest_of(twin: Twin, zone: str, row: int) -> tuple[int, Registers] | None:
    """A row's newest boundary, with the registers there."""
    chunk, index = divmod(row, CHUNK)
    leaf = twin.leaves.get(f"latest/{zone}/{chunk}")
    if leaf is None or index >= len(leaf["boundary_s"]) or leaf["boundary_s"][index] == -1:
        return None
    return leaf["boundary_s"][index], (leaf["registers"][0][index], leaf["registers"][1][index])


def write_row(twin: Twin, row: Row, boundary: int, seed: bytes, reseeded: set[str]) -> None:
    """Put an accepted value into its chunks; the batch's seed goes into a chunk's seed once."""
    installation = twin.registry.must(f"installation/{row.meter}", boundary, twin.height - 1)
    zone, place = twin.place(installation["point"])
    chunk, index = divmod(place, CHUNK)
    size = min(CHUNK, len(twin.registry.points[zone]) - chunk * CHUNK)
    key = f"registers/{boundary}/{zone}/{chunk}"
    registers = [Column([0] * size), Column([0] * size)]
    new: Leaf = {"quality": bytearray([ABSENT] * size), "registers": registers, "seed": ZEROS}
    leaf = grown(twin.leaves.setdefault(key, new), new)
    if key not in reseeded:
        leaf["seed"] = sm3(leaf["seed"] + seed)
        reseeded.add(key)
    leaf["quality"][index] = row.quality
    leaf["registers"][0][index], leaf["registers"][1][index] = row.registers
    twin.touched.add((zone, place, boundary))
    registers = [Column([0] * size), Column([0] * size)]
    new = {"boundary_s": Column([-1] * size), "registers": registers, "seed": ZEROS}
    leaf = twin.leaves.setdefault(f"latest/{zone}/{chunk}", new)
    latest = latest_of(twin, zone, place)
    if latest is None or boundary >= latest[0]:
        leaf = grown(leaf, new)
        leaf["boundary_s"][index], leaf["seed"] = boundary, twin.leaves[key]["seed"]
        leaf["registers"][0][index], leaf["registers"][1][index] = row.registers


def grown(leaf: Leaf, empty: Leaf) -> Leaf:
    """A chunk's leaf with a value for each row that the zone has by now: those added since it was written have none."""
    for name, column in empty.items():
        if name == "registers":
            for own, blank in zip(leaf[name], column, strict=True):
                own.extend(blank[len(own) :])
        elif name != "seed":
            leaf[name].extend(column[len(leaf[name]) :])
    return leaf


def chunk_seeds(twin: Twin, zone: str, boundary: int) -> list[bytes]:
    """The seeds of all chunks of a zone at a boundary; where there is no value, those of the latest values, or 32 zero bytes."""
    count = (len(twin.registry.points[zone]) + CHUNK - 1) // CHUNK
    seeds: list[bytes] = []
    for chunk in range(count):
        found = [twin.leaves.get(key) for key in (f"registers/{boundary}/{zone}/{chunk}", f"latest/{zone}/{chunk}")]
        seeds.append(next((leaf["seed"] for leaf in found if leaf is not None), ZEROS))
    return seeds
