"""registry/register of every entity on a running chain: what joins, leaves and changes, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gridcore.codes import Code
from gridcore.governance.contract import CONTRACT, ApprovedContract
from gridcore.governance.table import Action
from gridcore.master_data import Listed, Named
from gridcore.registry.organisation import ORGANISATION, ROLES, Organisation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.row import Row
from gridcore.registry.signer import SIGNER, Signer
from gridevidence.layout import ENTITIES
from gridevidence.verifier.shapes import conform
from ledger.leaves.balance import BALANCE
from ledger.leaves.registers import REGISTERS
from ledger.leaves.run import RUN
from ledger.registry import entries
from ledger.registry.calendars import must_calendar
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.registry.histories import NEVER_S
from ledger.state.draft import Draft
from ledger.state.registration_rules import Judge, note_reopened
from ledger.state.registrations import SaltedRow
from settlement.catalogue import CONTRACTS, contract_pin
from tests.worlds.consortium import (
    DAYS,
    FIRST_S,
    PRICES,
    SLOT_S,
    START_S,
    UTILITY,
    Consortium,
    area,
    feeder,
    gateway,
    household,
    rules,
    zone,
)
from tests.worlds.keys import is_cheaply_signed, key, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.transactions import Sender

WORLD = Consortium(
    gateways=[gateway("gw-1"), gateway("gw-2", organisation="dso")],
    meters=[household(1, "p-1"), feeder(2)],
    roles={"admin": ["administrator"], "dso-admin": ["administrator"]},
    organisations={"dso-admin": "dso"},
)
JOINS_S = FIRST_S + 7
"""Inside the first slot."""


def since(at_s: int) -> dict[str, int]:
    """Point, party and meter from a time on."""
    return {"from_s": at_s, "installed_s": at_s}


class Chain:
    """A chain in memory, and what its meters show: 100 Wh more import a slot each."""

    def __init__(self, world: Consortium = WORLD) -> None:
        self.sender = Sender(world.chain, START_S, sign_cheaply)
        self.ledger = MemoryLedger(world.genesis, is_cheaply_signed)
        self.state = self.ledger.state

    def register(self, *listed: Listed | Row, signer: str = "admin") -> int:
        """The code of a block that registers these."""
        rows = [row for one in listed for row in ([one] if isinstance(one, Row) else one.rows())]
        return int(self.ledger.apply([self.sender.register(rows, signer=signer)]).results[0].code)

    def approve_contract(self, contract: str) -> None:
        """Let zones name a contract of this program from the block after the next one on."""
        action = Action(CONTRACT, ApprovedContract(contract, contract_pin(contract), self.ledger.height + 2))
        assert [result.code for result in self.ledger.apply([self.sender.propose(action)]).results] == [0]

    def read(self, boundary_s: int, meters: Sequence[int], by: str = "gw-1") -> list[int]:
        """A batch of these meters at a boundary; the verdicts on its rows that were refused."""
        self.step_to(boundary_s)
        wire = self.sender.batch(by, boundary_s, [(m, (boundary_s - FIRST_S) // SLOT_S * 100, 0) for m in meters])
        result = self.ledger.apply([wire]).results[0]
        assert result.code == Code.ACCEPTED
        return [verdict.code for verdict in result.rows]

    def step_to(self, time_s: int) -> None:
        """Move ledger time, once the work of the step before is done."""
        while self.ledger.ledger_time_s < time_s:
            while self.ledger.apply([]).work_pending:
                pass
            to_s = min(time_s, self.ledger.ledger_time_s + 86_400)
            assert [int(r.code) for r in self.ledger.apply([self.sender.clock(to_s)]).results] == [0]

    def settled(self, slot_start_s: int, zone_name: str = "z-1") -> int | None:
        """How many points the initial run of a slot settled, at its deadline."""
        self.step_to(slot_start_s + SLOT_S + 900)
        leaf = RUN.load(self.state, slot_start_s, zone_name, "initial")
        return None if leaf is None else leaf.points

    def reopened(self, *listed: Listed) -> dict[str, set[tuple[int, int]]]:
        """What these rows, were they registered now, would reopen."""
        draft = Draft(self.state, self.ledger.height + 1, self.ledger.ledger_time_s, CONTRACTS)
        judge = Judge(draft, UTILITY)
        rows = [SaltedRow(row, bytes(16) + row.encode()) for one in listed for row in one.rows()]
        assert judge.first_fault(rows) is None
        note_reopened(draft, judge)
        return draft.reopened


@pytest.fixture
def chain() -> Chain:
    return Chain()


def signer_of(name: str, role: str) -> Named[Signer]:
    return Named(SIGNER, name, Signer(UTILITY, key(name).public_key, [role]), START_S)


def moved_out(party: str, point: str, at_s: int) -> list[Listed]:
    """A party that leaves its point and trades no more."""
    return [
        Named(PARTY, party, Party("a-1", UTILITY, trades=False), at_s),
        Named(POINT, point, Point("a-1", "household"), at_s),
    ]


def test_a_home_that_joins_a_running_chain_is_read_and_settled_in_the_next_slot(chain: Chain) -> None:
    """Nobody could add a meter after genesis."""
    assert chain.read(FIRST_S, [1, 2]) == []
    assert (
        chain.register(household(3, "p-3", **since(JOINS_S)), signer_of("p-3", "prosumer")._replace(from_s=JOINS_S))
        == 0
    )
    for slot in (1, 2, 3):
        assert chain.read(FIRST_S + slot * SLOT_S, [1, 2, 3]) == []
    assert (chain.settled(FIRST_S), chain.settled(FIRST_S + SLOT_S)) == (1, 2)
    leaf = ENTITY_FAMILIES["point"].must(chain.state, "P-3")
    assert leaf.number == 2


def test_chunks_grow_with_the_rows_of_their_zone(chain: Chain) -> None:
    chain.read(FIRST_S, [1, 2])
    chain.read(FIRST_S + SLOT_S, [1, 2])
    assert chain.settled(FIRST_S) == 1
    before = BALANCE.must(chain.state, "z-1", 0)
    assert chain.register(household(3, "p-3", **since(FIRST_S + 7))) == 0
    assert chain.read(FIRST_S + 3 * SLOT_S, [3]) == []
    assert chain.read(FIRST_S + SLOT_S, [3]) == [], (
        "a late row goes into the leaf of a boundary from before the point was"
    )
    at = REGISTERS.must(chain.state, FIRST_S + SLOT_S, "z-1", 0)
    assert (at.import_wh.tolist(), at.quality.tolist()) == ([100, 100, 100], [0, 0, 0])
    chain.read(FIRST_S + 2 * SLOT_S, [1, 2, 3])
    assert chain.settled(FIRST_S + SLOT_S) == 2
    after = BALANCE.must(chain.state, "z-1", 0)
    assert (len(before.units), len(after.units)) == (2, 3)


def test_another_tariff_holds_from_its_instant_on(chain: Chain) -> None:
    """Nobody could change a tariff after genesis."""
    dearer = rules(prices={**PRICES, "levy_micro_per_kwh": 90_000})._replace(from_s=FIRST_S + SLOT_S)
    assert chain.register(dearer) == 0
    for slot in (0, 1, 2):
        chain.read(FIRST_S + slot * SLOT_S, [1, 2])
    owed = []
    for slot in (0, 1):
        assert chain.settled(FIRST_S + slot * SLOT_S) == 1
        owed.append(BALANCE.must(chain.state, "z-1", 0).owes_nano()[0])
    assert owed[1] - 2 * owed[0] == 100 * 50_000


def test_a_calendar_is_continued_before_it_ends(chain: Chain) -> None:
    """Local days were frozen at genesis: after the last of them no day had a statement."""
    ends_s = DAYS[-1]
    value = {"days": [ends_s, ends_s + 90_000], "months": [], "tz": "UTC", "tz_version": "2"}
    assert chain.register(Row("calendar/c", START_S - 1, {**value, "days": [ends_s]})) == Code.REGISTRY_NOT_AHEAD
    assert chain.register(Row("calendar/c", ends_s + 1, value)) == Code.REGISTRY_CONFLICT
    assert chain.register(Row("calendar/c", ends_s, {**value, "days": [ends_s + 7]})) == Code.REGISTRY_CONFLICT
    assert chain.register(Row("calendar/c", ends_s, value)) == 0
    found = must_calendar(chain.state, "c", chain.ledger.height)
    assert (found.days, found.months, found.tz_version) == ([*DAYS, ends_s + 90_000], [0], "2")
    assert must_calendar(chain.state, "c", chain.ledger.height - 1).days == DAYS, "as of the block before"


def test_a_new_gateway_reads_a_meter_that_was_moved_to_it(chain: Chain) -> None:
    moved = list(feeder(2, gateway="gw-9", profile="other", **since(JOINS_S)).rows())[-1]
    moved = moved._replace(value={name: item for name, item in moved.value.items() if name != "first_registers"})
    new = gateway("gw-9")._replace(from_s=START_S)
    assert chain.register(new, signer_of("gw-9", "gateway"), moved) == 0
    assert chain.read(FIRST_S, [1, 2]) == []
    assert chain.read(FIRST_S + SLOT_S, [2], by="gw-9") == []
    assert chain.read(FIRST_S + SLOT_S, [1, 2]) == [Code.ROW_OTHER_GATEWAY]


def test_a_party_that_trades_has_up_to_sixteen_points(chain: Chain) -> None:
    more = [Named(POINT, f"Q-{number}", Point("a-1", "household", "p-1"), JOINS_S) for number in range(15)]
    assert chain.register(*more, Named(POINT, "P-2", Point("a-1", "household", "p-1"), FIRST_S)) == 53
    assert chain.register(*more) == 0


@pytest.mark.parametrize(
    "changed",
    [
        Point("a-1", "household", "p-1", supplier="south"),
        Point("a-1", "household"),
        Point("a-1", "household", "p-1", share_ppm=1),
    ],
)
def test_what_a_point_is_changes_where_a_slot_begins(chain: Chain, changed: Point) -> None:
    stays = Named(PARTY, "p-1", Party("a-1", UTILITY, trades=False), FIRST_S)
    assert chain.register(stays, Named(POINT, "P-1", changed, FIRST_S + SLOT_S - 1)) == Code.REGISTRY_CONFLICT
    assert chain.register(stays, Named(POINT, "P-1", changed, FIRST_S + SLOT_S)) == 0
    entries = ENTITY_FAMILIES["point"].must(chain.state, "P-1").entries
    assert [entry.from_s for entry in entries] == [0, FIRST_S + SLOT_S]


def test_a_zone_with_its_first_home_is_founded_on_a_running_chain(chain: Chain) -> None:
    chain.step_to(FIRST_S)
    founded = zone("z-2", from_s=FIRST_S, first_slot_start_s=FIRST_S + 2 * SLOT_S)
    member = area("b-1", zone="z-2", rules="r-2")._replace(from_s=FIRST_S)
    assert chain.register(founded, rules("r-2"), member, household(9, "p-9", area="b-1", **since(FIRST_S + 5))) == 0
    for slot in (2, 3):
        assert chain.read(FIRST_S + slot * SLOT_S, [9]) == []
    assert chain.settled(FIRST_S + 2 * SLOT_S, "z-2") == 1


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([household(3, "p-3", area="a-9", **since(JOINS_S))], Code.REGISTRY_UNKNOWN),
        ([feeder(3, gateway="gw-9", **since(JOINS_S))], Code.REGISTRY_UNKNOWN),
        ([feeder(3, gateway="gw-1", point="P-2", **since(JOINS_S))], Code.REGISTRY_CONFLICT),
        ([Named(PARTY, "p-9", Party("a-1", UTILITY, trades=True), JOINS_S)], Code.REGISTRY_CONFLICT),
        ([Named(POINT, "P-1", Point("a-1", "household"), FIRST_S)], Code.REGISTRY_CONFLICT),
        ([area("a-2")._replace(from_s=FIRST_S + 1)], Code.REGISTRY_CONFLICT),
        ([area("a-2", rules="r-9")], Code.REGISTRY_UNKNOWN),
        ([area("a-2", calendar="x")], Code.REGISTRY_UNKNOWN),
        ([zone("z-1", from_s=START_S, metering_deadline_s=901)], Code.REGISTRY_CONFLICT),
        ([zone("z-2", from_s=START_S, first_slot_start_s=FIRST_S + 1)], Code.REGISTRY_CONFLICT),
        ([zone("z-2", from_s=START_S, first_slot_start_s=START_S - SLOT_S)], Code.REGISTRY_CONFLICT),
        ([zone("z-2", from_s=START_S - 1)], Code.REGISTRY_NOT_AHEAD),
        ([gateway("gw-1")._replace(from_s=START_S - 1)], Code.REGISTRY_NOT_AHEAD),
        ([rules(prices={})._replace(from_s=JOINS_S)], Code.RULES_REFUSED),
        ([household(3, "levy", **since(JOINS_S))], Code.RULES_REFUSED),
        ([gateway("gw-3", organisation="dso")._replace(from_s=START_S)], Code.NOT_PERMITTED),
        ([Named(ORGANISATION, "dso", Organisation(list(ROLES), "Mine"), START_S)], Code.NOT_PERMITTED),
        ([Named(ORGANISATION, UTILITY, Organisation(["utility"], "Less"), START_S)], Code.NOT_PERMITTED),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_recorded(
    chain: Chain, listed: Sequence[Listed], code: Code
) -> None:
    root = chain.state.root()
    assert chain.register(signer_of("new", "prosumer"), *listed) == code
    assert chain.state.root() == root


def test_a_zone_keeps_its_contract_where_this_node_does_not_have_the_other(chain: Chain) -> None:
    found = next(iter(zone("z-1", from_s=START_S).rows()))
    assert chain.register(found._replace(value={**found.value, "contract": "p2p/9"})) == Code.RULES_REFUSED


def test_a_zone_names_an_approved_contract_with_the_pin_that_was_approved_and_from_its_height_on(chain: Chain) -> None:
    """The pin of a zone row was looked at by the command that submits it alone: a node was stopped by it at its next start."""
    found = next(iter(zone("z-1", from_s=START_S).rows()))
    assert chain.register(found._replace(value={**found.value, "contract_pin": bytes(32)})) == Code.RULES_REFUSED
    chain.approve_contract("mid_market_rate/1")
    new = zone("z-2", contract="mid_market_rate/1", from_s=START_S)
    codes = [chain.register(new), chain.register(new._replace(from_s=START_S + 1))]
    assert codes == [0, 0], "the block after the approval is its height"
    action = Action(CONTRACT, ApprovedContract("p2p/9", bytes(32), chain.ledger.height + 99))
    assert [result.code for result in chain.ledger.apply([chain.sender.propose(action)]).results] == [0]
    later = found._replace(value={**found.value, "contract": "p2p/9", "contract_pin": bytes(32)})
    assert chain.register(later) == Code.RULES_REFUSED


def test_an_organisation_gives_itself_another_title(chain: Chain) -> None:
    assert chain.register(Named(ORGANISATION, UTILITY, Organisation(list(ROLES), "Grid and Sons"), START_S)) == 0


def test_a_contract_changes_together_with_the_rules_that_it_takes(chain: Chain) -> None:
    """Old prices stay refused by the new contract and the other way round: each is met in its own time alone."""
    community = {name: price for name, price in PRICES.items() if not name.startswith(("surplus", "shortfall"))}
    begins_s = START_S + 2 * 86_400
    switched = zone("z-1", contract="mid_market_rate/1", from_s=begins_s - 86_400)
    shared = rules("r-2", prices=community, terms={})._replace(from_s=begins_s)
    assert chain.register(switched) == Code.RULES_REFUSED, "it is not approved"
    chain.approve_contract("mid_market_rate/1")
    assert chain.register(switched) == Code.RULES_REFUSED, "it takes other rules"
    assert (
        chain.register(switched, shared, area("a-1", rules="r-2")._replace(from_s=begins_s - 1))
        == Code.REGISTRY_UNKNOWN
    )
    assert chain.register(switched, shared, area("a-1", rules="r-2")._replace(from_s=begins_s)) == 0


def test_a_contract_does_not_change_while_a_point_has_own_rules_that_the_new_one_does_not_take(chain: Chain) -> None:
    """Only the rules of areas were looked at: the first slot under the new contract stopped every node."""
    community = {name: price for name, price in PRICES.items() if not name.startswith(("surplus", "shortfall"))}
    begins_s = START_S + 2 * 86_400
    shared = rules("r-2", prices=community, terms={})._replace(from_s=begins_s)
    switched: list[Listed] = [
        zone("z-1", contract="mid_market_rate/1", from_s=begins_s - 86_400),
        shared,
        area("a-1", rules="r-2")._replace(from_s=begins_s),
    ]
    own = Named(POINT, "P-1", Point("a-1", "household", "p-1", rules="own"), FIRST_S)
    assert chain.register(rules("own"), own) == 0
    chain.approve_contract("mid_market_rate/1")
    assert chain.register(*switched) == Code.RULES_REFUSED
    without = own._replace(record=own.record._replace(rules=None), from_s=begins_s)
    assert chain.register(*switched, without._replace(from_s=begins_s + SLOT_S)) == Code.RULES_REFUSED
    assert chain.register(*switched, without) == 0
    assert chain.settled(begins_s) == 1


def test_a_party_with_a_standing_order_keeps_its_point_until_that_slot_is_over(chain: Chain) -> None:
    chain.step_to(FIRST_S - 3_600)
    order = chain.sender.order("p-1", "a-1", "buy", 5, 370_000, FIRST_S + SLOT_S)
    assert [int(result.code) for result in chain.ledger.apply([order]).results] == [0]
    assert chain.register(*moved_out("p-1", "P-1", FIRST_S + SLOT_S)) == Code.REGISTRY_CONFLICT
    assert chain.register(*moved_out("p-1", "P-1", FIRST_S + 2 * SLOT_S)) == 0


def test_an_order_that_this_block_would_leave_behind_is_not_taken(chain: Chain) -> None:
    chain.step_to(FIRST_S - 3_600)
    rows = [row for one in moved_out("p-1", "P-1", FIRST_S) for row in one.rows()]
    order = chain.sender.order("p-1", "a-1", "buy", 5, 370_000, FIRST_S + SLOT_S)
    codes = [int(result.code) for result in chain.ledger.apply([chain.sender.register(rows), order]).results]
    assert codes == [0, Code.DOES_NOT_TRADE]


def test_rows_may_be_dated_back_until_their_slots_are_final() -> None:
    world = replace(WORLD, zones=[zone(final_after_s=3 * SLOT_S)])
    chain = Chain(world)
    chain.step_to(FIRST_S + 10 * SLOT_S)
    horizon_s = FIRST_S + 7 * SLOT_S
    dearer = rules(prices={**PRICES, "levy_micro_per_kwh": 1})
    assert chain.register(dearer._replace(from_s=horizon_s - 1)) == Code.REGISTRY_NOT_AHEAD
    assert chain.register(household(3, "p-3", **since(horizon_s - 1))) == Code.REGISTRY_NOT_AHEAD
    assert chain.register(dearer._replace(from_s=horizon_s)) == 0
    assert chain.register(household(3, "p-3", **since(horizon_s + 1))) == 0


def test_an_entry_that_a_slot_still_rests_on_is_never_folded(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """65 prices ahead of time pushed out the one in force, and the next run would have stopped the node."""
    monkeypatch.setattr(entries, "ENTRIES_MAX", 2)
    first, second = (rules()._replace(from_s=FIRST_S + slot * SLOT_S) for slot in (1, 2))
    assert chain.register(first) == 0
    assert chain.register(second) == Code.REGISTRY_CONFLICT


def test_what_is_dated_back_into_settled_slots_reopens_them(chain: Chain) -> None:
    for slot in (0, 1, 2):
        chain.read(FIRST_S + slot * SLOT_S, [1, 2])
    assert chain.settled(FIRST_S + SLOT_S) == 1
    next_s = FIRST_S + 2 * SLOT_S
    other = rules(prices={**PRICES, "levy_micro_per_kwh": 1})
    assert chain.reopened(other._replace(from_s=next_s)) == {"z-1": {(next_s, NEVER_S)}}, (
        "may be settled in the same block"
    )
    assert chain.reopened(other._replace(from_s=next_s - 1)) == {"z-1": {(next_s - 1, NEVER_S)}}
    assert chain.reopened(*moved_out("p-1", "P-1", FIRST_S)) == {"z-1": {(FIRST_S, NEVER_S)}}
    assert chain.reopened(area("a-2"), rules("r-2")) == {}, "a first row changes no slot"


def test_a_point_names_its_market_partners_in_each_direction(chain: Chain) -> None:
    partners: dict[str, Any] = {
        "supplier": "north",
        "offtaker": "sun",
        "balance_responsible_import": "b-1",
        "grid_operator": "dso",
    }
    named = Point("a-1", "feeder")._replace(**partners, balance_responsible_export="b-2")
    assert chain.register(Named(POINT, "P-2", named, FIRST_S)) == 0
    wrong = Named(POINT, "P-2", Point("a-1", "feeder", supplier="no name"), JOINS_S)
    assert chain.register(wrong) == Code.REGISTRY_FORM
    value = POINT.encode(named)
    conform(value, ENTITIES["point"], "a point's row")
