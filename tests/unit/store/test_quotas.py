"""Quotas: how much of one signer, and of one organisation, is accepted in an hour."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gridcore.codes import RETRY, Code
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.quotas import WINDOW_S, QuotaKeeper, Quotas
from ledger.engines.shares import Author
from tests.worlds.consortium import FIRST_S
from tests.worlds.ledgers import open_ledger
from tests.worlds.two_areas import TWO_AREAS

ONE, OTHER, FOREIGN = Author("gw-1", "utility"), Author("gw-2", "utility"), Author("gw-3", "elsewhere")
LEDGER_S = 1_700_000_000


@pytest.mark.parametrize(
    "quotas", [Quotas(signer_transactions=2), Quotas(signer_bytes=200), Quotas(2, organisation_transactions=3)]
)
def test_a_signer_beyond_its_quota_waits_for_the_next_hour_and_others_do_not(
    quotas: Quotas, capfd: pytest.CaptureFixture[str]
) -> None:
    keeper = QuotaKeeper(quotas)
    for _ in range(2):
        assert keeper.has_room(ONE, 100, LEDGER_S)
        keeper.count(ONE, 100, LEDGER_S)
    assert not keeper.has_room(ONE, 100, LEDGER_S)
    assert keeper.has_room(OTHER, 100, LEDGER_S)
    assert capfd.readouterr().err.count("quota_used_up") == 1


@pytest.mark.parametrize("quotas", [Quotas(organisation_transactions=2), Quotas(organisation_bytes=200)])
def test_all_signers_of_an_organisation_share_its_quota(quotas: Quotas) -> None:
    keeper = QuotaKeeper(quotas)
    assert keeper.has_room(ONE, 100, LEDGER_S)
    keeper.count(ONE, 100, LEDGER_S)
    keeper.count(OTHER, 100, LEDGER_S)
    assert not keeper.has_room(ONE, 100, LEDGER_S)
    assert not keeper.has_room(OTHER, 100, LEDGER_S)
    assert keeper.has_room(FOREIGN, 100, LEDGER_S)


@pytest.mark.parametrize("clock", ["of the node", "of the ledger"])
def test_quotas_are_whole_again_after_an_hour_of_either_clock(clock: str) -> None:
    now_s = [0.0]
    keeper = QuotaKeeper(Quotas(signer_transactions=1), lambda: now_s[0])
    assert keeper.has_room(ONE, 100, LEDGER_S)
    keeper.count(ONE, 100, LEDGER_S)
    ledger_s = LEDGER_S
    for seconds, has_room in ((WINDOW_S - 1, False), (WINDOW_S, True)):
        if clock == "of the node":
            now_s[0] = float(seconds)
        else:
            ledger_s = LEDGER_S + seconds
        assert keeper.has_room(ONE, 100, ledger_s) == has_room


async def test_a_household_that_floods_the_chain_is_told_to_come_later_and_its_neighbour_is_accepted(
    tmp_path: Path,
) -> None:
    sender = TWO_AREAS.sender()
    orders = [sender.order("p-1", "a-1", "buy", 1, 450_000, FIRST_S, counter=n) for n in range(1, 7)]
    with closing(open_ledger(tmp_path, TWO_AREAS)) as ledger:
        async with EmbeddedEngine(ledger, quotas=Quotas(signer_transactions=3)) as engine:
            codes = [(await engine.submit([order]))[0].code for order in orders]
            assert codes == [Code.ACCEPTED] * 3 + [Code.NODE_BUSY] * 3
            assert Code.NODE_BUSY in RETRY
            (again,) = await engine.submit([sender.order("p-2", "a-1", "sell", 1, 450_000, FIRST_S)])
            assert again.code is Code.ACCEPTED
            height = ledger.height
            await engine.submit(orders)
            assert ledger.height == height, "what is beyond a quota makes no block"
