"""Disputes: what a party contests, and what others say to it (docs/spec/state.md, "Disputes")."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime
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
    amount_nano = positions["columns"]["pays_nano"][row % CHUNK]
    return keep(twin, tx, {"zone": zone, "amount_nano": amount_nano}, ("point", "slot_start_s"))


def dispute_document(twin: Twin, tx: Transaction) -> int:
    """The party contests a line of the documents of a month."""
    body, party = tx.content["body"], twin.in_force("party/" + tx.signer)
    if party is None:
        return 15
    zone = twin.registry.find_zone(party["area"])
    year, month = map(int, body["month"].split("-"))
    begins_s = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
    end_s = begins_s + 86_400 * monthrange(year, month)[1]
    if zone is None or begins_s - 14 * 3_600 > twin.ledger_time_s:
        return 74
    if twin.is_final(zone, end_s + 12 * 3_600 - twin.slot_s):
        return 74
    tariffs = {row["tariff"] for row in stood(twin, "party/" + tx.signer) if "tariff" in row}
    components = {one["name"] for name in tariffs for row in stood(twin, f"tariff/{name}") for one in row["components"]}
    if not tariffs or (body["part"] == "line" and body["line_kind"] not in components):
        return 74
    return keep(twin, tx, {}, ("month", "part", "line_kind"))


def stood(twin: Twin, key: str) -> list[Leaf]:
    """What entries of an entity say that stood before this block."""
    entries = twin.leaves.get(key, {"entries": []})["entries"]
    return [twin.registry.read(digest) for _, recorded, digest in entries if recorded < twin.height]


def keep(twin: Twin, tx: Transaction, more: Leaf, naming: tuple[str, ...]) -> int:
    """A dispute unless an open one is of the same (``naming``: by which fields), or there are too many."""
    body, party, day = tx.content["body"], tx.signer, twin.ledger_time_s // 86_400
    known = twin.leaves.get(f"disputes/{party}", {"open": [], "day": day, "of_day": 0})
    opened, of_day = known["open"], known["of_day"] if known["day"] == day else 0
    others = [twin.leaves[f"dispute/{dispute.hex()}"] for dispute in opened]
    is_again = any([other.get(name) for name in naming] == [body[name] for name in naming] for other in others)
    code = first((is_again, 75), (len(opened) >= OPEN_MAX or of_day >= OF_DAY_MAX, 76))
    if code:
        return code
    twin.leaves[f"disputes/{party}"] = {"open": [*opened, tx.id], "day": day, "of_day": of_day + 1}
    twin.leaves[f"dispute/{tx.id.hex()}"] = {
        **body,
        **more,
        "answer_by_s": twin.ledger_time_s + ANSWER_S,
        "opened_height": twin.height,
        "opened_s": twin.ledger_time_s,
        "party": party,
        "steps": [],
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
