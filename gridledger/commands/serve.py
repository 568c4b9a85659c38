"""``gridledger serve``: serve the pages, and keep their users."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridledger.commands import print_result

if TYPE_CHECKING:
    from gridledger.serving import ServeConfig

EXAMPLE = "gridledger serve --config web.toml --add-user anna --role utility && gridledger serve --config web.toml"
ROLES = ("utility", "household", "regulator", "administrator")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file (examples/web.toml)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--add-user", metavar="NAME", help="add or change a user instead; asks for the password, or reads it from stdin"
    )
    action.add_argument("--remove-user", metavar="NAME", help="remove a user instead, and sign it out")
    action.add_argument("--list-users", action="store_true", help="list users instead")
    parser.add_argument("--role", choices=ROLES, help="with --add-user")
    parser.add_argument(
        "--party", metavar="P", help="with --add-user and --role household: the pseudonym whose data it sees"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, or change users."""
    from gridcore.config import load_config
    from gridcore.errors import UsageError
    from gridledger.serving import ServeConfig

    if (args.role or args.party) and not args.add_user:
        raise UsageError("gridledger serve: --role and --party go with --add-user")
    config = load_config(args.config, ServeConfig)
    if args.add_user or args.remove_user or args.list_users:
        return _keep_users(args, config)
    return _serve(args, config)


def _serve(args: argparse.Namespace, config: ServeConfig) -> int:
    import asyncio
    import gc
    import signal

    from gridcore.logs import configure_logs, get_logger
    from gridcore.serving.asgi import open_socket
    from gridledger.serving import doubts, open_parts, serve_pages

    if args.log_level is None and "GRIDLEDGER_LOG_LEVEL" not in os.environ:
        configure_logs(json=args.json or not sys.stderr.isatty(), level=config.log_level)
    for event, remedy in doubts(config):
        get_logger(__name__).warning(event, host=config.web.listen.host, remedy=remedy)
    parts = open_parts(config)
    first_steps = _first_steps(args, config)  # before the pages open their database: one connection to a process

    def say_ready(url: str) -> None:
        gc.freeze()  # what a start has made stays: the collector need not walk it while pages are made
        result = {"ready": True, "url": url, "chain": parts.trust.chain, "pid": os.getpid()}
        print_result(args, result, f"pages of chain {parts.trust.chain} at {url}{first_steps}")

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        with open_socket(config.web.listen.host, config.web.listen.port) as bound:
            await serve_pages(parts, bound, stop, ready=say_ready)

    asyncio.run(main())
    return 0


def _first_steps(args: argparse.Namespace, config: ServeConfig) -> str:
    """What to do while nobody can sign in; empty otherwise."""
    from contextlib import closing

    from gridcore.clock import WallClock
    from gridweb.database import open_database
    from gridweb.users import Users

    if config.web.demo:
        return ""
    with closing(open_database(config.web.users)) as database:
        if Users(database, WallClock()).all():
            return ""
    return f"\nno user yet: gridledger serve --config {args.config} --add-user NAME --role administrator"


def _keep_users(args: argparse.Namespace, config: ServeConfig) -> int:
    import sqlite3

    from gridcore.errors import UsageError

    try:
        return _change_users(args, config)
    except sqlite3.OperationalError as error:
        raise UsageError(f"{config.web.users}: cannot be written ({error}); check the disk") from None


def _change_users(args: argparse.Namespace, config: ServeConfig) -> int:
    from contextlib import closing

    from gridcore.clock import WallClock
    from gridweb.access import Role
    from gridweb.database import open_database
    from gridweb.users import Users

    if args.add_user:
        _check_new_user(args, config)
    with closing(open_database(config.web.users)) as database:
        users = Users(database, WallClock())
        if args.list_users:
            found = [{"name": user.name, "role": user.role.value, "party": user.party} for user in users.all()]
            lines = [" ".join(str(value) for value in user.values() if value) for user in found]
            print_result(args, {"users": found}, "\n".join(lines) or "no user yet")
        elif args.remove_user:
            users.remove(args.remove_user)
            print_result(args, {"removed": args.remove_user}, f"{args.remove_user}: removed and signed out")
        else:
            role = Role(args.role)
            is_new = users.save(args.add_user, role, args.party, _read_password(args.add_user))
            words = "added" if is_new else "changed, and signed out"
            print_result(args, {"user": args.add_user, "new": is_new}, f"{args.add_user}: {words}, role {role.value}")
    return 0


def _check_new_user(args: argparse.Namespace, config: ServeConfig) -> None:
    """UsageError when there can be no such user; then nothing was written, the file of users neither."""
    from gridcore.errors import UsageError
    from gridweb.access import Role
    from gridweb.users import check_user

    if args.role is None:
        raise UsageError(f"gridledger serve: --add-user needs --role, one of {', '.join(ROLES)}")
    check_user(args.add_user, Role(args.role), args.party)
    if args.party is not None:
        _check_party(config, args.party)


def _check_party(config: ServeConfig, party: str) -> None:
    """UsageError when the ledger knows no such party; while the node cannot be asked that is said, and the user is made all the same."""
    import asyncio

    from gridcore.errors import UsageError
    from gridledger.serving import knows_party, open_parts
    from ledger.client import NodeRefused, NodeUnreachable

    try:
        is_known = asyncio.run(knows_party(open_parts(config), party))
    except (NodeUnreachable, NodeRefused, UsageError) as error:
        print(f"whether the ledger knows party {party} could not be asked: {error}", file=sys.stderr)
        return
    if not is_known:
        raise UsageError(f"--party {party}: the ledger of {config.node} has no party of this name; nothing was changed")


def _read_password(name: str) -> str:
    """The password, asked for twice on a terminal, else the first line of standard input."""
    from gridcore.errors import UsageError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    password = getpass(f"password for {name}: ")
    if getpass("once more: ") != password:
        raise UsageError("the two passwords differ; nothing was changed")
    return password
