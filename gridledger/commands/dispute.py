"""``gridledger dispute``: contest a bill line, answer for it, decide and withdraw; signed with a key that stays here."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.codes import Code
from gridcore.errors import UsageError, excerpt
from gridcore.forms import TIME_S_MAX
from gridcore.sm3 import sm3
from gridcore.transactions.content import CLIENT_ID_BYTES, Content, sign_content
from gridcore.transactions.dispute_document import LINE, MONTH, DisputeDocument, stated_nano
from gridcore.transactions.dispute_open import GROUNDS, DisputeOpen
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeStep, DisputeWithdrawal
from gridledger.commands import Actions, add_acting_arguments, add_actions, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from ledger.client import Answer, Client

EXAMPLE = (
    "gridledger dispute open --url http://127.0.0.1:7070 --signer H001 --key file:keys/H001.pem --password file:keys/H001.password "
    "--point P-H001 --slot 1781971200 --ground reading --statement letter.txt"
)
VALID_S: Final = 3600
STATEMENT_BYTES_MAX: Final = 1024 * 1024
_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)
STEPS: Final[Mapping[str, type[DisputeStep]]] = {
    "answer": DisputeAnswer,
    "decide": DisputeDecision,
    "withdraw": DisputeWithdrawal,
}
WHY_REFUSED: Final[Mapping[int, str]] = {
    Code.NOT_PERMITTED: "a party contests and withdraws its own, a utility of its organisation answers, a regulator decides",
    Code.NOTHING_TO_DISPUTE: "no such dispute; or the point was not billed to the party, or the slot has no such last run; or its tariffs have no such component, or the month has not begun; or all of it is final",
    Code.DISPUTED_ALREADY: "an open dispute of the party is of this point and slot, or of this line of the month",
    Code.TOO_MANY_DISPUTES: "16 disputes of the party are open, or it has opened 64 today: wait until one is over, or for tomorrow",
    Code.DISPUTE_CLOSED: "it is over, or was answered already",
    Code.NOT_ANSWERED_YET: "its organisation still has time to answer",
    Code.NOT_A_SLOT: "no slot begins then",
}
"""What a refusal means here, by code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    _declare_opening(_action(actions, "open", "contest what a point pays for a slot, or a line of a month's documents"))
    for name, kind in STEPS.items():
        step = _action(actions, name, (kind.__doc__ or "").splitlines()[0].rstrip(".").lower())
        step.add_argument("dispute", metavar="ID", help="the dispute: 64 hex digits")
        if len(kind.outcomes) > 1:
            step.add_argument("--outcome", required=True, choices=kind.outcomes)
    listing = _action(actions, "list", "list disputes, a party its own", states=False)
    listing.add_argument("--open", action="store_true", help="only those that are not over")


def _declare_opening(opening: argparse.ArgumentParser) -> None:
    opening.add_argument("--ground", required=True, choices=GROUNDS, help="what is wrong")
    opening.add_argument("--line", default="", metavar="KIND", help="the line that is contested (all of them)")
    slot = opening.add_argument_group("of a slot")
    slot.add_argument("--point", metavar="ID", help="one of the party's points")
    slot.add_argument("--slot", type=whole_number(0, TIME_S_MAX), metavar="S", help="slot start, UTC seconds")
    slot.add_argument("--run", dest="run_name", metavar="NAME", help="the slot's last run (initial)")
    month = opening.add_argument_group("of a month's documents")
    month.add_argument("--month", metavar="YYYY-MM", help="by the party's local clock")
    month.add_argument("--tax", action="store_true", help="the tax, in place of a line")
    month.add_argument(
        "--amount",
        type=_amount_nano,
        metavar="N",
        help="what it comes to in the documents, as 58.20 (what the node says)",
    )


def _amount_nano(text: str) -> int:
    """An amount of the currency, of either sign, in nano."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{excerpt(text)} is no amount: at most 9 digits and 9 places, as 58.20 or -3.5"
        )
    nano = int(found[2]) * 10**9 + int((found[3] or "").ljust(9, "0"))
    return -nano if found[1] else nano


def _action(actions: Actions, name: str, words: str, *, states: bool = True) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=words)
    add_acting_arguments(action, "who acts")
    if states:
        action.add_argument(
            "--statement",
            required=True,
            type=Path,
            metavar="FILE",
            help="the reasons; only their SM3 goes to the ledger: keep the file",
        )
    return action


def run(args: argparse.Namespace) -> int:
    """Sign and submit one of them, or list."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    signer = open_signer(args.key, args.password, origin="--key")
    if args.action == "list":
        return _list(args, run_with_client(args.url, _fetch, signer_id=args.signer, signer=signer))
    statement = _statement(args.statement)
    if args.action == "open":
        _check_opening(args)

    async def act(client: Client) -> Answer:
        return await _submit(args, statement, signer, client)

    answer = run_with_client(args.url, act, signer_id=args.signer, signer=signer)
    is_taken = answer.code in (Code.ACCEPTED, Code.EXISTS)
    result = {"id": answer.id.hex(), "code": answer.code, "name": answer.name, "height": answer.height}
    dispute = answer.id.hex() if args.action == "open" else args.dispute
    text = f"dispute {dispute}: {args.action} stands in block {answer.height}"
    if not is_taken:
        text = f"{args.action}: refused, {answer.code} {answer.name}: {WHY_REFUSED.get(answer.code, 'see docs/spec/envelope.md')}"
    print_result(args, {**result, "statement": statement.hex()}, text)
    return 0 if is_taken else 1


def _statement(path: Path) -> bytes:
    """SM3 of a file of reasons. UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(STATEMENT_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"--statement {path}: {error.strerror}") from None
    if not 0 < len(data) <= STATEMENT_BYTES_MAX:
        raise UsageError(f"--statement {path}: 1 to {STATEMENT_BYTES_MAX} bytes of reasons")
    return sm3(data)


def _dispute_id(text: str) -> bytes:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise UsageError(f"{excerpt(text)}: a dispute's id has 64 hex digits; list them: gridledger dispute list")
    return bytes.fromhex(text)


def _check_opening(args: argparse.Namespace) -> None:
    """UsageError unless a slot of a point or a month is named, and what is said of it belongs to it."""
    of_slot = {"--point": args.point, "--slot": args.slot, "--run": args.run_name}
    if args.month is None:
        if missing := next((name for name in ("--point", "--slot") if of_slot[name] is None), None):
            raise UsageError(f"{missing} is missing: name --point and --slot, or --month for a line of its documents")
        if foreign := "--tax" if args.tax else "--amount" if args.amount is not None else "":
            raise UsageError(f"{foreign} is of a month's documents: name --month in place of --slot")
        return
    if foreign := next((name for name, value in of_slot.items() if value is not None), ""):
        raise UsageError(f"{foreign} is of a slot: a month's documents are named by --month, and --line or --tax")
    if not MONTH.holds(args.month):
        raise UsageError(f"--month {excerpt(args.month)}: {MONTH.words}")
    if args.tax and args.line:
        raise UsageError("--tax and --line: contest one of them")


async def _opening(args: argparse.Namespace, client: Client, named: Mapping[str, Any]) -> Content:
    """What is signed to open a dispute. UsageError where the documents of the month have no such line."""
    if args.month is None:
        return DisputeOpen(
            ground=args.ground,
            line_kind=args.line,
            point=args.point,
            run=args.run_name or "initial",
            slot_start_s=args.slot,
            **named,
        )
    part = "tax" if args.tax else LINE if args.line else "total"
    amount_nano = args.amount
    if amount_nano is None:
        area = (await client.query("credit", party=args.signer))["area"]
        found = await client.query(f"areas/{area}/months/{args.month}/documents", party=args.signer)
        amount_nano = stated_nano(found["documents"], part, args.line)
        if amount_nano is None:
            kinds = dict.fromkeys(line["line_kind"] for one in found["documents"] for line in one["lines"])
            words = f"they have {', '.join(kinds)}" if kinds else "it has none"
            raise UsageError(f"the documents of {args.month} have no such line; {words}")
    return DisputeDocument(
        amount_nano=amount_nano, ground=args.ground, line_kind=args.line, month=args.month, part=part, **named
    )


async def _submit(args: argparse.Namespace, statement: bytes, signer: Signer, client: Client) -> Answer:
    named: dict[str, Any] = {"client_id": secrets.token_bytes(CLIENT_ID_BYTES), "statement": statement}
    if args.action != "open":
        named["dispute"] = _dispute_id(args.dispute)
    status = await client.status()
    named["valid_until_s"] = status.ledger_time_s + VALID_S
    content: Content
    if args.action == "open":
        content = await _opening(args, client, named)
    else:
        kind = STEPS[args.action]
        content = kind(outcome=args.outcome if len(kind.outcomes) > 1 else kind.outcomes[0], **named)
    signed = sign_content(content, chain=status.chain, signer=args.signer, sign=signer.sign)
    (answer,) = await client.submit([signed.wire])
    return answer


async def _fetch(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: int | None = 0
    while start is not None:
        page = await client.query("disputes", start=start)
        found += page["disputes"]
        start = page["next"]
    return found


def _list(args: argparse.Namespace, disputes: list[dict[str, Any]]) -> int:
    shown = [one for one in disputes if not (args.open and one["is_closed"])]
    lines = [_line(one) for one in shown]
    print_result(args, {"disputes": shown}, "\n".join(lines) or "no disputes")
    return 0


def _line(one: Mapping[str, Any]) -> str:
    until = datetime.fromtimestamp(one["answer_by_s"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    runs = f"; since then {', '.join(one['later_runs'])}" if one["later_runs"] else ""
    of_slot = f"{one['point']} slot {one['slot_start_s']} run {one['run']}"
    of_month = f"{one['month']} {one['line_kind'] or one['part']}"
    what = f"{one['party']} {of_month if one['month'] else of_slot}"
    return f"{one['dispute']}  {one['status']:<9}  {what}, {one['ground']}, {one['amount_nano']} nano frozen, answer by {until}{runs}"
