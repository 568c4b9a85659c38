"""The stand-alone command: reads the files, and shows the verdict to a person or a program."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from gridevidence.layout import BOOK_BYTES_MAX, CLAIMS, NEVER_CHECKED
from gridevidence.verifier.answers import BAD_USAGE, EXIT_STATUS, UNWRITABLE, Halt, plain
from gridevidence.verifier.text import mark_of, verdict_lines
from gridevidence.verifier.trust import decode_trust
from gridevidence.verifier.verdict import Verdict, verify_bundle


def verify_files(bundle: Path, trust: Path | None, book: Path | None) -> Verdict:
    """Read the files and answer; "bad usage" when one cannot be read or the trust file is malformed."""
    contents: dict[Path, bytes] = {}
    try:
        for path in filter(None, (bundle, trust, book)):
            with path.open("rb") as file:
                contents[path] = file.read(BOOK_BYTES_MAX + 1)
        root = None if trust is None else decode_trust(contents[trust])
    except OSError as why:
        return Verdict(BAD_USAGE, f"cannot read {plain(path)}: {plain(why.strerror)}", None, {}, (), {})
    except Halt as why:
        answer, reason = why.args
        return Verdict(answer, f"{plain(trust)}: {reason}", None, {}, (*CLAIMS.values(), *NEVER_CHECKED), {})
    return verify_bundle(contents[bundle], root, None if book is None else contents[book])


def render(verdict: Verdict, *, as_json: bool) -> str:
    """The verdict as one JSON object, or as text for a person."""
    if not as_json:
        return "\n".join(verdict_lines(verdict))
    claim = verdict.claim._asdict() if verdict.claim is not None else None
    answer = {**verdict._asdict(), "claim": claim, "exit": EXIT_STATUS[verdict.answer], "mark": mark_of(verdict.facts)}
    return json.dumps(answer)


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
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description="Check the evidence of a bill, offline.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle (.evd)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON), from a source you trust")
    parser.add_argument("--with-book", type=Path, metavar="FILE", help="the slot's anonymous book: recompute the price")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    verdict = verify_files(options.bundle, options.trust, options.with_book)
    is_bad = verdict.answer == BAD_USAGE
    if not is_bad and is_written(render(verdict, as_json=options.json), sys.stdout):
        return EXIT_STATUS[verdict.answer]
    is_written(f"verify: {verdict.reason if is_bad else UNWRITABLE}", sys.stderr)
    return EXIT_STATUS[BAD_USAGE]
