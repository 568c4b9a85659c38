"""``gridledger light``: follow the certificates of nodes without trusting them, and check files by what was learned."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridcore.errors import UsageError
from gridledger.commands import add_actions, print_progress, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.light.state import LightState
    from gridledger.light.following import Followed

EXAMPLE = (
    "gridledger light follow --url https://node-a:7070 --url https://node-b:7070 --trust trust.json --state light.state"
)
FILE_BYTES_MAX = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``follow``, ``trust`` and ``check``."""
    actions = add_actions(parser)
    follow = actions.add_parser(
        "follow", help="follow certificates from a trust root on; ends with 1 where two histories show"
    )
    follow.add_argument("--url", action="append", required=True, metavar="URL", help="a node; several are compared")
    follow.add_argument("--trust", type=Path, metavar="FILE", help="trust root (JSON) to begin with")
    follow.add_argument("--state", type=Path, required=True, metavar="FILE", help="what was learned; made where absent")
    follow.add_argument(
        "--authority", type=Path, metavar="FILE", help="https: certificates (PEM) to believe instead of this machine's"
    )
    follow.add_argument("--once", action="store_true", help="end when nothing newer is shown")
    follow.add_argument(
        "--every", type=whole_number(1, 86_400), default=10, metavar="S", help="seconds between two rounds (10)"
    )
    trust = actions.add_parser("trust", help="write a trust root that names the set which certifies now")
    trust.add_argument("--state", type=Path, required=True, metavar="FILE", help="what 'light follow' keeps")
    trust.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new trust root (JSON)")
    check = actions.add_parser("check", help="check a bundle, receipt, state proof, header or fork")
    check.add_argument("file", type=Path, metavar="FILE", help="what to check")
    known = check.add_mutually_exclusive_group(required=True)
    known.add_argument("--state", type=Path, metavar="FILE", help="what 'light follow' keeps")
    known.add_argument("--trust", type=Path, metavar="FILE", help="a trust root (JSON): what its own set certified")


def run(args: argparse.Namespace) -> int:
    """Do it. ``follow``: 0 after --once, 1 for a fork or where no node could be followed; ``check``: 0, 1, 3 as ``verify``."""
    return {"follow": _follow, "trust": _trust, "check": _check}[args.action](args)


def _follow(args: argparse.Namespace) -> int:
    from gridledger.light.following import Nodes, follow_on, open_state

    said: dict[str, str] = {}
    newest: list[Followed] = []

    def tell(followed: Followed) -> bool:
        for url, line in followed.faults.items():
            if said.get(url) != line:
                print(line, file=sys.stderr, flush=True)
        said.clear()
        said.update(followed.faults)
        newest[:] = [followed]
        print_progress(f"certified up to height {followed.state.trusted.height}")
        return bool(args.once)

    state = open_state(args.state, args.trust)
    nodes = Nodes(args.url, args.authority)
    asyncio.run(follow_on(nodes, state, args.state, every_s=args.every, tell=tell))
    print_progress("")
    (followed,) = newest
    trusted = followed.state.trusted
    result = {
        "chain": trusted.chain,
        "height": trusted.height,
        "header_digest": trusted.digest.hex(),
        "signers": len(trusted.sets[-1].signers),
        "faults": followed.faults,
    }
    words = f"certified up to height {trusted.height}, header {trusted.digest.hex()}"
    print_result(args, result, f"chain {trusted.chain}: {words}")
    return 1 if len(followed.faults) == len(args.url) else 0


def _trust(args: argparse.Namespace) -> int:
    import json

    from gridledger.founding.folder import write_new
    from gridledger.light.succession import trust_after

    state = _learned(args.state)
    root, height = trust_after(state), state.trusted.height
    try:
        write_new(args.out, json.dumps(root, indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"{args.out}: cannot be written ({error.strerror}); give the name of a new file") from None
    result = {"out": str(args.out), "chain": state.trusted.chain, "height": height, "signers": root["signers"]}
    print_result(
        args, result, f"{args.out}: names who certifies after height {height} ({len(root['signers'])} signers)"
    )
    return 0


def _learned(path: Path) -> LightState:
    """What a light client has kept. UsageError where there is nothing."""
    from gridcore.light.state import load_state

    state = load_state(path)
    if state is None:
        raise UsageError(f"--state {path}: is not there; 'gridledger light follow' makes it")
    return state


def _check(args: argparse.Namespace) -> int:
    from gridcore import verify
    from gridcore.files import read_bounded
    from gridcore.light.state import begin_with_trust
    from gridledger.light.checking import check_bytes
    from gridledger.light.following import keep_fork

    state = begin_with_trust(args.trust, "check --trust") if args.trust else _learned(args.state)
    checked = check_bytes(read_bounded(args.file, FILE_BYTES_MAX, "give a bundle, receipt or proof"), state)
    reason = checked.reason if checked.fork is None else str(keep_fork(args.state, checked.fork))
    result = {"answer": checked.answer, "what": checked.what, "reason": reason, "facts": checked.facts}
    words = f"{args.file}: {checked.what or 'file'}: {checked.answer}" + (f": {reason}" if reason else "")
    print_result(args, result, words)
    return verify.EXIT_STATUS[checked.answer]
