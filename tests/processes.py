"""Programs of ours as processes of their own: what they say when they are ready."""

from __future__ import annotations

import json
import selectors
import subprocess
from typing import Any


def ready_line(process: subprocess.Popen[bytes], timeout_s: float) -> dict[str, Any]:
    """The JSON line that says a process is ready; AssertionError with its own words when it ends, or says nothing in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(timeout_s), "no ready line"
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1].decode())
    ready: dict[str, Any] = json.loads(line)
    return ready
