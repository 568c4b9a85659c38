"""``gridledger payment``: record what was paid for a point, or given up, and list what was; signed with a key that stays here."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.codes import Code
from gridcore.errors import excerpt
from gridcore.sm3 import sm3
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridcore.transactions.payment import GROUNDS, Payment
from gridledger.commands import Actions, add_acting_arguments, add_actions, print_progress, print_result

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from gridledger.paying.rows import RowFault
    from ledger.client import Answer, Client

EXAMPLE = (
    "gridledger payment record --url http://127.0.0.1:7070 --signer utility --key file:keys/utility.pem --password file:keys/utility.password "
    "--point P-H001 --party H001 --amount 50.00 --ground received --reference 'bank 2026-07-01 line 17'"
)
FAULTS_SHOWN_MAX: Final = 50
"""Lines about rows of a file; how many more there are is said below them."""
WHY_REFUSED: Final[Mapping[int, str]] = {
    Code.NOT_PERMITTED: "a utility of the party's organisation records its payments",
    Code.NEVER_BILLED: "the point was never billed to the party",
    Code.PAID_ALREADY: "a payment of this ground and reference is recorded for the point",
    Code.TOO_MANY_PAYMENTS: "the point has 16 payments today: join some, or wait for tomorrow",
}
"""What a refusal means here, by code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    record = _action(actions, "record", "record a payment for a point, or a debt that is given up")
    record.add_argument("--point", required=True, metavar="ID", help="what it is paid for")
    record.add_argument(
        "--amount", required=True, type=_amount_nano, metavar="N", help="in the currency, such as 50.00"
    )
    record.add_argument("--ground", required=True, choices=[*GROUNDS], help="what happened")
    record.add_argument(
        "--reference",
        required=True,
        type=_reference,
        metavar="TEXT",
        help="names the movement; its SM3 goes to the ledger",
    )
    importing = _action(actions, "import", "record the movements of a bank's file, each once (docs/payments.md)")
    importing.add_argument(
        "--movements", type=Path, required=True, metavar="FILE", help="CSV: date, reference, point, party, amount"
    )
    importing.add_argument("--check", action="store_true", help="only say what would be recorded and what is wrong")
    listing = _action(actions, "list", "list the newest payments of a party")
    for action in (record, listing):
        action.add_argument("--party", required=True, metavar="ID", help="whose payment it is")


def _action(actions: Actions, name: str, words: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=words)
    add_acting_arguments(action, "who acts")
    return action


def run(args: argparse.Namespace) -> int:
    """Sign and submit one, or list."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    signer = open_signer(args.key, args.password, origin="--key")
    if args.action == "import":
        return _import(args, signer)
    if args.action == "list":

        async def fetch(client: Client) -> Any:
            return await client.query("payments", party=args.party)

        return _list(args, run_with_client(args.url, fetch, signer_id=args.signer, signer=signer))

    async def act(client: Client) -> Answer:
        return await _submit(args, signer, client)

    answer = run_with_client(args.url, act)
    is_taken = answer.code in (Code.ACCEPTED, Code.EXISTS)
    result = {"id": answer.id.hex(), "code": answer.code, "name": answer.name, "height": answer.height}
    text = f"{args.ground} {_shown(args.amount)} for {args.point} of {args.party}: stands in block {answer.height}"
    if not is_taken:
        text = _why(answer)
    print_result(args, {**result, "reference": sm3(args.reference.encode()).hex()}, text)
    return 0 if is_taken else 1


async def _submit(args: argparse.Namespace, signer: Signer, client: Client) -> Answer:
    from gridledger.paying.recording import VALID_S

    status = await client.status()
    content = Payment(
        client_id=secrets.token_bytes(CLIENT_ID_BYTES),
        valid_until_s=status.ledger_time_s + VALID_S,
        amount_nano=args.amount,
        ground=args.ground,
        party=args.party,
        point=args.point,
        reference=sm3(args.reference.encode()),
    )
    signed = sign_content(content, chain=status.chain, signer=args.signer, sign=signer.sign)
    (answer,) = await client.submit([signed.wire])
    return answer


def _import(args: argparse.Namespace, signer: Signer) -> int:
    """Read and check the whole file, then record what is open; 2 where a row is wrong and nothing was sent, 1 where the ledger refused some."""
    from gridledger.paying.recording import Checked, Sent, check, is_recorded, send
    from gridledger.paying.rows import RowFault, read_bank_file
    from ledger.client import run_with_client

    async def act(client: Client) -> tuple[Checked, list[Sent]]:
        status = await client.status()
        file = read_bank_file(args.movements, status.ledger_time_s)
        checked = await check(client, args.signer, file.movements, print_progress)
        faults = sorted([*file.faults, *checked.faults])
        checked = checked._replace(faults=faults)
        is_sent = not faults and not args.check and checked.open
        return checked, await send(client, args.signer, signer, checked.open) if is_sent else []

    checked, sent = run_with_client(args.url, act, signer_id=args.signer, signer=signer)
    print_progress("")
    refused = [one for one in sent if not is_recorded(one.answer)]
    recorded = [one for one in sent if is_recorded(one.answer)]
    why = [RowFault(one.movement.number, _why(one.answer)) for one in refused]
    _say_faults(args.movements.name, checked.faults or why)
    answer = {
        "open": len(checked.open),
        "known": len(checked.known),
        "recorded": len(recorded),
        "refused": [{"row": one.movement.number, "code": one.answer.code, "name": one.answer.name} for one in refused],
        "faults": [{"row": number, "what": words} for number, words in checked.faults],
        "amount_nano": sum(GROUNDS[one.movement.ground].sign * one.movement.amount_nano for one in recorded),
    }
    text = (
        f"{len(checked.open)} movements to record, {len(checked.known)} recorded before, {len(checked.faults)} rows at fault"
        if checked.faults or args.check
        else f"{len(recorded)} movements recorded, {len(checked.known)} recorded before, {len(refused)} refused"
    )
    print_result(args, answer, f"{text}{'; nothing was sent' if checked.faults else ''}")
    return 2 if checked.faults else 1 if refused else 0


def _why(answer: Answer) -> str:
    """A refusal in words."""
    return f"refused, {answer.code} {answer.name}: {WHY_REFUSED.get(answer.code, 'see docs/spec/envelope.md')}"


def _say_faults(name: str, faults: Sequence[RowFault]) -> None:
    """A line for each row, the first ones of many."""
    lines = [f"{name}, row {number}: {words}" for number, words in faults[:FAULTS_SHOWN_MAX]]
    more = len(faults) - FAULTS_SHOWN_MAX
    for line in [*lines, *([f"{name}: and {more} more rows"] if more > 0 else [])]:
        print(line, file=sys.stderr, flush=True)


def _list(args: argparse.Namespace, answer: Mapping[str, Any]) -> int:
    lines = [_line(paid) for paid in answer["payments"]]
    print_result(args, {"party": args.party, "payments": answer["payments"]}, "\n".join(lines) or "no payments")
    return 0


def _line(paid: Mapping[str, Any]) -> str:
    when = datetime.fromtimestamp(paid["time_s"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{when}  {paid['ground']:<11} {_shown(paid['amount_nano']):>14}  {paid['point']}  block {paid['height']}"


def _shown(nano: int) -> str:
    """An amount with all its places, at least two."""
    units, rest = divmod(nano, 10**9)
    return f"{units}.{f'{rest:09}'[:2]}{f'{rest:09}'[2:].rstrip('0')}"


def _amount_nano(text: str) -> int:
    """An amount of the currency in nano."""
    from gridledger.paying.rows import AMOUNT_RIGHT, nano_of

    nano = nano_of(text)
    if nano is None:
        right = f"give an amount {AMOUNT_RIGHT}"
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no amount; {right}; --ground says the direction")
    return nano


def _reference(text: str) -> str:
    from gridledger.paying.rows import REFERENCE_CHARACTERS_MAX

    if not 1 <= len(text) <= REFERENCE_CHARACTERS_MAX or not text.isprintable():
        words = f"give 1 to {REFERENCE_CHARACTERS_MAX} characters that name the movement, such as a bank's line"
        raise argparse.ArgumentTypeError(f"{excerpt(text)}: {words}")
    return text
