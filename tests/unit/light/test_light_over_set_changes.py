"""Light clients of a chain whose set of validators changes while certificates lag, and where some never come."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from edge.receipts import ReceiptTrust
from gridcore.envelope import decode_transaction
from gridcore.header import decode_receipt, signers_digest
from gridcore.light.codec import encode_certified, encode_steps
from gridcore.light.state import LightState
from gridcore.light.trusted import Trusted, advance, begin
from gridcore.validator import Validator, powers_of
from ledger.light import certified_header, steps
from tests.worlds.consortium import START_S, UTILITY, Consortium
from tests.worlds.keys import key
from tests.worlds.lagging import LaggingLedger, lagging_ledger

FOUR = tuple(
    sorted(
        (Validator(f"v-{n}", UTILITY, key(f"v-{n}").public_key, 1, bytes([n]) * 32) for n in range(1, 5)),
        key=lambda one: one.public_key,
    )
)
CHAIN = Consortium(validators=FOUR)
BLOCKS = 16
OFFENCES = {3: FOUR[0], 9: FOUR[1]}
"""Who is caught in which block, and leaves the set: four validators, three, two."""


def follow(ledger: LaggingLedger, trusted: Trusted) -> Trusted:
    """As far as the ledger shows."""
    while shown := steps(ledger, trusted.height, trusted.height):
        for step in shown:
            trusted = advance(trusted, step)
    return trusted


@pytest.mark.parametrize(
    "uncovered",
    [(), (3,), (5,), (3, 4), (5, 6), (4, 5, 6), (11,), (5, 11, 12), tuple(range(2, 14, 2))],
    ids=str,
)
def test_a_light_client_that_begins_at_any_height_comes_to_the_same_header(
    tmp_path: Path, uncovered: Collection[int]
) -> None:
    """Also where the header in which a set takes over, or the first one that names it, is never certified."""
    with lagging_ledger(tmp_path, CHAIN, [], uncovered=uncovered) as ledger:
        lights = [begin(ledger.chain, ledger.digest(0), powers_of(FOUR))]
        for height in range(1, BLOCKS + 1):
            ledger.decide([], offenders=[OFFENCES[height]] if height in OFFENCES else [])
            lights.append(follow(ledger, lights[-1]))
        for light in lights:
            followed = follow(ledger, light)
            assert (followed.height, followed.digest) == (
                ledger.certified_height,
                ledger.digest(ledger.certified_height),
            )
            in_force = followed.sets[-1].signers
            assert signers_digest(in_force) == ledger.header(ledger.certified_height).signers
            assert len(in_force) == 2


def test_a_light_client_follows_to_a_header_in_which_a_set_takes_over_and_another_one_is_named(tmp_path: Path) -> None:
    """Such a header names two sets that certified nothing yet: the step to it shows one, so the first needs a step of its own."""
    with lagging_ledger(tmp_path, CHAIN, []) as ledger:
        offences = {3: FOUR[0], 5: FOUR[1]}
        for height in range(1, 8):
            ledger.decide([], offenders=[offences[height]] if height in offences else [])
        newest = ledger.header(5)
        assert (ledger.certified_height, len(ledger.application.validators), bool(newest.signers_pending)) == (
            5,
            3,
            True,
        )
        light = follow(ledger, begin(ledger.chain, ledger.digest(0), powers_of(FOUR)))
        assert (light.height, [len(one.signers) for one in light.sets]) == (5, [4, 3, 2])


class ShowsLedger:
    """A node that shows a ledger."""

    def __init__(self, ledger: LaggingLedger) -> None:
        self._ledger = ledger

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        if path == "headers":
            return encode_steps(steps(self._ledger, int(params["known_height"]), int(params["after_height"])))
        return encode_certified(certified_header(self._ledger, int(path.removeprefix("headers/"))))


@pytest.mark.parametrize("uncovered", [(), (5,), (3, 4, 5, 6)], ids=str)
async def test_a_gateway_with_the_trust_file_of_genesis_gets_receipts_that_count_over_every_change_of_the_set(
    tmp_path: Path, uncovered: Collection[int]
) -> None:
    sender = CHAIN.sender()
    with lagging_ledger(tmp_path / "ledger", CHAIN, [], uncovered=uncovered) as ledger:
        trust = ReceiptTrust(
            LightState(begin(ledger.chain, ledger.digest(0), powers_of(FOUR)), ()), tmp_path / "signers"
        )
        wires = [sender.clock(START_S + number) for number in range(1, BLOCKS + 1)]
        for height, wire in enumerate(wires, 1):
            ledger.decide([wire], offenders=[OFFENCES[height]] if height in OFFENCES else [])
        # The second time the gateway knows every set that was replaced: old blocks are covered by the one in force.
        for wire in 2 * wires[: ledger.certified_height]:
            transaction = decode_transaction(wire)
            receipt = decode_receipt(ledger.receipt(transaction.id) or b"")
            await trust.check(ShowsLedger(ledger), receipt, transaction.digest)
        assert trust.signers_count == 2
