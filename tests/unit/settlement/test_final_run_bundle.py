"""The bundle of a line of a final run, in a zone with a run calendar: both verifiers take the zone's row, and name the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from gridcore import verify
from gridcore.registry.run_calendar import CorrectionDate, RunCalendar
from ledger.evidence import build_bundle
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.second_verifier.verify import verify as verify_again
from tests.worlds.consortium import FIRST_S, SLOT_S, zone
from tests.worlds.ledgers import ledger_with
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

FINAL_S = 7_200
CALENDAR = RunCalendar([CorrectionDate(3_600, 500_000)], 10**9, FINAL_S, 1_800, 990_000)


def test_a_line_of_a_final_run_is_verified_by_both_verifiers(tmp_path: Path) -> None:
    dated = zone("z-1", final_after_s=86_400, run_calendar=CALENDAR.encode())
    world = replace(TWO_AREAS, zones=[dated, zone("z-2")])
    sender = world.sender()
    trust = json.dumps(trust_of(world.genesis)).encode()
    submissions = [*one_settled_slot(sender), [sender.clock(FIRST_S + SLOT_S + FINAL_S)]]
    with ledger_with(tmp_path, world, submissions) as ledger:
        data = build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="levy", run="final")
    verdict = verify.verify_bundle(data, verify.decode_trust(trust))
    assert verdict.answer == verify.VERIFIED, verdict.reason
    assert verdict.facts["run"] == "final"
    assert verify_again(data, trust, None).answer == verify.VERIFIED
