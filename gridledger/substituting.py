"""``gridledger metering substitute``: energies of slots that nobody measured, stated by the organisation that answers for the meter.

Each slot's end gets the register that follows from the one before it, by the transaction by which any register is answered for
(``metering/approve``); its reason begins with ``substitute:``.
"""

from __future__ import annotations

import argparse
import csv
import io
import secrets
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.files import read_bounded
from gridcore.registry.installation import INSTALLATION, REGISTER_WH_MAX
from gridcore.transactions.approve_reading import REASON_CHARACTERS_MAX, SUBSTITUTE, ApproveReading
from gridcore.transactions.content import CLIENT_ID_BYTES, sign_content
from gridledger.commands import Actions, add_acting_arguments, print_result
from settlement.errors import SettlementError
from settlement.substitution import Registers, Shows, registers_after, surplus_wh

if TYPE_CHECKING:
    from gridcore.sm import Signer
    from ledger.client import Answer, Client, NodeStatus

COLUMNS: Final = ["slot_start_s", "import_wh", "export_wh"]
SLOTS_MAX: Final = 2_976
"""Slots of a file, and behind it boundaries at which the next register is looked for: a month of quarter hours."""
FILE_BYTES_MAX: Final = 1024 * 1024
VALID_S: Final = 3600
NOT_FOUND: Final = 404
_SHOWN_BY: Final = ("meter", "modulus_wh", "point", "ratio", "removed")
"""What of an installation registers go on by, from entry to entry."""


class Stated(NamedTuple):
    """The energy of a slot, primary Wh."""

    slot_start_s: int
    import_wh: int
    export_wh: int


class Hung(NamedTuple):
    """The meter as it hung at a time: the number of its installation, its area, and how it counts."""

    number: int
    area: str
    shows: Shows


class Register(NamedTuple):
    """A register to answer for. registers: as the meter shows them."""

    boundary_s: int
    registers: Registers


def declare(actions: Actions) -> None:
    """Declare the action."""
    substitute = actions.add_parser(
        "substitute", help="state the energy of slots that nobody measured, from the last register that is known"
    )
    add_acting_arguments(substitute, "a signer of the role utility")
    substitute.add_argument("--meter", required=True, metavar="CODE", help="its code")
    substitute.add_argument(
        "--file",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"CSV of slots one behind the other: {','.join(COLUMNS)}",
    )
    substitute.add_argument(
        "--reason", required=True, metavar="TEXT", help="how the energies were found, for people; stays on the ledger"
    )
    substitute.add_argument(
        "--replace", action="store_true", help="also where a register stands that says something else"
    )


def run(args: argparse.Namespace) -> int:
    """Work out the registers, sign them, and hand them over; 1 where the ledger takes one of them not."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    reason = SUBSTITUTE + args.reason
    if not len(SUBSTITUTE) < len(reason) <= REASON_CHARACTERS_MAX:
        raise UsageError(
            f"--reason has 1 to {REASON_CHARACTERS_MAX - len(SUBSTITUTE)} characters, not {len(args.reason)}"
        )
    stated = read_stated(args.file)
    signer = open_signer(args.key, args.password, origin="--key")

    async def decide(client: Client) -> tuple[list[Register], list[Answer]]:
        return await _substitute(args, stated, reason, signer, client)

    wanted, answers = run_with_client(args.url, decide, signer_id=args.signer, signer=signer)
    refused = [answer for answer in answers if answer.code not in (Code.ACCEPTED, Code.EXISTS)]
    result = {
        "meter": args.meter,
        "registers": [[one.boundary_s, *one.registers] for one in wanted],
        "answers": [{"id": answer.id.hex(), "code": answer.code, "name": answer.name} for answer in answers],
    }
    text = f"{args.meter}: {len(answers) - len(refused)} registers answered for; the slots around them are settled anew"
    if not wanted:
        text = f"{args.meter}: these registers stand already"
    if refused:
        text = f"{args.meter}: {len(refused)} of {len(answers)} registers refused, {refused[0].code} {refused[0].name}"
    print_result(args, result, text)
    return 1 if refused else 0


def read_stated(path: Path) -> list[Stated]:
    """The slots of a file. UsageError naming the row, and what would be right."""
    data = read_bounded(path, FILE_BYTES_MAX, "check --file")
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(f"{path}: is no CSV in UTF-8; write it with the columns {','.join(COLUMNS)}") from None
    if not lines or lines[0] != COLUMNS:
        raise UsageError(f"{path}, row 1: has other columns; they are {','.join(COLUMNS)}")
    if not 1 <= len(lines) - 1 <= SLOTS_MAX:
        raise UsageError(f"{path}: has {len(lines) - 1} slots; give 1 to {SLOTS_MAX}")
    found = []
    for row, line in enumerate(lines[1:], 2):
        if len(line) != len(COLUMNS) or not all(_is_whole(field) for field in line):
            raise UsageError(
                f"{path}, row {row}: {','.join(line)[:80]!r}; give three whole numbers from 0 on, UTC seconds and Wh"
            )
        found.append(Stated(*map(int, line)))
    return found


def _is_whole(field: str) -> bool:
    return field.isascii() and field.isdecimal() and len(field) <= 15 and int(field) <= REGISTER_WH_MAX


async def _substitute(
    args: argparse.Namespace, stated: Sequence[Stated], reason: str, signer: Signer, client: Client
) -> tuple[list[Register], list[Answer]]:
    status = await client.status()
    for row, (one, following) in enumerate(pairwise(stated), 2):
        if following.slot_start_s != one.slot_start_s + status.slot_s:
            raise UsageError(f"{args.file}, row {row + 1}: slots follow one another by {status.slot_s} s")
    hung = await _hung(client, args.meter, stated[0].slot_start_s)
    await _check_whole(client, args, hung, stated, status)
    wanted = await _wanted(client, args, hung, stated, status)
    contents = [
        ApproveReading(
            client_id=secrets.token_bytes(CLIENT_ID_BYTES),
            valid_until_s=status.ledger_time_s + VALID_S,
            boundary_s=one.boundary_s,
            installation=hung.number,
            reason=reason,
            registers=one.registers,
        )
        for one in wanted
    ]
    wires = [sign_content(one, chain=status.chain, signer=args.signer, sign=signer.sign).wire for one in contents]
    return wanted, await _submit_whole(client, wires)


async def _submit_whole(client: Client, wires: Sequence[bytes]) -> list[Answer]:
    """Submit all, the first one by itself: where it is refused nothing else is sent. Its reason (who signs, final slots) would hold for others too."""
    answers = await client.submit(wires[:1]) if wires else []
    if any(answer.code not in (Code.ACCEPTED, Code.EXISTS) for answer in answers):
        return answers
    return [*answers, *(await client.submit(wires[1:]) if wires[1:] else [])]


async def _check_whole(
    client: Client, args: argparse.Namespace, hung: Hung, stated: Sequence[Stated], status: NodeStatus
) -> None:
    """UsageError where the meter's registers do not go on from the begin of the first slot to the end of the last one, or a slot is not over."""
    first_s, end_s = stated[0].slot_start_s, stated[-1].slot_start_s + status.slot_s
    if end_s > status.ledger_time_s:
        row = 2 + sum(one.slot_start_s + status.slot_s <= status.ledger_time_s for one in stated)
        words = f"the slot ends after ledger time, {status.ledger_time_s}; state slots that are over"
        raise UsageError(f"{args.file}, row {row}: {words}")
    history = await client.query(f"registry/{INSTALLATION.kind}/{hung.number}")
    in_force = {one["from_s"]: one["value"] for one in history["entries"]}  # of one time the last entry counts
    for before_s, from_s in pairwise(sorted(in_force)):
        goes_on = all(in_force[before_s].get(key) == in_force[from_s].get(key) for key in _SHOWN_BY)
        if first_s < from_s <= end_s and (not goes_on or in_force[from_s].get("final_registers") is not None):
            row = 2 + sum(one.slot_start_s + status.slot_s < from_s for one in stated)
            words = f"{args.meter} was exchanged, reset or taken down at {from_s}, and its registers do not go on; nothing is sent"
            right = "state the slots that end before in one file, those of the next meter in another, and approve the registers of the slot between"
            raise UsageError(f"{args.file}, row {row}: {words}: {right}")


async def _wanted(
    client: Client, args: argparse.Namespace, hung: Hung, stated: Sequence[Stated], status: NodeStatus
) -> list[Register]:
    """The registers that are not there yet. UsageError where the first slot has no start, and where they contradict what stands."""
    first_s, slot_s = stated[0].slot_start_s, status.slot_s
    before = await _register(client, hung, args.meter, first_s)
    if before is None:
        raise UsageError(
            f"{args.meter} has no register at {first_s}, where the first slot begins; state the slots before it too, or approve that register"
        )
    try:
        registers = registers_after(before, [(one.import_wh, one.export_wh) for one in stated], hung.shows)
    except SettlementError as error:
        raise UsageError(f"{args.file}: {error}") from None
    found = []
    for one, shown in zip(stated, registers, strict=True):
        boundary_s = one.slot_start_s + slot_s
        stands = await _register(client, hung, args.meter, boundary_s)
        if stands == shown:
            continue
        if stands is not None and not args.replace:
            raise UsageError(
                f"{args.meter} has a register at {boundary_s}: {list(stands)}, and what is stated comes to {list(shown)}; "
                "leave the slots from there on out, or give --replace"
            )
        found.append(Register(boundary_s, shown))
    end_s = stated[-1].slot_start_s + slot_s
    following = await _following(client, hung, args.meter, range(end_s + slot_s, status.ledger_time_s + 1, slot_s))
    beyond = 0 if following is None else surplus_wh(registers[-1], following.registers, hung.shows)
    if following is not None and beyond:
        raise UsageError(
            f"{args.file}: the register of {args.meter} at {following.boundary_s} is {list(following.registers)}, and what is stated goes {beyond} Wh "
            "beyond it; state less"
        )
    return found


async def _hung(client: Client, meter: str, time_s: int) -> Hung:
    """UsageError where the meter did not hang then."""
    from ledger.client import NodeRefused

    try:
        area = str((await client.query(f"meters/{meter}"))["area"])
    except NodeRefused as refused:
        raise UsageError(f"--meter {meter}: {refused.detail}") from None
    start: int | None = 0
    while start is not None:
        page = await client.query(f"areas/{area}/installations", time_s=time_s, start=start)
        for one in page["installations"]:
            if one["meter"] == meter:
                shows = Shows(int(one["ratio"]), int(one["modulus_wh"]) // int(one["ratio"]))
                return Hung(int(one["number"]), area, shows)
        start = page["next"]
    raise UsageError(f"--meter {meter}: did not hang in area {area} at {time_s}")


async def _following(client: Client, hung: Hung, meter: str, boundaries_s: Sequence[int]) -> Register | None:
    """The first register that is known at some boundaries, of which a month is looked at: behind a long outage it is far away."""
    for boundary_s in boundaries_s[:SLOTS_MAX]:
        registers = await _register(client, hung, meter, boundary_s)
        if registers is not None:
            return Register(boundary_s, registers)
    return None


async def _register(client: Client, hung: Hung, meter: str, boundary_s: int) -> Registers | None:
    """What the meter shows at a boundary, None where the ledger has no register, or no such slot yet."""
    from ledger.client import NodeRefused

    start: int | None = 0
    while start is not None:
        try:
            page = await client.query(f"areas/{hung.area}/registers", boundary_s=boundary_s, start=start)
        except NodeRefused as refused:
            if refused.status != NOT_FOUND:
                raise
            return None
        for one in page["registers"]:
            if one["meter"] == meter:
                shown = [one[name] for name in ("import_wh", "export_wh")]
                return None if None in shown else (shown[0] // hung.shows.ratio, shown[1] // hung.shows.ratio)
        start = page["next"]
    return None
