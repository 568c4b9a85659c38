"""``gridledger consortium propose | vote | proposals | validators``: what organisations decide, signed by keys that stay with their people."""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridledger.commands import Actions, add_acting_arguments, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from gridcore.transactions.content import Content
    from ledger.client import Answer, Client

VALID_S: Final = 3_600
_HOUR_S: Final = 3_600
_WEEK_HOURS: Final = 7 * 24
_HOURS_MAX: Final = 31 * 24


def declare(actions: Actions) -> None:
    """Declare the four among the actions of ``consortium``."""
    propose = actions.add_parser("propose", help="ask the other organisations to decide what a file says")
    propose.add_argument("file", type=Path, metavar="FILE", help="the action as .toml (docs/governance.md)")
    propose.add_argument("--check", action="store_true", help="only ask the node what it would say")
    propose.add_argument(
        "--open-hours",
        type=whole_number(1, _HOURS_MAX),
        default=_WEEK_HOURS,
        metavar="N",
        help=f"how long votes count, 1 to {_HOURS_MAX}, default {_WEEK_HOURS}",
    )
    vote = actions.add_parser("vote", help="give your organisation's vote; it is never changed")
    vote.add_argument("proposal", metavar="ID", help="of the proposal, 64 hex digits; proposals lists them")
    side = vote.add_mutually_exclusive_group(required=True)
    side.add_argument("--in-favour", action="store_true", help="yes")
    side.add_argument("--against", action="store_true", help="no")
    proposals = actions.add_parser("proposals", help="all proposals and how they stand, or one with what it asks for")
    proposals.add_argument("proposal", nargs="?", metavar="ID", help="of one proposal, 64 hex digits")
    validators = actions.add_parser("validators", help="the set that certifies, as a file to change and to propose")
    for action in (propose, vote, proposals, validators):
        action.set_defaults(run=run)
        add_acting_arguments(action, "who asks: an administrator to propose and vote")


def run(args: argparse.Namespace) -> int:
    """Propose, vote or show."""
    runs = {"propose": _propose, "vote": _vote, "proposals": _proposals, "validators": _validators}
    return runs[args.action](args)


def _propose(args: argparse.Namespace) -> int:
    from gridcore.proposal_file import read_proposal
    from gridcore.transactions.governance_propose import GovernancePropose
    from settlement.catalogue import pins

    action = read_proposal(args.file, pins())

    async def ask(client: Client) -> tuple[Mapping[str, Any], Answer | None]:
        said = await client.query_about("proposals/check", action.encode())
        if said["fault"] is not None or args.check:
            return said, None
        now_s = (await client.status()).ledger_time_s
        open_until_s = now_s + args.open_hours * _HOUR_S
        content = GovernancePropose(**_named(now_s), action=action.encode(), open_until_s=open_until_s)
        return said, await _submit(client, args, content)

    said, answer = _with_client(args, ask)
    fault = said["fault"]
    result = {"file": str(args.file), "sort": action.sort.name, "needed": said["needed"], "voters": said["voters"]}
    decides = f"{said['needed']} of {len(said['voters'])} organisations decide"
    if fault is not None:
        print_result(
            args, {**result, "fault": fault}, f"{args.file}: {fault['words']} ({fault['code']} {fault['name']})"
        )
        return 1
    if answer is None:
        print_result(args, {**result, "fault": None}, f"{args.file}: would be proposed: {action.sort.name}; {decides}")
        return 0
    told = f"{args.file}: proposed in block {answer.height}: {action.sort.name} {answer.id.hex()}; {decides}"
    return _told(args, {**result, "proposal": answer.id.hex()}, answer, told)


def _vote(args: argparse.Namespace) -> int:
    from gridcore.transactions.governance_vote import GovernanceVote

    proposal = bytes.fromhex(_id(args.proposal))

    async def ask(client: Client) -> tuple[Answer, Mapping[str, Any]]:
        now_s = (await client.status()).ledger_time_s
        content = GovernanceVote(**_named(now_s), in_favour=args.in_favour, proposal=proposal)
        answer = await _submit(client, args, content)
        known = await client.query(f"proposals/{args.proposal}") if _is_taken(answer) else {}
        return answer, known

    answer, known = _with_client(args, ask)
    side = "in favour" if args.in_favour else "against"
    told = f"{args.proposal}: voted {side} in block {answer.height}: {known.get('status', '')}"
    return _told(args, {"proposal": args.proposal, "in_favour": args.in_favour, **known}, answer, told)


def _proposals(args: argparse.Namespace) -> int:
    async def ask(client: Client) -> Any:
        if args.proposal is not None:
            return await client.query(f"proposals/{_id(args.proposal)}")
        return await client.query("proposals")

    found = _with_client(args, ask)
    shown = [found] if args.proposal is not None else found["proposals"]
    lines = [line for one in shown for line in _lines(one)]
    print_result(args, found, "\n".join(lines or ["nothing has been proposed"]))
    return 0


def _validators(args: argparse.Namespace) -> int:
    from gridledger.toml_text import toml_lines

    async def ask(client: Client) -> Any:
        return await client.query("validators")

    found = _with_client(args, ask)
    print_result(args, found, "\n".join(toml_lines({"validator": found["current"]})))
    return 0


def _lines(proposal: Mapping[str, Any]) -> Sequence[str]:
    until = datetime.fromtimestamp(proposal["open_until_s"], UTC).isoformat().replace("+00:00", "Z")
    votes = f"{len(proposal['in_favour'])} of {proposal['needed']} in favour, {len(proposal['against'])} against"
    at = f"until {until}" if proposal["decided_height"] is None else f"in block {proposal['decided_height']}"
    head = (
        f"{proposal['proposal']}: {proposal['sort']} of {proposal['organisation']}, {proposal['status']} {at}: {votes}"
    )
    if "action" not in proposal:
        return [head]
    sides = [
        f"  {side.replace('_', ' ')}: {', '.join(proposal[side]) or 'nobody'}" for side in ("in_favour", "against")
    ]
    said = [f"  {name}: {json.dumps(item, ensure_ascii=False)}" for name, item in sorted(proposal["action"].items())]
    obstacle = [f"  could not take effect now: {proposal['obstacle']}"] if proposal["obstacle"] else []
    return [head, *sides, *said, *obstacle]


def _told(args: argparse.Namespace, result: Mapping[str, Any], answer: Answer, told: str) -> int:
    """Print what became of a transaction."""
    outcome = {"code": answer.code, "name": answer.name, "height": answer.height}
    is_taken = _is_taken(answer)
    print_result(args, {**result, **outcome}, told if is_taken else f"refused: {answer.code} {answer.name}")
    return 0 if is_taken else 1


def _is_taken(answer: Answer) -> bool:
    return answer.code in (Code.ACCEPTED, Code.EXISTS)


def _named(now_s: int) -> dict[str, Any]:
    from gridcore.transactions.content import CLIENT_ID_BYTES

    return {"client_id": secrets.token_bytes(CLIENT_ID_BYTES), "valid_until_s": now_s + VALID_S}


async def _submit(client: Client, args: argparse.Namespace, content: Content) -> Answer:
    from gridcore.transactions.content import sign_content

    chain = (await client.status()).chain
    signed = sign_content(content, chain=chain, signer=args.signer, sign=_signer(args).sign)
    (answer,) = await client.submit([signed.wire])
    return answer


def _id(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise UsageError(f"{text}: a proposal's id is 64 lower-case hex digits")
    return text


def _signer(args: argparse.Namespace) -> Signer:
    from gridcore.signers import open_signer

    return open_signer(args.key, args.password, origin="--key")


def _with_client(args: argparse.Namespace, work: Any) -> Any:
    from ledger.client import run_with_client

    return run_with_client(args.url, work, signer_id=args.signer, signer=_signer(args))
