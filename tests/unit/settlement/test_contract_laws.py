"""What every contract of the catalogue keeps, law by law (docs/settlement-cases.md, "Laws of contracts")."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from settlement.catalogue import CONTRACTS
from tests.slow.catalogue import Slot
from tests.unit.settlement.contract_laws import EXCEPTIONS, LAWS, Law
from tests.unit.settlement.drawn_slots import SLOTS, settled

SEEDS = st.integers(0, 2**32)
FIRST = settings(max_examples=3_000, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
"""Of a search for some slot: the first one will do."""


def broken(laws: Sequence[Law], contract_id: str, slot: Slot, seed: int) -> dict[str, str]:
    """The laws that a slot breaks, by name, and what pytest said of each."""
    found = {}
    for law in laws:
        try:
            law.check(CONTRACTS[contract_id], slot, Random(seed))
        except AssertionError as error:
            found[law.name] = str(error)
    return found


@pytest.mark.parametrize("contract_id", CONTRACTS)
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_contract_keeps_every_law_that_it_is_not_excepted_from(
    contract_id: str, data: st.DataObject, seed: int
) -> None:
    contract = CONTRACTS[contract_id]
    laws = [law for law in LAWS if law.is_of(contract) and (law.name, contract_id) not in EXCEPTIONS]
    assert broken(laws, contract_id, data.draw(SLOTS[contract_id]), seed) == {}


@pytest.mark.parametrize(("name", "contract_id"), EXCEPTIONS)
def test_what_is_excepted_from_a_law_breaks_it(name: str, contract_id: str) -> None:
    """Else the exception is an excuse: some slot of the contract breaks the law."""
    laws = [law for law in LAWS if law.name == name and law.is_of(CONTRACTS[contract_id])]
    drawn = st.tuples(SLOTS[contract_id], SEEDS)
    found = find(drawn, lambda case: bool(broken(laws, contract_id, *case)), settings=FIRST)
    assert list(broken(laws, contract_id, *found)) == [name]


@pytest.mark.parametrize("contract_id", CONTRACTS)
def test_drawn_slots_of_a_contract_come_to_every_kind_of_line_that_it_has(contract_id: str) -> None:
    """Else its laws say nothing: what is drawn trades, deviates and is billed by the grid."""
    contract = CONTRACTS[contract_id]
    missing = {kind.kind for kind in contract.line_kinds}

    def is_last(slot: Slot) -> bool:
        for lines in settled(contract, slot).lines:
            missing.difference_update(kind for kind, (wh, _) in lines.items() if wh)
        return not missing

    find(SLOTS[contract_id], is_last, settings=FIRST)
    assert missing == set()
