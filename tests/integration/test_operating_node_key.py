"""docs/operating/node-key.md: a copy of the key opens, another key does not start, the key changes, and trust files follow or are of one chain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.receipts import ReceiptTrust
from gridcore.envelope import decode_transaction
from gridcore.header import Receipt
from gridcore.light.state import begin_with_trust
from gridledger.cli import main
from ledger.client import Client, run_with_client
from tests.integration.village import FIRST_S, RUN_NODE, SLOT_S, Village, blocks_of, founded

COPYING, NEW_KEY, CHECK, PROPOSE, NEW_TRUST, CHECK_AGAIN, NEW_CHAIN = blocks_of("node-key.md")
SAFE_TOML, NEXT_KEY_TOML, ROTATION_TOML = blocks_of("node-key.md", "toml")
EXPORT = (
    f"gridledger evidence export --data village/ledger --party home-1 --slot {FIRST_S} --line residual_import --out"
)


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Village:
    """A node that has not run yet."""
    monkeypatch.chdir(tmp_path)
    return founded(tmp_path)


def settle_first_slot(village: Village) -> None:
    """One slot with a bill, on a node that runs."""
    village.advance(FIRST_S - SLOT_S)
    sender = village.sender(FIRST_S - SLOT_S)
    village.submit([sender.clock(FIRST_S), sender.batch("gateway-1", FIRST_S, [(1, 100, 0)])])
    village.submit([sender.clock(FIRST_S + SLOT_S), sender.batch("gateway-1", FIRST_S + SLOT_S, [(1, 350, 0)])])
    village.advance(FIRST_S + 2 * SLOT_S)


def test_a_copied_key_goes_on_and_another_one_does_not(village: Village, capsys: pytest.CaptureFixture[str]) -> None:
    (village.folder / "safe").mkdir()
    (village.folder / "safe" / "node.toml").write_text(SAFE_TOML)
    village.do(COPYING)
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
    keys = village.folder / "village" / "keys"
    shutil.copy(keys / "utility.pem", keys / "operator.pem")
    shutil.copy(keys / "utility.password", keys / "operator.password")
    capsys.readouterr()
    assert main(["node", "run", "--config", "village/node.toml"]) == 2
    assert "the validators give it no power to certify block" in capsys.readouterr().err
    shutil.copy(village.folder / "safe" / "operator.pem", keys / "operator.pem")
    shutil.copy(village.folder / "safe" / "operator.password", keys / "operator.password")
    with village.running(RUN_NODE):
        village.advance(FIRST_S)
    village.do(NEW_CHAIN)


def rotate(village: Village, capsys: pytest.CaptureFixture[str]) -> str:
    """Steps 1 and 3; the new public key. The node runs meanwhile."""
    capsys.readouterr()
    village.do(NEW_KEY.rstrip("\n") + " --json")
    public_key: str = json.loads(capsys.readouterr().out.splitlines()[-1])["public_key"]
    (village.folder / "rotation.toml").write_text(ROTATION_TOML.replace("PUBLIC-KEY", public_key))
    return public_key


def test_the_key_changes_and_the_old_trust_file_stays_good(
    village: Village, capsys: pytest.CaptureFixture[str]
) -> None:
    node_toml = village.folder / "village" / "node.toml"
    public_key = rotate(village, capsys)
    before = node_toml.read_text()
    node_toml.write_text(f"{before}\n{NEXT_KEY_TOML}")
    village.do(CHECK)
    with village.running(RUN_NODE):
        settle_first_slot(village)
    village.do(f"{EXPORT} early.evd")
    with village.running(RUN_NODE):
        village.do(PROPOSE)
        village.do(NEW_TRUST)
    node_toml.write_text(before.replace("keys/operator.", "keys/operator-2."))
    village.do(CHECK_AGAIN)
    with village.running(RUN_NODE):
        village.advance(FIRST_S + 3 * SLOT_S)
    village.do(f"{EXPORT} late.evd")
    trust = json.loads((village.folder / "village" / "trust-2.json").read_text())
    assert [signer["public_key"] for signer in trust["signers"]] == [public_key]
    answers = {
        (bundle, root): main(["verify", f"{bundle}.evd", "--trust", f"village/{root}.json"])
        for bundle in ("early", "late")
        for root in ("trust", "trust-2")
    }
    assert answers == {("early", "trust"): 0, ("early", "trust-2"): 3, ("late", "trust"): 0, ("late", "trust-2"): 0}


def signer_of_receipt(village: Village, trust: ReceiptTrust, now_s: int) -> str:
    """Move the clock to ``now_s``; the key that certified it, once the receipt counts for who trusts ``trust``."""
    wire = village.sender(now_s - SLOT_S).clock(now_s)
    village.submit([wire])
    transaction = decode_transaction(wire)

    async def check(client: Client) -> Receipt:
        receipt = await client.receipt(transaction.id)
        assert receipt is not None
        await trust.check(client, receipt, transaction.digest)
        return receipt

    ((public_key, _),) = run_with_client(village.url, check).certificate
    return public_key.hex()


def test_a_gateway_that_has_the_old_trust_file_goes_on_with_receipts_of_the_new_key(
    village: Village, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody brings it another file: the old key has signed the header that names the new one."""
    node_toml = village.folder / "village" / "node.toml"
    public_key = rotate(village, capsys)
    node_toml.write_text(f"{node_toml.read_text()}\n{NEXT_KEY_TOML}")
    trust = ReceiptTrust(begin_with_trust(village.folder / "village" / "trust.json", ""), village.folder / "signers")
    with village.running(RUN_NODE):
        village.advance(FIRST_S - SLOT_S)
        assert signer_of_receipt(village, trust, FIRST_S) != public_key
        village.do(PROPOSE)
        village.advance(FIRST_S + 1)
        assert signer_of_receipt(village, trust, FIRST_S + SLOT_S) == public_key
    assert (village.folder / "signers").exists()


def test_a_node_without_the_next_key_stops_with_one_line_and_goes_on_with_it(
    village: Village, capsys: pytest.CaptureFixture[str]
) -> None:
    rotate(village, capsys)
    with village.running(RUN_NODE) as (process,):
        village.advance(FIRST_S - SLOT_S)
        village.do(PROPOSE)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    lines = [line for line in errors.decode().splitlines() if not line.startswith("{")]
    assert [("no power to certify block 4 alone" in line, "give their key" in line) for line in lines] == [(True, True)]
    node_toml = village.folder / "village" / "node.toml"
    node_toml.write_text(f"{node_toml.read_text()}\n{NEXT_KEY_TOML}")
    with village.running(RUN_NODE):
        village.advance(FIRST_S)


def test_a_bundle_of_the_old_chain_stands_with_its_trust_file_and_is_not_decided_with_another(village: Village) -> None:
    village.do(NEW_CHAIN)
    with village.running(RUN_NODE):
        settle_first_slot(village)
    village.do(f"{EXPORT} bill.evd")
    shutil.rmtree(village.folder / "village" / "ledger")
    assert main(["verify", "bill.evd", "--trust", "village/trust.json"]) == 0
    assert main(["verify", "bill.evd", "--trust", "village-2/trust.json"]) == 3
