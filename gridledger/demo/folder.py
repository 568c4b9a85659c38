"""The folder of a demonstration: chosen, and filled with new files alone.

Others may be able to write where it lies. A file is made, never opened where one stands or a link leads elsewhere; what has
parts of its own (``run/``, ``ledger/``) is a new folder, which is ours.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from gridcore.errors import UsageError


def choose_folder(out: Path | None, seed: int) -> Path:
    """The folder to fill: ``out`` if it is absent or empty (else UsageError), by default a new one in the current folder."""
    if out is None:
        names = (Path(f"demo-{seed}-{number}") for number in itertools.count(1))
        out = next(path for path in names if not path.exists() and not path.is_symlink())
    if out.is_symlink():
        raise UsageError(f"gridledger demo: --out {out}: is a link; name the folder itself")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"gridledger demo: --out {out}: is not empty; name an absent or an empty folder")
    out.mkdir(mode=0o755, parents=True, exist_ok=True)
    return out.resolve()


def write_new(path: Path, content: str | bytes) -> None:
    """Make the file ``path``. FileExistsError when something stands there, be it a link that leads nowhere."""
    with path.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
