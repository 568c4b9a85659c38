"""A node's answers as records: pure functions, no connection, no clock.

An answer of another shape than docs/spec/http.md says ends in ``AnswerError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from gridcore.errors import GridError
from gridcore.quality import CODE_MASK, ESTIMATED, quality_byte
from gridcore.registry.point import BORDER_ROLES
from gridseries.series import DIGEST_BYTES

Json = Mapping[str, Any]


class AnswerError(GridError):
    """A node's answer that is not of the documented shape."""


@dataclass(frozen=True, slots=True)
class Point:
    """A metering point: its meter's code, whether it is billed, trades, measures a border of the area; ``modulus_wh``: primary, 0 for none."""

    meter: str
    is_billed: bool
    trades: bool
    is_border: bool
    modulus_wh: int


class Coverage(NamedTuple):
    """expected: meters of an area; committed: those with a register at a boundary; borders_elsewhere: its borders whose meters are in other areas."""

    expected: int
    committed: int
    borders_elsewhere: int


class Registers(NamedTuple):
    """A meter's registers at a boundary, primary Wh; ``quality``: the byte of ``gridcore.quality``."""

    import_wh: int
    export_wh: int
    quality: int


class Position(NamedTuple):
    """What the last run of a slot says of a billed point: its energy, measured or estimated, and what follows from it.

    ``quality``: the byte of ``gridcore.quality``.
    """

    bought_wh: int
    sold_wh: int
    pays_nano: int
    supplier_only_nano: int
    import_wh: int
    export_wh: int
    quality: int

    @property
    def is_estimated(self) -> bool:
        """Whether no registers tell the energy."""
        return self.quality & CODE_MASK == ESTIMATED


@dataclass(frozen=True)
class Changes:
    """What was written after a height up to ``height``: slots whose rows may differ, and batches with observations.

    ``digest``, ``after_digest``: of the headers at ``height`` and at the height that was asked about.
    """

    height: int
    digest: bytes
    after_digest: bytes
    newest: int
    boundaries: tuple[tuple[str, int], ...]
    slots: tuple[tuple[str, int], ...]
    batches: tuple[tuple[str, int], ...]


class KindSum(NamedTuple):
    """A party's lines of a kind on a local day: how many, and their sums."""

    lines: int
    energy_wh: int
    amount_nano: int

    def plus(self, other: KindSum) -> KindSum:
        """The sums of both."""
        return KindSum(*(one + more for one, more in zip(self, other, strict=True)))


@dataclass(frozen=True)
class LocalDay:
    """A local day of an area's calendar, UTC seconds; ``slots``: starts of its slots from the area's first one on."""

    start_s: int
    end_s: int
    slots: range


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what a misshapen answer runs into into an AnswerError that names the answer."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise AnswerError(f"{what}: the node's answer is not of the form that this program knows ({detail})") from None


def read_changes(answer: Json) -> Changes:
    """The parts of ``changes`` that rows follow from. Unknown kinds are left out."""
    with understood("changes"):
        found: dict[str, set[tuple[str, int]]] = {"registers": set(), "slots": set(), "batch": set()}
        for change in answer["changes"]:
            if change["kind"] in ("clearing", "run"):
                found["slots"].add((str(change["area"]), int(change["at_s"])))
            elif change["kind"] == "registers":
                found["registers"].add((str(change["area"]), int(change["at_s"])))
            elif change["kind"] == "batch" and change["observations"]:
                found["batch"].add((str(change["gateway"]), int(change["at_s"])))
        return Changes(
            int(answer["height"]),
            _digest(answer["digest"]),
            _digest(answer["after_digest"]),
            int(answer["newest"]),
            *(tuple(sorted(pairs)) for pairs in found.values()),
        )


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest of {len(digest)} bytes")
    return digest


def read_points(answer: Json) -> list[Point]:
    """The rows of ``areas/<a>/installations``, in their order."""
    with understood("installations"):
        return [
            Point(
                str(entry["meter"]),
                entry["party"] is not None,
                bool(entry["trades"]),
                entry["role"] in BORDER_ROLES,
                int(entry["modulus_wh"]),
            )
            for entry in answer["installations"]
        ]


def read_registers(answer: Json) -> dict[str, Registers | None]:
    """The rows of ``areas/<a>/registers`` by meter, in their order; None: nothing there."""
    with understood("registers"):
        found: dict[str, Registers | None] = {}
        for entry in answer["registers"]:
            meter = str(entry["meter"])
            if entry["import_wh"] is None:
                found[meter] = None
            else:
                quality = quality_byte(entry["quality"], entry["flags"])
                found[meter] = Registers(int(entry["import_wh"]), int(entry["export_wh"]), quality)
        return found


def read_positions(answer: Json) -> list[tuple[str, Position]]:
    """(meter, position) of the rows of ``areas/<a>/slots/<s>/positions``."""
    with understood("positions"):
        columns = (answer[name] for name in Position._fields)
        return [
            (str(meter), Position(*map(int, values))) for meter, *values in zip(answer["meters"], *columns, strict=True)
        ]


def read_party_kinds(answer: Json) -> list[tuple[tuple[str, str], KindSum]]:
    """((party, kind of line), sums) of the rows of ``areas/<a>/days/<d>/party-kinds``."""
    with understood("party-kinds"):
        return [
            (
                (str(entry["party"]), str(entry["line_kind"])),
                KindSum(*(int(entry[name]) for name in KindSum._fields)),
            )
            for entry in answer["kinds"]
        ]
