"""``gridledger settle replay --data`` of many slots: every run of them made again from the blocks in one pass, and what differs told run by run."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gridcore.errors import UsageError, excerpt
from gridledger.commands import print_progress, print_result

if TYPE_CHECKING:
    from ledger.store.rerun import DifferingRun, RunSpan, SpanRerun

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)
_TIME_S_MAX = 253_402_300_799


def is_asked(args: argparse.Namespace) -> bool:
    """Whether several slots are named."""
    return any(value is not None for value in (args.day, args.month, args.from_s, args.until_s))


def run(args: argparse.Namespace) -> int:
    """Tell each run that differs in one line as it is found, then what was compared; 1 where any differs."""
    from ledger.store.archive import Archive
    from ledger.store.rerun import rerun_span
    from settlement.catalogue import CONTRACTS, pins

    differing: list[DifferingRun] = []

    def tell(found: DifferingRun) -> None:
        if args.json:
            differing.append(found)
            return
        print_progress("")
        print(
            f"NOT THE SAME: slot {found.slot_start_s}, run {found.run}, block {found.height}: {', '.join(found.keys)}"
        )

    again = rerun_span(
        args.data,
        _span(args),
        CONTRACTS,
        tell,
        pins=pins(),
        archive=Archive(args.archive) if args.archive else None,
        progress=lambda done, of: print_progress(f"block {done} of {of}"),
    )
    print_progress("")
    told = [{**found._asdict(), "keys": list(found.keys)} for found in differing]
    print_result(args, {**again._asdict(), "differing": told, "same": not again.differing}, _text(again))
    return 1 if again.differing else 0


def _text(again: SpanRerun) -> str:
    what = f"{again.runs} runs of {again.slots} slots, zone {again.zone}"
    if again.differing:
        return f"{again.differing} of {what} are NOT THE SAME; the data directory was changed: gridledger node check"
    return f"the same: {what}: {again.compared} leaves made again from {again.height} blocks, bit by bit"


def _span(args: argparse.Namespace) -> RunSpan:
    """The slots that the arguments name. UsageError for what is no day or month, and an end that is not behind its beginning."""
    from ledger.store.rerun import RunSpan

    forms = [args.day is not None, args.month is not None, (args.from_s, args.until_s) != (None, None)]
    if sum(forms) > 1 or args.slot is not None:
        raise UsageError("name the slots once: --slot, --day, --month, or --from and --until")
    if args.from_s is not None or args.until_s is not None:
        from_s, until_s = args.from_s or 0, _TIME_S_MAX if args.until_s is None else args.until_s
        if from_s >= until_s:
            raise UsageError("--until: is not behind --from; give a later time")
        return RunSpan(args.area, lambda _: (from_s, until_s), args.run_name)
    return RunSpan(args.area, _local_times(args.day, args.month), args.run_name)


def _local_times(day: str | None, month: str | None) -> Callable[[str], tuple[int, int]]:
    """Where a local day or month begins and ends in a time zone, UTC seconds."""
    from gridledger.settling.results.months import midnight_s, span_of_month

    try:
        first = date.fromisoformat(day if day is not None else f"{month}-01").toordinal()
        is_written = bool(_DAY.fullmatch(day) if day is not None else _MONTH.fullmatch(month or ""))
    except ValueError:
        is_written = False
    if not is_written:
        name, text, form = ("day", day, "2026-06-21") if day is not None else ("month", month, "2026-06")
        raise UsageError(f"--{name} {excerpt(text or '')}: is none; write {form}")
    if month is not None:
        return lambda timezone: span_of_month(month, timezone)
    return lambda timezone: (midnight_s(first, ZoneInfo(timezone)), midnight_s(first + 1, ZoneInfo(timezone)))
