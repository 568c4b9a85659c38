"""What proves a folder's results to a stranger: the trust root of its chain, the stand-alone verifier, and one bundle as a sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import gridcore.verify
from gridcore.errors import GridError
from gridledger.founding.folder import write_new
from gridledger.settling.run_columns import BillLine
from ledger.evidence import build_bundle
from ledger.store.directory import load_genesis
from ledger.store.ledger import Ledger
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS

SAMPLE, TRUST, VERIFIER = "sample.evd", "trust.json", "verify.py"
NAMES: Final = (SAMPLE, TRUST, VERIFIER)


def write_proof(ledger: Ledger, folder: Path, line: BillLine | None) -> None:
    """Write them into a folder, instead of what is there of the same names; None: no line, and so no sample."""
    genesis = load_genesis(folder / "ledger")
    _write(folder / TRUST, json.dumps(trust_of(genesis), indent=2).encode() + b"\n")
    _write(folder / VERIFIER, Path(gridcore.verify.__file__).read_bytes())
    if line is not None:
        bundle = build_bundle(
            ledger,
            CONTRACTS,
            party=line.party,
            slot_start_s=line.slot_start_s,
            line_kind=line.line_kind,
            run=line.run,
        )
        _write(folder / SAMPLE, bundle)


def _write(path: Path, content: bytes) -> None:
    if path.is_symlink():
        raise GridError(f"{path}: is a link; take it away")
    path.unlink(missing_ok=True)
    write_new(path, content)
