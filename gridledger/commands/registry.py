"""``gridledger registry``: show what is registered, with its history, and register what a file says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcore.errors import UsageError
from gridledger.commands import print_result

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from gridledger.registering.submission import Registered
    from ledger.client import Client

EXAMPLE = (
    "gridledger registry submit new-home.toml --url http://127.0.0.1:7070 --signer admin --key file:keys/admin.pem "
    "--password file:keys/admin.password"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``show`` and ``submit``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    show = actions.add_parser("show", help="one entity with its history, or the names of all of a kind")
    show.add_argument("entity", metavar="KIND[/NAME]", help="such as point, point/P-1, rules/village")
    submit = actions.add_parser("submit", help="register the rows of a file; what stands already is left alone")
    submit.add_argument("file", type=Path, metavar="FILE", help="rows as .toml or .csv (docs/registry.md)")
    submit.add_argument("--check", action="store_true", help="only ask the node what it would say")
    for action in (show, submit):
        action.add_argument("--url", required=True, metavar="URL", help="a running node, http://HOST:PORT")
        action.add_argument("--signer", required=True, metavar="ID", help="who asks: an administrator to submit")
        action.add_argument("--key", required=True, metavar="URI", help="that signer's key, file:KEYSTORE")
        action.add_argument("--password", required=True, metavar="URI", help="of the key: file:PATH or env:NAME")


def run(args: argparse.Namespace) -> int:
    """Show or submit."""
    return _show(args) if args.action == "show" else _submit(args)


def _show(args: argparse.Namespace) -> int:
    from gridcore.registry.entities import ENTITIES

    kind, _, name = args.entity.partition("/")
    if kind not in ENTITIES:
        raise UsageError(f"{args.entity}: the kind is one of {', '.join(ENTITIES)}")

    async def ask(client: Client) -> Any:
        return await client.query(f"registry/{kind}/{name}" if name else f"registry/{kind}")

    found = _with_client(args, ask)
    print_result(args, found, "\n".join(_lines(found)))
    return 0


def _lines(found: Mapping[str, Any]) -> Sequence[str]:
    """An entity entry by entry, or names one a line."""
    if "names" in found:
        return found["names"] or [f"there is no {found['kind']}"]
    number = next((f", {field} {found[field]}" for field in ("number", "row") if field in found), "")
    lines = [f"{found['kind']}/{found['name']}{number}"]
    for entry in found["entries"]:
        at = datetime.fromtimestamp(entry["from_s"], UTC).isoformat().replace("+00:00", "Z")
        said = ", ".join(f"{field} {item}" for field, item in sorted(entry["value"].items()))
        lines.append(f"  from {at} ({entry['from_s']}), recorded in block {entry['recorded_height']}: {said}")
    return lines


def _submit(args: argparse.Namespace) -> int:
    from gridledger.registering.rows_file import read_rows
    from gridledger.registering.submission import register

    rows = read_rows(args.file)

    async def submit(client: Client) -> Registered:
        return await register(client, args.signer, _signer(args), rows, is_dry=args.check)

    done = _with_client(args, submit)
    result = {
        "file": str(args.file),
        "rows": done.rows,
        "standing": done.standing,
        "new": done.new,
        "heights": list(done.heights),
        "refused": done.refused,
        "check": args.check,
    }
    print_result(args, result, done.refused or _said(args, done))
    return 1 if done.refused else 0


def _said(args: argparse.Namespace, done: Registered) -> str:
    standing = f"{done.standing} stand already" if done.standing else ""
    would = "would be registered" if args.check else f"registered in block {', '.join(map(str, done.heights))}"
    new = f"{done.new} {would}" if done.new else ""
    return f"{args.file}: {done.rows} rows: {', '.join(part for part in (new, standing) if part)}"


def _signer(args: argparse.Namespace) -> Signer:
    from gridcore.signers import open_signer

    return open_signer(args.key, args.password, origin="--key")


def _with_client(args: argparse.Namespace, work: Any) -> Any:
    from ledger.client import run_with_client

    return run_with_client(args.url, work, signer_id=args.signer, signer=_signer(args))
