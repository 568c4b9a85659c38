"""Payments: what moved outside of the ledger for what a point owes (docs/spec/state.md, "Payments")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gridcore.sm3 import sm3
from tests.twin.forms import ZEROS, Column, Transaction

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK, KEPT, OF_DAY_MAX, NANO = 1_024, 64, 16, 10**9
SIDES = {
    "received": (1, "payments"),
    "paid_out": (-1, "payments"),
    "written_off": (1, "written_off"),
    "reinstated": (-1, "written_off"),
}


def take_payment(twin: Twin, tx: Transaction) -> int:
    """A utility of the party's organisation says what was paid."""
    body = tx.content["body"]
    party, point = body["party"], body["point"]
    row = twin.in_force("party/" + party)
    if row is None or twin.in_force_signer(tx.signer)["organisation"] != row["organisation"]:
        return 15
    if not was_billed(twin, point, party):
        return 97
    day = twin.ledger_time_s // 86_400
    known = twin.leaves.get(f"payments/{point}", {"day": day, "newest": [], "of_day": 0, "recorded": 0})
    of_day = known["of_day"] if known["day"] == day else 0
    if any((paid[1], paid[4]) == (body["ground"], body["reference"]) for paid in known["newest"]):
        return 98
    if of_day >= OF_DAY_MAX:
        return 99
    paid = [body["amount_nano"], body["ground"], twin.height, party, body["reference"], tx.signer, twin.ledger_time_s]
    newest = [*known["newest"], paid][-KEPT:]
    twin.leaves[f"payments/{point}"] = {
        "day": day,
        "newest": newest,
        "of_day": of_day + 1,
        "recorded": known["recorded"] + 1,
    }
    post(twin, tx, body)
    return 0


def was_billed(twin: Twin, point: str, party: str) -> bool:
    """Whether some row of the point that has begun names the party, one that another of the same instant has replaced too."""
    entries = twin.leaves.get(f"point/{point}", {"entries": []})["entries"]
    begun = [digest for from_s, height, digest in entries if from_s <= twin.ledger_time_s and height < twin.height]
    return any(twin.registry.read(digest).get("party") == party for digest in begun)


def post(twin: Twin, tx: Transaction, body: Any) -> None:
    """The point's row owes less, its area's account has received less; or both more."""
    sign, account = SIDES[body["ground"]]
    amount, seed = -sign * body["amount_nano"], tx.id
    zone, row = twin.place(body["point"])
    area = twin.registry.must("point/" + body["point"], twin.ledger_time_s, twin.height - 1)["area"]
    number = twin.leaves["area/" + area]["number"]
    key, size = f"balance/{zone}/{row // CHUNK}", left(len(twin.registry.points[zone]), row)
    old = twin.leaves.get(key, {"nano": [], "units": [], "seed": ZEROS})
    units, nano = grown(old["units"], old["nano"], size, {row % CHUNK: amount})
    twin.leaves[key] = {"nano": nano, "units": units, "seed": sm3(old["seed"] + seed)}
    key, size = f"accounts/{zone}/{number // CHUNK}", left(len(twin.registry.areas[zone]), number)
    was = twin.leaves.get(key, {"nano": {}, "units": {}, "seed": ZEROS})
    both = {name: grown(was["units"][name], was["nano"][name], size, {}) for name in was["units"]}
    more = {number % CHUNK: amount}
    both[account] = grown(was["units"].get(account, []), was["nano"].get(account, []), size, more)
    twin.leaves[key] = {
        "nano": {name: nano for name, (_, nano) in both.items()},
        "seed": sm3(was["seed"] + seed),
        "units": {name: units for name, (units, _) in both.items()},
    }


def left(count: int, number: int) -> int:
    """How many of ``count`` the chunk of a number has."""
    return min(CHUNK, count - number // CHUNK * CHUNK)


def grown(units: Sequence[int], nano: Sequence[int], size: int, more: Mapping[int, int]) -> tuple[Column, Column]:
    """A column of amounts, as long as its chunk is by now, after some of them grew."""
    whole = [unit * NANO + part for unit, part in zip(units, nano, strict=True)]
    whole += [0] * (size - len(whole))
    for at, amount in more.items():
        whole[at] += amount
    return Column(one // NANO for one in whole), Column(one % NANO for one in whole)
