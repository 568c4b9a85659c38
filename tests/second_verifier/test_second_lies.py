"""What the second verifier answers: honest evidence is verified, and every named lie is not."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from tests.second_verifier.evidence import evidence_of
from tests.second_verifier.facts import END_S, START_S, ProfileFacts, RampFacts
from tests.second_verifier.story import (
    APPROVED,
    BOUGHT,
    BUY,
    END,
    ESTIMATED,
    EXCHANGE,
    IMPORTED,
    PLACED,
    PLACED_ORDER,
    POSITION,
    RAMPED,
    RESET,
    SEVERAL,
    SHARED,
    SHARED_BILL,
    SHARED_BY_RATIO,
    STANDING,
    START,
    WHOLE,
    Story,
)
from tests.second_verifier.told import Told
from tests.second_verifier.verify import Answer, verify

HONEST = Story()
TAKEN_UP = (
    ("gap_slots_from_s", 9_900),
    ("gap_slots_max", 96),
    ("runs_follow_points", True),
    ("runs_follow_points_from_s", 9_000),
)


@lru_cache(maxsize=8)
def tell(story: Story) -> Told:
    return Told(story)


def answer_to(story: Story) -> Answer:
    evidence = evidence_of(tell(story))
    return verify(evidence.bundle_bytes, evidence.trust_bytes, None)


def words(answer: Answer) -> tuple[str, str | None]:
    return answer.answer, answer.claim.word if answer.claim else None


ROLLED = replace(
    HONEST,
    modulus_wh=100_000,
    start=START._replace(import_wh=99_500),
    end=END._replace(import_wh=500),
    position=POSITION._replace(start_import=99_500, end_import=500),
)


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(HONEST, id="a trade"),
        pytest.param(
            replace(HONEST, end=END._replace(quality=0x08), position=POSITION._replace(quality=0x08)),
            id="a register that stands still under load",
        ),
        pytest.param(replace(HONEST, order_time_s=8_099), id="an order in the last second"),
        pytest.param(replace(HONEST, later_run=True), id="a run that another one follows"),
        pytest.param(replace(HONEST, next_key_from_s=6_301), id="a key that is replaced later"),
        pytest.param(replace(HONEST, gateway_revoked_s=9_911), id="a gateway's key that is revoked later"),
        pytest.param(replace(HONEST, taken_up=TAKEN_UP), id="a zone that takes up newer rules"),
        pytest.param(
            replace(HONEST, order=BUY._replace(price=100_000), fill=BOUGHT._replace(price=100_000)), id="at the limit"
        ),
        pytest.param(ROLLED, id="a register that rolls over"),
        pytest.param(
            replace(
                HONEST, ratio=10, end=END._replace(import_wh=50_100), position=POSITION._replace(end_import=50_100)
            ),
            id="a transformer",
        ),
        pytest.param(EXCHANGE, id="a meter exchanged inside the slot"),
        pytest.param(APPROVED, id="a register that an organisation answers for"),
        pytest.param(RESET, id="a meter whose registers begin again inside the slot"),
        pytest.param(SHARED, id="a community without orders"),
        pytest.param(SHARED_BILL, id="a community that shares the bill of a month"),
        pytest.param(SHARED_BY_RATIO, id="a community at the ratio of supply to demand"),
        pytest.param(SEVERAL, id="a party with two points"),
        pytest.param(PLACED_ORDER, id="an order placed by an aggregator"),
        pytest.param(WHOLE, id="an order that is all or none"),
        pytest.param(RAMPED, id="an order that is a step of a ramp"),
        pytest.param(STANDING, id="an order that a profile gives"),
        pytest.param(
            replace(STANDING, rewritten=("zone/z1", "open_before_start_s", 2_699)),
            id="a profile that was placed before the slot opened",
        ),
        pytest.param(IMPORTED, id="an energy that was imported"),
    ],
)
def test_honest_evidence_is_verified(story: Story) -> None:
    assert answer_to(story) == Answer("verified", None, "every claim holds")


def _approved(**changes: Any) -> Story:
    assert APPROVED.approved is not None
    return replace(APPROVED, approved=APPROVED.approved._replace(**changes))


def _estimated(**changes: Any) -> Story:
    return replace(ESTIMATED, position=ESTIMATED.position._replace(**changes))


def _imported(**changes: Any) -> Story:
    assert IMPORTED.imported is not None
    return replace(IMPORTED, imported=IMPORTED.imported._replace(**changes))


def profiled(**facts: Any) -> Story:
    """The order of h1 by a profile that is other than it should be."""
    return replace(STANDING, profile=ProfileFacts(**facts))


LIES: list[tuple[str, str, Story]] = [
    ("the run is later than its height in the list of runs", "header", replace(HONEST, runs_height=7)),
    ("the run is later than the header", "header", replace(HONEST, as_of_height=7, runs_height=8)),
    ("the gateway is retired", "registry", replace(HONEST, gateway_retired=True)),
    ("the zone's contract has another pin", "registry", replace(HONEST, zone_pin=bytes(32))),
    ("the next meter begins before the first is removed", "registry", replace(EXCHANGE, next_meter_s=9_399)),
    ("the meter is removed behind the slot", "registry", replace(EXCHANGE, removed_s=9_901, next_meter_s=9_902)),
    ("an approval of another boundary", "readings", _approved(boundary_s=START_S)),
    ("an approval of another meter", "readings", _approved(installation=2)),
    ("an approval by another organisation", "keys", _approved(signer="other-util")),
    ("an approval by somebody who has not the role", "keys", _approved(signer="admin")),
    ("an approved register that is not the position's", "energy", _approved(import_wh=51_001)),
    ("an approved register below the one before", "energy", _approved(import_wh=49_999)),
    ("an approval that the position does not show", "readings", replace(APPROVED, position=POSITION)),
    ("the registers begin again behind the slot", "registry", replace(RESET, removed_s=9_901)),
    ("the registers begin again from others", "energy", replace(RESET, end=RESET.end._replace(import_wh=699))),
    (
        "a break without final registers",
        "registry",
        replace(RESET, rewritten=("installation/1", "final_registers", None)),
    ),
    ("an import on a chain of meters", "registry", _imported(clock="block")),
    ("an imported energy that is not the position's", "energy", _imported(import_wh=999)),
    ("an imported energy beyond the meter's limit", "energy", replace(IMPORTED, limit_wh=999)),
    ("registers beside an imported energy", "energy", replace(IMPORTED, position=POSITION._replace(quality=0))),
    ("an imported energy of another meter", "readings", _imported(meter=2)),
    ("an imported energy of another slot", "readings", _imported(slot_start_s=END_S)),
    ("an import of slots of another length", "readings", _imported(slot_s=300)),
    ("an import by who is not the meter's gateway", "readings", _imported(signer="util")),
    ("an imported energy of another quality", "readings", _imported(quality=2)),
    (
        "an imported energy of a quality that none has",
        "readings",
        replace(_imported(quality=3), position=IMPORTED.position._replace(quality=3)),
    ),
    ("an importer that was retired", "registry", replace(IMPORTED, gateway_retired=True)),
    ("the position is another point's", "position", replace(HONEST, position=POSITION._replace(row=1))),
    ("the area row is another area's", "position", replace(HONEST, settled_area=1)),
    ("settled by the rules of another area", "position", replace(HONEST, settled_rules="rules/r2")),
    (
        "one nano too much to pay",
        "lines",
        replace(HONEST, position=POSITION._replace(columns=(600, 0, 226_000_001, 370_000_000))),
    ),
    (
        "a supplier's bill that is too high",
        "lines",
        replace(HONEST, position=POSITION._replace(columns=(600, 0, 226_000_000, 380_000_000))),
    ),
    ("a price in the bill that was not cleared", "lines", replace(HONEST, clearing_price=100_001)),
    (
        "a share that no split gives",
        "lines",
        replace(SHARED, position=POSITION._replace(columns=(799, 0, 200_000_000, 237_960_000, 370_000_000))),
    ),
    ("a deficit above the area's", "lines", replace(SHARED, area_columns=(800, 999))),
    *(
        (
            f"a month's bill with another {what}",
            "lines",
            replace(SHARED_BILL, position=POSITION._replace(columns=columns)),
        )
        for what, columns in (
            ("part of the cost", (800, 0, 1_000, 0, 1_000, 0, 67_500_000_002, 0, 67_538_000_002, 370_000_000)),
            ("deficit than the slot's", (800, 0, 999, 0, 1_000, 0, 67_500_000_000, 0, 67_538_000_000, 370_000_000)),
            ("deficit than all had", (800, 0, 1_000, 0, 4_001, 0, 270_067_500_000, 0, 270_105_500_000, 370_000_000)),
        )
    ),
    (
        "a month's bill on a cost that is not the slot's",
        "lines",
        replace(SHARED_BILL, area_columns=(0, 1_000, 800, 0, 60_000_001, 0, 0, 4_000, 2_000, 269, 1_000_000_000, 5, 0)),
    ),
    (
        "a cost of the slot in other limbs",
        "lines",
        replace(
            SHARED_BILL,
            area_columns=(0, 1_000, 800, -1, 1_060_000_000, 0, 0, 4_000, 2_000, 269, 1_000_000_000, 5, 0),
        ),
    ),
    (
        "a cost of a month with a limb below 0",
        "lines",
        replace(
            SHARED_BILL,
            area_columns=(0, 1_000, 800, 0, 60_000_000, 0, 0, 4_000, 2_000, 271, -1_000_000_000, 5, 0),
        ),
    ),
    ("more energy than the registers advanced", "energy", replace(HONEST, end=END._replace(import_wh=50_999))),
    ("a register below the first one", "energy", replace(HONEST, start=START._replace(import_wh=52_000))),
    ("an advance above the limit", "energy", replace(HONEST, limit_wh=999)),
    ("a ratio that the energy was not multiplied by", "energy", replace(HONEST, ratio=2)),
    ("a register above its modulus", "energy", replace(HONEST, modulus_wh=50_500)),
    (
        "other registers than the position's",
        "energy",
        replace(HONEST, start=START._replace(import_wh=50_001), end=END._replace(import_wh=51_001)),
    ),
    ("an end reading of the slot's start", "readings", replace(HONEST, end=END._replace(boundary_s=START_S))),
    ("a start reading of the slot's end", "readings", replace(HONEST, start=START._replace(boundary_s=END_S))),
    ("a reading too far from its boundary", "readings", replace(HONEST, end=END._replace(offset_ms=450_001))),
    (
        "a share of a watt-hour too much",
        "orders",
        replace(
            SEVERAL,
            position=POSITION._replace(columns=(401, 0, 273_760_000, 370_000_000)),
            sibling=SEVERAL.sibling and SEVERAL.sibling._replace(columns=(199, 0, 0, 0)),
        ),
    ),
    ("a point that is not shown", "orders", replace(HONEST, position=SEVERAL.position)),
    ("another point that is another party's", "registry", replace(SEVERAL, sibling_party="h2")),
    (
        "another point's row",
        "position",
        replace(SEVERAL, sibling=SEVERAL.sibling and SEVERAL.sibling._replace(row=1)),
    ),
    ("a reading by a clock that is off", "readings", replace(HONEST, end=END._replace(clock_offset_ms=-449_921))),
    ("a reading by no clock to trust", "readings", replace(HONEST, end=END._replace(clock_state="unsynced"))),
    ("a reading of another meter", "readings", replace(HONEST, start=START._replace(meter=2))),
    ("an interpolated reading", "readings", replace(HONEST, start=START._replace(quality=0x20))),
    ("an estimated reading", "readings", replace(HONEST, start=START._replace(quality=1))),
    ("a quality that the position does not show", "readings", replace(HONEST, end=END._replace(quality=0x40))),
    ("registers of reactive energy", "readings", replace(HONEST, batch_registers=("1-0:3.8.0", "1-0:4.8.0"))),
    ("a batch of another chain", "readings", replace(HONEST, batch_chain="village0123456789abcdef")),
    ("a batch of somebody who is no gateway", "readings", replace(HONEST, batch_signer="h2", batch_pair="h2")),
    ("an order after the gate", "orders", replace(HONEST, order_time_s=8_100)),
    ("an order of another slot", "orders", replace(HONEST, order=BUY._replace(slot_start_s=END_S))),
    ("an order in another area", "orders", replace(HONEST, order=BUY._replace(area="a2"))),
    (
        "a price above the limit",
        "orders",
        replace(HONEST, order=BUY._replace(price=99_999), fill=BOUGHT._replace(price=99_999)),
    ),
    ("a fill of another limit than the order's", "orders", replace(HONEST, fill=BOUGHT._replace(price=300_001))),
    ("a fill of another party", "orders", replace(HONEST, fill=BOUGHT._replace(party=1))),
    ("a fill of more than was ordered", "orders", replace(HONEST, fill=BOUGHT._replace(filled_wh=601))),
    ("a fill of less than was bought", "orders", replace(HONEST, fill=BOUGHT._replace(filled_wh=599))),
    (
        "a sale in place of the purchase",
        "orders",
        replace(HONEST, order=BUY._replace(side="sell"), fill=BOUGHT._replace(side=1)),
    ),
    ("more filled than the volume", "orders", replace(HONEST, volume_wh=599)),
    ("the clearing of another area", "clearing", replace(HONEST, cleared_area=1)),
    ("the clearing of another zone", "clearing", replace(HONEST, cleared_zone="z2")),
    ("a batch recorded after the run", "recorded", replace(HONEST, as_of_height=3, runs_height=4)),
    ("an estimated energy that the lines do not rest on", "lines", _estimated(import_wh=999)),
    ("a quality that neither an estimate nor a reading has", "energy", _estimated(quality=0x11)),
    ("a key replaced before the order", "keys", replace(HONEST, next_key_from_s=6_200)),
    ("a key revoked before the batch", "keys", replace(HONEST, gateway_revoked_s=9_000)),
    ("a key of a role that signs no orders", "keys", replace(HONEST, enrolled_roles=("utility",))),
    (
        "a key enrolled by another organisation",
        "keys",
        replace(HONEST, enroller="other-admin", enrolment_pair="other-admin"),
    ),
    ("a key of another organisation than the party's", "keys", replace(HONEST, party_organisation="rival")),
    (
        "a household taken over by another organisation",
        "keys",
        replace(HONEST, enroller="other-admin", enrolment_pair="other-admin", enrolled_organisation="rival"),
    ),
    ("a gateway of another organisation than its key", "keys", replace(HONEST, gateway_organisation="rival")),
    ("a key enrolled by somebody who is no administrator", "keys", replace(HONEST, enroller="h2", enrolment_pair="h2")),
    ("a key recorded in another block than its enrolment", "keys", replace(HONEST, enrolled_height=0)),
    ("a key in force before it was recorded", "keys", replace(HONEST, enrolled_height=2)),
    ("an order signed by a thief", "signatures", replace(HONEST, order_pair="thief")),
    ("a batch signed by a thief", "signatures", replace(HONEST, batch_pair="thief")),
    ("an enrolment signed by a thief", "signatures", replace(HONEST, enrolment_pair="thief")),
    ("slots of a length that no chain has", "header", replace(HONEST, slot_s=600)),
    ("a slot that starts on no boundary", "header", replace(HONEST, slot_s=3_600)),
    ("a zone that takes up a rule before all time", "shape", replace(HONEST, taken_up=(("gap_slots_from_s", -1),))),
    ("an area of another zone", "registry", replace(HONEST, rewritten=("area/a1", "zone", "z2"))),
    ("rules of another area", "registry", replace(HONEST, rewritten=("area/a1", "rules", "r2"))),
    ("a point of another area", "registry", replace(HONEST, rewritten=("point/p1", "area", "a2"))),
    ("a point of another party", "registry", replace(HONEST, rewritten=("point/p1", "party", "h2"))),
    ("a point of no party", "registry", replace(HONEST, rewritten=("point/p1", "party", None))),
    ("a party of another area", "registry", replace(HONEST, rewritten=("party/h1", "area", "a2"))),
    ("an installation at another point", "registry", replace(HONEST, rewritten=("installation/1", "point", "p2"))),
    ("an installation of another gateway", "registry", replace(HONEST, rewritten=("installation/1", "gateway", "gw2"))),
    (
        "a meter removed without final registers",
        "registry",
        replace(EXCHANGE, rewritten=("installation/1", "final_registers", None)),
    ),
    (
        "a next meter without first registers",
        "registry",
        replace(EXCHANGE, rewritten=("installation/3", "first_registers", None)),
    ),
    ("a next meter at another point", "registry", replace(EXCHANGE, rewritten=("installation/3", "point", "p2"))),
    ("an area row without the contract's columns", "position", replace(SHARED, area_columns=())),
    (
        "a position without the contract's columns",
        "position",
        replace(HONEST, position=POSITION._replace(columns=(600, 0, 1))),
    ),
    ("an order of another chain", "orders", replace(HONEST, order_chain="village0123456789abcdef")),
    ("the neighbour's order", "orders", replace(HONEST, order_signer="h2", order_pair="h2")),
    ("a placed order of another counter", "orders", replace(PLACED_ORDER, placed=PLACED._replace(counter=2))),
    ("a placed order of another party", "orders", replace(PLACED_ORDER, placed=PLACED._replace(party=1))),
    ("a placed order that sells", "orders", replace(PLACED_ORDER, placed=PLACED._replace(side=1))),
    (
        "a placed order that neither buys nor sells",
        "orders",
        replace(PLACED_ORDER, placed=PLACED._replace(side=2), fill=BOUGHT._replace(side=2)),
    ),
    ("a placed order of another slot", "orders", replace(PLACED_ORDER, placed=PLACED._replace(slot_start_s=END_S))),
    ("a placed order of another zone", "orders", replace(PLACED_ORDER, placed=PLACED._replace(zone="z2"))),
    ("a placed order of another limit", "orders", replace(PLACED_ORDER, order=BUY._replace(price=300_001))),
    ("a placed order on another chain", "orders", replace(PLACED_ORDER, order_chain="village0123456789abcdef")),
    ("a placed order after the gate", "orders", replace(PLACED_ORDER, order_time_s=8_100)),
    ("a placed order without a mandate", "orders", replace(PLACED_ORDER, aggregator=None)),
    ("a placed order under another one's mandate", "orders", replace(PLACED_ORDER, aggregator="rival")),
    (
        "an order placed by the household's neighbour",
        "orders",
        replace(PLACED_ORDER, placed=PLACED._replace(signer="h2", pair="h2")),
    ),
    ("an aggregator without its role", "keys", replace(PLACED_ORDER, placed=PLACED._replace(roles=("prosumer",)))),
    ("a placed order signed by a thief", "signatures", replace(PLACED_ORDER, placed=PLACED._replace(pair="thief"))),
    ("an order that is all or none as any other", "orders", replace(WHOLE, fill=BOUGHT)),
    ("an order as if it were all or none", "orders", replace(HONEST, fill=WHOLE.fill)),
    (
        "a part of an order that is all or none",
        "orders",
        replace(WHOLE, order=BUY._replace(quantity_wh=601), fill=WHOLE.fill._replace(quantity_wh=601)),
    ),
    ("a ramp that is all or none", "shape", replace(RAMPED, is_whole=True)),
    ("a ramp of which the fill is another step", "orders", replace(RAMPED, ramp=RampFacts(counter=0))),
    ("a ramp of another quantity", "orders", replace(RAMPED, ramp=RampFacts(quantity_wh=1_202))),
    ("a ramp whose steps end before the fill", "orders", replace(RAMPED, ramp=RampFacts(counter=-1))),
    ("a ramp of a later counter", "orders", replace(RAMPED, ramp=RampFacts(counter=2))),
    ("a profile of another limit", "orders", replace(STANDING, order=BUY._replace(price=300_001))),
    ("a profile of another quantity", "orders", profiled(quantities=(5, 0, 601))),
    ("a profile whose quantities begin again", "orders", profiled(quantities=(5, 600))),
    ("a profile of another part", "orders", profiled(counter=1)),
    ("a profile without so many parts", "orders", profiled(counter=-1)),
    ("a profile that ended before the slot", "orders", profiled(end_s=START_S)),
    ("a profile that begins behind the slot", "orders", profiled(first_s=END_S)),
    ("a profile between the slots", "orders", profiled(first_s=START_S - 1_801)),
    ("a profile of more than 31 days", "orders", profiled(end_s=6_300 + 31 * 86_400 + 1)),
    ("a profile after the gate", "orders", replace(STANDING, order_time_s=8_100)),
    ("the neighbour's profile", "orders", replace(STANDING, order_signer="h2", order_pair="h2")),
    ("a profile signed by a thief", "signatures", replace(STANDING, order_pair="thief")),
    ("a profile of half a quantity", "shape", profiled(quantities=())),
    ("an order before its slot opened", "orders", replace(HONEST, rewritten=("zone/z1", "open_before_start_s", 2_699))),
]


@pytest.mark.parametrize(("claim", "story"), [pytest.param(claim, story, id=name) for name, claim, story in LIES])
def test_certified_lie_is_not_verified(claim: str, story: Story) -> None:
    assert words(answer_to(story)) == ("not_verified", claim)
