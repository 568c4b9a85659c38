"""Disputes: what a party contests, and what others say to it (docs/spec/state.md, "Disputes")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.twin.forms import Leaf, Transaction, first

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK, OPEN_MAX, OF_DAY_MAX, ANSWER_S = 1_024, 16, 64, 864_000
CLOSING = ("agreed", "upheld", "dismissed", "withdrawn")


def open_dispute(twin: Twin, tx: Transaction) -> int:
    """The party contests what a point of its pays in the last run of a slot."""
    body, party = tx.content["body"], tx.signer
    slot, point = body["slot_start_s"], body["point"]
    if twin.in_force("party/" + party) is None:
        return 15
    if slot % twin.slot_s:
        return 62
    billed = twin.registry.value(f"point/{point}", slot, twin.height - 1)
    if billed is None or billed.get("party") != party:
        return 74
    zone, row = twin.place(point)
    runs = twin.leaves.get(f"runs/{slot}/{zone}")
    if runs is None or runs["runs"][-1][0] != body["run"] or twin.is_final(zone, slot):
        return 74
    positions = twin.leaves.get(f"positions/{slot}/{zone}/{body['run']}/{row // CHUNK}")
    if positions is None or row % CHUNK >= len(positions["columns"]["pays_nano"]):
        return 74
    day = twin.ledger_time_s // 86_400
    known = twin.leaves.get(f"disputes/{party}", {"open": [], "day": day, "of_day": 0})
    opened, of_day = known["open"], known["of_day"] if known["day"] == day else 0
    others = [twin.leaves[f"dispute/{dispute.hex()}"] for dispute in opened]
    is_again = any((other["point"], other["slot_start_s"]) == (point, slot) for other in others)
    code = first((is_again, 75), (len(opened) >= OPEN_MAX or of_day >= OF_DAY_MAX, 76))
    if code:
        return code
    twin.leaves[f"disputes/{party}"] = {"open": [*opened, tx.id], "day": day, "of_day": of_day + 1}
    twin.leaves[f"dispute/{tx.id.hex()}"] = {
        **body,
        "amount_nano": positions["columns"]["pays_nano"][row % CHUNK],
        "answer_by_s": twin.ledger_time_s + ANSWER_S,
        "opened_height": twin.height,
        "opened_s": twin.ledger_time_s,
        "party": party,
        "steps": [],
        "zone": zone,
    }
    return 0


def take_step(twin: Twin, tx: Transaction) -> int:
    """An answer by the party's organisation, a decision by a regulator, or the party withdraws."""
    body, step = tx.content["body"], tx.content["kind"].removeprefix("settlement/dispute_")
    key = f"dispute/{body['dispute'].hex()}"
    dispute = twin.leaves.get(key)
    if dispute is None:
        return 74
    is_closed = any(said[0] in CLOSING for said in dispute["steps"])
    code = first(
        (step == "answer" and not answers_for(twin, tx.signer, dispute), 15),
        (step == "withdrawal" and tx.signer != dispute["party"], 15),
        (is_closed or (step == "answer" and dispute["steps"] != []), 77),
        (step == "decision" and dispute["steps"] == [] and twin.ledger_time_s <= dispute["answer_by_s"], 78),
    )
    if code:
        return code
    said = [body["outcome"], tx.signer, twin.ledger_time_s, twin.height, body["statement"]]
    twin.leaves[key] = dispute | {"steps": [*dispute["steps"], said]}
    if body["outcome"] in CLOSING:
        known = twin.leaves[f"disputes/{dispute['party']}"]
        left = [one for one in known["open"] if one != body["dispute"]]
        twin.leaves[f"disputes/{dispute['party']}"] = known | {"open": left}
    return 0


def answers_for(twin: Twin, signer: str, dispute: Leaf) -> bool:
    """Whether a signer is of the organisation of the party."""
    party = twin.in_force("party/" + dispute["party"])
    return party is not None and bool(twin.in_force_signer(signer)["organisation"] == party["organisation"])
