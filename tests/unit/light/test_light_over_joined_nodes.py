"""A light client follows a node that began with a snapshot, from before the node's own history as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.light.codec import encode_certified, encode_steps
from gridcore.light.follow import NoLongerThereError, follow
from gridcore.light.trusted import OtherHistoryError, Trusted, advance, begin
from ledger.client import Client
from ledger.light import certified_header, steps
from ledger.store.consortium import ConsortiumLedger
from ledger.store.errors import PrunedError
from tests.worlds.false_node import answering, http
from tests.worlds.state_sync import AT, Made, chain_with_an_offence, go_on, join, joiner, ledger_of

OFFENCE_AT = 6
"""So the set changes before the snapshot, and a light client must be led over that."""


class Shown:
    """A ledger as its node shows it."""

    def __init__(self, ledger: ConsortiumLedger) -> None:
        self._ledger = ledger
        self.gone = 0

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of a route."""
        if path == "headers":
            return encode_steps(steps(self._ledger, int(params["known_height"]), int(params["after_height"])))
        try:
            return encode_certified(certified_header(self._ledger, int(path.removeprefix("headers/"))))
        except PrunedError as error:
            self.gone += 1
            raise NoLongerThereError(str(error)) from None


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Made, ConsortiumLedger]]:
    """A chain whose set has changed, and a node that began with its snapshot and went on."""
    folder: Path = tmp_path_factory.mktemp("light")
    with ExitStack() as stack:
        made = stack.enter_context(chain_with_an_offence(folder / "four", OFFENCE_AT))
        home = stack.enter_context(joiner(folder))
        machine = home.open()
        join(machine, made)
        go_on(machine, made)
        yield made, ledger_of(home)


def trusted_at(ledger: ConsortiumLedger, height: int) -> Trusted:
    """What a light client has that followed a whole node while ``height`` was its newest certified header."""
    trusted = begin(ledger.chain, ledger.digest(0), ledger.application.origin.signers)
    for step in steps(ledger, 0, 0):
        if step.header.height < height:
            trusted = advance(trusted, step)
    certified = certified_header(ledger, height)
    return replace(trusted, height=height, digest=certified.header.digest(), newest=certified)


@pytest.mark.parametrize("height", [0, 2, 4, OFFENCE_AT + 3, AT, AT + 2])
async def test_client_that_stands_anywhere_follows_a_node_that_began_with_a_snapshot(
    two: tuple[Made, ConsortiumLedger], height: int
) -> None:
    made, joined = two
    whole = made.four.ledger()
    trusted = (
        trusted_at(whole, height) if height else begin(whole.chain, whole.digest(0), whole.application.origin.signers)
    )
    node = Shown(joined)
    reached = await follow(node, trusted)
    newest = joined.certified_height
    assert (reached.height, reached.digest) == (newest, whole.digest(newest))
    assert node.gone == (2 <= height < OFFENCE_AT)


async def test_client_whose_header_is_not_in_the_history_of_a_node_that_began_later_learns_nothing_of_it(
    two: tuple[Made, ConsortiumLedger],
) -> None:
    made, joined = two
    trusted = trusted_at(made.four.ledger(), 2)
    with pytest.raises(OtherHistoryError, match="does not have the trusted header 2 in its history"):
        await follow(Shown(joined), replace(trusted, digest=bytes(32)))


async def test_answer_gone_of_a_node_is_that_its_history_begins_later() -> None:
    problem = http({"type": "gone", "title": "gone", "detail": "ask another"}, "410 Gone", "application/problem+json")
    async with answering(lambda _: problem) as url, Client(url) as client:
        with pytest.raises(NoLongerThereError, match="ask another"):
            await client.fetch_bytes("headers/3")
