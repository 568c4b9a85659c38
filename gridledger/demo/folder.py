"""The folder of a demonstration: the one that is named, or a new one."""

from __future__ import annotations

import itertools
from pathlib import Path

from gridledger.founding.folder import take_folder


def choose_folder(out: Path | None, seed: int) -> Path:
    """The folder to fill: ``out`` if it is absent or empty (else UsageError), by default a new one in the current folder."""
    if out is None:
        names = (Path(f"demo-{seed}-{number}") for number in itertools.count(1))
        out = next(path for path in names if not path.exists() and not path.is_symlink())
    return take_folder(out, "gridledger demo: --out")
