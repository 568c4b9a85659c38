"""A simulated run in a process of its own that notes what meters write to the agent's connections while a line is faulty.

``python -m tests.demo.tapped_run SCENARIO OUT TAP``: TAP gets JSON, two lists of connections, each a list of the transaction ids of its answers: while
answers come twice, and while they overtake one another.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from gridledger.cli import main
from simulators.meters.bus import TcpClient

HEADER_BYTES = 6


def numbers_in(data: bytes) -> Iterator[int]:
    """The transaction ids of whole Modbus TCP frames."""
    while data:
        yield int.from_bytes(data[:2], "big")
        data = data[HEADER_BYTES + int.from_bytes(data[4:6], "big") :]


def run(scenario: str, out: str, tap: Path) -> int:
    """Run the scenario; its exit status."""
    twice: dict[int, list[int]] = defaultdict(list)
    overtaken: dict[int, list[int]] = defaultdict(list)
    write = TcpClient.write

    def noted(client: TcpClient, data: bytes) -> None:
        fault = client._bus.fault
        numbers = twice if fault.twice else overtaken if fault.overtaken_every else None
        if numbers is not None:
            numbers[id(client)] += numbers_in(data)
        write(client, data)

    TcpClient.write = noted  # type: ignore[assignment,method-assign]  # the process is this run's own
    status = main(["simulate", "run", scenario, "--out", out])
    tap.write_text(json.dumps([list(twice.values()), list(overtaken.values())]))
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
