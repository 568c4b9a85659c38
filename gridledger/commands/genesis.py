"""``gridledger genesis``: found a chain, with all that its node, agents and pages need to start."""

from __future__ import annotations

import argparse
from pathlib import Path

from gridledger.commands import add_actions, print_result

EXAMPLE = (
    "gridledger genesis new --example > village.toml && gridledger genesis new --config village.toml --out village"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``new``."""
    actions = add_actions(parser)
    new = actions.add_parser("new", help="genesis, trust root, keys and configuration files from one TOML file")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument("--config", type=Path, metavar="FILE", help="what the chain starts with; needs --out")
    source.add_argument("--example", action="store_true", help="print such a file, commented, and do nothing else")
    new.add_argument("--out", type=Path, metavar="DIR", help="a new or an empty folder")


def run(args: argparse.Namespace) -> int:
    """Print the example, or found a chain; a file that cannot be used is a UsageError."""
    from gridcore.clock import WallClock
    from gridcore.config import load_config
    from gridcore.errors import UsageError
    from gridledger.founding import config as founding
    from gridledger.founding.chain import found, write_chain

    if args.example:
        text = founding.EXAMPLE.read_text(encoding="utf-8")
        print_result(args, {"example": text}, text.rstrip("\n"))
        return 0
    if args.out is None:
        raise UsageError("gridledger genesis new: --config needs --out, the folder for what is written")
    config = load_config(args.config, founding.FoundingConfig)
    try:
        founded = found(config, WallClock().now_s())
    except UsageError as error:
        raise UsageError(f"{args.config}: {error}") from None
    out = write_chain(founded, args.out)
    edges = [str(out / f"edge-{number}.toml") for number in range(1, len(config.gateways) + 1)]
    result = {
        "chain": founded.genesis.chain,
        "genesis": founded.trust["genesis"],
        "first_slot_start_s": founded.first_slot_start_s,
        "out": str(out),
        "edges": edges,
    }
    print_result(args, result, f"{out}: chain {founded.genesis.chain}, first slot at {founded.first_slot_start_s}")
    return 0
