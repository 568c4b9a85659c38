"""The bundle of a slot in which a meter was exchanged, or its registers began again: every piece is shown, and a stranger verifies it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridcore.master_data import Listed, Named
from gridcore.registry.installation import INSTALLATION
from gridcore.verify import decode_trust, verify_bundle
from gridevidence.view import decode_bundle
from gridledger.settling.derivation import derive_line
from ledger.evidence import build_bundle
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_independently
from tests.unit.state.meters import BREAK_S, METER, exchanged, moved_within
from tests.worlds.consortium import DAY_S, FIRST_S, SLOT_S, Consortium, household, zone
from tests.worlds.ledgers import decide, ledger_with
from tests.worlds.transactions import Sender

RESET = METER._replace(final_registers=[500_300, 7], first_registers=[12, 0], reason="power cut")


def world_of(more: list[Listed]) -> Consortium:
    """A household whose meter is known from a day before the first slot on."""
    home = household(1, "p-1", first_registers=(500_000, 0), installed_s=FIRST_S - DAY_S)
    return Consortium(meters=[home], more=more)


def blocks_of(sender: Sender, number: int, end: tuple[int, int] = (112, 1)) -> list[list[bytes]]:
    """The first slot, settled: read by meter 1 at its start and by meter ``number`` at its end, where it shows ``end``."""
    end_s = FIRST_S + SLOT_S
    return [
        [sender.clock(FIRST_S)],
        [sender.batch("gw-1", FIRST_S, [(1, 500_100, 5)])],
        [sender.clock(end_s)],
        [sender.batch("gw-1", end_s, [(number, *end)])],
        [sender.clock(end_s + SLOT_S)],
    ]


def export(ledger: Ledger) -> bytes:
    """The bundle of what the household got from its supplier in the first slot."""
    return build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="residual_import")


@pytest.mark.parametrize(
    ("more", "number"),
    [(exchanged([500_300, 7], [12, 0]), 2), ([Named(INSTALLATION, "1", RESET, BREAK_S)], 1)],
    ids=["an exchange", "a reset"],
)
def test_a_slot_with_a_break_is_proved_piece_by_piece(tmp_path: Path, more: list[Listed], number: int) -> None:
    world = world_of(more)
    sender = world.sender()
    with ledger_with(tmp_path / "ledger", world, blocks_of(sender, number)) as ledger:
        decide(ledger, [sender.clock(FIRST_S + 2 * SLOT_S + 1)])
        bundle, trust = export(ledger), json.dumps(trust_of(world.genesis)).encode()
    verdict = verify_bundle(bundle, decode_trust(trust))
    assert verdict.answer == "verified", verdict
    assert verdict.facts["import_wh"] == 200 + 100
    assert verify_independently(bundle, trust, None).answer == "verified"


def test_a_register_that_an_organisation_answers_for_is_shown_as_its_approval(tmp_path: Path) -> None:
    world = world_of([])
    sender = world.sender()
    blocks = blocks_of(sender, 1)
    blocks[3] = [sender.approve(1, FIRST_S + SLOT_S, (520_100, 5))]
    with ledger_with(tmp_path / "ledger", world, blocks) as ledger:
        decide(ledger, [sender.clock(FIRST_S + 2 * SLOT_S + 1)])
        bundle, trust = export(ledger), json.dumps(trust_of(world.genesis)).encode()
    verdict = verify_bundle(bundle, decode_trust(trust))
    assert verdict.answer == "verified", verdict
    assert verdict.facts["import_wh"] == 20_000, "twice what the meter's limit is"
    assert [told["signer"] for told in verdict.facts["approved"]] == ["util"]
    assert verify_independently(bundle, trust, None).answer == "verified"


def test_both_parts_of_a_slot_in_which_tenants_changed_are_proved_each_by_one_register_and_the_stated_one(
    tmp_path: Path,
) -> None:
    home = household(1, "p-1", first_registers=(500_000, 0), installed_s=FIRST_S - DAY_S)
    rule = zone(part_slots_are_measured=True)
    world = Consortium(meters=[home], zones=[rule], more=moved_within(BREAK_S, [500_300, 7]))
    sender = world.sender()
    trust = json.dumps(trust_of(world.genesis)).encode()
    with ledger_with(tmp_path / "ledger", world, blocks_of(sender, 2, (500_412, 8))) as ledger:
        decide(ledger, [sender.clock(FIRST_S + 2 * SLOT_S + 1)])
        bundles = [
            build_bundle(ledger, CONTRACTS, party=party, slot_start_s=FIRST_S, line_kind="residual_import")
            for party in ("p-1", "p-2")
        ]
    verdicts = [verify_bundle(bundle, decode_trust(trust)) for bundle in bundles]
    assert [verdict.answer for verdict in verdicts] == ["verified", "verified"], verdicts
    assert [verdict.facts["import_wh"] for verdict in verdicts] == [200, 112], (
        "the register went from 500,100 to 500,412"
    )
    assert [verdict.facts["part"] for verdict in verdicts] == [
        {"from_s": FIRST_S, "until_s": BREAK_S},
        {"from_s": BREAK_S, "until_s": FIRST_S + SLOT_S},
    ]
    assert [verify_independently(bundle, trust, None).answer for bundle in bundles] == ["verified", "verified"]
    explained = [derive_line(decode_bundle(bundle), "residual_import").steps[0] for bundle in bundles]
    assert [(step.formula["en"], step.result) for step in explained] == [
        ("(500300 − 500100) × 1", 200),
        ("(500412 − 500300) × 1", 112),
    ]
    assert [step.what["en"].rpartition(", ")[2] for step in explained] == [
        "when it was taken down",
        "when it was put up",
    ]
