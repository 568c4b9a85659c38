"""``gridledger registry``: show what is registered, with its history, and register what a file says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridcore.codes import Code
from gridcore.errors import UsageError, excerpt
from gridcore.forms import NAME
from gridcore.registry.installation import NUMBER_MAX, REGISTER_WH_MAX
from gridledger.commands import add_acting_arguments, add_actions, instant, print_result, whole_or_none

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from gridledger.registering.submission import Registered
    from ledger.client import Answer, Client

_PENDING = "pending"
MOVED = ("party", "supplier", "offtaker", "balance_responsible_import", "balance_responsible_export")
"""Fields of a point that a move may change."""
EXAMPLE = (
    "gridledger registry submit new-home.toml --url http://127.0.0.1:7070 --signer admin --key file:keys/admin.pem "
    "--password file:keys/admin.password"
)

MOVE_EXAMPLE = (
    "gridledger registry move 1 --at 2027-03-01T10:07:00+08:00 --registers 1600,0 --number 31 --point P-1-home-2 --party home-2 "
    "--url http://127.0.0.1:7070 --signer admin --key file:keys/admin.pem --password file:keys/admin.password"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``show``, ``submit``, ``move`` and ``approve``."""
    actions = add_actions(parser)
    show = actions.add_parser("show", help="one entity with its history, or the names of all of a kind")
    show.add_argument("entity", metavar="KIND[/NAME]", help="such as point, point/P-1, pending")
    submit = actions.add_parser("submit", help="register the rows of a file; what stands already is left alone")
    submit.add_argument("file", type=Path, metavar="FILE", help="rows as .toml or .csv (docs/registry.md)")
    submit.add_argument("--check", action="store_true", help="only ask the node what it would say")
    submit.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="NAME",
        help="an account of your own that tariffs of the file charge to (docs/tariffs.md); may be given several times",
    )
    move = actions.add_parser(
        "move", help="another household or supplier inside a slot, from the register on that the meter showed then"
    )
    _declare_move(move)
    approve = actions.add_parser("approve", help="agree to rows that another organisation has submitted")
    approve.add_argument("transaction", metavar="ID", help="of the transaction, 64 hex digits; show pending lists them")
    for action in (show, submit, move, approve):
        add_acting_arguments(action, "who asks: an administrator to submit")


def run(args: argparse.Namespace) -> int:
    """Show, submit, move or approve."""
    return {"show": _show, "submit": _submit, "move": _move, "approve": _approve}[args.action](args)


def _declare_move(move: argparse.ArgumentParser) -> None:
    move.epilog = f"example:\n  {MOVE_EXAMPLE}"
    move.add_argument("installation", type=_number, metavar="NUMBER", help="the meter's installation until then")
    move.add_argument(
        "--at",
        type=instant,
        required=True,
        metavar="TIME",
        help="when it was read, with its offset: 2026-07-01T00:07:00+08:00",
    )
    move.add_argument(
        "--registers",
        type=_registers,
        required=True,
        metavar="WH,WH",
        help="import and export that it showed, as it shows them",
    )
    move.add_argument(
        "--number", type=_number, required=True, metavar="NUMBER", help="its installation from then on, a new one"
    )
    move.add_argument("--point", required=True, metavar="NAME", help="its point from then on, a new one")
    for field in MOVED:
        option = "--" + field.replace("_", "-")
        move.add_argument(option, metavar="NAME", help=f"{field.replace('_', ' ')} of that point (as before)")
    move.add_argument(
        "--trades-on", action="store_true", help="who leaves has other points, and goes on placing orders"
    )
    move.add_argument("--check", action="store_true", help="only ask the node what it would say")


def _number(text: str) -> int:
    number = whole_or_none(text, 0, NUMBER_MAX)
    if number is None:
        raise argparse.ArgumentTypeError(f"{excerpt(text)}: the number of an installation, 0 to {NUMBER_MAX}")
    return number


def _registers(text: str) -> tuple[int, int]:
    first, _, second = text.partition(",")
    import_wh, export_wh = (whole_or_none(part, 0, REGISTER_WH_MAX) for part in (first, second))
    if import_wh is None or export_wh is None:
        words = f"import and export in whole Wh, 0 to {REGISTER_WH_MAX}, as 1600,0"
        raise argparse.ArgumentTypeError(f"{excerpt(text)}: {words}")
    return import_wh, export_wh


def _show(args: argparse.Namespace) -> int:
    from gridcore.registry.entities import ENTITIES

    kind, _, name = args.entity.partition("/")
    if kind not in ENTITIES and args.entity != _PENDING:
        raise UsageError(
            f"{args.entity}: the kind is one of {', '.join(ENTITIES)}; '{_PENDING}' lists what waits for approval"
        )

    async def ask(client: Client) -> Any:
        return await client.query(f"registry/{kind}/{name}" if name else f"registry/{kind}")

    found = _with_client(args, ask)
    print_result(args, found, "\n".join(_lines(found)))
    return 0


def _lines(found: Mapping[str, Any]) -> Sequence[str]:
    """An entity entry by entry, names one a line, or what waits."""
    if _PENDING in found:
        waiting = [f"{one['transaction']}: {len(one['rows'])} rows of {one['organisation']}" for one in found[_PENDING]]
        return waiting or ["nothing waits for approval"]
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
        return await register(client, args.signer, _signer(args), rows, is_dry=args.check, accounts=args.account)

    done = _with_client(args, submit)
    result = {
        "file": str(args.file),
        "rows": done.rows,
        "standing": done.standing,
        "new": done.new,
        "heights": list(done.heights),
        "refused": done.refused,
        "check": args.check,
        "waiting": list(done.waiting),
    }
    print_result(args, result, done.refused or _said(args, done))
    return 1 if done.refused else 0


def _move(args: argparse.Namespace) -> int:
    from gridcore.registry.point import POINT
    from gridledger.registering.moving import Move, rows_of_move
    from gridledger.registering.submission import register

    changes = {field: getattr(args, field) for field in MOVED if getattr(args, field) is not None}
    for option, name in {"point": args.point, **changes}.items():
        if not NAME.holds(name):
            raise UsageError(f"--{option.replace('_', '-')} {excerpt(name)}: is {NAME.words}")
    move = Move(args.installation, args.at, args.registers, args.number, args.point, changes, args.trades_on)

    async def submit(client: Client) -> Registered:
        rows = await rows_of_move(client, move)
        return await register(client, args.signer, _signer(args), rows, is_dry=args.check)

    done = _with_client(args, submit)
    result = {
        "installation": args.installation,
        "number": args.number,
        "point": args.point,
        "rows": done.rows,
        "heights": list(done.heights),
        "refused": done.refused,
        "check": args.check,
        "waiting": list(done.waiting),
    }
    told = f"{_became(args, done)}; in the agent's file the meter's number {args.installation} becomes {args.number}"
    print_result(args, result, done.refused or f"{POINT.key(args.point)}: {told}")
    return 1 if done.refused else 0


def _said(args: argparse.Namespace, done: Registered) -> str:
    standing = f"{done.standing} stand already" if done.standing else ""
    parts = [f"{done.new} {_became(args, done)}" if done.new else "", standing]
    return f"{args.file}: {done.rows} rows: {', '.join(part for part in parts if part)}"


def _became(args: argparse.Namespace, done: Registered) -> str:
    """What became of the rows that were new."""
    would = "would be registered" if args.check else f"registered in block {', '.join(map(str, done.heights))}"
    if done.waiting:
        would = f"wait for approval: gridledger registry approve {' '.join(done.waiting)}"
    return would


def _approve(args: argparse.Namespace) -> int:
    from gridledger.registering.submission import approve

    try:
        transaction = bytes.fromhex(args.transaction)
    except ValueError:
        raise UsageError(f"{args.transaction}: a transaction id is 64 hex digits") from None

    async def agree(client: Client) -> Answer:
        return await approve(client, args.signer, _signer(args), transaction)

    answer = _with_client(args, agree)
    is_taken = answer.code in (Code.ACCEPTED, Code.EXISTS)
    said = f"approved in block {answer.height}" if is_taken else f"refused: {answer.code} {answer.name}"
    result = {"transaction": args.transaction, "code": answer.code, "name": answer.name, "height": answer.height}
    print_result(args, result, f"{args.transaction}: {said}")
    return 0 if is_taken else 1


def _signer(args: argparse.Namespace) -> Signer:
    from gridcore.signers import open_signer

    return open_signer(args.key, args.password, origin="--key")


def _with_client(args: argparse.Namespace, work: Any) -> Any:
    from ledger.client import run_with_client

    return run_with_client(args.url, work, signer_id=args.signer, signer=_signer(args))
