"""What a registration costs a node: it grows with its rows, however much is registered already; counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

from gridcore.codes import Code
from gridcore.master_data import Named
from gridcore.registry.agreement import AGREEMENT, EndedAgreement
from gridcore.registry.entity import Entity
from gridcore.registry.installation import INSTALLATION, Installation, RemovedInstallation
from gridcore.registry.party import PARTY, Party
from gridcore.registry.point import POINT, Point
from gridcore.registry.price_series import PRICE_SERIES
from gridcore.registry.rules import RULES
from ledger.leaves.columns import Int64
from ledger.registry.consistency import (
    AGREEMENTS_EVER_OF_POINT_MAX,
    INSTALLATIONS_OF_POINT_MAX,
    POINTS_OF_TRADER_MAX,
    TRADING_POINTS_MAX,
)
from ledger.registry.entries import EntityLeaf
from ledger.registry.histories import NEVER_S, RulesSpan
from ledger.registry.lookups import Lookups
from ledger.state.registration_rules import Judge
from ledger.state.registrations import Registrations, SaltedRow
from tests.unit.registry.test_agreements import EMPTY
from tests.unit.registry.test_registry_approvals import Chain
from tests.worlds.agreed import AGREED, HOUSE, SPOT
from tests.worlds.consortium import FIRST_S, SLOT_S, area

METER = Installation("gw-1", 9_000, "new", 0, "P-new", "eastron_sdm630", 1, first_registers=[0, 0])


@pytest.fixture
def chain() -> Chain:
    return Chain(EMPTY)


def registered(chain: Chain, rows: Iterable[Named[object]]) -> int:
    """The code of one registration of rows."""
    return chain.decide(chain.sender.register([row for named in rows for row in named.rows()]))


def looks(monkeypatch: pytest.MonkeyPatch, chain: Chain, rows: Sequence[Named[object]]) -> int:
    """How often a registration that is accepted asks for the history of an entity."""
    asked, of = 0, Registrations.of

    def counted(self: Registrations, entity: object, name: str) -> object:
        nonlocal asked
        asked += 1
        return of(self, entity, name)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Registrations, "of", counted)
        assert registered(chain, rows) == 0
    return asked


def party(name: str = "estate", *, trades: bool = False, from_s: int = FIRST_S) -> Named[object]:
    return Named(PARTY, name, Party("a-1", "util", trades=trades), from_s)


def points(numbers: Iterable[int], billed: str | None = "estate", from_s: int = FIRST_S) -> list[Named[object]]:
    return [Named(POINT, f"E-{number}", Point("a-1", "load", billed), from_s) for number in numbers]


def meters(numbers: Iterable[int], last: int | None = None) -> list[Named[object]]:
    """One meter after the other at one point; ``last`` stays."""
    rows: list[Named[object]] = [Named(POINT, "P-new", Point("a-1", "load"), FIRST_S)]
    for number in numbers:
        begin_s = FIRST_S + 1 + 2_000 * number
        rows.append(Named(INSTALLATION, str(1_000 + number), METER, begin_s))
        if number != last:
            gone = RemovedInstallation("P-new", [1, 1])
            rows.append(Named(INSTALLATION, str(1_000 + number), gone, begin_s + 1_800))
    return rows


def test_points_of_a_party_and_meters_of_a_point_are_judged_once_through_in_one_registration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = []
    for size in (16, 32):
        rows = [party(), *points(range(size * 8)), *meters(range(size))]
        counts.append(looks(monkeypatch, Chain(EMPTY), rows) / len(rows))
    assert counts[1] < 1.2 * counts[0]


def test_a_point_more_of_a_party_that_never_trades_costs_the_same_however_many_it_has(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registered(chain, [party(), *points(range(10))]) == 0
    few = looks(monkeypatch, chain, points([10]))
    assert registered(chain, points(range(100, 700))) == 0
    assert looks(monkeypatch, chain, points([11])) == few


def test_a_point_in_another_area_than_its_party_is_found_whichever_of_them_is_new() -> None:
    chain = Chain(replace(EMPTY, areas=[*EMPTY.areas, area("a-2", rules="agreed")]))
    assert registered(chain, [party(), *points(range(3))]) == 0
    foreign: Named[object] = Named(POINT, "E-9", Point("a-2", "load", "estate"), FIRST_S)
    assert registered(chain, [foreign]) == Code.REGISTRY_CONFLICT
    moved: Named[object] = Named(PARTY, "estate", Party("a-2", "util", trades=False), FIRST_S + SLOT_S)
    assert registered(chain, [moved]) == Code.REGISTRY_CONFLICT
    assert registered(chain, [moved, *points(range(3), None, FIRST_S + SLOT_S)]) == 0


def test_who_trades_has_had_at_most_256_points(chain: Chain) -> None:
    """Sixteen at a time, the others were given up before."""
    assert registered(chain, [party(), *points(range(POINTS_OF_TRADER_MAX))]) == 0
    given_up = points(range(TRADING_POINTS_MAX, POINTS_OF_TRADER_MAX), None, FIRST_S + SLOT_S)
    assert registered(chain, [*given_up, party(trades=True, from_s=FIRST_S + SLOT_S)]) == 0
    one_for_another = [*points([0], None, FIRST_S + 2 * SLOT_S), *points([999], from_s=FIRST_S + 2 * SLOT_S)]
    assert registered(chain, one_for_another) == Code.REGISTRY_CONFLICT
    assert registered(chain, points([POINTS_OF_TRADER_MAX - 1], from_s=FIRST_S + 2 * SLOT_S)) == Code.REGISTRY_CONFLICT
    again = [*points([0], None, FIRST_S + 2 * SLOT_S), *points([POINTS_OF_TRADER_MAX - 1], from_s=FIRST_S + 2 * SLOT_S)]
    assert registered(chain, again) == 0


def test_a_point_has_had_at_most_64_installations(chain: Chain) -> None:
    assert registered(chain, meters(range(INSTALLATIONS_OF_POINT_MAX + 1))) == Code.REGISTRY_CONFLICT
    assert registered(chain, meters(range(INSTALLATIONS_OF_POINT_MAX))) == 0
    assert registered(chain, meters([INSTALLATIONS_OF_POINT_MAX])[1:]) == Code.REGISTRY_CONFLICT


def test_two_meters_at_a_time_are_refused_wherever_among_many_they_are(chain: Chain) -> None:
    assert registered(chain, meters(range(40), last=17)) == Code.REGISTRY_CONFLICT
    assert registered(chain, meters(range(40), last=39)) == 0


def test_a_point_has_had_at_most_256_agreements_and_one_that_has_ended_goes_on(chain: Chain) -> None:
    ended = EndedAgreement("house", "P-2", "roof", "P-1")
    names = [f"a-{number}" for number in range(AGREEMENTS_EVER_OF_POINT_MAX)]
    rows: list[Named[object]] = []
    for number, name in enumerate(names):
        rows.append(Named(AGREEMENT, name, HOUSE, FIRST_S + 10 * number))
        rows.append(Named(AGREEMENT, name, ended, FIRST_S + 10 * number + 10))
    assert registered(chain, rows) == 0
    later_s = FIRST_S + 10 * len(names) + 10
    assert registered(chain, [Named(AGREEMENT, "new", HOUSE, later_s)]) == Code.REGISTRY_CONFLICT
    assert registered(chain, [Named(AGREEMENT, names[0], HOUSE, later_s)]) == 0


def test_what_a_price_series_changes_is_found_without_a_look_at_each_agreement(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a hundred thousand agreements at the prices of one series, and a new row of it each day."""

    def agreed(numbers: Iterable[int]) -> list[Named[object]]:
        """One after the other."""
        rows: list[Named[object]] = []
        for number in numbers:
            begin_s = FIRST_S + 10 * number
            rows.append(Named(AGREEMENT, f"s-{number}", HOUSE._replace(series="spot"), begin_s))
            rows.append(Named(AGREEMENT, f"s-{number}", EndedAgreement("house", "P-2", "roof", "P-1"), begin_s + 9))
        return rows

    def prices(from_s: int) -> list[Named[object]]:
        return [Named(PRICE_SERIES, "spot", SPOT.record, from_s)]

    assert registered(chain, agreed(range(4))) == 0
    few = looks(monkeypatch, chain, prices(FIRST_S + 86_400))
    assert registered(chain, agreed(range(4, 200))) == 0
    assert looks(monkeypatch, chain, prices(FIRST_S + 2 * 86_400)) == few
    assert chain.ledger.state.registry.lookups.sellers_of_series("spot").tolist() == [0]
    assert len(chain.ledger.state.registry.lookups.sellers_of_series("reference")) == 0


def test_which_rules_name_a_price_series_is_told_from_the_columns(chain: Chain) -> None:
    plain = AGREED.rules[0].record
    by_spot: Named[object] = Named(RULES, "by-spot", plain._replace(series={"levy_micro_per_kwh": "spot"}), FIRST_S)
    no_more: Named[object] = Named(RULES, "by-spot", plain, FIRST_S + 9)
    assert registered(chain, [by_spot]) == registered(chain, [no_more]) == 0
    lookups = chain.ledger.state.registry.lookups
    assert lookups.rules_of_series("spot") == {"by-spot"}, "it named it once"
    assert lookups.rules_of_series("reference") == set()


def own_rules(name: str = "own", from_s: int = FIRST_S, **prices: int) -> Named[object]:
    plain = AGREED.rules[0].record
    return Named(RULES, name, plain._replace(prices={**plain.prices, **prices}), from_s)


def ruled(numbers: Iterable[int], rules: str | None = "own", from_s: int = FIRST_S) -> list[Named[object]]:
    """Points with rules of their own."""
    return [Named(POINT, f"R-{number}", Point("a-1", "load", rules=rules), from_s) for number in numbers]


def test_rules_that_many_points_have_of_their_own_are_judged_once_a_span(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million points may have them: a new row looked at each of them."""
    assert registered(chain, [own_rules(), *ruled(range(5))]) == 0
    few = looks(monkeypatch, chain, [own_rules(from_s=FIRST_S + SLOT_S)])
    assert registered(chain, ruled(range(5, 300))) == 0
    assert looks(monkeypatch, chain, [own_rules(from_s=FIRST_S + 2 * SLOT_S)]) == few
    spans = chain.ledger.state.registry.lookups.spans_of_rules("own")
    assert spans == {("z-1", FIRST_S, NEVER_S): 300}


def test_prices_that_the_contract_refuses_are_refused_while_a_point_has_the_rules_and_taken_once_none_has(
    chain: Chain,
) -> None:
    """A point that gives them up in the very same registration is none that has them."""
    gives_up, later_s = ruled([0], None, FIRST_S + SLOT_S), FIRST_S + 2 * SLOT_S
    bad = own_rules(from_s=later_s, unknown_micro_per_kwh=1)
    assert registered(chain, [own_rules(), *ruled([0, 1])]) == 0
    assert registered(chain, [bad]) == Code.RULES_REFUSED
    assert registered(chain, [*gives_up, bad]) == Code.RULES_REFUSED, "the other one has them"
    assert registered(chain, [*gives_up, *ruled([1], None, FIRST_S + SLOT_S), bad]) == 0
    assert registered(chain, [*ruled([2], from_s=later_s), bad._replace(from_s=later_s + 9)]) == Code.RULES_REFUSED


def test_rules_said_again_and_again_in_one_block_have_their_points_counted_once(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block has thousands of such rows, refused ones among them: each counted a million points anew."""
    assert registered(chain, [own_rules(), *ruled(range(40)), *ruled(range(20), None, FIRST_S + SLOT_S)]) == 0
    assert registered(chain, ruled(range(10), "own", FIRST_S + SLOT_S)) == 0, "again, from the same slot on"
    counted: list[int] = []
    real = Lookups._counted

    def count(lookups: Lookups, own: Int64) -> Iterator[tuple[RulesSpan, int]]:
        counted.append(len(own))
        return real(lookups, own)

    monkeypatch.setattr(Lookups, "_counted", count)
    lookups, later_s = chain.ledger.state.registry.lookups, FIRST_S + SLOT_S
    for _ in range(3):
        spans = lookups.spans_of_rules("own")
        assert {span: entries for span, entries in spans.items() if span.from_s < span.end_s} == {
            ("z-1", FIRST_S, later_s): 20, ("z-1", later_s, NEVER_S): 10, ("z-1", FIRST_S, NEVER_S): 20,
        }  # fmt: skip
        assert lookups.zones_of_ruled_points("own") == {"z-1"}
    assert counted == [50]
    registry = chain.ledger.state.registry
    given_up, kept = (registry.columns.points.index(name) for name in ("R-15", "R-30"))
    assert lookups.own_rules_at(given_up) == [("own", ("z-1", FIRST_S, later_s))]
    assert lookups.own_rules_at(kept) == [("own", ("z-1", FIRST_S, NEVER_S))]
    assert lookups.own_rules_at(registry.columns.points.index("P-1")) == []


def test_rules_beside_points_of_their_own_block_cost_the_same_however_many_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Points one by one, then rules again and again, refused ones among them: each row looked at each of the points."""
    asked: list[int] = []
    for size in (4, 40):
        chain = Chain(EMPTY)
        assert registered(chain, [own_rules()]) == 0
        bad = own_rules(from_s=FIRST_S + 9 * SLOT_S, unknown_micro_per_kwh=1)
        again = [own_rules(from_s=FIRST_S + SLOT_S), bad, own_rules(from_s=FIRST_S + 2 * SLOT_S), bad]
        asked.append(
            _asked_by_the_last(monkeypatch, chain, [*([one] for one in ruled(range(size))), *([one] for one in again)])
        )
    assert asked[0] == asked[1]


def _asked_by_the_last(monkeypatch: pytest.MonkeyPatch, chain: Chain, rows: Sequence[Sequence[Named[object]]]) -> int:
    """How many histories, and entries of points, the last four of the registrations of one block look at: two of them are refused."""
    wires = [chain.sender.register([row for named in own for row in named.rows()]) for own in rows]
    each: list[int] = []
    first_fault, of, own_rules_of = Judge.first_fault, Registrations.of, Registrations.own_rules_of_point

    def judged(self: Judge, salted: Sequence[SaltedRow]) -> object:
        each.append(0)
        return first_fault(self, salted)

    def counted(self: Registrations, entity: Entity[Point], name: str) -> object:
        each[-1] += 1
        return of(self, entity, name)

    def told(self: Registrations, name: str) -> object:
        each[-1] += 1
        return own_rules_of(self, name)

    with monkeypatch.context() as patched:
        patched.setattr(Judge, "first_fault", judged)
        patched.setattr(Registrations, "of", counted)
        patched.setattr(Registrations, "own_rules_of_point", told)
        codes = [result.code for result in chain.ledger.apply(wires).results]
    refused = [Code.ACCEPTED, Code.RULES_REFUSED] * 2
    assert codes == [*[Code.ACCEPTED] * (len(rows) - 4), *refused]
    return sum(each[-4:])


def test_points_that_give_up_their_rules_and_take_others_in_one_block_count_as_they_are_at_last(chain: Chain) -> None:
    """In the columns, earlier in the block, and in the registration itself."""
    later_s, bad_s = FIRST_S + SLOT_S, FIRST_S + 2 * SLOT_S
    bad = own_rules(from_s=bad_s, unknown_micro_per_kwh=1)
    assert registered(chain, [own_rules(), own_rules("other"), *ruled([0, 1])]) == 0
    steps = [
        (ruled([0], None, later_s), Code.ACCEPTED),
        ([bad], Code.RULES_REFUSED),
        (ruled([1], "other", later_s), Code.ACCEPTED),
        (ruled([2], from_s=later_s), Code.ACCEPTED),
        ([bad], Code.RULES_REFUSED),
        ([*ruled([2], "other", bad_s), bad], Code.ACCEPTED),
    ]
    wires = [chain.sender.register([row for named in rows for row in named.rows()]) for rows, _ in steps]
    assert [result.code for result in chain.ledger.apply(wires).results] == [code for _, code in steps]
    taken_again = ruled([1], from_s=bad_s + SLOT_S)
    assert registered(chain, taken_again) == Code.RULES_REFUSED


def test_registrations_of_one_block_read_the_points_of_a_party_once(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looked at 256 points of 64 entries anew: a block has thousands; what one of them changes is read again."""
    assert registered(chain, [party(), *points(range(30))]) == 0
    gone_s, later_s = FIRST_S + SLOT_S, FIRST_S + 4 * SLOT_S
    assert registered(chain, [*points(range(20), None, gone_s), party(trades=True, from_s=gone_s)]) == 0
    read: list[str] = []
    stated = Registrations._stated

    def count(self: Registrations, entity: Entity[Point], name: str, leaf: EntityLeaf | None) -> object:
        read.append(entity.key(name))
        return stated(self, entity, name, leaf)

    monkeypatch.setattr(Registrations, "_stated", count)
    rows = [points([number], "estate", later_s) for number in range(7)]
    wires = [chain.sender.register([row for named in own for row in named.rows()]) for own in rows]
    codes = [result.code for result in chain.ledger.apply(wires).results]
    assert codes == [Code.ACCEPTED] * 6 + [Code.REGISTRY_CONFLICT], "the 17th point of who trades"
    read_points = Counter(key for key in read if key.startswith("point/E-"))
    assert {read_points[f"point/E-{number}"] for number in range(7, 30)} == {1}
    assert sum(read_points.values()) <= 30 + 2 * 7
