"""A node that exists only as answers: a ledger of any size, of which each height adds one slot of one area or one late thing.

It answers as docs/spec/http.md says, out of plain dictionaries, and can be away.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from gridcore.sm3 import sm3
from gridseries.answers import Position
from gridseries.series import AnyRow, Cursor
from ledger.client import NodeBusy, NodeRefused, NodeStatus, NodeUnreachable

SLOT_S = 900
FIRST_S = 1_800_000_000
SLOTS_OF_DAY = 3
DAYS = [FIRST_S + day * SLOTS_OF_DAY * SLOT_S for day in range(-1, 20)]
"""Starts of local days, short ones."""


class ScriptedNode:
    """``write`` makes a height; queries see everything up to ``newest``."""

    def __init__(self, seed: int, areas: int = 2, meters: int = 6, page_rows: int = 4, cut: int = 7) -> None:
        """``cut``: heights in one answer of ``changes`` at most."""
        self._random = random.Random(seed)
        self.areas = {f"a-{area}": [f"H{area}{meter:03}" for meter in range(meters)] for area in range(areas)}
        self.exchanged: dict[str, tuple[str, int]] = {}
        """By the meter that hangs there now: the one before, and from which second on it does."""
        self.first_slot_start_s = FIRST_S
        self._page_rows, self._cut = page_rows, cut
        self.newest = 0
        self._history = seed
        self._registers: dict[tuple[str, int], dict[str, tuple[int, int]]] = {}
        self._cleared: dict[tuple[str, int], dict[str, Any]] = {}
        self._settled: dict[tuple[str, int], list[list[int]]] = {}
        self._observed: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self._written: dict[tuple[str, str, int], int] = {}
        self.is_away = False
        self.is_busy = False
        self.queries = 0
        self.asked: list[str] = []

    def set_back(self) -> None:
        """From now on every block of the past is another one, as of a node that was restored and has grown anew."""
        self._history += 1_000

    def silence(self, area: str) -> None:
        """The batches of an area's gateway carry no observations any more, past ones neither."""
        for gateway, at_s in self._observed:
            if gateway == f"gw-{area}":
                self._observed[gateway, at_s] = []

    def digest(self, height: int) -> bytes:
        """Of the header at a height."""
        return sm3(f"{self._history}/{height}".encode())

    def write(self, kind: str, area: str, at_s: int) -> None:
        """One more height with one thing written; what it says is drawn from the seed."""
        self.newest += 1
        draw = self._random.randrange
        if kind == "registers":
            standing = self._registers.setdefault((area, at_s), {})
            elapsed = (at_s - FIRST_S) // SLOT_S
            for meter in self.areas[area]:
                if meter not in standing and draw(8):
                    standing[meter] = (1000 * elapsed + draw(900), 10 * elapsed + draw(9))
            voltage = {"device": 1, "name": self.areas[area][0], "obis": "32.7.0", "value_milli": 220_000 + draw(9_000)}
            self._observed[f"gw-{area}", at_s] = [{**voltage, "offset_ms": draw(100)}]
            self._written["batch", f"gw-{area}", at_s] = self.newest
        elif kind == "clearing":
            volume_wh = draw(2) * draw(1, 500)
            price = draw(280_000, 460_000) if volume_wh else None
            self._cleared[area, at_s] = {"orders": draw(9), "volume_wh": volume_wh, "price_micro_per_kwh": price}
        else:
            points = self.areas[area][:-1]
            self._settled[area, at_s] = [[draw(-(10**12), 10**12) for _ in points] for _ in range(4)]
            self._settled[area, at_s] += [
                [draw(5_000) for _ in points],
                [draw(50) for _ in points],
                [0 for _ in points],
            ]
        self._written[kind, area, at_s] = self.newest

    def write_history(self, slots: int) -> None:
        """Heights of a plausible run of so many slots: gates, boundaries, late batches, initial runs."""
        for slot in range(slots):
            for area in self.areas:
                start_s = FIRST_S + slot * SLOT_S
                self.write("clearing", area, start_s)
                self.write("registers", area, start_s)
                if slot > 3:
                    self.write("registers", area, start_s - SLOT_S * self._random.randrange(4))
                    self.write("run", area, start_s - 2 * SLOT_S)

    async def status(self) -> NodeStatus:
        """A status of chain "scripted"."""
        self._ask()
        return NodeStatus(
            "scripted", bytes(16), self.newest, bytes(32), bytes(32), 0, "simulated", True, SLOT_S, "CNY", "0"
        )

    async def query(self, path: str, **params: Any) -> Any:
        """The answer to one of the queries that a projection makes."""
        self._ask()
        self.asked.append(path)
        match path.split("/"):
            case ["changes"]:
                return await self._changes(params["after_height"], params["wait_s"])
            case ["areas"]:
                return {"areas": [self._area(area) for area in self.areas]}
            case ["calendars", "c"]:
                return {"days": DAYS}
            case ["areas", area, "days", day, "party-kinds"]:
                return self._party_kinds(area, int(day), params)
            case ["gateways"]:
                return self._page(
                    "gateways", [{"gateway": f"gw-{area}", "areas": [area]} for area in self.areas], params
                )
            case ["gateways", gateway, "observations"]:
                return {"observations": self._observed.get((gateway, params["boundary_s"]), [])}
            case ["areas", area, "coverage"]:
                standing = self._registers.get((area, params["boundary_s"]), {})
                return {"expected": len(self.areas[area]), "committed": len(standing), "borders_elsewhere": 0}
            case ["areas", area, "installations"]:
                rows = [
                    self._installation(area, meter) | {"meter": self._then(meter, params.get("time_s"))}
                    for meter in self.areas[area]
                ]
                return self._page("installations", rows, params)
            case ["areas", area, "registers"]:
                standing = self._registers.get((area, params["boundary_s"]), {})
                rows = [
                    _register(self._then(meter, params["boundary_s"]), standing.get(meter))
                    for meter in self.areas[area]
                ]
                return self._page("registers", rows, params)
            case ["areas", area, "slots", slot, "clearing"]:
                return self._found(self._cleared.get((area, int(slot))))
            case ["areas", area, "slots", slot, "runs"]:
                return {"runs": [{"run": "initial"}] if (area, int(slot)) in self._settled else []}
            case ["areas", area, "slots", slot, "positions"]:
                columns = self._found(self._settled.get((area, int(slot))))
                first = params["start"]
                last = first + self._page_rows
                answer = {name: column[first:last] for name, column in zip(Position._fields, columns, strict=True)}
                meters = [self._then(meter, int(slot)) for meter in self.areas[area][:-1]]
                return {"meters": meters[first:last], **answer, "next": last if last < len(meters) else None}
        raise AssertionError(path)

    def _ask(self) -> None:
        self.queries += 1
        if self.is_away:
            raise NodeUnreachable("http://scripted: no node answers there")
        if self.is_busy:
            raise NodeBusy("http://scripted: ask again later", "ask again later")

    def _found(self, value: Any) -> Any:
        if value is None:
            raise NodeRefused("http://scripted: not yet", 404, "not yet")
        return value

    def _then(self, meter: str, time_s: int | None) -> str:
        before, from_s = self.exchanged.get(meter, (meter, 0))
        return before if time_s is not None and time_s < from_s else meter

    def _page(self, name: str, rows: list[Any], params: dict[str, Any]) -> dict[str, Any]:
        first = params["start"]
        last = first + self._page_rows
        return {name: rows[first:last], "next": last if last < len(rows) else None}

    def _area(self, area: str) -> dict[str, Any]:
        return {"area": area, "first_slot_start_s": self.first_slot_start_s, "calendar": "c"}

    def _party_kinds(self, area: str, day_start_s: int, params: dict[str, Any]) -> dict[str, Any]:
        """A line "import" of each party and slot, and of some a line "bought"; a page has so many parties."""
        slots = [day_start_s + slot * SLOT_S for slot in range(SLOTS_OF_DAY)]
        settled = [columns for slot in slots if (columns := self._settled.get((area, slot)))]
        sums: dict[tuple[str, str], list[int]] = {}
        for columns in settled:
            bought, _sold, pays, _alone, imported, *_ = columns
            for row, party in enumerate(self.areas[area][:-1]):
                for kind in ("import", "bought")[: 1 + (bought[row] % 3 == 0)]:
                    before = sums.get((party, kind), [0, 0, 0])
                    sums[party, kind] = [before[0] + 1, before[1] + imported[row], before[2] + pays[row]]
        names = ("party", "line_kind", "lines", "energy_wh", "amount_nano")
        rows = [dict(zip(names, (*key, *found), strict=True)) for key, found in sorted(sums.items())]
        return {**self._page("kinds", rows, params), "slots_settled": len(settled)}

    def _installation(self, area: str, meter: str) -> dict[str, Any]:
        is_feeder = meter == self.areas[area][-1]
        role = "feeder" if is_feeder else "household"
        party = None if is_feeder else meter
        return {"meter": meter, "party": party, "trades": not is_feeder, "role": role, "modulus_wh": 0}

    async def _changes(self, after: int, wait_s: int) -> dict[str, Any]:
        if after > self.newest:
            raise NodeRefused("http://scripted: beyond", 400, "beyond")
        for _ in range(100 * wait_s):
            if after != self.newest:
                break
            await asyncio.sleep(0.01)
            self._ask()
        height = min(self.newest, after + self._cut)
        found = sorted((written, *thing) for thing, written in self._written.items() if after < written <= height)
        changes = []
        for written, kind, of, at_s in found:
            if kind == "batch":
                is_observed = bool(self._observed.get((of, at_s)))
                thing = {"kind": kind, "gateway": of, "at_s": at_s, "observations": is_observed}
            else:
                thing = {"kind": kind, "area": of, "at_s": at_s}
            changes.append({**thing, "height": written})
        digests = {"digest": self.digest(height).hex(), "after_digest": self.digest(after).hex()}
        return {"height": height, **digests, "newest": self.newest, "changes": changes}


def _register(meter: str, standing: tuple[int, int] | None) -> dict[str, Any]:
    if standing is None:
        return {"meter": meter, "import_wh": None, "export_wh": None, "quality": "missing", "flags": []}
    return {"meter": meter, "import_wh": standing[0], "export_wh": standing[1], "quality": "measured", "flags": []}


def cursor(height: int) -> Cursor:
    """The cursor at a height of a ledger of no node."""
    return Cursor(height, sm3(str(height).encode()))


def by_key(rows: list[AnyRow]) -> dict[tuple[tuple[str, ...], int], tuple[int | None, ...]]:
    """Rows by tags and instant; each may be there once only."""
    found = {(row.tags, row.time_s): row.values for row in rows}
    assert len(found) == len(rows)
    return found
