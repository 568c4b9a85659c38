"""What all tests share: hypothesis profiles and a log set-up that is the same in every test process."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

import gridcore.logs  # noqa: F401  (its import is what configures logs before an entry point does)

REPOSITORY = Path(__file__).resolve().parent.parent

# Speed differs between machines and loads; results may not. The seed is printed with a failure and can be run again.
hypothesis.settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # of wall time: a loaded machine is no fault of a test
)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("default"), derandomize=True)
hypothesis.settings.register_profile("fuzz", parent=hypothesis.settings.get_profile("default"), max_examples=1_000)
hypothesis.settings.load_profile(
    os.environ.get("GRIDLEDGER_HYPOTHESIS", "ci" if os.environ.get("CI") == "true" else "default")
)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root folder of the checkout."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def restored_logs() -> Iterator[None]:
    """Undo what a test did to the process's logs: commands that run in this process configure them as for a process of its own."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: nothing looks for garbage among two million objects meanwhile, nor whenever a test does so later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CI a skip for want of an outside program is a failure: there the program is installed first."""
    report = yield
    if (
        os.environ.get("CI") == "true"
        and item.get_closest_marker("external")
        and not item.get_closest_marker("other_processor")
        and report.skipped
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI, where outside programs are installed first: {report.longrepr}"
    return report
