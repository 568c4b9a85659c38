"""Which entries of a price series may be folded: the ledger and its twin, with leaves of two entries."""

from __future__ import annotations

from typing import Any

import pytest

from gridcore import cbor
from gridcore.codes import Code
from gridcore.master_data import Listed, Named
from gridcore.registry.balance_terms import BALANCE_PRICES, BALANCE_TERMS, BalanceTerms
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from gridcore.registry.tariff import TARIFF
from ledger.registry import entries
from ledger.registry.entries import ENTITY_FAMILIES
from tests.twin import registry as twin_registry
from tests.twin.twin import Twin
from tests.worlds.consortium import SLOT_S, START_S, Consortium, feeder, rules
from tests.worlds.keys import is_cheaply_signed, sign_cheaply
from tests.worlds.ledgers import MemoryLedger
from tests.worlds.tariffed import HOME
from tests.worlds.transactions import Sender

WORLD = Consortium(meters=[feeder(1)], roles={"admin": ["administrator"]})
"""Its ledger time is START_S; no slot of its zone is ever final."""
MARKET: dict[str, Any] = {"account": "grid", "base": "import", "name": "market", "price_series": "spot", "taxed": True}


class Pair:
    """A ledger and its twin, to which the same is registered."""

    def __init__(self) -> None:
        self.sender = Sender(WORLD.chain, START_S, sign_cheaply)
        self.ledger, self.twin = MemoryLedger(WORLD.genesis), Twin(cbor.decode(WORLD.genesis.encode()))

    def register(self, *listed: Listed) -> int:
        """The code that both have, and one state root behind it."""
        wire = self.sender.register([row for one in listed for row in one.rows()])
        (result,) = self.ledger.apply([wire]).results
        assert [int(result.code)] == self.twin.apply_block(self.ledger.height, 0, [wire], is_cheaply_signed, None, ())
        assert self.ledger.state.root() == self.twin.state_root()
        return int(result.code)

    @property
    def folded_to_s(self) -> int:
        """Of the series spot."""
        return ENTITY_FAMILIES["price_series"].must(self.ledger.state, "spot").folded_to_s


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setattr(entries, "ENTRIES_MAX", 2)
    monkeypatch.setattr(twin_registry, "ENTRIES_MAX", 2)
    return Pair()


def spot(slot: int, price: int = 5) -> Named[PriceSeries]:
    """The prices from so many slots after ledger time on."""
    return Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [price]), START_S + slot * SLOT_S)


def follows_spot(slot: int, name: str = "by-spot") -> Listed:
    """Rules that name the series, of no area."""
    record = rules().record._replace(series={"levy_micro_per_kwh": "spot"})
    return rules(name)._replace(record=record, from_s=START_S + slot * SLOT_S)


def tariff(slot: int) -> Listed:
    return Named(TARIFF, "dynamic", HOME._replace(components=[MARKET]), START_S + slot * SLOT_S)


def terms(slot: int) -> Listed:
    record = BalanceTerms("grid", dict.fromkeys(BALANCE_PRICES, 1), {BALANCE_PRICES[0]: "spot"})
    return Named(BALANCE_TERMS, "a-1", record, START_S + slot * SLOT_S)


def test_a_series_of_tariffs_and_balance_terms_folds_what_is_no_more_in_force_at_ledger_time(pair: Pair) -> None:
    assert pair.register(spot(-9), spot(-5), tariff(-9), terms(-9)) == 0
    assert pair.register(spot(0)) == 0
    assert pair.folded_to_s == START_S - 9 * SLOT_S
    assert pair.register(spot(-9)) == Code.REGISTRY_NOT_AHEAD, "it is folded"
    assert pair.register(spot(1)) == 0, "the entry from ledger time on is left"
    assert pair.register(spot(2)) == Code.REGISTRY_CONFLICT, "the one in force would be folded"


def test_a_series_that_rules_name_keeps_what_may_still_be_settled_though_no_area_has_them_yet(pair: Pair) -> None:
    assert pair.register(spot(-9), spot(-5), tariff(-9), follows_spot(-9)) == 0
    assert pair.register(spot(0)) == Code.REGISTRY_CONFLICT
    assert pair.folded_to_s == -1


def test_rules_name_a_series_from_the_first_entry_on_that_is_left(pair: Pair) -> None:
    """Runs of their slots read no folded entry: all of what they rest on is in the state."""
    assert pair.register(spot(-9), spot(-5)) == 0
    assert pair.register(spot(0), follows_spot(-9)) == Code.REGISTRY_UNKNOWN
    assert pair.register(spot(0)) == 0
    assert pair.register(follows_spot(-6)) == Code.REGISTRY_UNKNOWN
    assert pair.register(follows_spot(-5)) == 0
    assert pair.register(spot(1)) == Code.REGISTRY_CONFLICT


def test_a_tariff_and_balance_terms_may_be_dated_back_to_what_the_series_has_folded(pair: Pair) -> None:
    assert pair.register(spot(-9), spot(-5)) == 0
    assert pair.register(tariff(-10)) == pair.register(terms(-10)) == Code.REGISTRY_UNKNOWN
    assert pair.register(spot(0)) == 0
    assert pair.register(tariff(-9)) == pair.register(terms(-9)) == 0


def test_a_series_that_rules_named_in_an_entry_said_once_more_is_still_theirs(pair: Pair) -> None:
    assert pair.register(spot(-9), spot(-5), follows_spot(-9)) == 0
    assert pair.register(rules("by-spot")._replace(from_s=START_S - 9 * SLOT_S)) == 0
    assert pair.register(spot(0)) == Code.REGISTRY_CONFLICT
