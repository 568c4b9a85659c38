"""Benchmarks, one module a topic. ``gridledger bench`` reaches them through the entry point in ``pyproject.toml``.

A module ``benchmarks/<topic>.py`` offers a table ``BENCHMARKS``, one line a benchmark: its name and the function that measures it
(``gridledger.bench``). It imports what it measures inside its functions, so that listing names is cheap.
"""

from __future__ import annotations

import importlib
import pkgutil

from gridcore.errors import require
from gridledger.bench import Benchmark


def find_benchmarks() -> dict[str, Benchmark]:
    """All benchmarks of this folder by name."""
    found: dict[str, Benchmark] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        offered = getattr(importlib.import_module(f"{__name__}.{module.name}"), "BENCHMARKS", {})
        require(found.keys().isdisjoint(offered), "a benchmark's name is given once")
        found.update(offered)
    return found
