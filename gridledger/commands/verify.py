"""``gridledger verify``: check the evidence bundle of a bill line; the same code as the stand-alone ``gridcore/verify.py``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gridcore import verify
from gridcore.errors import UsageError

EXAMPLE = "gridledger verify sample.evd --trust trust.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare BUNDLE, ``--trust`` and ``--with-book``."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the evidence bundle (.evd)")
    parser.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON), from a source you trust")
    parser.add_argument("--with-book", type=Path, metavar="FILE", help="the slot's anonymous book: recompute the price")


def run(args: argparse.Namespace) -> int:
    """Print the verdict; 0 verified, 1 not verified, 3 cannot be decided, SystemExit 2 where it cannot be printed.

    UsageError: an unreadable file, a malformed trust root.
    """
    verdict = verify.verify_files(args.bundle, args.trust, args.with_book)
    if verdict.answer == verify.BAD_USAGE:
        raise UsageError(f"gridledger verify: {verdict.reason}")
    if not verify.is_written(verify.render(verdict, as_json=args.json), sys.stdout):
        verify.is_written(f"gridledger verify: {verify.UNWRITABLE}", sys.stderr)
        raise SystemExit(verify.EXIT_STATUS[verify.BAD_USAGE])  # no return, after which stdout would be flushed
    return verify.EXIT_STATUS[verdict.answer]
