"""A bill line over imported energy: its bundle is verified and says what it rests on, and no altered copy is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gridcore.quality import CORRECTED, ESTIMATED, MISSING
from gridcore.sm3 import sm3
from gridevidence import forgery
from gridevidence.view import decode_bundle
from gridledger.settling.chain import settled_ledger, write_proof
from gridledger.settling.dataset import Dataset
from gridledger.settling.run_columns import BillLine
from tests.worlds.datasets import FIRST_S, SLOT_S, auction, community


def proven(folder: Path, dataset: Dataset, line: BillLine) -> bytes:
    """The sample of a line."""
    with settled_ledger(dataset, folder) as ledger:
        write_proof(ledger, folder, line)
    return (folder / "sample.evd").read_bytes()


def verify(folder: Path, bundle: bytes) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of the verifier that lies in the folder."""
    (folder / "copy.evd").write_bytes(bundle)
    command = [sys.executable, "-I", "-S", "verify.py", "copy.evd", "--trust", "trust.json", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_a_line_over_imported_energy_is_verified_and_says_that_no_meter_signed_it(tmp_path: Path) -> None:
    dataset = community(100, 4)
    bundle = proven(tmp_path, dataset, BillLine("H001", FIRST_S + 50 * SLOT_S, "levy", "initial"))
    status, answer = verify(tmp_path, bundle)
    assert (status, answer["facts"]["clock"]) == (0, "imported")
    assert answer["not_checked"][0] == "no meter signed these values"
    assert answer["facts"]["files"] == [{"name": "readings.csv", "sm3": sm3(b"readings").hex()}]
    assert answer["facts"]["import_wh"] == dataset.import_wh[50, 1]
    view = decode_bundle(bundle)
    assert view.imported is not None
    assert (view.imported.import_wh, view.imported.quality) == (dataset.import_wh[50, 1], "measured")
    assert view.readings == ()


def test_every_alteration_of_a_bundle_with_imported_energy_is_found(tmp_path: Path) -> None:
    bundle = proven(tmp_path, community(20, 3), BillLine("H001", FIRST_S + 5 * SLOT_S, "levy", "initial"))
    names = forgery.alterations(bundle)
    assert {"imported_energy", "forged_import", "forged_amount", "forged_rules"} <= set(names)
    for name in names:
        status, answer = verify(tmp_path, forgery.alter(bundle, name).data)
        assert (name, status, answer["answer"]) == (name, 1, "not verified")


@pytest.mark.parametrize(
    ("quality", "fact", "words"),
    [
        (ESTIMATED, "estimates", "that the importer estimated by the method that it names"),
        (MISSING, "missing", "no meter signed these values"),
    ],
)
def test_what_was_estimated_or_missing_in_the_files_is_told(
    tmp_path: Path, quality: int, fact: str, words: str
) -> None:
    dataset = community(20, 3)
    dataset.quality[5, 1], dataset.import_wh[5, 1] = quality, 3
    bundle = proven(tmp_path, dataset, BillLine("H001", FIRST_S + 5 * SLOT_S, "levy", "initial"))
    status, answer = verify(tmp_path, bundle)
    assert status == 0
    assert answer["facts"][fact]
    assert words in answer["not_checked"]


def test_a_run_is_proved_by_the_import_that_it_went_by(tmp_path: Path) -> None:
    before = community(20, 3)
    with settled_ledger(before, tmp_path):
        pass
    import_wh = before.import_wh.copy()
    import_wh[5, 1] += 1
    newer = before._replace(import_wh=import_wh)
    newer.quality[5, 1] = CORRECTED
    slot_s = FIRST_S + 5 * SLOT_S
    for run, energy_wh in (("initial", before.import_wh[5, 1]), ("correction-1", import_wh[5, 1])):
        status, answer = verify(tmp_path, proven(tmp_path, newer, BillLine("H001", slot_s, "levy", run)))
        assert (status, answer["facts"]["import_wh"]) == (0, energy_wh)
        assert answer["facts"]["later_runs"] == (["correction-1"] if run == "initial" else [])


def test_a_trade_over_imported_energy_is_proved_with_the_aggregators_order(tmp_path: Path) -> None:
    bundle = proven(tmp_path, auction(20, 3), BillLine("H001", FIRST_S + 5 * SLOT_S, "trade_buy", "initial"))
    status, answer = verify(tmp_path, bundle)
    assert (status, answer["facts"]["aggregators"]) == (0, [{"counter": 1, "aggregator": "importer"}])
