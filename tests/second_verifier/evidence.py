"""The evidence bundle, trust root and order book of a told story, put together from docs/spec/bundle.md."""

import json
from dataclasses import dataclass

from tests.second_verifier.encoding import Item, encode
from tests.second_verifier.facts import START_S, FillFacts
from tests.second_verifier.story import AUCTION, NEW_SIGNERS, OLD_SIGNERS, PAIRED
from tests.second_verifier.told import Recorded, Told
from tests.second_verifier.trees import path as tree_path
from tests.second_verifier.trees import salted_hashes

HEADER, HAND_OVER, LATER = 7, 8, 9
Map = dict[str, Item]


@dataclass(frozen=True)
class Evidence:
    """Still items, so that a test can change one of them before it is encoded."""

    bundle: Map
    trust: dict[str, object]
    book: Map

    @property
    def bundle_bytes(self) -> bytes:
        return encode(self.bundle)

    @property
    def trust_bytes(self) -> bytes:
        return json.dumps(self.trust).encode()

    @property
    def book_bytes(self) -> bytes:
        return encode(self.book)


class _Assembler:
    def __init__(self, told: Told) -> None:
        self.told = told
        self.chain = told.chain

    def opened(self, key: str) -> Map:
        return self.chain.opened(self.told.row(key), HEADER)

    def proof(self, recorded: Recorded) -> Map:
        return self.chain.transaction_proof(recorded.transaction, recorded.height, HEADER)

    def reading(self, index: int) -> Map:
        return {**self.proof(self.told.batches[index]), "reading": self.told.readings[index].place(0).proof}

    def order(self, place: int, fill: FillFacts) -> Map:
        order: Map = {**self.proof(self.told.orders[0]), "fill": self.told.fills.place(place).proof}
        if self.told.story.trades:
            own = (fill.party, fill.counter)
            places = [place for place, one in enumerate(self.told.story.trades) if own in (one.buyer, one.seller)]
            order["trades"] = [self.told.trades.place(place).proof for place in places]
        if not self.told.story.is_placed:
            return order
        return order | {"mandate": self.opened("party/h1"), "order": self.told.placed.place(place).proof}

    def genesis_key(self, name: str) -> Map:
        row = self.told.row(f"signer/{name}")
        entry: Map = {**row.opening, "genesis": self.chain.state_proof(row.key, 0)}
        return {**self.chain.state_proof(row.key, HEADER), "entries": [entry]}

    def enrolled_key(self) -> Map:
        row, rows = self.told.enrolled, self.told.enrolled_rows
        row_path: list[Item] = list(tree_path(salted_hashes(rows.seed, rows.rows), 0))
        entry: Map = {**row.opening, "enrolment": {**self.proof(self.told.enrolment), "row_path": row_path}}
        return {**self.chain.state_proof(row.key, HEADER), "entries": [entry]}

    def pieces(self) -> list[Item]:
        if self.told.story.is_estimated or self.told.story.imported is not None:
            return []
        if self.told.story.comes_s is not None:
            return [{"end": self.reading(1), "installation": self.opened("installation/1")}]
        first: Map = {"installation": self.opened("installation/1"), "start": self.reading(0)}
        if self.told.story.approved is not None:
            return [{**first, "approved_end": self.proof(self.told.batches[1])}]
        if self.told.story.removed_s is None and self.told.story.leaves_s is None:
            return [{**first, "end": self.reading(1)}]
        ended_by = next(row for row in reversed(self.told.genesis_rows) if row.key == "installation/1")
        if self.told.story.leaves_s is not None:
            return [{**first, "ended_by": self.chain.opened(ended_by, HEADER)}]
        following = self.told.row("installation/3") if self.told.story.next_meter_s is not None else ended_by
        second: Map = {"end": self.reading(1), "installation": self.chain.opened(following, HEADER)}
        return [{**first, "ended_by": self.chain.opened(ended_by, HEADER)}, second]

    def traded(self) -> Map:
        """The orders, and the clearing where there are any."""
        story = self.told.story
        if story.contract not in (AUCTION, *PAIRED):
            return {"orders": []}
        leaf = self.chain.state_proof(f"clearing/{START_S}/z1", HEADER)
        return {
            "clearing": {"area": self.told.cleared.place(0).proof, **leaf},
            "orders": [self.order(*placed) for placed in enumerate((story.fill, *story.more_fills))],
            **self.siblings(),
        }

    def siblings(self) -> Map:
        """The other point, where h1 has one."""
        if self.told.story.sibling is None:
            return {}
        return {"siblings": [{"point": self.opened("point/p3"), "position": self.told.positions.place(2).proof}]}

    def imported(self) -> Map:
        """What was imported, where it was."""
        if self.told.story.imported is None:
            return {}
        shown = {"installation": self.opened("installation/1"), "interval": self.told.intervals.place(0).proof}
        return {"imported": {**self.proof(self.told.batches[1]), **shown}}

    def prices(self) -> Map:
        """The rules of the point's own and the price series, where there are any: of each its first entry."""
        story = self.told.story
        named = {name for rules in (story.rules, story.own_rules) if rules for _, name in rules.series}
        named |= {one.series for one in story.agreements if one.series is not None}
        shown: Map = {"point_rules": self.opened("rules/own")} if story.own_rules else {}
        series = [self.opened(f"price_series/{name}") for name in sorted(named)]
        return shown | ({"series": list[Item](series)} if series else {})

    def agreements(self) -> Map:
        """Those of the point, where there are any."""
        shown: list[Item] = [self.opened(f"agreement/{one.name}") for one in self.told.story.agreements]
        return {"agreements": shown} if shown else {}

    def keys(self) -> list[Item]:
        story = self.told.story
        keys: dict[str, Map] = {}
        if story.imported is not None:
            keys |= {story.imported.signer: self.genesis_key(story.imported.signer)}
        elif not story.is_estimated:
            keys |= {story.batch_signer: self.genesis_key(story.batch_signer)}
        if story.approved is not None:
            keys[story.approved.signer] = self.genesis_key(story.approved.signer)
        if story.is_placed:
            keys |= {story.placed.signer: self.genesis_key(story.placed.signer)}
        elif story.contract in (AUCTION, *PAIRED):
            keys |= {"h1": self.enrolled_key(), story.enroller: self.genesis_key(story.enroller)}
        return [keys[name] for name in sorted(keys)]

    def bundle(self) -> Map:
        chain = self.chain
        zone: Map = self.opened("zone/z1")
        return {
            "area": self.opened("area/a1"),
            "area_result": self.told.area_results.place(0).proof,
            "certificate": chain.certificate(HEADER, OLD_SIGNERS),
            "chain": chain.state_proof("chain", HEADER),
            "gateways": [] if self.told.story.is_estimated else [self.opened("gateway/gw1")],
            "genesis": {"header": chain.blocks[0].header, "path": chain.history_path(0, HEADER)},
            "handovers": [],
            "header": chain.blocks[HEADER].header,
            "keys": self.keys(),
            "party": self.opened("party/h1"),
            "pieces": self.pieces(),
            "point": chain.opened(self.told.point, HEADER),
            "position": self.told.positions.place(0).proof,
            "rules": self.opened("rules/r1"),
            "run": chain.state_proof(f"run/{START_S}/z1/initial", HEADER),
            "runs": chain.state_proof(f"runs/{START_S}/z1", HEADER),
            "type": "gridledger-evidence",
            "version": 2,
            "zone": zone,
            "zone_contract": zone,
            **self.traded(),
            **self.prices(),
            **self.imported(),
            **self.agreements(),
        }


def _trust(told: Told) -> dict[str, object]:
    signers = [{"name": f"node {i}", "power": 1, "public_key": pair.public.hex()} for i, pair in enumerate(OLD_SIGNERS)]
    return {
        "chain": told.chain.name,
        "genesis": told.chain.blocks[0].digest.hex(),
        "pins": [],
        "signers": signers,
        "type": "gridledger-trust",
        "version": 2,
    }


def evidence_of(told: Told) -> Evidence:
    """Certified by the header of the bundle itself."""
    rows = told.book.rows
    book: Map = {
        "book": list[Item](rows),
        "salts": [told.book.place(i).salt for i in range(len(rows))],
        "type": "gridledger-book",
        "version": 2,
    }
    return Evidence(_Assembler(told).bundle(), _trust(told), book)


def certified_later(told: Told, evidence: Evidence, hand_over: int = HAND_OVER) -> Evidence:
    """Certified by a header behind a change of signers, which header `hand_over` names."""
    chain = told.chain
    handover: Map = {
        "certificate": chain.certificate(hand_over, OLD_SIGNERS),
        "header": chain.blocks[hand_over].header,
        "path": chain.history_path(hand_over, LATER),
        "signers": [[key, 1] for key in sorted(pair.public for pair in NEW_SIGNERS)],
    }
    later: Map = {
        "certificate": chain.certificate(LATER, NEW_SIGNERS),
        "certified": {"header": chain.blocks[LATER].header, "path": chain.history_path(HEADER, LATER)},
        "handovers": [handover],
    }
    return Evidence({**evidence.bundle, **later}, evidence.trust, evidence.book)
