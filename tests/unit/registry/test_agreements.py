"""Agreements in the registry: who has to say so, what fits, and what follows for slots that were settled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.codes import Code
from gridcore.errors import UsageError
from gridcore.genesis import Thresholds
from gridcore.master_data import Named
from gridcore.registry.agreement import AGREEMENT, AGREEMENTS_OF_POINT_MAX, Agreement, EndedAgreement
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridledger.registering.rows_file import read_rows
from ledger.genesis_check import check_genesis
from settlement.catalogue import CONTRACTS
from tests.unit.registry.test_registry_approvals import Chain
from tests.worlds.agreed import AGREED, HEDGE, HOUSE, REFERENCE, SHOP, SPOT
from tests.worlds.consortium import FIRST_S, Consortium, area, feeder, rules, zone
from tests.worlds.transactions import transaction_id

EMPTY = replace(AGREED, more=[SPOT, REFERENCE])
"""The same without agreements."""


def row(agreement: Agreement | EndedAgreement, name: str = "new", from_s: int = FIRST_S) -> Named[object]:
    """An agreement from an instant on."""
    return Named(AGREEMENT, name, agreement, from_s)


@pytest.fixture
def chain() -> Chain:
    return Chain(EMPTY)


def submitted(chain: Chain, agreement: Agreement | EndedAgreement, signer: str = "admin", name: str = "new") -> int:
    """The code of a registration."""
    return chain.decide(chain.sender.register([*row(agreement, name).rows()], signer=signer))


def test_an_agreement_within_one_organisation_stands_at_once(chain: Chain) -> None:
    assert submitted(chain, HOUSE) == 0
    assert chain.has("agreement/new")


@pytest.mark.parametrize(("first", "second"), [("admin", "dso-admin"), ("dso-admin", "admin")])
def test_one_between_two_organisations_waits_for_the_other_side_whoever_comes_first(first: str, second: str) -> None:
    chain = Chain(EMPTY)
    wire = chain.sender.register([*row(SHOP).rows()], signer=first)
    assert chain.decide(wire) == 0
    assert not chain.has("agreement/new")
    transaction = transaction_id(wire)
    assert chain.approve(transaction, "third", 1) == 0, "anybody may approve, and it is not enough"
    assert not chain.has("agreement/new")
    assert chain.approve(transaction, second, 2) == 0
    assert chain.has("agreement/new")


def test_a_threshold_of_three_is_met_beside_both_sides() -> None:
    chain = Chain(replace(EMPTY, thresholds=Thresholds(registry=3)))
    wire = chain.sender.register([*row(SHOP).rows()])
    assert chain.decide(wire) == 0
    assert chain.approve(transaction_id(wire), "dso-admin", 1) == 0
    assert not chain.has("agreement/new")
    assert chain.approve(transaction_id(wire), "third", 2) == 0
    assert chain.has("agreement/new")


def test_a_utility_registers_for_others_and_waits_and_an_organisation_that_is_no_side_and_no_utility_may_not() -> None:
    assert submitted(Chain(EMPTY), SHOP, signer="third") == 0
    assert not Chain(EMPTY).has("agreement/new")
    no_utility = Named(ORGANISATION, "third", Organisation(["administrator"], "The third"), 1)
    assert submitted(Chain(replace(EMPTY, more=[*EMPTY.more, no_utility])), SHOP, signer="third") == Code.NOT_PERMITTED


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"seller": "nobody"}, Code.REGISTRY_UNKNOWN),
        ({"buyer_point": "P-9"}, Code.REGISTRY_UNKNOWN),
        ({"series": "none"}, Code.REGISTRY_UNKNOWN),
        ({"buyer_point": "P-1"}, Code.REGISTRY_FORM),
        ({"share_ppm": 5}, Code.REGISTRY_FORM),
        ({"quantity_wh": None}, Code.REGISTRY_FORM),
        ({"quantity_wh": 0}, Code.REGISTRY_FORM),
        ({"basis": "difference"}, Code.REGISTRY_FORM),
        ({"basis": "swap"}, Code.REGISTRY_FORM),
        ({"price_micro_per_kwh": 10**9 + 1}, Code.REGISTRY_FORM),
    ],
)
def test_what_is_wrong_with_an_agreement_has_its_code(chain: Chain, changed: dict[str, object], code: Code) -> None:
    assert submitted(chain, HOUSE._replace(**changed)) == code  # type: ignore[arg-type]


def test_its_sides_never_change_and_it_can_end_and_go_on(chain: Chain) -> None:
    assert submitted(chain, HOUSE) == 0
    other = HOUSE._replace(buyer="roof")
    assert chain.decide(chain.sender.register([*row(other, from_s=FIRST_S + 9).rows()])) == Code.REGISTRY_CONFLICT
    ended = EndedAgreement("house", "P-2", "roof", "P-1")
    assert chain.decide(chain.sender.register([*row(ended, from_s=FIRST_S + 10).rows()])) == 0
    assert chain.decide(chain.sender.register([*row(HOUSE, from_s=FIRST_S + 20).rows()])) == 0


def test_a_point_has_eight_at_a_time_and_a_ninth_where_one_has_ended(chain: Chain) -> None:
    for number in range(AGREEMENTS_OF_POINT_MAX):
        assert submitted(chain, HOUSE, name=f"a-{number}") == 0
    assert submitted(chain, HOUSE, name="one-more") == Code.REGISTRY_CONFLICT
    ended = [*row(EndedAgreement("house", "P-2", "roof", "P-1"), "a-0", FIRST_S + 900).rows()]
    later = [*row(HOUSE, "one-more", FIRST_S + 900).rows()]
    assert chain.decide(chain.sender.register([*ended, *later])) == 0


def test_hundreds_of_agreements_of_a_point_one_after_the_other_are_judged_in_one_registration(chain: Chain) -> None:
    """What is looked at grows with the rows, not with their cube: thousands of them would hold every node up for hours."""
    ended, spans = EndedAgreement("house", "P-2", "roof", "P-1"), range(250)
    begin = [row(HOUSE, f"b-{number}", FIRST_S + 10 * number) for number in spans]
    end = [row(ended, f"b-{number}", FIRST_S + 10 * (number + AGREEMENTS_OF_POINT_MAX)) for number in spans]
    too_long = [*end[:200], row(ended, "b-200", end[200].from_s + 1), *end[201:]]
    for ends, code in ((too_long, Code.REGISTRY_CONFLICT), (end, 0)):
        rows = [one for named in (*begin, *ends) for one in named.rows()]
        assert chain.decide(chain.sender.register(rows)) == code


def refused(world: Consortium, words: str) -> None:
    """A genesis that the check refuses in words."""
    with pytest.raises(UsageError, match=words):
        check_genesis(world.genesis, CONTRACTS)


def test_a_genesis_with_agreements_that_do_not_fit_is_refused_in_one_line() -> None:
    check_genesis(AGREED.genesis, CONTRACTS)
    auction = replace(AGREED, rules=[rules("agreed")], zones=[zone()])
    refused(auction, r"agreement/a-house: seller_point: zone z-1 has p2p_call_auction/1, which settles no agreements")
    far = feeder(9, area="a-2", role="load", party="far")
    two = replace(
        EMPTY,
        areas=[*EMPTY.areas, area("a-2", rules="agreed")],
        meters=[*EMPTY.meters, far],
        more=[row(HOUSE._replace(buyer="far", buyer_point="P-9"))],
    )
    refused(two, "buyer_point is in area a-2, seller_point in a-1: both are of one area")
    many = [row(HOUSE, f"a-{number}") for number in range(AGREEMENTS_OF_POINT_MAX + 1)]
    refused(replace(EMPTY, more=many), "has more than 8 agreements")
    unnamed = replace(EMPTY, more=[SPOT, row(HEDGE)])
    refused(unnamed, "series: there is no row price_series/reference")


def test_the_file_of_docs_markets_is_registered_by_both_sides(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "markets.md").read_text("utf-8")
    file = tmp_path / "agreements.toml"
    file.write_text(page.partition("## Bilateral agreements")[2].partition("```toml\n")[2].partition("```")[0])
    chain = Chain(EMPTY)
    wire = chain.sender.register([found.row for found in read_rows(file)])
    assert chain.decide(wire) == 0
    assert chain.approve(transaction_id(wire), "dso-admin") == 0
    leaf = chain.ledger.state.get("agreement/roof-to-shop") or {}
    assert len(leaf["entries"]) == 2
