"""``gridledger consortium``: found a chain of several organisations, run and watch its nodes, decide together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.commands import add_actions, print_result, whole_number
from gridledger.consortium import voting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridledger.consortium.fleet import Asked
    from gridledger.founding.consortium import Consortium
    from gridledger.founding.consortium_config import ConsortiumConfig

EXAMPLE = "gridledger consortium init --organisations 4 --out consortium && gridledger consortium up consortium"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions; each says what runs it."""
    actions = add_actions(parser)
    init = actions.add_parser("init", help="a folder for each organisation, all on this machine: for trying out")
    init.add_argument("--example", action="store_true", help="print a founding file, commented, and do nothing else")
    init.add_argument("--organisations", type=whole_number(1, 64), metavar="N", help="how many (4); not with --config")
    init.add_argument("--config", type=Path, metavar="FILE", help="the founding file (default: the example's chain)")
    init.add_argument("--out", type=Path, metavar="DIR", help="a new or an empty folder")
    request = actions.add_parser("request", help="make an organisation's keys, and its signed request")
    request.add_argument("--config", type=Path, required=True, metavar="FILE", help="the founding file of all members")
    request.add_argument("--name", required=True, metavar="MEMBER", help="the organisation, as the file names it")
    request.add_argument("--out", type=Path, required=True, metavar="DIR", help="its folder, new or empty")
    found = actions.add_parser("found", help="genesis out of all requests, into an organisation's own folder")
    found.description = "Every organisation does it with the same file and requests, and all compare the chain id."
    found.add_argument("requests", type=Path, nargs="+", metavar="REQUEST", help="one of each member")
    found.add_argument("--config", type=Path, required=True, metavar="FILE", help="the founding file of all members")
    found.add_argument("--own", type=Path, required=True, metavar="DIR", help="the folder that request made")
    join = actions.add_parser(
        "join", help="a folder for a chain that runs already, with another member among the peers"
    )
    join.description = "The new member does it, and every other one with its own folder while its node is stopped; then it starts it again."
    join.add_argument("requests", type=Path, nargs="+", metavar="REQUEST", help="one of each member, the new one's too")
    join.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the founding file with the new member"
    )
    join.add_argument("--genesis", type=Path, required=True, metavar="FILE", help="genesis.cbor of the chain")
    join.add_argument("--own", type=Path, required=True, metavar="DIR", help="the folder that request made")
    up = actions.add_parser("up", help="run every node of a folder on this machine until Ctrl-C or SIGTERM")
    up.add_argument("folder", type=Path, metavar="DIR", help="made by init")
    again = actions.add_parser("rejoin", help="have a node without blocks begin with a snapshot of the others")
    again.description = (
        "For a validator whose disk was lost: make its data directory (node init), then this, then node run."
    )
    again.add_argument("--config", type=Path, required=True, metavar="FILE", help="the node's configuration")
    again.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="URL",
        help="RPC address of another member's engine; at least two",
    )
    _add_recover(
        actions.add_parser("recover", help="a founding file for those who are left where too many validators are lost")
    )
    status = actions.add_parser("status", help="heights, certified heights, who is behind or away")
    status.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="the nodes of this folder, or")
    status.add_argument("--url", action="append", default=[], metavar="URL", help="a node; may be given again")
    runs = {init: _init, request: _request, found: _found, join: _join, up: _up, status: _status, again: _rejoin}
    for action, run_it in runs.items():
        action.set_defaults(run=run_it)
    voting.declare(actions)


def _add_recover(recover: argparse.ArgumentParser) -> None:
    recover.description = (
        "Compare what the nodes that are left have certified, and begin a new chain there (docs/operating/emergency-recovery.md). "
        "Nothing is decided: the file is for people to read, and to found the new chain with."
    )
    recover.add_argument("--config", type=Path, required=True, metavar="FILE", help="the old chain's founding file")
    recover.add_argument("--trust", type=Path, required=True, metavar="FILE", help="the old chain's trust file")
    recover.add_argument("--lost", action="append", required=True, metavar="MEMBER", help="who does not come back")
    recover.add_argument(
        "--url", action="append", required=True, metavar="URL", help="a node that is left, yours first"
    )
    recover.add_argument("--signer", required=True, metavar="ID", help="who asks, an administrator")
    recover.add_argument("--key", required=True, metavar="URI", help="that signer's key, file:KEYSTORE")
    recover.add_argument("--password", required=True, metavar="URI", help="of the key: file:PATH or env:NAME")
    recover.add_argument("--out", type=Path, required=True, metavar="FILE", help="the founding file of the new chain")
    recover.add_argument("--check", action="store_true", help="say what would be written, and write nothing")
    recover.set_defaults(run=_recover)


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 when ``status`` finds a node that is not ready, or a proposal or vote is refused."""
    status: int = args.run(args)
    return status


def _load(path: Path) -> ConsortiumConfig:
    from gridcore.config import load_config
    from gridledger.founding.consortium_config import ConsortiumConfig

    return load_config(path, ConsortiumConfig)


def _init(args: argparse.Namespace) -> int:
    from gridcore.clock import WallClock
    from gridcore.errors import UsageError
    from gridledger.founding.consortium import found_everywhere
    from gridledger.founding.consortium_config import example_text, to_text, usual_config
    from gridledger.founding.folder import take_folder, write_new

    if args.example:
        print_result(args, {"example": example_text()}, example_text().rstrip("\n"))
        return 0
    if args.out is None:
        raise UsageError("gridledger consortium init: give --out, the folder for what is written")
    if args.config is not None and args.organisations is not None:
        raise UsageError("gridledger consortium init: --config says how many organisations; leave --organisations out")
    config = _load(args.config) if args.config is not None else usual_config(args.organisations or 4)
    out = take_folder(args.out, "gridledger consortium init: --out")
    write_new(out / "consortium.toml", to_text(config))
    consortium = found_everywhere(config, out, WallClock().now_s())
    members = [member.name for member in config.members]
    text = (
        f"{out}: chain {consortium.genesis.chain} of {', '.join(members)}; run it with: gridledger consortium up {out}"
    )
    print_result(args, {**_founded_json(consortium), "out": str(out), "members": members}, text)
    return 0


def _request(args: argparse.Namespace) -> int:
    from gridcore.clock import WallClock
    from gridledger.founding.request import make_request

    path, request = make_request(_load(args.config), args.name, args.out, WallClock().now_s())
    result = {"request": str(path), "fingerprint": request.fingerprint, "node_id": request.node_id}
    print_result(args, result, f"{path}: give it to all members; its fingerprint is {request.fingerprint}")
    return 0


def _rejoin(args: argparse.Namespace) -> int:
    from gridcore.config import load_config
    from gridledger.consortium.rejoining import prepare_rejoin
    from ledger.config import NodeConfig

    source = prepare_rejoin(load_config(args.config, NodeConfig), args.member)
    text = f"{args.config}: its next start begins with a snapshot; trusted block {source.height} {source.hash}"
    print_result(args, {"trusted_height": source.height, "trusted_hash": source.hash}, text)
    return 0


def _recover(args: argparse.Namespace) -> int:
    import asyncio
    from contextlib import AsyncExitStack

    from gridcore.errors import UsageError
    from gridcore.signers import open_signer
    from gridledger.consortium.recovering import Recovery, recover
    from gridledger.founding.consortium_config import to_text
    from gridledger.founding.folder import write_new
    from ledger.client import Client

    signer = open_signer(args.key, args.password)

    async def ask() -> Recovery:
        async with AsyncExitStack() as stack:
            nodes = [Client(url, signer_id=args.signer, signer=signer) for url in dict.fromkeys(args.url)]
            for node in nodes:
                await stack.enter_async_context(node)
            return await recover(_load(args.config), args.lost, args.trust, nodes)

    made = asyncio.run(ask())
    if not args.check:
        try:
            write_new(args.out, to_text(made.config))
        except OSError as error:
            raise UsageError(f"--out {args.out}: cannot be written ({error.strerror}); name a new file") from None
    ended, first_slot_s = made.ended, made.config.timeline.first_slot_start_s
    members = [member.name for member in made.config.members]
    lines = [
        f"{args.out}: {'would be' if args.check else 'is'} the founding file of {', '.join(members)}; first slot {first_slot_s}",
        f"  chain {ended.chain} ends with block {ended.height}, header {ended.digest.hex()}: every member must see the same",
        *(
            f"  BY HAND: {meter}: the old chain has no register where the new one begins; put them in"
            for meter in made.by_hand
        ),
    ]
    result = {
        "chain": ended.chain,
        "height": ended.height,
        "header_digest": ended.digest.hex(),
        "members": members,
        "first_slot_start_s": first_slot_s,
        "by_hand": list(made.by_hand),
        "written": not args.check,
    }
    print_result(args, result, "\n".join(lines))
    return 0


def _found(args: argparse.Namespace) -> int:
    from gridledger.founding.consortium import found_consortium, own_name, take_over

    consortium = found_consortium(_load(args.config), args.requests)
    name = own_name(consortium, args.own)
    take_over(consortium, name, args.own)
    fingerprints = {request.name: request.fingerprint for request in consortium.requests}
    lines = [f"{args.own}: chain {consortium.genesis.chain}; every member must see the same chain id"]
    lines += [f"  {member}: {fingerprint}" for member, fingerprint in fingerprints.items()]
    print_result(args, {**_founded_json(consortium), "name": name, "fingerprints": fingerprints}, "\n".join(lines))
    return 0


def _join(args: argparse.Namespace) -> int:
    from gridledger.founding.joining import join

    genesis, name, proposals = join(_load(args.config), args.genesis, args.requests, args.own)
    lines = [f"{args.own}: {name} on chain {genesis.chain}; start its node (again)"]
    lines += [f"  to be proposed by a member: {path}" for path in proposals]
    result = {"chain": genesis.chain, "name": name, "proposals": [str(path) for path in proposals]}
    print_result(args, result, "\n".join(lines))
    return 0


def _founded_json(consortium: Consortium) -> dict[str, object]:
    return {
        "chain": consortium.genesis.chain,
        "genesis": consortium.genesis.digest.hex(),
        "first_slot_start_s": consortium.first_slot_start_s,
    }


def _up(args: argparse.Namespace) -> int:
    import asyncio

    from gridledger.consortium.fleet import places_in, run_all

    def say_ready(asked: Sequence[Asked]) -> None:
        nodes = {one.name: one.url for one in asked}
        lines = [f"{name}: {url}" for name, url in nodes.items()]
        print_result(args, {"ready": True, "nodes": nodes}, "\n".join([*lines, "Ctrl-C ends them"]))

    asyncio.run(run_all(places_in(args.folder), say_ready))
    return 0


def _status(args: argparse.Namespace) -> int:
    import asyncio

    from gridcore.errors import UsageError
    from gridledger.consortium.fleet import alarms_of, ask_all, places_in

    if (args.folder is None) == (not args.url):
        raise UsageError("gridledger consortium status: name a folder, or nodes by --url")
    nodes = [(url, url) for url in args.url]
    if args.folder is not None:
        nodes = [(place.name, place.url) for place in places_in(args.folder)]
    asked = asyncio.run(ask_all(nodes))
    highest = max((one.status.height for one in asked if one.status is not None), default=0)
    alarms = alarms_of(asked)
    lines = [_node_line(one, highest) for one in asked] + [f"ALARM: {alarm}" for alarm in alarms]
    result = {"height": highest, "nodes": [_node_json(one) for one in asked], "alarms": alarms}
    print_result(args, result, "\n".join(lines))
    return 0 if not alarms and all(one.is_ready for one in asked) else 1


def _node_json(asked: Asked) -> dict[str, object]:
    result: dict[str, object] = {"name": asked.name, "url": asked.url, "ready": asked.is_ready, "reason": asked.reason}
    status = asked.status
    if status is None:
        return result
    return {
        **result,
        "chain": status.chain,
        "height": status.height,
        "certified_height": status.certified_height,
        "certificate_power": status.certificate_power,
        "signers_power": status.signers_power,
        "header_digest": status.header_digest.hex(),
        "state_root": status.state_root.hex(),
    }


def _node_line(asked: Asked, highest: int) -> str:
    status = asked.status
    if status is None:
        return f"{asked.name}: away: {asked.reason}"
    behind = highest - status.height
    words = [
        f"height {status.height}" + (f" ({behind} behind)" if behind else ""),
        f"certified {status.certified_height} by {status.certificate_power} of {status.signers_power} power",
        "ready" if asked.is_ready else f"NOT READY: {asked.reason}",
    ]
    return f"{asked.name}: {', '.join(words)}"
