"""Bundles in memory, the trust root that they are checked with, and the check itself: the stand-alone verifier, in a thread.

A bundle once made stays as good as it was: it proves its line under the header that was the newest one then. So one that was
fetched is kept, and page, download, check and attempts at cheating are about the same bytes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from gridcore import verify
from gridcore.errors import UsageError
from gridcore.files import read_bounded
from gridcore.serving.problems import Problem
from gridcore.sm3 import sm3
from gridweb.exports.names import slot_stem
from gridweb.points import check_slot, find_point
from gridweb.source import AreaInfo, Source

BUNDLES_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bundles that are kept in memory beside the newest one: about a thousand, and fewer of parties with many orders."""
BUNDLE_SUFFIX: Final = ".evd"
VERIFIER_NAME: Final = "verify.py"
TRUST_NAME: Final = "trust.json"


@dataclass(frozen=True)
class LineName:
    """Which bill line. point: of a party that has several, else ""."""

    party: str
    slot_start_s: int
    kind: str
    point: str = ""

    def file_stem(self, area: AreaInfo) -> str:
        """What the bundle is called on a disk, without ``BUNDLE_SUFFIX``; ``area``: the party's."""
        return slot_stem(area.area, self.slot_start_s, area.tz, self.party, self.kind, self.point)


def book_name(area: AreaInfo, slot_start_s: int) -> str:
    """What the anonymous order book of a slot is called on a disk."""
    return slot_stem(area.area, slot_start_s, area.tz) + ".book"


@dataclass(frozen=True)
class Outcome:
    """A verdict, and the claim that failed ("" where none did)."""

    verdict: verify.Verdict
    failed: str

    @property
    def answer(self) -> str:
        """One of the three answers."""
        return self.verdict.answer

    @property
    def exit_status(self) -> int:
        """That of the command."""
        return verify.EXIT_STATUS[self.verdict.answer]


_kept: WeakKeyDictionary[Source, OrderedDict[LineName, bytes]] = WeakKeyDictionary()


async def fetch_bundle(source: Source, line: LineName) -> bytes:
    """The bundle of a line. SourceMissing for no such party, slot or line, SourceBusy before it can be proved, SourceAway."""
    kept = _kept.setdefault(source, OrderedDict())
    if line not in kept:
        area = (await find_point(source, line.party)).area
        if line.kind not in area.contract.lines:
            raise Problem("bad-request", f"kind: one of {', '.join(area.contract.lines)}")
        check_slot(area, line.slot_start_s)
        which: dict[str, str | int] = {"party": line.party, "slot_start_s": line.slot_start_s, "line_kind": line.kind}
        which |= {"point": line.point} if line.point else {}
        kept[line] = await source.bytes("evidence", **which)
        while sum(map(len, kept.values())) > BUNDLES_BYTES_MAX and len(kept) > 1:
            kept.popitem(last=False)
    kept.move_to_end(line)
    return kept[line]


async def check_bundle(data: bytes, trust: Path) -> Outcome:
    """What the stand-alone verifier says of a bundle under the site's trust root. Problem where that cannot be used."""
    return await asyncio.to_thread(_check, data, trust)


def _check(data: bytes, trust: Path) -> Outcome:
    root = load_trust(trust)
    verdict = verify.verify_bundle(data, root)
    return Outcome(verdict, verdict.claim.word if verdict.claim is not None else "")


def load_trust(path: Path) -> verify.Trust:
    """The trust root of the site. Problem 500 where the file cannot be read or is none."""
    try:
        return verify.decode_trust(read_trust(path))
    except verify.Halt as why:
        raise Problem("fault", f"the trust root of these pages cannot be used: {why.args[1]}") from None


def read_trust(path: Path) -> bytes:
    """The bytes of the trust root. Problem 500 where it cannot be read."""
    try:
        return read_bounded(path, verify.TRUST_BYTES_MAX, "name the file in web.trust")
    except UsageError as error:
        raise Problem("fault", str(error)) from None


@cache
def verifier_source() -> bytes:
    """The stand-alone verifier, as it is handed out."""
    return (resources.files("gridcore") / VERIFIER_NAME).read_bytes()


@cache
def verifier_digest() -> str:
    """SM3 of the stand-alone verifier, hex digits."""
    return sm3(verifier_source()).hex()
