"""A story as a chain: what stands in each block, from docs/spec/state.md and batch.md.

Leaves that no bundle shows are left as genesis made them, and the roots that no bundle proves a row under are made up.
"""

from dataclasses import dataclass

from tests.second_verifier.chain_builder import NO_DIGEST, ChainBuilder, RecordedRow, Rows, SignedTransaction, record
from tests.second_verifier.encoding import Item, encode
from tests.second_verifier.facts import (
    END_S,
    START_S,
    ConditionFacts,
    FillFacts,
    ImportFacts,
    PositionFacts,
    ProfileFacts,
    ReadingFacts,
    TradeFacts,
)
from tests.second_verifier.sm import sm3
from tests.second_verifier.story import (
    ALONG_GRID,
    KEYS,
    NEW_SIGNERS,
    OLD_SIGNERS,
    PAIRED,
    Story,
    entity_leaves,
    genesis_rows,
    point_value,
    series_value,
)
from tests.second_verifier.trees import NO_LEAVES, salted_hash

_SALT_SEED = sm3(b"salts of genesis")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def i64(*values: int) -> bytes:
    return b"".join(value.to_bytes(8, "little", signed=True) for value in values)


def _validator(name: str, public_key: bytes) -> Item:
    return {"consensus_key": b"", "name": name, "organisation": "operator", "power": 1, "public_key": public_key}


@dataclass(frozen=True)
class Recorded:
    """A transaction, and the height of its block."""

    transaction: SignedTransaction
    height: int


def _fill_row(fill: FillFacts) -> bytes:
    head = u32(fill.party) + u32(fill.counter) + bytes([fill.side])
    return head + i64(fill.quantity_wh, fill.price, fill.filled_wh)


def _book_row(row: tuple[int, ...]) -> bytes:
    """Rank, side, quantity, limit and what was filled, then until when it stood, or what a contract asks of it."""
    rank, side, *numbers = row
    return u32(rank) + bytes([side]) + i64(*numbers[:3]) + b"".join(map(u32, numbers[3:]))


def _trade_row(trade: TradeFacts) -> bytes:
    fee = () if trade.fee is None else (trade.fee,)
    return b"".join(map(u32, (*trade.buyer, *trade.seller))) + i64(trade.energy_wh, trade.price, *fee)


def _position_row(facts: PositionFacts) -> bytes:
    registers = (facts.start_import, facts.end_import, facts.start_export, facts.end_export)
    head = u32(facts.row) + bytes([facts.quality])
    return head + i64(*registers, facts.import_wh, facts.export_wh, *facts.columns)


def _reading_row(facts: ReadingFacts) -> bytes:
    head = u32(facts.meter) + facts.offset_ms.to_bytes(4, "little", signed=True) + bytes([facts.quality])
    return head + i64(facts.import_wh, facts.export_wh)


def _wanted(choice: int, kinds: int, seller: int, bid_wh: int) -> bytes:
    """What stands behind a row of a batch where rows say what they want."""
    return bytes([choice]) + kinds.to_bytes(2, "little") + u32(seller) + i64(bid_wh)


def _condition(facts: ConditionFacts) -> dict[str, Item]:
    said = {"energy_kind": facts.energy_kind, "seller": facts.seller}
    limits: dict[str, Item] = {"energy_wh": facts.energy_wh, "price_micro_per_kwh": facts.price}
    return limits | {key: value for key, value in said.items() if value is not None}


def _condition_of_days(facts: ConditionFacts, profile: ProfileFacts) -> Item:
    """The same of a profile: its energy stands in the place of the profile's in the third slot."""
    energies = (*profile.quantities[:2], facts.energy_wh, *profile.quantities[3:])
    said = {key: value for key, value in _condition(facts).items() if key != "energy_wh"}
    return said | {"quantities_wh": b"".join(map(u32, energies))}


class Told:
    """The chain of a story, and what its evidence shows of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.genesis_rows = record(_SALT_SEED, genesis_rows(story), 0)
        self.chain = self._genesis()
        self.enrolled, self.enrolled_rows, self.enrolment = self._enrol()
        self.orders = self._order()
        self.fills, self.book, self.trades, self.cleared = self._clear()
        self.readings = self._readings(story.start, 1), self._readings(story.end, 2)
        self.point = self._point()
        first = self._batch(story.start, 1, NO_DIGEST)
        self.batches = first, self._second(first)
        self.positions, self.area_results = self._settle()
        self.corrected = self._correct()
        self.chain.block(11_900, next_signers=NEW_SIGNERS)
        self.chain.block(12_000)

    def _second(self, first: Recorded) -> Recorded:
        """Block 5: the batch of the slot's end, or what stands in its place."""
        if self.story.imported is not None:
            return self._import(self.story.imported)
        if self.story.approved is not None:
            return self._approve()
        return self._batch(self.story.end, 2, sm3(first.transaction.signed))

    def _point(self) -> RecordedRow:
        """The entry of p1 that holds in the slot: that of genesis, or one that block 4 records for all times."""
        if self.story.late_point is None:
            return self.row("point/p1")
        field, value = self.story.late_point
        said = point_value(self.story) | {field: value}
        (late,) = record(sm3(b"salts of a late point"), [("point/p1", 0, said)], 4)
        return late

    def _correct(self) -> RecordedRow | None:
        """Block 7: the header of the bundle, with an entry of a price series where one comes late."""
        facts = self.story.corrected
        if facts is None:
            self.chain.block(11_800, waiting=NEW_SIGNERS)
            return None
        key = f"price_series/{facts.name}"
        (late,) = record(sm3(b"salts of a correction"), [(key, facts.from_s, series_value(facts))], 7)
        rows = [*(row for row in self.genesis_rows if row.key == key), late]
        self.chain.block(11_800, (), entity_leaves(rows), waiting=NEW_SIGNERS)
        return late

    def row(self, key: str) -> RecordedRow:
        """The first row of genesis of an entity."""
        return next(row for row in self.genesis_rows if row.key == key)

    def _genesis(self) -> ChainBuilder:
        keys = sorted(signer.public for signer in OLD_SIGNERS)
        thresholds: Item = {"contract": 1, "protocol": 1, "registry": 1, "signers": 1}
        genesis: dict[str, Item] = {
            "clock": "block" if self.story.imported is None else self.story.imported.clock,
            "currency": "CNY",
            "ledger_time_s": 5_000,
            "name": "village",
            "protocol": [[2, 0]],
            "registry": [row.row for row in self.genesis_rows],
            "salt_seed": _SALT_SEED,
            "slot_s": self.story.slot_s,
            "thresholds": thresholds,
            "type": "genesis",
            "validators": [_validator(f"node-{i}", key) for i, key in enumerate(keys)],
            "version": 2,
        }
        leaves: dict[str, Item] = {
            "chain": {key: genesis[key] for key in ("clock", "currency", "name", "slot_s", "thresholds")},
            "protocol": {"versions": genesis["protocol"]},
            "contracts": {"approved": [[self.story.contract, self.story.zone_pin, 0]]},
            "validators": {
                "current": genesis["validators"],
                "current_height": 0,
                "pending": list[Item](),
                "pending_height": 0,
            },
            **entity_leaves(self.genesis_rows),
            "delivery/gw1": {"counter": 0, "epoch": 1, "last": NO_DIGEST, "last_boundary_s": -1},
            "progress/z1": {"books": [], "run_slot_start_s": START_S, "untried": [], "waiting": []},
        }
        return ChainBuilder(genesis, leaves, OLD_SIGNERS)

    def _enrol(self) -> tuple[RecordedRow, Rows, Recorded]:
        """Block 1: the key of h1, beside one of nobody's."""
        story, seed = self.story, sm3(b"salts of the enrolment")
        value: Item = {
            "organisation": story.enrolled_organisation,
            "public_key": KEYS["h1"].public,
            "roles": list[Item](sorted(story.enrolled_roles)),
        }
        rows: list[tuple[str, int, Item]] = [
            ("signer/h1", story.enrolled_from_s, value),
            ("signer/h3", 6_000, {"organisation": "operator", "public_key": KEYS["h2"].public, "roles": ["prosumer"]}),
        ]
        recorded = record(seed, rows, story.enrolled_height)
        attachment = encode({"rows": [row.row for row in recorded], "seed": seed})
        under = Rows(seed, tuple(row.row for row in recorded))
        transaction = self.chain.transaction(
            "registry/register",
            story.enroller,
            KEYS[story.enrolment_pair],
            {"client_id": bytes(16), "valid_until_s": 8_000},
            {"rows": 2, "rows_root": under.root},
            attachment,
        )
        changes = entity_leaves(recorded)
        if story.next_key_from_s is not None:
            following: Item = [story.next_key_from_s, 1, sm3(b"the next key of h1")]
            changes["signer/h1"] = {"entries": [recorded[0].entry, following]}
        self.chain.block(6_000, [transaction], changes)
        return recorded[0], under, Recorded(transaction, 1)

    def _order(self) -> tuple[Recorded, Recorded]:
        """Block 2: h1 buys, h2 sells 700 Wh from 100,000 on."""
        buy = self._placed() if self.story.is_placed else self._own()
        sell = self.chain.transaction(
            "market/order",
            "h2",
            KEYS["h2"],
            {"counter": 1, "nonce": sm3(b"nonce of h2")[:16], "slot_start_s": START_S},
            {"area": "a1", "price_micro_per_kwh": 100_000, "quantity_wh": 700, "side": "sell"},
        )
        self.chain.protocol_version = self.story.protocol_version
        self.chain.block(self.story.order_time_s, [buy, sell])
        self.chain.protocol_version = 2
        return Recorded(buy, 2), Recorded(sell, 2)

    def _own(self) -> SignedTransaction:
        """What h1 signs: its order, a ramp or a profile."""
        story, facts = self.story, self.story.order
        kind, counter, first_s = "market/order", 1, facts.slot_start_s
        body: dict[str, Item] = {
            "area": facts.area,
            "price_micro_per_kwh": facts.price,
            "quantity_wh": facts.quantity_wh,
            "side": facts.side,
        }
        if story.is_whole:
            body["condition"] = "all_or_none"
        if story.ramp:
            counter = story.ramp.counter
            more: dict[str, Item] = {"steps": story.ramp.steps, "last_price_micro_per_kwh": story.ramp.last_price}
            body |= more | {"quantity_wh": story.ramp.quantity_wh, "replaces": [7]}
        if story.conditions:
            body["conditions"] = [_condition(one) for one in story.conditions]
        if story.profile:
            kind, counter, first_s = "market/profile", story.profile.counter, story.profile.first_s
            data = b"".join(map(u32, story.profile.quantities))
            own: Item = {"price_micro_per_kwh": facts.price, "quantities_wh": data, "side": facts.side}
            if story.conditions:
                preferred: list[Item] = [_condition_of_days(one, story.profile) for one in story.conditions]
                own = {"conditions": preferred, "side": facts.side}
            other: Item = {"price_micro_per_kwh": 400_000, "quantities_wh": u32(1), "side": "sell"}
            body = {"area": facts.area, "end_s": story.profile.end_s, "parts": [other, own]}
        return self.chain.transaction(
            kind,
            story.order_signer,
            KEYS[story.order_pair],
            {"counter": counter, "nonce": sm3(b"nonce of h1")[:16], "slot_start_s": first_s},
            body,
            chain=story.order_chain,
        )

    def _placed(self) -> SignedTransaction:
        """The aggregator's batch: the order of h1, or the conditions of its bid, and one of nobody's."""
        story, facts, placed = self.story, self.story.order, self.story.placed
        limits = [(one.energy_wh, one.price) for one in story.conditions] or [(facts.quantity_wh, facts.price)]
        own = [
            u32(placed.party) + u32(placed.counter + at) + bytes([placed.side]) + i64(*limit)
            for at, limit in enumerate(limits)
        ]
        rows = (*own, u32(7) + u32(1) + b"\x00" + i64(1, 1))
        if placed.wanted:
            rows = tuple(row + _wanted(*one) for row, one in zip(rows, (*placed.wanted, (0, 0, 0, 0)), strict=True))
        self.placed = Rows(sm3(b"orders of the pool"), rows)
        return self.chain.transaction(
            "market/order_batch",
            placed.signer,
            KEYS[placed.pair],
            {"client_id": bytes(16), "valid_until_s": 8_000},
            {
                "rows": len(rows),
                "rows_root": self.placed.root,
                "slot_start_s": placed.slot_start_s,
                "zone": placed.zone,
            },
            b"its columns",
            story.order_chain,
        )

    def _order_seeds(self) -> list[Item]:
        seeds: list[Item] = [sm3(order.transaction.signature) for order in self.orders]
        if self.story.is_placed:
            own = Rows(sm3(self.placed.seed + b"orders"), self.placed.rows).place(0)
            seeds[0] = salted_hash(own.salt, own.row)
        return seeds

    def _clear(self) -> tuple[Rows, Rows, Rows, Rows]:
        """Block 3: the fills, the book, the trades and the areas of the clearing."""
        story = self.story
        seeds = self._order_seeds()
        seed_a = sm3(encode(["clearing-seed/2", 0, START_S, "z1", seeds]))
        seed_c = sm3(encode(["clearing-seed/2", START_S, "z1", seeds]))
        fills = Rows(sm3(seed_a + b"fills"), tuple(map(self._filled, (story.fill, *story.more_fills, *story.others))))
        book = Rows(sm3(seed_a + b"book"), tuple(map(_book_row, story.book)))
        trades = Rows(sm3(seed_a + b"trades"), tuple(map(_trade_row, story.trades)))
        row = u32(story.cleared_area) + u32(len(story.book)) + i64(story.volume_wh)
        row += bytes([story.gate_has_price]) + i64(story.clearing_price)
        row += self._digest("rules/r1") + book.root + fills.root
        if story.contract in PAIRED:
            row += u32(len(story.trades)) + trades.root
        cleared = Rows(sm3(seed_c + b"areas"), (row,))
        clearing: Item = {
            "areas": 1,
            "areas_root": cleared.root,
            "contract": story.contract,
            "contract_pin": sm3(b"the contract's code"),
            "slot_start_s": START_S,
            "zone": story.cleared_zone,
        }
        self.chain.block(max(8_100, story.order_time_s), (), {f"clearing/{START_S}/z1": clearing})
        return fills, book, trades, cleared

    def _filled(self, fill: FillFacts) -> bytes:
        """The row of a fill, with what its trades and their fees come to where there may be some."""
        story = self.story
        own = [one for one in story.trades if (fill.party, fill.counter) in (one.buyer, one.seller)]
        amount = sum(one.energy_wh * one.price for one in own)
        fees = sum(one.energy_wh * (one.fee or 0) for one in own if fill.side == 0)
        if fill == story.fill:
            amount = amount if story.amount_nano is None else story.amount_nano
            fees = fees if story.fee_nano is None else story.fee_nano
        money = (amount, fees) if story.contract == ALONG_GRID else (amount,) if story.contract in PAIRED else ()
        return _fill_row(fill) + i64(*money) + b"".join(map(u32, fill.asked))

    def _digest(self, key: str) -> bytes:
        row = self.row(key)
        return salted_hash(row.salt, row.row)

    def _readings(self, facts: ReadingFacts, counter: int) -> Rows:
        """The household's row and one of its neighbour."""
        exported = 7_000 if counter == 1 else 7_800
        neighbour = ReadingFacts(facts.boundary_s, 20_000, exported, meter=2)
        return Rows(sm3(b"batch %d" % counter), (_reading_row(facts), _reading_row(neighbour)))

    def _batch(self, facts: ReadingFacts, counter: int, previous: bytes) -> Recorded:
        """Blocks 4 and 5."""
        story, rows = self.story, self.readings[counter - 1]
        transaction = self.chain.transaction(
            "metering/reading_batch",
            story.batch_signer,
            KEYS[story.batch_pair],
            {"counter": counter, "epoch": 1},
            {
                "agent": "builder",
                "boundary_s": facts.boundary_s,
                "clock": {"offset_ms": facts.clock_offset_ms, "state": facts.clock_state},
                "configuration": sm3(b"configuration"),
                "previous": previous,
                "profiles": sm3(b"profiles"),
                "registers": list[Item](story.batch_registers),
                "rows": 2,
                "rows_root": rows.root,
            },
            b"its columns",
            story.batch_chain,
        )
        height = len(self.chain.blocks)
        changes = entity_leaves([self.row("point/p1"), self.point]) if height == self.point.height else {}
        self.chain.block((9_010, 9_910)[counter - 1], [transaction], changes)
        return Recorded(transaction, height)

    def _import(self, facts: ImportFacts) -> Recorded:
        """Block 5: the energy of the household and one of its neighbour, out of a file."""
        heads = [(facts.meter, facts.quality, facts.import_wh, 0), (2, 0, 0, 800)]
        rows = tuple(
            u32(meter) + i64(facts.slot_start_s) + bytes([quality]) + i64(taken, given)
            for meter, quality, taken, given in heads
        )
        self.intervals = Rows(sm3(b"an import"), rows)
        transaction = self.chain.transaction(
            "metering/interval_import",
            facts.signer,
            KEYS[facts.signer],
            {"client_id": bytes(16), "valid_until_s": 10_000},
            {
                "agent": "builder",
                "estimates": "open",
                "files": [["readings.csv", sm3(b"readings")]],
                "first_slot_s": START_S,
                "meters": 2,
                "rows_root": self.intervals.root,
                "slot_s": facts.slot_s,
                "slots": 1,
            },
            b"its columns",
        )
        height = len(self.chain.blocks)
        self.chain.block(9_910, [transaction])
        return Recorded(transaction, height)

    def _approve(self) -> Recorded:
        """Block 5, instead of the second batch."""
        facts = self.story.approved
        assert facts is not None
        transaction = self.chain.transaction(
            "metering/approve",
            facts.signer,
            KEYS[facts.signer],
            {"client_id": bytes(16), "valid_until_s": 10_000},
            {
                "boundary_s": facts.boundary_s,
                "installation": facts.installation,
                "reason": facts.reason,
                "registers": [facts.import_wh, 0],
            },
        )
        height = len(self.chain.blocks)
        self.chain.block(9_910, [transaction])
        return Recorded(transaction, height)

    def _settle(self) -> tuple[Rows, Rows]:
        """Block 6: the positions and the areas of the run."""
        story = self.story
        chunk_seeds: list[list[Item]] = [[sm3(bytes(32) + rows.seed)] for rows in self.readings]
        seed_r = sm3(encode(["result-seed/2", START_S, "z1", "initial", chunk_seeds[0], chunk_seeds[1]]))
        facts = [story.position, story.neighbour, *([] if story.sibling is None else [story.sibling])]
        positions = Rows(seed_r, tuple(_position_row(one) for one in facts))
        area_row = u32(story.settled_area) + self._digest(story.settled_rules) + i64(*story.area_columns)
        area_results = Rows(sm3(seed_r + b"areas"), (area_row,))
        run: Item = {
            "areas": 1,
            "areas_root": area_results.root,
            "as_of_height": story.as_of_height,
            "contract": story.contract,
            "contract_pin": sm3(b"the contract's code"),
            "points": len(facts),
            "rows": len(facts),
            "rows_root": positions.root,
            "run": "initial",
            "slot_start_s": START_S,
            "totals_root": NO_LEAVES,
            "zone": "z1",
        }
        runs: list[Item] = [["initial", story.runs_height]]
        if story.later_run:
            runs.append(["corrected", 7])
        changes: dict[str, Item] = {
            f"run/{START_S}/z1/initial": run,
            f"runs/{START_S}/z1": {"runs": runs},
            f"runs/{END_S}/z1": {"runs": [["initial", story.runs_height]]},
        }
        self.chain.block(11_700, (), changes)
        return positions, area_results
