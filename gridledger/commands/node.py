"""``gridledger node``: make the data directory of a node, run it, check what it holds, ask one how it is."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.commands import print_progress, print_result

if TYPE_CHECKING:
    import socket

    from gridcore.serving.tls import TlsFiles
    from ledger.config import NodeConfig
    from ledger.engines.embedded import EmbeddedEngine
    from ledger.engines.standby import StandbyEngine
    from ledger.store.ledger import Ledger
    from ledger.store.standby import Standby

EXAMPLE = "gridledger node init --genesis genesis.cbor --data ledger && gridledger node run --config node.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="init|run|check|status|archive|restore|renew-guard"
    )
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
    _add_guard(check)
    status = actions.add_parser("status", help="ask a running node")
    status.add_argument("--url", required=True, metavar="URL", help="http://HOST:PORT of the node")
    status.add_argument(
        "--authority", type=Path, metavar="FILE", help="https: certificates (PEM) to believe instead of this machine's"
    )
    archive = actions.add_parser("archive", help="copy certified blocks into an archive; the node may run")
    archive.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    archive.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the archive; made if absent, else continued"
    )
    restore = actions.add_parser("restore", help="make a standby out of an archive, or bring one up to it")
    restore.add_argument("--archive", type=Path, required=True, metavar="DIR", help="made by node archive")
    restore.add_argument("--data", type=Path, required=True, metavar="DIR", help="an empty directory, or a standby's")
    renew = actions.add_parser(
        "renew-guard", help="write a lost guard anew, after a check of all else; see the warning"
    )
    renew.description = (
        "The guard says what this node has signed. Renew it only if the data directory is the newest there is: a block "
        "that the key signed elsewhere, and that is not in it, would get a second signature."
    )
    renew.add_argument("--data", type=Path, required=True, metavar="DIR", help="the node's data directory")
    _add_guard(renew)


def _add_guard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--guard", type=Path, metavar="FILE", help="as in node.toml, where the guard lies outside the data directory"
    )


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 when ``check`` finds a problem."""
    actions = {
        "init": _init,
        "run": _run,
        "check": _check,
        "status": _status,
        "archive": _archive,
        "restore": _restore,
        "renew-guard": _renew_guard,
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
    from gridcore.logs import configure_logs, get_logger
    from gridcore.serving.asgi import open_socket
    from gridcore.serving.tls import check_tls
    from ledger.config import NodeConfig

    config = load_config(args.config, NodeConfig)
    if args.log_level is None and "GRIDLEDGER_LOG_LEVEL" not in os.environ:
        configure_logs(json=True, level=config.log_level)
    tls = config.listen.tls
    if tls is not None:
        check_tls(tls)
    elif config.listen.is_open_to_readers:
        get_logger(__name__).warning(
            "listens_without_tls",
            host=config.listen.host,
            remedy="give listen.certificate, or put a proxy with TLS before it",
        )
    with open_socket(config.listen.host, config.listen.port) as bound, closing(_open(config)) as ledger:
        asyncio.run(_serve(args, ledger, bound, tls))
    return 0


def _open(config: NodeConfig) -> Ledger | Standby:
    """The ledger with its key, or without one the standby."""
    from gridcore.clock import WallClock
    from ledger.config import load_key
    from ledger.store.ledger import Ledger
    from ledger.store.standby import Standby
    from settlement.catalogue import CONTRACTS, pins

    if config.key is None:
        return Standby.open(config.data_dir, CONTRACTS, pins=pins())
    signer = load_key(config.key)
    return Ledger.open(config.data_dir, CONTRACTS, signer, WallClock(), pins=pins(), guard=config.guard)


def _engine_of(ledger: Ledger | Standby) -> EmbeddedEngine | StandbyEngine:
    from ledger.engines.embedded import EmbeddedEngine
    from ledger.engines.standby import StandbyEngine
    from ledger.store.standby import Standby

    return StandbyEngine(ledger) if isinstance(ledger, Standby) else EmbeddedEngine(ledger)


async def _serve(
    args: argparse.Namespace, ledger: Ledger | Standby, bound: socket.socket, tls: TlsFiles | None
) -> None:
    """Make blocks and answer until SIGTERM or SIGINT, or until a promise breaks, in a block or an answer: it passes through."""
    from gridcore.clock import WallClock
    from gridledger import __version__
    from ledger.http.dispatcher import Node
    from ledger.http.server import serve_node
    from settlement import statements
    from settlement.catalogue import CONTRACTS

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def say_ready(url: str) -> None:
        result = {"ready": True, "url": url, "chain": ledger.chain, "height": ledger.height, "pid": os.getpid()}
        print_result(args, result, f"node of chain {ledger.chain} ready at {url}, height {ledger.height}")

    async with _engine_of(ledger) as engine:
        node = Node(ledger, engine, CONTRACTS, statements, WallClock(), __version__, stop)
        breaking = asyncio.create_task(engine.wait_stopped())
        breaking.add_done_callback(lambda _: stop.set())
        await serve_node(node, bound, ready=say_ready, tls=tls)
    await breaking  # the engine is closed: what broke it, be it in its last block, passes through


def _check(args: argparse.Namespace) -> int:
    from ledger.store.check import check_ledger
    from settlement.catalogue import CONTRACTS, pins

    report = check_ledger(args.data, CONTRACTS, pins=pins(), guard=args.guard)
    result = {
        "holds": report.holds,
        "height": report.height,
        "transactions": report.transactions,
        "header_digest": report.digest.hex(),
        "state_root": report.state_root.hex(),
        "problems": report.problems,
        "notes": report.notes,
    }
    words = "all of it holds" if report.holds else f"{len(report.problems)} problems"
    head = f"{args.data}: height {report.height}, {report.transactions} transactions, replayed from genesis: {words}"
    lines = [f"problem: {line}" for line in report.problems] + [f"note: {line}" for line in report.notes]
    print_result(args, result, "\n".join([head, *lines, f"state root {report.state_root.hex()}"]))
    return 0 if report.holds else 1


def _status(args: argparse.Namespace) -> int:
    from gridcore.genesis import BLOCK_TIME
    from ledger.client import run_with_client

    status = run_with_client(args.url, lambda client: client.status(), timeout_s=10.0, authority=args.authority)
    result = {
        "chain": status.chain,
        "height": status.height,
        "header_digest": status.header_digest.hex(),
        "state_root": status.state_root.hex(),
        "ledger_time_s": status.ledger_time_s,
        "simulated": status.simulated,
        "version": status.version,
        "disputed_by": status.disputed_by,
    }
    kind = "block time" if status.clock == BLOCK_TIME else status.clock.upper()
    text = f"{args.url}: chain {status.chain}, height {status.height}, ledger time {status.ledger_time_s} ({kind})"
    if status.disputed_by:
        text += f"\nALARM: {status.disputed_by} gateways hold receipts of another history: see the node's log"
    print_result(args, result, text)
    return 1 if status.disputed_by else 0


def _archive(args: argparse.Namespace) -> int:
    from ledger.store.archive import archive_blocks

    added = archive_blocks(args.data, args.out)
    blocks = max(0, added.last - added.first + 1)
    result = {"archive": str(args.out), "blocks": blocks, "height": added.last, "added_bytes": added.added_bytes}
    print_result(args, result, f"{args.out}: {blocks} blocks added ({added.added_bytes} bytes), height {added.last}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from ledger.store.archive import Archive
    from ledger.store.standby import restore
    from settlement.catalogue import CONTRACTS, pins

    archive = Archive(args.archive)

    def show(height: int) -> None:
        if height % 100 == 0:
            print_progress(f"block {height} of {archive.height}")

    before, height = restore(archive, args.data, CONTRACTS, pins=pins(), progress=show)
    print_progress("")
    result = {"data": str(args.data), "blocks": height - before, "height": height}
    print_result(
        args,
        result,
        f"{args.data}: {height - before} blocks replayed and compared with their certificates, height {height}",
    )
    return 0


def _renew_guard(args: argparse.Namespace) -> int:
    from ledger.store.check import renew_guard
    from settlement.catalogue import CONTRACTS, pins

    report = renew_guard(args.data, CONTRACTS, pins=pins(), guard=args.guard)
    result = {"height": report.height, "header_digest": report.digest.hex(), "transactions": report.transactions}
    print_result(
        args, result, f"{args.data}: guard written anew at height {report.height}, header {report.digest.hex()}"
    )
    return 0
