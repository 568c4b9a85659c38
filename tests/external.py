"""Programs from outside, as tests find and start them. A missing one skips the test with the command that installs it;
under CI (``CI=true``) that is a failure, see ``conftest.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.influxd import INSTALLED_BY, Influxd, find_program
from ledger.engines.cometbft.program import INSTALLED_BY as COMETBFT_INSTALLED_BY

__all__ = ["NEEDS_COMETBFT", "NEEDS_INFLUXD", "Influxd", "find_program", "influxd", "needs"]


def needs(name: str, command: str) -> list[pytest.MarkDecorator]:
    """Marks of a test that needs a program; ``command`` installs it."""
    is_missing = find_program(name) is None
    return [pytest.mark.external, pytest.mark.skipif(is_missing, reason=f"{name} is missing: {command}")]


NEEDS_COMETBFT = needs("cometbft", COMETBFT_INSTALLED_BY)
NEEDS_INFLUXD = needs("influxd", INSTALLED_BY)


@pytest.fixture(scope="session")
def influxd() -> Iterator[Influxd]:
    """One influxd for the tests of a process; each test takes a bucket of its own. Import it where it is used."""
    with tempfile.TemporaryDirectory(prefix="influxd-") as folder:
        server = Influxd(Path(folder))
        server.start()
        try:
            server.set_up()
            yield server
        finally:
            server.kill()
