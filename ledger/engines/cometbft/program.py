"""The engine's program: where it is, and whether it is one that we know."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from gridcore.errors import UsageError

VERSIONS: Final = ("0.38.", "0.39.")
"""Release lines that the suite runs against."""
INSTALLED_BY: Final = "make cometbft"
_VERSION_S_MAX: Final = 10.0


def find_engine(given: Path | None = None) -> Path:
    """The program ``given``, else on PATH, else where ``make cometbft`` puts it. UsageError with the command that installs it,
    or naming a version that is not known here.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gridledger" / "bin"
    found = str(given) if given is not None else shutil.which("cometbft") or shutil.which("cometbft", path=str(cache))
    if found is None:
        raise UsageError(f"cometbft is missing: run {INSTALLED_BY}, put one on PATH, or name it in engine.binary")
    try:
        done = subprocess.run([found, "version"], capture_output=True, timeout=_VERSION_S_MAX, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{found}: does not run ({error}); name another cometbft in engine.binary") from None
    version = done.stdout.decode(errors="replace").strip().removeprefix("v")
    if not version.startswith(VERSIONS):
        raise UsageError(
            f"{found}: is version {version[:40]}; this release works with {' and '.join(f'{line}x' for line in VERSIONS)}"
        )
    return Path(found)
