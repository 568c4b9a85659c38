"""``gridledger node``: make the data directory of a node, run it, check what it holds, ask one how it is."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from gridledger import auditing, node_data
from gridledger.commands import add_actions, print_result

EXAMPLE = "gridledger node init --genesis genesis.cbor --data ledger && gridledger node run --config node.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    init = actions.add_parser("init", help="make a data directory from a genesis file")
    init.add_argument(
        "--genesis", type=Path, required=True, metavar="FILE", help="canonical CBOR (docs/spec/header.md)"
    )
    init.add_argument("--data", type=Path, required=True, metavar="DIR", help="a new or an empty directory")
    _add_guard(init)
    run_parser = actions.add_parser("run", help="run until SIGTERM")
    run_parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the node's TOML file")
    check = actions.add_parser("check", help="derive everything again from genesis and compare; the node must not run")
    check.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    _add_archive(check)
    _add_guard(check)
    status = actions.add_parser("status", help="ask a running node")
    _add_address(status)
    accept = actions.add_parser("accept-clock", help="let ledger time that stands come up to this machine's clock")
    accept.description = (
        "Look at the time of this machine first: what is accepted closes gates and cannot be taken back."
    )
    accept.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the node's TOML file, for clock_key"
    )
    _add_address(accept)
    auditing.declare(actions)
    archive = actions.add_parser("archive", help="copy certified blocks into an archive; the node may run")
    archive.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    archive.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the archive; made if absent, else continued"
    )
    prune = actions.add_parser("prune", help="drop what is final and in the archive; the node must not run")
    prune.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    prune.add_argument(
        "--archive", type=Path, required=True, metavar="DIR", help="as node archive; brought up to date first"
    )
    _add_guard(prune)
    restore = actions.add_parser(
        "restore", help="make a standby out of an archive, bring one up to it, or give back what was pruned"
    )
    restore.add_argument("--archive", type=Path, required=True, metavar="DIR", help="made by node archive")
    restore.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="an empty directory, a standby's, or a pruned one"
    )
    renew = actions.add_parser(
        "renew-guard", help="write a lost guard anew, after a check of all else; see the warning"
    )
    renew.description = (
        "The guard says what this node has signed. Renew it only if the data directory is the newest there is: a block "
        "that the key signed elsewhere, and that is not in it, would get a second signature."
    )
    renew.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    _add_archive(renew)
    _add_guard(renew)


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, metavar="URL", help="http://HOST:PORT of the node")
    parser.add_argument(
        "--authority", type=Path, metavar="FILE", help="https: certificates (PEM) to believe instead of this machine's"
    )


def _add_archive(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archive", type=Path, metavar="DIR", help="has the blocks that were pruned, if any were")


def _add_guard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--guard", type=Path, metavar="FILE", help="as in node.toml, where the guard lies outside the data directory"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 when ``check`` finds a problem."""
    actions = {
        "init": _init,
        "run": _run,
        "status": _status,
        "accept-clock": _accept_clock,
        "audit": auditing.run,
        "check": node_data.check,
        "archive": node_data.archive,
        "prune": node_data.prune,
        "restore": node_data.restore,
        "renew-guard": node_data.renew_guard,
    }
    return actions[args.action](args)


def _init(args: argparse.Namespace) -> int:
    from gridcore.errors import EncodingError, UsageError
    from gridcore.genesis import GENESIS_BYTES_MAX, decode_genesis
    from ledger.genesis_check import check_genesis
    from ledger.store.directory import GENESIS_NAME, init_ledger
    from settlement.catalogue import CONTRACTS, pins

    try:
        with args.genesis.open("rb") as file:
            data = file.read(GENESIS_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{args.genesis}: cannot be read ({error.strerror}); check --genesis") from None
    try:
        genesis = decode_genesis(data)
        check_genesis(genesis, CONTRACTS, pins())
    except (EncodingError, UsageError) as error:
        raise UsageError(f"{args.genesis}: {error}") from None
    is_new = not (args.data / GENESIS_NAME).exists()
    digest = init_ledger(args.data, data, guard=args.guard).hex()
    result = {"chain": genesis.chain, "genesis": digest, "data": str(args.data), "new": is_new}
    words = "a new ledger" if is_new else "nothing changed, already the ledger"
    print_result(args, result, f"{args.data}: {words} of chain {genesis.chain}, genesis {digest}")
    return 0


def _run(args: argparse.Namespace) -> int:
    from gridcore.config import load_config
    from gridcore.logs import configure_logs
    from gridledger.node_process import run_node
    from ledger.config import NodeConfig

    config = load_config(args.config, NodeConfig)
    if args.log_level is None and "GRIDLEDGER_LOG_LEVEL" not in os.environ:
        configure_logs(json=True, level=config.log_level)

    def say_ready(url: str, chain: str, height: int) -> None:
        result = {"ready": True, "url": url, "chain": chain, "height": height, "pid": os.getpid()}
        print_result(args, result, f"node of chain {chain} ready at {url}, height {height}")

    run_node(config, say_ready)
    return 0


def _status(args: argparse.Namespace) -> int:
    from gridcore.genesis import BLOCK_TIME
    from ledger.client import run_with_client
    from ledger.engines.base import STALLS

    status = run_with_client(args.url, lambda client: client.status(), timeout_s=10.0, authority=args.authority)
    result = {
        "chain": status.chain,
        "height": status.height,
        "certified_height": status.certified_height,
        "certificate_power": status.certificate_power,
        "signers_power": status.signers_power,
        "header_digest": status.header_digest.hex(),
        "state_root": status.state_root.hex(),
        "ledger_time_s": status.ledger_time_s,
        "simulated": status.simulated,
        "version": status.version,
        "disputed_by": status.disputed_by,
        "stall": status.stall,
        "shortages": [asdict(shortage) for shortage in status.shortages],
    }
    kind = "block time" if status.clock == BLOCK_TIME else status.clock.upper()
    text = f"{args.url}: chain {status.chain}, height {status.height}, ledger time {status.ledger_time_s} ({kind})"
    if status.certified_height < status.height:
        text += f"\ncertified up to height {status.certified_height}: what stands above is decided, not yet certified"
    if status.disputed_by:
        text += f"\nALARM: {status.disputed_by} gateways hold receipts of another history: see the node's log"
    if status.stall:
        text += f"\nALARM: {STALLS.get(status.stall, status.stall)}"
    for shortage in status.shortages:
        text += f"\nWARNING: {shortage.kind} {shortage.subject}".rstrip() + f": {shortage.days_left} days left"
    print_result(args, result, text)
    return 1 if status.disputed_by or status.stall else 0


def _accept_clock(args: argparse.Namespace) -> int:
    """1 when the node refuses."""
    from gridcore.clock import WallClock
    from gridcore.config import load_config
    from gridcore.errors import UsageError
    from ledger.client import Answer, Client, run_with_client
    from ledger.config import NodeConfig, load_key
    from ledger.engines.timekeeper import sign_acceptance

    clock_key = load_config(args.config, NodeConfig).clock_key
    if clock_key is None:
        raise UsageError(f"{args.config}: clock_key is missing; a signer of role clock accepts the clock")
    signer, to_s = load_key(clock_key, "clock_key"), WallClock().now_s()

    async def accept(client: Client) -> list[Answer]:
        status = await client.status()
        return await client.submit(
            [sign_acceptance(status.chain, clock_key.signer, signer, status.ledger_time_s, to_s)]
        )

    (answer,) = run_with_client(args.url, accept, timeout_s=10.0, authority=args.authority)
    result = {"to_s": to_s, "code": int(answer.code), "name": answer.name}
    print_result(args, result, f"{args.url}: ledger time may come up to {to_s}: {answer.name}")
    return 0 if answer.name == "ACCEPTED" else 1
