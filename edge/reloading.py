"""What a running agent takes anew from its changed configuration (SIGHUP), and what it does not.

Lines, meters, their profiles, brokers and devices are exchanged between two boundaries: nothing that was sampled is lost, no boundary
is left out. Anything else (who signs, for which chain, where the outbox lies, how sampling goes) is what the process has begun with: a
file that changes it is refused whole, with the keys that need a restart, and what runs goes on. So does a file with a fault.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.config import EdgeConfig
from edge.parts import FieldParts, load_field
from gridcore.errors import UsageError
from gridcore.logs import get_logger

RELOADED: Final = ("lines", "meters", "profiles", "profile_bundle", "profile_signer", "brokers", "devices")
"""The keys of a configuration that a running agent takes anew."""

_log = get_logger(__name__)


def check_reload(running: EdgeConfig, changed: EdgeConfig) -> None:
    """UsageError that names every changed key that a running agent does not take."""
    fixed = [
        field.name
        for field in dataclasses.fields(EdgeConfig)
        if field.name not in RELOADED and getattr(running, field.name) != getattr(changed, field.name)
    ]
    if fixed:
        raise UsageError(f"{', '.join(fixed)} changed, which needs a restart; nothing of the new file is used")


async def follow_reloads(
    path: Path, running: EdgeConfig, asked: asyncio.Event, offer: Callable[[FieldParts], None]
) -> None:
    """Whenever ``asked`` is set, load the configuration at ``path`` and offer it; ends only by cancellation. Bad files cost a line."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            parts = await asyncio.to_thread(load_field, path)
            check_reload(running, parts.config)
        except UsageError as error:
            _log.error("configuration_not_reloaded", reason=str(error), effect="the agent goes on as before")
        else:
            offer(parts)
