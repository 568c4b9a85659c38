"""``gridledger edge replay``: the raw words of past readings, decoded again by today's or another profile."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcore.errors import UsageError
from gridcore.forms import TIME_S_MAX
from gridledger.commands import Actions, print_result, whole_number
from gridledger.gateway.columns import aligned

if TYPE_CHECKING:
    from edge.config import EdgeConfig
    from edge.raw_words import StoredReading
    from edge.replay import Redecoded
    from firmware_profiles import Profile

ROWS_MAX = 1_000
"""Differences that are shown; all are counted."""
_DIGEST_SHOWN = 4


def declare(actions: Actions) -> None:
    """Declare the action."""
    replaying = actions.add_parser(
        "replay", help="decode the raw words of past readings again, by another profile or version; signs nothing"
    )
    replaying.add_argument("--config", type=Path, required=True, metavar="FILE", help="the agent's TOML file")
    replaying.add_argument(
        "--profile",
        metavar="ID|FILE",
        help="decode by this profile, or by this .toml file (default: what the configuration names today)",
    )
    replaying.add_argument("--meter", metavar="NAME", help="of this meter alone (default: all)")
    for key, what, default in (("--from-s", "first", 0), ("--to-s", "last", TIME_S_MAX)):
        replaying.add_argument(
            key,
            type=whole_number(0, TIME_S_MAX),
            default=default,
            metavar="S",
            help=f"the {what} boundary, seconds since 1970",
        )


@dataclass(slots=True)
class _Comparison:
    """What decoding again has shown. ``rows``: the first ROWS_MAX differences; ``readings``: (boundary, meter) of each reading."""

    rows: list[Redecoded] = field(default_factory=list)
    readings: int = 0
    differ: int = 0
    registers_differ: int = 0
    changes: dict[tuple[str, str], int] = field(default_factory=dict)
    """(profile then, profile now) -> readings."""


def run(args: argparse.Namespace) -> int:
    """Print each register that differs; 1 when there are some."""
    from edge.config import EdgeConfig
    from edge.raw_words import raw_words_path, read_raw_words
    from edge.replay import replay
    from gridcore.config import load_config

    config = load_config(args.config, EdgeConfig)
    names = [row.meter for row in config.meters]
    if args.meter is not None and args.meter not in names:
        raise UsageError(f"--meter {args.meter!r} is not in {args.config}; meters are {', '.join(names[:16])}")
    profile_of = _profiles(config, args)
    stored = read_raw_words(raw_words_path(config.outbox), args.from_s, args.to_s)
    if args.meter is not None:
        stored = (reading for reading in stored if reading.meter == args.meter)
    found = _compare(replay(stored, profile_of))
    if not found.readings:
        raise UsageError("no reading with raw words is among these meters and boundaries; give others")
    print_result(args, _table(found), _text(found))
    return 1 if found.differ else 0


def _profiles(config: EdgeConfig, args: argparse.Namespace) -> Callable[[StoredReading], Profile | None]:
    """The profile by which a reading is decoded again: the one that was asked for, else that of its meter's row today."""
    from edge.config import load_profiles, open_profiles
    from firmware_profiles.files import PROFILE_BYTES_MAX
    from firmware_profiles.loader import decode_profile
    from gridcore.files import read_bounded

    library = open_profiles(config)
    if args.profile is not None:
        is_file = args.profile.endswith(".toml")
        path = Path(args.profile)
        wanted = (
            decode_profile(read_bounded(path, PROFILE_BYTES_MAX, "check --profile"), path)
            if is_file
            else library.load(args.profile)
        )
        if not wanted.billing:
            raise UsageError(f"--profile {wanted.id!r} informs only, it has nothing to bill")
        return lambda _: wanted
    profiles = load_profiles(config, library)
    by_number = {row.number: profiles[row.profile] for row in config.meters}
    return lambda reading: by_number.get(reading.number)


def _compare(again: Iterator[Redecoded]) -> _Comparison:
    found = _Comparison()
    last: StoredReading | None = None
    has_differed = False
    for row in again:
        if row.reading is not last:
            last, has_differed = row.reading, False
            found.readings += 1
            change = (_version(row.reading.version), _version(row.version))
            found.changes[change] = found.changes.get(change, 0) + 1
        if row.differs:
            found.registers_differ += 1
            found.differ += not has_differed
            has_differed = True
            if len(found.rows) < ROWS_MAX:
                found.rows.append(row)
    return found


def _table(found: _Comparison) -> dict[str, object]:
    return {
        "readings": found.readings,
        "readings_that_differ": found.differ,
        "registers_that_differ": found.registers_differ,
        "profiles": [
            {"then": then, "now": now, "readings": count} for (then, now), count in sorted(found.changes.items())
        ],
        "differences": [
            {
                "boundary_s": row.reading.boundary_s,
                "number": row.reading.number,
                "meter": row.reading.meter,
                "point": row.obis,
                "then_wh": row.then_wh,
                "now_wh": row.now_wh,
                "words": {answer.place: answer.data.hex() for answer in row.reading.answers},
                "detail": row.detail,
            }
            for row in found.rows
        ],
    }


def _text(found: _Comparison) -> str:
    lines = [f"{found.readings} readings decoded again, {found.differ} differ; nothing was signed or changed"]
    lines += [f"  {then} -> {now}: {count}" for (then, now), count in sorted(found.changes.items())]
    if found.rows:
        rows = [("boundary (UTC)", "meter", "point", "then Wh", "now Wh", "difference Wh", "")]
        rows += [_row(row) for row in found.rows]
        lines += aligned(rows)
    more = found.registers_differ - len(found.rows)
    return "\n".join(lines + ([f"and {more} more registers; narrow it by --meter, --from-s, --to-s"] if more else []))


def _row(row: Redecoded) -> tuple[str, str, str, str, str, str, str]:
    moment = datetime.fromtimestamp(row.reading.boundary_s, UTC)
    then, now = ("-" if energy_wh is None else str(energy_wh) for energy_wh in (row.then_wh, row.now_wh))
    difference = "-" if row.now_wh is None or row.then_wh is None else f"{row.now_wh - row.then_wh:+}"
    return (f"{moment:%Y-%m-%d %H:%M}", row.reading.meter, row.obis, then, now, difference, row.detail)


def _version(version: Any) -> str:
    """A profile's id with the beginning of its digest, as a person tells two versions apart."""
    return f"{version.profile} {version.digest[:_DIGEST_SHOWN].hex()}"
