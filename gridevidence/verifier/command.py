"""The stand-alone command: reads the files, and shows the verdict to a person or a program."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from gridevidence.layout import BOOK_BYTES_MAX, CLAIMS, NEVER_CHECKED
from gridevidence.verifier.answers import BAD_INPUT, EXIT_STATUS, NOT_VERIFIED, UNWRITABLE, Halt, plain
from gridevidence.verifier.trust import decode_trust
from gridevidence.verifier.verdict import Verdict, verify_bundle


def verify_files(bundle: Path, trust: Path | None, book: Path | None) -> Verdict:
    """Read the files and answer; "bad input" when one cannot be read or the trust file is malformed."""
    contents: dict[Path, bytes] = {}
    try:
        for path in filter(None, (bundle, trust, book)):
            with path.open("rb") as file:
                contents[path] = file.read(BOOK_BYTES_MAX + 1)
        root = None if trust is None else decode_trust(contents[trust])
    except OSError as why:
        return Verdict(BAD_INPUT, f"cannot read {plain(path)}: {plain(why.strerror)}", {}, (), {})
    except Halt as why:
        return Verdict(why.args[0], f"{plain(trust)}: {why.args[1]}", {}, (*CLAIMS.values(), *NEVER_CHECKED), {})
    return verify_bundle(contents[bundle], root, None if book is None else contents[book])


def render(verdict: Verdict, *, as_json: bool) -> str:
    """The verdict as one JSON object, or as text for a person."""
    facts, mark = verdict.facts, "SIMULATED" if verdict.facts.get("simulated") else ""
    if as_json:
        return json.dumps({**verdict._asdict(), "exit": EXIT_STATUS[verdict.answer], "mark": mark})
    lines = [f"{verdict.answer.upper()}: {verdict.reason}"]
    lines += [f"{mark}: this chain's clock is simulated; no real meter stands behind its readings."] if mark else []
    if "amount_nano" in facts and verdict.answer != NOT_VERIFIED:
        start, end = (datetime.fromtimestamp(facts[f"slot_{when}_s"], UTC) for when in ("start", "end"))
        amount = Decimal(facts["amount_nano"]).scaleb(-9)
        lines.append(f"{facts['party']}, meter {plain(facts['meter'])}, {start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC:")
        owes = f"{'is paid' if amount < 0 else 'owes'} {abs(amount):f} {facts['currency']}"
        lines.append(f"{facts['line_kind']}, {facts['energy_wh']} Wh{_at_price(facts)}: {owes}")
    lines += ["", "Checked:", *(f"  {name}: {text}" for name, text in verdict.claims.items())] if verdict.claims else []
    return "\n".join([*lines, "", "Not checked:", *(f"  {text}" for text in verdict.not_checked)])


def _at_price(facts: Mapping[str, Any]) -> str:
    """The price of the line in words; "" where it has none."""
    price = facts["price_micro_per_kwh"]
    return "" if price is None else f" at {Decimal(price).scaleb(-6):f} {facts['currency']} per kWh"


def is_written(line: str, stream: TextIO | None) -> bool:
    """Write ``line``; False where that cannot be done, after which the stream leads nowhere: no second complaint at exit."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
        return False
    return stream is not None  # None: closed before this program began


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stand-alone command; returns the exit status."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description="Check the evidence of a bill line, offline.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle (.evd)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON), from a source you trust")
    parser.add_argument("--with-book", type=Path, metavar="FILE", help="the slot's anonymous book: recompute the price")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    verdict = verify_files(options.bundle, options.trust, options.with_book)
    is_bad = verdict.answer == BAD_INPUT
    if not is_bad and is_written(render(verdict, as_json=options.json), sys.stdout):
        return EXIT_STATUS[verdict.answer]
    is_written(f"verify: {verdict.reason if is_bad else UNWRITABLE}", sys.stderr)
    return EXIT_STATUS[BAD_INPUT]
