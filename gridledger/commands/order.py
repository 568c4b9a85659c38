"""``gridledger order``: place orders and standing rules out of a file, withdraw them, list a slot's; signed with a key that stays here."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.codes import Code
from gridcore.forms import TIME_S_MAX
from gridcore.transactions.content import Content, sign_content
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import COUNTER_MAX, NONCE_BYTES
from gridcore.transactions.market_profile import ProfileEnd
from gridledger.commands import Actions, add_actions, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from ledger.client import Answer, Client

EXAMPLE = (
    "gridledger order place orders.toml --url http://127.0.0.1:7070 --signer H001 --key file:keys/H001.pem "
    "--password file:keys/H001.password"
)
WHY_REFUSED: Final[Mapping[int, str]] = {
    Code.GATE_CLOSED: "the slot's gate has closed",
    Code.NOT_OPEN_YET: "the slot opens later",
    Code.NOT_A_SLOT: "no slot begins or ends then",
    Code.WRONG_AREA: "the party belongs to another area",
    Code.ORDER_REUSED: "an order or a standing rule has this counter already: take another one",
    Code.ABOVE_POINT_LIMIT: "with the party's other orders it is more than its meters can show in a slot",
    Code.CROSSES_OWN: "it could trade with an own order",
    Code.NO_CREDIT: "what is owed, what is held and what this can cost are above the party's credit",
    Code.NO_SUCH_ORDER: "no such order stands, or the rule gives no more orders",
    Code.NO_CONDITIONS: "the contract of the area takes no conditions",
    Code.NO_SUCH_SELLER: "a condition names a seller who is no party here",
    Code.NOT_CANONICAL: "not of a form that the ledger knows: a standing rule has conditions only where the zone names profiles_have_conditions",
    Code.PROFILE_TOO_LONG: "a standing rule ends at most 31 days ahead",
    Code.TOO_MANY_PROFILES: "32 parts of standing rules of the party are there: end some",
}
"""What a refusal means here, by code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = add_actions(parser)
    placing = _action(actions, "place", "place what a TOML file says: [[order]], [[profile]]")
    placing.add_argument("file", type=Path, metavar="FILE")
    counter = whole_number(1, COUNTER_MAX)
    cancelling = _action(actions, "cancel", "withdraw orders of a slot before its gate")
    cancelling.add_argument("--counter", required=True, type=counter, action="append", metavar="N", help="repeatable")
    ending = _action(actions, "end", "end a standing rule")
    ending.add_argument("--counter", required=True, type=counter, metavar="N", help="the rule's")
    listing = _action(actions, "list", "list the party's orders of a slot")
    for action in (cancelling, ending, listing):
        action.add_argument("--area", required=True, metavar="ID", help="the party's area")
        action.add_argument(
            "--slot", required=True, type=whole_number(0, TIME_S_MAX), metavar="S", help="slot start, UTC seconds"
        )


def _action(actions: Actions, name: str, words: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=words)
    action.add_argument("--url", required=True, metavar="URL", help="a running node, http://HOST:PORT")
    action.add_argument("--signer", required=True, metavar="ID", help="the party")
    action.add_argument("--key", required=True, metavar="URI", help="its key, file:KEYSTORE")
    action.add_argument("--password", required=True, metavar="URI", help="of the key: file:PATH or env:NAME")
    return action


def run(args: argparse.Namespace) -> int:
    """Sign and submit, or list."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    contents = _contents(args)
    signer = open_signer(args.key, args.password, origin="--key")
    if args.action == "list":
        return _list(args, signer)

    async def act(client: Client) -> Sequence[Answer]:
        chain = (await client.status()).chain
        signed = (sign_content(one, chain=chain, signer=args.signer, sign=signer.sign) for one in contents)
        return await client.submit([one.wire for one in signed])

    answers = run_with_client(args.url, act)
    taken = [answer.code in (Code.ACCEPTED, Code.EXISTS) for answer in answers]
    results = [
        {"id": answer.id.hex(), "code": answer.code, "name": answer.name, "height": answer.height} for answer in answers
    ]
    lines = map(_line, contents, answers, taken)
    print_result(args, {"results": results}, "\n".join(lines))
    return 0 if all(taken) else 1


def _contents(args: argparse.Namespace) -> Sequence[Content]:
    from gridledger.ordering import read_orders

    nonce = secrets.token_bytes(NONCE_BYTES)
    if args.action == "place":
        return read_orders(args.file)
    if args.action == "cancel":
        counters = sorted(set(args.counter))
        return [MarketCancel(area=args.area, counters=counters, nonce=nonce, slot_start_s=args.slot)]
    return (
        [ProfileEnd(area=args.area, counter=args.counter, nonce=nonce, slot_start_s=args.slot)]
        if args.action == "end"
        else []
    )


def _line(content: Content, answer: Answer, is_taken: bool) -> str:
    from gridledger.ordering import describe

    if is_taken:
        return f"{describe(content)}: stands in block {answer.height}"
    why = WHY_REFUSED.get(answer.code, "see docs/spec/envelope.md")
    return f"{describe(content)}: refused, {answer.code} {answer.name}: {why}"


def _list(args: argparse.Namespace, signer: Signer) -> int:
    from ledger.client import run_with_client

    async def fetch(client: Client) -> list[dict[str, Any]]:
        place = f"areas/{args.area}/slots/{args.slot}/orders"
        found: list[dict[str, Any]] = (await client.query(place, party=args.signer))["orders"]
        return found

    orders = run_with_client(args.url, fetch, signer_id=args.signer, signer=signer)
    lines = map(_shown, orders)
    print_result(args, {"orders": orders}, "\n".join(lines) or "no orders")
    return 0


def _shown(one: Mapping[str, Any]) -> str:
    got = "" if one["filled_wh"] is None else f", got {one['filled_wh']} Wh"
    kind, seller = one.get("energy_kind") or "any kind", one.get("seller") or "anybody"
    wanted = "" if one.get("choice") is None else f", choice {one['choice']}: {kind} of {seller}"
    limit = f"{one['quantity_wh']:>9} Wh at {one['price_micro_per_kwh']} micro/kWh"
    return f"{one['order']}  {one['side']:<4} {limit}{wanted}{got}"
