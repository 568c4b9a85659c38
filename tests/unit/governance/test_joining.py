"""``gridledger consortium join``: the folder of a member that comes later, and what is to be voted on for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.genesis import decode_genesis
from gridcore.proposal_file import read_proposal
from gridledger.founding.consortium import engine_genesis_of, found_everywhere
from gridledger.founding.consortium_config import ConsortiumConfig, MemberConfig, usual_config
from gridledger.founding.joining import join
from gridledger.founding.request import make_request
from ledger.engines.cometbft.home import load_keys, peer_ids

MADE_S = 1_800_000_000
FIFTH = MemberConfig(name="store", title="The Store", peer_port=1, node_port=2, pages_port=3, rpc_port=4)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ConsortiumConfig]:
    """Two members in folders, the request of a third, and the founding file with all of them."""
    folder, config = tmp_path_factory.mktemp("joining"), usual_config(2)
    found_everywhere(config, folder, MADE_S)
    joined = replace(config, members=(*config.members, FIFTH))
    make_request(joined, FIFTH.name, folder / FIFTH.name, MADE_S)
    return folder, joined


def requests(folder: Path, config: ConsortiumConfig) -> list[Path]:
    return [folder / member.name / f"{member.name}.request" for member in config.members]


def test_a_newcomer_has_the_same_genesis_and_all_others_as_peers_and_its_proposals(
    founded: tuple[Path, ConsortiumConfig],
) -> None:
    folder, config = founded
    genesis_file = folder / "grid" / "genesis.cbor"
    genesis, name, (member, validator) = join(config, genesis_file, requests(folder, config), folder / "store")
    assert (name, genesis) == ("store", decode_genesis(genesis_file.read_bytes()))
    assert (folder / "store" / "engine" / "config" / "genesis.json").read_bytes() == engine_genesis_of(genesis)
    ids = {one.name: load_keys(folder / one.name / "engine").node_id for one in config.members}
    assert peer_ids(folder / "store" / "engine") == {ids["grid"], ids["retailer"]}
    rows = read_proposal(member, {}).record.members
    assert [row.key for row in rows] == [
        "organisation/store",
        "signer/store-administrator",
        "signer/store-clock",
        "signer/store-web",
    ]
    (one,) = read_proposal(validator, {}).record.members
    assert (one.name, one.consensus_key) == ("store", load_keys(folder / "store" / "engine").consensus_key)
    assert json.loads((folder / "store" / "trust.json").read_text())["chain"] == genesis.chain


def test_a_founder_takes_the_newcomer_among_its_peers_and_keeps_what_it_has(
    founded: tuple[Path, ConsortiumConfig],
) -> None:
    folder, config = founded
    before = (folder / "grid" / "node.toml").read_bytes()
    _, name, proposals = join(config, folder / "grid" / "genesis.cbor", requests(folder, config), folder / "grid")
    assert (name, proposals) == ("grid", [])
    assert load_keys(folder / "store" / "engine").node_id in peer_ids(folder / "grid" / "engine")
    assert (folder / "grid" / "node.toml").read_bytes() == before


def test_what_is_missing_is_named_in_one_line(founded: tuple[Path, ConsortiumConfig]) -> None:
    folder, config = founded
    genesis_file = folder / "grid" / "genesis.cbor"
    with pytest.raises(UsageError, match="requests are missing of retailer; their founding has them"):
        join(config, genesis_file, requests(folder, config)[::2], folder / "store")
    other = folder / "other"
    make_request(config, "retailer", other, MADE_S)
    with pytest.raises(UsageError, match="its keys are in none of these requests"):
        join(config, genesis_file, requests(folder, config), other)
