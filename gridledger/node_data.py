"""What an operator does with a node's data directory: check it, archive, prune and restore it, renew its guard.

Actions of ``gridledger node`` (``gridledger.commands.node`` declares their arguments); each returns the exit status.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gridledger.commands import print_progress, print_result

if TYPE_CHECKING:
    from ledger.store.archive import Archive


def check(args: argparse.Namespace) -> int:
    """Derive everything again and compare; 1 when a problem is found."""
    from ledger.store.check import check_ledger
    from settlement.catalogue import CONTRACTS, pins

    report = check_ledger(args.data, CONTRACTS, pins=pins(), guard=args.guard, archive=_given_archive(args))
    result = {
        "holds": report.holds,
        "height": report.height,
        "transactions": report.transactions,
        "header_digest": report.digest.hex(),
        "state_root": report.state_root.hex(),
        "problems": report.problems,
        "notes": report.notes,
        "testimonies": [one.line for one in report.testimonies],
    }
    words = "all of it holds" if report.holds else f"{len(report.problems)} problems"
    head = f"{args.data}: height {report.height}, {report.transactions} transactions, replayed from genesis: {words}"
    lines = [f"problem: {line}" for line in report.problems] + [f"note: {line}" for line in report.notes]
    lines += [f"ANOTHER HISTORY: {one.line}" for one in report.testimonies]
    print_result(args, result, "\n".join([head, *lines, f"state root {report.state_root.hex()}"]))
    return 0 if report.holds else 1


def archive(args: argparse.Namespace) -> int:
    """Copy certified blocks into an archive."""
    from ledger.store.archive import archive_blocks

    added = archive_blocks(args.data, args.out)
    blocks = max(0, added.last - added.first + 1)
    result = {"archive": str(args.out), "blocks": blocks, "height": added.last, "added_bytes": added.added_bytes}
    print_result(args, result, f"{args.out}: {blocks} blocks added ({added.added_bytes} bytes), height {added.last}")
    return 0


def restore(args: argparse.Namespace) -> int:
    """Make a standby out of an archive, bring one up to it, or give back what was pruned."""
    from ledger.store import standby
    from ledger.store.archive import Archive
    from settlement.catalogue import CONTRACTS, pins

    source = Archive(args.archive)

    def show(height: int) -> None:
        if height % 100 == 0:
            print_progress(f"block {height} of {source.height}")

    restored = standby.restore(source, args.data, CONTRACTS, pins=pins(), progress=show)
    print_progress("")
    if restored is None:
        result: dict[str, object] = {"data": str(args.data), "put_back": True}
        words = "what was pruned is there again; the next start replays it and compares it with the guard"
    else:
        before, height = restored
        result = {"data": str(args.data), "put_back": False, "blocks": height - before, "height": height}
        words = f"{height - before} blocks replayed and compared with their certificates, height {height}"
    print_result(args, result, f"{args.data}: {words}")
    return 0


def prune(args: argparse.Namespace) -> int:
    """Drop what is final and in the archive."""
    from ledger.store import pruning

    done = pruning.prune(args.data, args.archive, guard=args.guard)
    result = {
        "data": str(args.data),
        "height": done.pruned.height,
        "before_s": done.pruned.before_s,
        "bytes_before": done.bytes_before,
        "bytes_after": done.bytes_after,
    }
    words = f"blocks up to {done.pruned.height} and slots before {done.pruned.before_s} (UTC seconds) are pruned"
    print_result(args, result, f"{args.data}: {words}; {done.bytes_before} bytes before, {done.bytes_after} after")
    return 0


def renew_guard(args: argparse.Namespace) -> int:
    """Write a lost guard anew."""
    from ledger.store import check as checking
    from settlement.catalogue import CONTRACTS, pins

    report = checking.renew_guard(args.data, CONTRACTS, pins=pins(), guard=args.guard, archive=_given_archive(args))
    result = {"height": report.height, "header_digest": report.digest.hex(), "transactions": report.transactions}
    print_result(
        args, result, f"{args.data}: guard written anew at height {report.height}, header {report.digest.hex()}"
    )
    return 0


def _given_archive(args: argparse.Namespace) -> Archive | None:
    from ledger.store.archive import Archive

    return Archive(args.archive) if args.archive is not None else None
