"""``gridledger consortium rejoin``: a validator whose disk was lost, or a new one, begins with a snapshot of the others (state sync).

Its engine needs two servers for its light client, the RPC addresses of other members' engines, and a block that they agree on. What the
snapshot says is compared with SM2 certificates from genesis on all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from gridcore.errors import UsageError
from ledger.config import NodeConfig
from ledger.engines.cometbft.home import StateSyncFrom, has_blocks, sync_state_from
from ledger.store.block_log import LOG_NAME
from ledger.store.directory import load_genesis

MEMBERS_MIN: Final = 2
"""The engine's light client compares what one says with another one."""
TRUSTED_BLOCKS_BACK: Final = 5_000
"""The block that is trusted is so much older than the newest, so that the light client goes forward from it, not back."""
TRUSTED_HEIGHT_MIN: Final = 2
"""Block 1 has the time of genesis, which may be too long ago to be trusted."""
TIMEOUT_S: Final = 10.0


class _Told(NamedTuple):
    """What an engine says of its chain."""

    chain: str
    height: int


def prepare_rejoin(config: NodeConfig, members: Sequence[str]) -> StateSyncFrom:
    """Have the next start of a node without blocks begin with a snapshot. members: RPC addresses (URLs) of other members' engines.

    UsageError where the node has blocks, or members do not answer, are of another chain, or differ in the trusted block.
    """
    home = config.engine.home
    if home is None:
        raise UsageError("this node has no consensus engine (table engine of its configuration), so it joins nobody")
    if len(set(members)) < MEMBERS_MIN:
        raise UsageError(f"give --member at least {MEMBERS_MIN} times: the RPC addresses of other members' engines")
    chain = load_genesis(config.data_dir).chain
    _check_empty(config.data_dir, home)
    told = [_status(member) for member in members]
    for member, one in zip(members, told, strict=True):
        if one.chain != chain:
            raise UsageError(f"{member}: of chain {one.chain}, this node of {chain}")
    height = max(TRUSTED_HEIGHT_MIN, min(one.height for one in told) - TRUSTED_BLOCKS_BACK)
    hashes = {member: _block_hash(member, height) for member in members}
    if len(set(hashes.values())) > 1:
        shown = ", ".join(f"{member} {found}" for member, found in hashes.items())
        raise UsageError(
            f"members differ in block {height}: {shown}. Nothing changed: find out who is on another chain"
        )
    source = StateSyncFrom(tuple(members), height, hashes[members[0]])
    sync_state_from(home, source)
    return source


def _check_empty(data_dir: Path, home: Path) -> None:
    log = data_dir / LOG_NAME
    if log.exists() and log.stat().st_size:
        raise UsageError(
            f"{data_dir}: has blocks; to begin with a snapshot, move it away and make it anew: gridledger node init"
        )
    if has_blocks(home):
        raise UsageError(
            f"{home / 'data'}: the engine has blocks; to begin with a snapshot, move everything in it away"
        )


def _status(member: str) -> _Told:
    answer = _ask(member, "status")
    try:
        return _Told(str(answer["node_info"]["network"]), int(answer["sync_info"]["latest_block_height"]))
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{member}: does not answer as an engine does") from None


def _block_hash(member: str, height: int) -> str:
    answer = _ask(member, "commit", height=str(height))
    try:
        return str(answer["signed_header"]["commit"]["block_id"]["hash"])
    except (KeyError, TypeError):
        raise UsageError(f"{member}: has no block {height}") from None


def _ask(member: str, method: str, **parameters: str) -> Any:
    call = {"jsonrpc": "2.0", "id": 0, "method": method, "params": parameters}
    try:
        return httpx.post(member, json=call, timeout=TIMEOUT_S, trust_env=False).json()["result"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{member}: the engine does not answer: {str(error) or type(error).__name__}") from None
