"""``gridledger metering``: what an organisation answers for in place of readings: a register, or the energy of slots."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.forms import TIME_S_MAX
from gridcore.registry.installation import NUMBER_MAX, REGISTER_WH_MAX
from gridcore.transactions.approve_reading import REASON_CHARACTERS_MAX, ApproveReading
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridledger import substituting
from gridledger.commands import add_acting_arguments, add_actions, print_result, whole_number

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from ledger.client import Answer, Client

EXAMPLE = (
    "gridledger metering approve --url http://127.0.0.1:7070 --signer utility --key file:keys/utility.pem "
    "--password file:keys/utility.password --installation 1 --boundary 1800000900 --import-wh 12340 --export-wh 0 "
    "--reason 'read at the meter'"
)
VALID_S: Final = 3600
WHY_REFUSED: Final[Mapping[int, str]] = {
    Code.NOT_PERMITTED: "the signer has the role utility of the organisation whose gateway reads this meter",
    Code.FUTURE_BOUNDARY: "the boundary lies after ledger time",
    Code.NOT_A_BOUNDARY: "no slot begins at this boundary",
    Code.NOTHING_TO_APPROVE: "no installation of this number is in force at the boundary, or its registers begin again before that",
}
"""What a refusal means here, by code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``approve`` and ``substitute``."""
    actions = add_actions(parser)
    approve = actions.add_parser("approve", help="answer for what a meter showed at a boundary, whatever stands there")
    add_acting_arguments(approve, "a signer of the role utility")
    approve.add_argument(
        "--installation", required=True, type=whole_number(0, NUMBER_MAX), metavar="N", help="its number"
    )
    approve.add_argument(
        "--boundary", required=True, type=whole_number(0, TIME_S_MAX), metavar="S", help="slot boundary, UTC seconds"
    )
    for name in ("import", "export"):
        approve.add_argument(
            f"--{name}-wh",
            required=True,
            type=whole_number(0, REGISTER_WH_MAX),
            metavar="WH",
            help=f"the {name} register as the meter shows it, before its ratio",
        )
    approve.add_argument("--reason", required=True, metavar="TEXT", help="why, for people; stays on the ledger")
    substituting.declare(actions)


def run(args: argparse.Namespace) -> int:
    """Answer for a register, or for energies."""
    return _approve(args) if args.action == "approve" else substituting.run(args)


def _approve(args: argparse.Namespace) -> int:
    """Sign and submit one approval."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    if not 1 <= len(args.reason) <= REASON_CHARACTERS_MAX:
        raise UsageError(f"--reason has 1 to {REASON_CHARACTERS_MAX} characters, not {len(args.reason)}")
    signer = open_signer(args.key, args.password, origin="--key")

    async def decide(client: Client) -> Answer:
        return await _submit(args, signer, client)

    answer = run_with_client(args.url, decide)
    is_taken = answer.code in (Code.ACCEPTED, Code.EXISTS)
    result = {"id": answer.id.hex(), "code": answer.code, "name": answer.name, "height": answer.height}
    place = f"installation {args.installation} at {args.boundary}"
    text = f"{place}: approved in block {answer.height}; slots around it are settled anew"
    if not is_taken:
        why = WHY_REFUSED.get(answer.code, "see docs/spec/envelope.md")
        text = f"{place}: refused, {answer.code} {answer.name}: {why}"
    print_result(args, result, text)
    return 0 if is_taken else 1


async def _submit(args: argparse.Namespace, signer: Signer, client: Client) -> Answer:
    status = await client.status()
    content = ApproveReading(
        client_id=secrets.token_bytes(CLIENT_ID_BYTES),
        valid_until_s=status.ledger_time_s + VALID_S,
        boundary_s=args.boundary,
        installation=args.installation,
        reason=args.reason,
        registers=(args.import_wh, args.export_wh),
    )
    signed = sign_content(content, chain=status.chain, signer=args.signer, sign=signer.sign)
    (answer,) = await client.submit([signed.wire])
    return answer
