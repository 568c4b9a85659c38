"""The whole state, and what a block does to it (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridcore import cbor, merkle
from gridcore.x509 import decode_certificate
from tests.twin import (
    corrections,
    disputes,
    governance,
    intervals,
    market,
    metering,
    orders,
    payments,
    profiles,
    registration,
    run_dates,
    settlement,
    validators,
)
from tests.twin.forms import KINDS, ZEROS, Leaf, Row, Transaction, decode_envelope, first, has_form, leaf_bytes
from tests.twin.markets import MARKETS
from tests.twin.registry import Registry

IsSigned = Callable[[bytes, bytes, bytes], bool]
"""(public key, signed bytes, signature) -> whether the signature is good."""

BUDGET, IDS_MAX, VALID_AHEAD_MAX_S = 131_072, 4_096, 86_400
STEP_MAX_S, AHEAD_MAX_S = 86_400, 900
TURNS = {"clock/advance": 0, "market/cancel": 2, "market/order": 2, "market/order_batch": 2}
"""When in its block a kind of transaction is applied, where that is not 1."""


class Twin:
    """See the package."""

    def __init__(self, genesis: Mapping[str, Any]) -> None:
        self.chain: str = genesis["chain"]
        self.leaves: dict[str, Leaf] = {}
        self.registry = Registry(self.leaves)
        self.height = 0
        self.ledger_time_s: int = genesis["ledger_time_s"]
        self.genesis_s = self.ledger_time_s
        self.block_s = 0
        self.pending: dict[bytes, tuple[bytes, bytes]] = {}  # salt and row of registry rows that wait, by their digest
        self.budget = 0
        self.work_left = False  # whether gates or initial runs fell due that the last block did not get to
        self.touched: set[tuple[str, int, int]] = set()  # (zone, row, boundary) of each row accepted in this block
        self.imported: list[tuple[str, int, int]] = []  # (zone, first slot, end) of what this block imported
        self.reopened: dict[
            str, set[tuple[int, int]]
        ] = {}  # by zone: from when on, and until when, this block changed what is in force
        self.voted: set[str] = set()  # keys of organisations and signers that votes of this block have changed
        self.offers: list[orders.Offer] = []  # of this block, not judged yet
        self.refused_rows: dict[bytes, list[tuple[int, int, int]]] = {}
        """By the id of an accepted batch of orders of this block: (row, party number, code) of those that do not stand."""
        self.reseeded: set[tuple[bytes, int]] = set()  # (transaction id, chunk of ``held``) of this block
        self.slot_s: int = genesis["slot_s"]
        self.clock: str = genesis["clock"]
        self._start(genesis)
        self.numbered: list[str] = list(self.leaves)  # a leaf's place in it is its number, for ever

    def _start(self, genesis: Mapping[str, Any]) -> None:
        """The leaves of genesis, in their order."""
        names = ("clock", "currency", "name", "slot_s", "thresholds")
        self.leaves["chain"] = {name: genesis[name] for name in names}
        self.leaves["protocol"] = {"versions": [list(entry) for entry in genesis["protocol"]]}
        zones = [value for key, _, value in map(cbor.decode, genesis["registry"]) if key.startswith("zone/")]
        pins = {value["contract"]: value["contract_pin"] for value in zones}
        approved = [[contract, pins[contract], 0] for contract in sorted(pins, key=str.encode)]
        self.leaves["contracts"] = {"approved": approved}
        self.leaves["validators"] = validators.first_leaf(genesis["validators"])
        self.registry.record(genesis["registry"], genesis["salt_seed"], 0)
        self.registry.list_new()
        gateways = [key.split("/", 1)[1] for key in self.leaves if key.startswith("gateway/")]
        for name in sorted(gateways, key=str.encode):
            delivery = {"counter": 0, "epoch": 1, "last": ZEROS, "last_boundary_s": -1}
            self.leaves[f"delivery/{name}"] = delivery
        for zone in sorted(self.registry.zones, key=str.encode):
            first_s = self.timeline(zone)["first_slot_start_s"]
            self.leaves[f"progress/{zone}"] = self.first_progress(first_s)

    def first_progress(self, first_s: int) -> Leaf:
        """How far a zone is whose first slot begins then."""
        return {"run_slot_start_s": first_s, "books": [], "corrections": []}

    # -------------------------------------------------------------------------------------------- what is in force

    @property
    def zones(self) -> list[str]:
        """The zones that blocks before this one have recorded."""
        return sorted(self.registry.zones, key=str.encode)

    @property
    def first_boundary_s(self) -> int:
        """Where the first slot of any zone begins."""
        return min((self.timeline(zone)["first_slot_start_s"] for zone in self.zones), default=0)

    def timeline(self, zone: str) -> Leaf:
        """The zone's spans and rules: what the last of its rows says that blocks before this one have recorded."""
        return self.registry.timelines[zone]

    def gap_slots_max(self, zone: str, slot: int) -> int | None:
        """Slots of the longest gap that is bound part by part in a slot; None where the older rule holds."""
        timeline = self.timeline(zone)
        return timeline.get("gap_slots_max") if slot >= timeline.get("gap_slots_from_s", 0) else None

    def gap_slots_from_s(self, zone: str) -> int:
        """From which slot on gaps are bound part by part, 0 where in all slots of the zone."""
        from_s: int = self.timeline(zone).get("gap_slots_from_s", 0)
        return from_s if from_s > self.timeline(zone)["first_slot_start_s"] else 0

    def follows_points(self, zone: str, slot: int) -> bool:
        """Whether runs of a slot follow points."""
        timeline = self.timeline(zone)
        return "runs_follow_points" in timeline and slot >= timeline.get("runs_follow_points_from_s", 0)

    def is_final(self, zone: str, slot: int) -> bool:
        """Whether nothing may read or change a slot any more."""
        after_s = self.timeline(zone).get("final_after_s")
        return after_s is not None and self.ledger_time_s >= slot + self.slot_s + after_s

    def contract(self, zone: str, slot: int) -> Leaf:
        """The zone as it was when the slot's gate opened: its contract and pin."""
        first_s = self.leaves[f"zone/{zone}"]["entries"][0][0]
        opens_s = max(slot - self.timeline(zone)["open_before_start_s"], first_s)
        return self.registry.must(f"zone/{zone}", opens_s, self.height - 1)

    def rules(self, area: str, slot: int) -> tuple[bytes, Leaf]:
        """Entry digest and value of the rules of an area in a slot, with the prices that hold in it."""
        name = self.registry.must(f"area/{area}", slot, self.height - 1)["rules"]
        return self.rules_named(name, self.registry.zone_of(area), slot)

    def rules_named(self, name: str, zone: str, slot: int) -> tuple[bytes, Leaf]:
        """The same of rules by their name: where a series says a price it holds, unless the contract refuses them together."""
        found = self.registry.entry(f"rules/{name}", slot, self.height - 1)
        assert found is not None
        digest, rules = found
        prices = dict(rules["prices"])
        for key, series in rules.get("series", {}).items():
            said = self.registry.series_price(series, slot, self.height - 1)
            prices[key] = prices[key] if said is None else said
        varied = rules | {"prices": prices}
        return digest, varied if MARKETS[self.contract(zone, slot)["contract"]].takes(varied) else rules

    def place(self, point: str) -> tuple[str, int]:
        """Zone and row of a point."""
        entry = self.leaves[f"point/{point}"]["entries"][0]
        area = self.registry.must(f"point/{point}", entry[0], entry[1])["area"]
        return self.registry.zone_of(area), self.leaves[f"point/{point}"]["row"]

    def in_force(self, key: str) -> Leaf | None:
        """The value of an entity as this block's transactions see it."""
        return self.registry.value(key, self.ledger_time_s, self.height - 1)

    def is_removed(self, organisation: str, height: int | None = None) -> bool:
        """Whether an organisation was ever removed, as of the block before."""
        known = self.registry.known(organisation, self.height - 1 if height is None else height)
        return any("removed" in value for _, value in known)

    def in_force_signer(self, name: str) -> Leaf:
        """The signer of an admitted transaction."""
        return self.registry.must("signer/" + name, self.ledger_time_s, self.height - 1)

    # ---------------------------------------------------------------------------------------------------- a block

    def state_root(self) -> bytes:
        """The tree over all leaves in number order, from nothing."""
        return merkle.root(leaf_bytes(key, self.leaves[key]) for key in self.numbered)

    def apply_block(
        self,
        height: int,
        time_s: int,
        transactions: Sequence[bytes],
        is_signed: IsSigned,
        certified_height: int | None = None,
        offenders: Sequence[tuple[bytes, int]] = (),
    ) -> list[int]:
        """One code for each transaction, the clock's first, orders last; then what has fallen due."""
        self.height, self.budget, self.touched, self.reopened = height, BUDGET, set(), {}
        self.imported, self.voted = [], set()
        self.is_signed = is_signed
        self.work_left = False
        self.block_s = time_s
        self.batches: list[tuple[str, Leaf, bytes, Sequence[Row], str]] = []
        validators.begin_block(self, height - 1 if certified_height is None else certified_height, offenders)
        if self.clock == "block":
            self.ledger_time_s = self.follow_block_time(time_s)
        codes = [0] * len(transactions)
        decoded = [decode_envelope(wire) for wire in transactions]
        turns = [1 if tx is None else TURNS.get(tx.content["kind"], 1) for tx in decoded]
        offered: list[int] = []  # of each offer: which transaction made it
        self.offers, self.refused_rows, self.reseeded = [], {}, set()
        for index in sorted(range(len(decoded)), key=turns.__getitem__):
            codes[index] = self.apply_transaction(decoded[index], is_signed)
            offered += [index] * (len(self.offers) - len(offered))
        pairs = list(zip(self.offers, offered, strict=True))
        for offer, index in sorted(pairs, key=lambda pair: (pair[0].slot, pair[0].zone.encode())):
            code = orders.judge(self, offer)
            if offer.row < 0:
                codes[index] = code
            elif code:
                number = self.leaves["party/" + offer.party]["number"]
                refused = self.refused_rows[offer.transaction_id]
                refused += [(offer.row + place, number, code) for place in range(len(offer.orders) or 1)]
        for batch in self.batches:
            metering.take_rows(self, *batch)
        for zone in self.in_turn():
            had_rows = self.budget > 0
            self.do_due_work(zone)
            if had_rows and self.budget <= 0:
                self.leaves["turn"] = {"after": zone}
        self.registry.list_new()
        new = self.leaves.keys() - set(self.numbered)
        self.numbered += sorted(new, key=str.encode)
        return codes

    def follow_block_time(self, time_s: int) -> int:
        """Ledger time in the next block: its own time, but where that is far ahead no further than was accepted."""
        now = self.ledger_time_s
        if now == self.genesis_s or time_s <= now + AHEAD_MAX_S:
            return max(now, time_s)
        accepted: int = self.leaves.get("clock", {"to_s": now})["to_s"]
        return max(now, min(now + self.slot_s, accepted, time_s))

    def apply_transaction(self, tx: Transaction | None, is_signed: IsSigned) -> int:
        """The first check that fails is the code."""
        if tx is None or not has_form(tx) or not profiles.is_known(self, tx):
            return 10
        if tx.content["chain"] != self.chain:
            return 11
        if tx.content["kind"] not in KINDS:
            return 12
        signer = self.in_force("signer/" + tx.signer)
        if signer is None:
            return 13
        if "revoked" in signer or self.is_removed("organisation/" + signer["organisation"]):
            return 16
        if not is_signed(signer["public_key"], tx.signed, tx.signature):
            return 14
        kind = tx.content["kind"]
        permitted = self.leaves.get("permissions", {"roles": {}})["roles"].get(kind, [KINDS[kind][0]])
        if not set(permitted) & set(signer["roles"]):
            return 15
        is_over = "certificate" in signer and decode_certificate(signer["certificate"]).not_after_s < self.ledger_time_s
        if is_over and kind.split("/")[0] not in ("registry", "governance"):
            return 17
        if tx.content["kind"] == "market/order":
            return orders.take_order(self, tx)
        if tx.content["kind"] == "market/cancel":
            return orders.take_cancel(self, tx)
        if tx.content["kind"] == "market/profile":
            return profiles.take_profile(self, tx)
        if tx.content["kind"] == "market/profile_end":
            return profiles.end_profile(self, tx)
        if tx.content["kind"] == "metering/reading_batch":
            return metering.take_batch(self, tx)
        return self.apply_once(tx, signer["organisation"])

    def apply_once(self, tx: Transaction, organisation: str) -> int:
        """A transaction known by its client id: applied at most once, and only while it is valid."""
        kind = tx.content["kind"]
        client_id, valid_until_s = tx.content["identity"]["client_id"], tx.content["identity"]["valid_until_s"]
        hour = valid_until_s // 3_600
        key = f"seen/{hour % 48}"
        bucket = self.leaves.get(key, {"hour": hour, "ids": []})
        ids = bucket["ids"] if bucket["hour"] == hour else []
        own = [entry for entry in ids if entry[0] == tx.signer]
        seen = {client: transaction for _, client, transaction in own}
        code = first(
            (kind == "clock/advance" and self.clock == "block", 31),
            (kind == "clock/accept" and self.clock != "block", 34),
            (kind == "metering/interval_import" and self.clock != "imported", 35),
            (valid_until_s < self.ledger_time_s, 18),
            (valid_until_s > self.ledger_time_s + VALID_AHEAD_MAX_S, 19),
            (client_id in seen, 1 if seen.get(client_id) == tx.id else 20),
            (len(own) >= IDS_MAX, 21),
        )
        if code:
            return code
        if kind == "clock/advance":
            code = self.advance_clock(tx.content["body"])
        elif kind == "clock/accept":
            code = self.accept_clock(tx.content["body"])
        elif kind == "market/order_batch":
            code = orders.take_batch(self, tx)
        elif kind == "registry/register":
            code = registration.register(self, tx, organisation)
        elif kind == "registry/approve":
            code = registration.approve(self, tx, organisation)
        elif kind == "governance/propose":
            code = governance.propose(self, tx, organisation)
        elif kind == "governance/vote":
            code = governance.vote(self, tx, organisation)
        elif kind == "metering/approve":
            code = metering.approve(self, tx)
        elif kind == "settlement/dispute":
            code = disputes.open_dispute(self, tx)
        elif kind == "settlement/dispute_document":
            code = disputes.dispute_document(self, tx)
        elif kind.startswith("settlement/dispute_"):
            code = disputes.take_step(self, tx)
        elif kind == "settlement/payment":
            code = payments.take_payment(self, tx)
        elif kind == "metering/interval_import":
            code = intervals.take_import(self, tx)
        else:
            code = metering.open_epoch(self, tx.content)
        if code == 0:
            self.leaves[key] = {"hour": hour, "ids": [*ids, [tx.signer, client_id, tx.id]]}
        return code

    def advance_clock(self, body: Leaf) -> int:
        """Simulated time moves by signed steps alone."""
        code = first(
            (body["to_s"] <= self.ledger_time_s, 30),
            (body["to_s"] > self.ledger_time_s + STEP_MAX_S, 32),
            (any(self.has_work(zone) for zone in self.zones), 33),
        )
        if code:
            return code
        self.ledger_time_s = body["to_s"]
        return 0

    def accept_clock(self, body: Leaf) -> int:
        """What is accepted lies after ledger time and up to block time, where that is too far ahead."""
        after_s = max(self.ledger_time_s, self.leaves.get("clock", {"to_s": 0})["to_s"])
        if self.block_s <= self.ledger_time_s + AHEAD_MAX_S or not after_s < body["to_s"] <= self.block_s:
            return 34
        self.leaves["clock"] = {"to_s": body["to_s"]}
        return 0

    # ---------------------------------------------------------------------------------------------------- due work

    def in_turn(self) -> list[str]:
        """The zones by name, beginning behind the one that took the rest of a budget last."""
        after = self.leaves.get("turn", {"after": ""})["after"].encode()
        behind = [zone for zone in self.zones if zone.encode() > after]
        return [*behind, *(zone for zone in self.zones if zone not in behind)]

    def do_due_work(self, zone: str) -> None:
        """Gates, then initial runs, then runs of slots that are settled again, while the block's budget lasts."""
        timeline, now = self.timeline(zone), self.ledger_time_s
        progress = dict(self.leaves[f"progress/{zone}"])
        touched = corrections.touched(self, zone, progress["run_slot_start_s"])
        queue = corrections.queued(self, zone, [*progress["corrections"], *touched])

        books: list[int] = list(progress["books"])
        while self.budget > 0 and self.is_gate_due(zone, books):
            slot = min([*books[:1], *profiles.gives(self, zone)])
            if slot in profiles.gives(self, zone):
                self.budget -= max(1, profiles.order_by_profiles(self, zone, slot))
            if f"orders/{slot}/{zone}" in self.leaves:
                self.budget -= market.clear_slot(self, zone, slot)
                seed = self.leaves[f"cleared/{slot}/{zone}/0"]["seed"]
                orders.release(self, zone, slot, seed, settled=False)
            books = [book for book in books if book != slot]

        while self.budget > 0 and self.is_initial_due(zone, progress["run_slot_start_s"]):
            slot = progress["run_slot_start_s"]
            self.pay(zone, slot)
            self.settle(zone, slot)
            if "run_calendar" in timeline:
                end = slot + self.slot_s
                final = [slot, end, end + timeline["run_calendar"]["final_run_after_s"]]
                queue = corrections.queued(self, zone, [*queue, final])
            progress["run_slot_start_s"] += self.slot_s

        while self.budget > 0 and any(due_s <= now for _, _, due_s in queue):
            queue = self.settle_again(zone, progress, queue)
        queue = corrections.queued(
            self, zone, [*queue, *corrections.reopened(self, zone, progress["run_slot_start_s"])]
        )
        self.leaves[f"progress/{zone}"] = progress | {"books": books, "corrections": queue}
        self.work_left = self.work_left or self.has_work(zone)

    def is_gate_due(self, zone: str, books: list[int]) -> bool:
        """Whether a gate of a slot with orders, or with profiles, has come."""
        gates = [*books[:1], *profiles.gives(self, zone)[:1]]
        return bool(gates) and self.ledger_time_s >= min(gates) - self.timeline(zone)["gate_before_start_s"]

    def settle_again(self, zone: str, progress: Leaf, queue: list[list[int]]) -> list[list[int]]:
        """The first slot that is due: the queue after it."""
        timeline, now, step = self.timeline(zone), self.ledger_time_s, self.slot_s
        calendar = timeline.get("run_calendar")
        span = next(span for span in queue if span[2] <= now)
        slot, end = span[0], span[0] + step
        rest = [end, span[1], span[2] + (step if calendar else 0)]
        queue = [rest if one == span else one for one in queue]
        queue = [one for one in queue if one[0] < one[1]]
        if self.is_final(zone, slot):
            return queue
        self.pay(zone, slot)
        needed = run_dates.later_ppm(self, calendar, slot) if calendar else 0
        is_enough = settlement.is_complete(self, zone, slot, needed)
        month_end_s, immaterial = self.settle(zone, slot) if is_enough else (None, None)
        if calendar and now < end + calendar["final_run_after_s"]:
            due_s = end + calendar["final_run_after_s"] if is_enough else run_dates.next_date_s(self, calendar, slot)
            queue = corrections.queued(self, zone, [*queue, [slot, end, due_s]])
        if month_end_s is not None and end < month_end_s <= progress["run_slot_start_s"]:
            last = month_end_s - step
            due_s = run_dates.next_date_s(self, calendar, last) if calendar else now
            queue = corrections.queued(self, zone, [*queue, [last, month_end_s, due_s]])
        if immaterial is not None:
            others = [one for one in progress.get("immaterial", []) if one[0] != slot]
            progress["immaterial"] = [*others, [slot, immaterial, now]][-64:]
        return queue

    def is_initial_due(self, zone: str, slot: int) -> bool:
        """Whether the deadline of a slot is past, and enough is measured for its first run."""
        timeline = self.timeline(zone)
        if self.ledger_time_s < slot + self.slot_s + timeline["metering_deadline_s"]:
            return False
        calendar = timeline.get("run_calendar")
        return settlement.is_complete(self, zone, slot, run_dates.initial_ppm(self, calendar, slot) if calendar else 0)

    def has_work(self, zone: str) -> bool:
        """Whether a gate, an initial run or a correction run of the zone is due."""
        now, progress = self.ledger_time_s, self.leaves[f"progress/{zone}"]
        is_gate_due = self.is_gate_due(zone, progress["books"])
        is_run_due = self.is_initial_due(zone, progress["run_slot_start_s"])
        return is_gate_due or is_run_due or any(due_s <= now for _, _, due_s in progress["corrections"])

    def pay(self, zone: str, slot: int) -> None:
        """The budget pays for a slot whose turn it is."""
        self.budget -= max(1, len(settlement.settling_rows(self, zone, slot)))

    def settle(self, zone: str, slot: int) -> tuple[int | None, int | None]:
        """Settle a slot; returns as ``settlement.settle_slot``."""
        is_new = f"runs/{slot}/{zone}" not in self.leaves
        settled = settlement.settle_slot(self, zone, slot)
        if is_new and f"runs/{slot}/{zone}" in self.leaves:
            seed = self.leaves[f"positions/{slot}/{zone}/initial/0"]["seed"]
            orders.release(self, zone, slot, seed, settled=True)
        return settled
