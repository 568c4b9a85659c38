"""Whose receipts count at a gateway, when the set of signers changes while it is in the field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.config import EdgeConfig
from edge.receipts import SUFFIX, ReceiptTrust, load_receipt_trust
from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.header import Receipt, VerificationError
from gridcore.light.codec import encode_steps
from gridcore.light.state import LightState, save_state
from gridcore.light.trusted import Step
from ledger.client import NodeRefused, NodeUnreachable
from tests.unit.edge_agent.edge_world import write_config
from tests.worlds.certified_chain import CHAIN, CertifiedChain
from tests.worlds.receipts import chain_with_receipt

OLD, NEW = ("a", "b", "c", "d"), ("b", "c", "d", "e")
THREE, THREE_NEW = ("a", "b", "c"), ("c", "d", "e")


class ShowsSteps:
    """A node that shows these steps, or answers with an error."""

    def __init__(self, steps: Sequence[Step] = (), error: Exception | None = None) -> None:
        self._steps = steps
        self._error = error
        self.asked = 0

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        self.asked += 1
        if self._error is not None:
            raise self._error
        return encode_steps([step for step in self._steps if step.header.height > int(params["after_height"])])


def changed_chain() -> tuple[CertifiedChain, Receipt]:
    """Header 2 hands over; the receipt is of header 4, signed by the new set."""
    return chain_with_receipt([OLD, NEW, NEW, NEW], certified_by=THREE_NEW)


async def test_a_receipt_of_a_set_that_took_over_counts_once_the_known_set_has_named_it(tmp_path: Path) -> None:
    made, receipt = changed_chain()
    trust = ReceiptTrust(LightState(made.begin(OLD), ()), tmp_path / "signers")
    node = ShowsSteps([made.step(0, 2, THREE, NEW), made.step(2, 4, THREE_NEW)])
    await trust.check(node, receipt, receipt.digest)
    asked = node.asked
    await trust.check(node, receipt, receipt.digest)
    assert node.asked == asked, "what was learned is not asked for again"
    assert (tmp_path / "signers").exists()


@pytest.mark.parametrize(
    "node",
    [
        ShowsSteps(),
        ShowsSteps(error=NodeRefused("no such route", 404, "no such route")),
        ShowsSteps([changed_chain()[0].step(0, 2, ("x", "y", "z"), NEW)]),
    ],
    ids=["shows nothing newer", "has no such route", "shows a change that nobody known has signed"],
)
async def test_a_receipt_of_strangers_does_not_count(tmp_path: Path, node: ShowsSteps) -> None:
    made, receipt = changed_chain()
    trust = ReceiptTrust(LightState(made.begin(OLD), ()), tmp_path / "signers")
    with pytest.raises(VerificationError, match="outside the signer set"):
        await trust.check(node, receipt, receipt.digest)
    assert not (tmp_path / "signers").exists()


async def test_a_receipt_by_the_keys_of_a_set_that_was_replaced_does_not_count_even_for_its_own_time(
    tmp_path: Path,
) -> None:
    made, receipt = changed_chain()
    trust = ReceiptTrust(LightState(made.begin(OLD), ()), tmp_path / "signers")
    node = ShowsSteps([made.step(0, 2, THREE, NEW), made.step(2, 4, THREE_NEW)])
    await trust.check(node, receipt, receipt.digest)
    other = made.branch(0)
    never_decided = other.add(OLD, data_root=receipt.header.data_root, salt=b"\1" * 32)
    forged = replace(receipt, header=never_decided, certificate=other.certificate(1, THREE))
    with pytest.raises(VerificationError, match="by a set of signers that has been replaced since header 1"):
        await trust.check(ShowsSteps(), forged, receipt.digest)


async def test_a_node_that_goes_away_meanwhile_is_asked_again_later(tmp_path: Path) -> None:
    made, receipt = changed_chain()
    trust = ReceiptTrust(LightState(made.begin(OLD), ()), tmp_path / "signers")
    with pytest.raises(NodeUnreachable):
        await trust.check(ShowsSteps(error=NodeUnreachable("away")), receipt, receipt.digest)


async def test_what_was_learned_and_cannot_be_kept_counts_until_the_next_start(tmp_path: Path) -> None:
    made, receipt = changed_chain()
    trust = ReceiptTrust(LightState(made.begin(OLD), ()), tmp_path / "no folder" / "signers")
    node = ShowsSteps([made.step(0, 2, THREE, NEW), made.step(2, 4, THREE_NEW)])
    with capture_logs() as logs:
        await trust.check(node, receipt, receipt.digest)
    assert [line["event"] for line in logs] == ["signers_not_kept", "signers_changed"]


def config_with(folder: Path, made: CertifiedChain, signers: Sequence[str]) -> EdgeConfig:
    """A configuration whose trust file names these signers."""
    path = write_config(folder, chain=f'"{CHAIN}"')
    trusted = made.begin(signers)
    root = {
        "type": "gridledger-trust",
        "version": 2,
        "chain": CHAIN,
        "genesis": trusted.genesis.hex(),
        "pins": [],
        "signers": [{"public_key": k.hex(), "power": power, "name": "s"} for k, power in trusted.sets[0].signers],
    }
    (folder / "trust.json").write_text(json.dumps(root))
    return load_config(path, EdgeConfig)


async def test_what_was_learned_is_kept_beside_the_outbox_and_goes_on_from_the_same_trust_file(tmp_path: Path) -> None:
    made, receipt = changed_chain()
    config = config_with(tmp_path, made, OLD)
    node = ShowsSteps([made.step(0, 2, THREE, NEW), made.step(2, 4, THREE_NEW)])
    await load_receipt_trust(config).check(node, receipt, receipt.digest)
    again = load_receipt_trust(config)
    await again.check(ShowsSteps(), receipt, receipt.digest)
    config.outbox.with_name(config.outbox.name + SUFFIX).write_bytes(b"torn")
    with pytest.raises(VerificationError):
        await load_receipt_trust(config).check(ShowsSteps(), receipt, receipt.digest)


async def test_a_trust_file_with_a_set_that_was_never_seen_is_begun_with_anew(tmp_path: Path) -> None:
    made, receipt = changed_chain()
    other = CertifiedChain(("m", "n"))
    kept = tmp_path / f"outbox.sqlite{SUFFIX}"
    for state in (LightState(made.begin(("m", "n")), ()), LightState(other.begin(NEW), ())):
        save_state(kept, state)
        await load_receipt_trust(config_with(tmp_path, made, NEW)).check(ShowsSteps(), receipt, receipt.digest)
    config = config_with(tmp_path, made, NEW)
    config.trust.write_text("{}")
    with pytest.raises(UsageError, match=r"trust: .*trust\.json: the trust file is malformed"):
        load_receipt_trust(config)
