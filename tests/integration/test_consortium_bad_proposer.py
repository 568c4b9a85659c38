"""One of four validators proposes wrongly, under the real engine: the others reject it, go on, and certify every height."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.external import NEEDS_COMETBFT
from tests.integration import bad_proposer
from tests.integration.bad_proposer import REFUSED, TAKEN
from tests.integration.consortium_world import MEMBERS, PATIENCE_S, STARTED_S, Consortium, running
from tests.waiting import wait_until

pytestmark = [*NEEDS_COMETBFT, pytest.mark.slow]
BAD = "regulator"
OTHERS = [name for name in MEMBERS if name != BAD]


def said(consortium: Consortium, name: str, event: str) -> list[dict[str, Any]]:
    """The lines of a node's log that tell of an event."""
    lines = [line for line in consortium.log(name).splitlines() if f'"{event}"' in line and line.endswith("}")]
    return [json.loads(line) for line in lines]


def test_a_proposer_that_spoils_its_certificates_and_transactions_is_outvoted_and_every_height_is_certified(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as consortium:
        consortium.stop(BAD)
        consortium.start(BAD, program=[bad_proposer.__file__])
        steps = 0

        def have_all_been_tried() -> bool:
            nonlocal steps
            steps += 1
            consortium.advance(STARTED_S + 60 + steps, OTHERS[steps % len(OTHERS)])
            return {line["trick"] for line in said(consortium, BAD, "proposes")} == {*REFUSED, *TAKEN}

        wait_until(have_all_been_tried, "every trick", PATIENCE_S)
        tried = said(consortium, BAD, "proposes")
        consortium.wait_height(tried[-1]["height"] + 2)
        consortium.check_agreement()

        refused = {line["height"] for line in tried if line["trick"] in REFUSED}
        taken = {line["height"] for line in tried if line["trick"] in TAKEN}
        for name in OTHERS:
            rejected = {line["height"] for line in said(consortium, name, "proposal_rejected")}
            assert refused <= rejected
            assert not taken & rejected
