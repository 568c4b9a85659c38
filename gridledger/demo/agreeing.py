"""At the end of a run the validators must hold one state: each is asked for the block that the first one ends with."""

from __future__ import annotations

import asyncio
from functools import partial

from gridcore.errors import GridError
from gridledger.demo.day import PATIENCE_S, RETRY_PAUSE_S, patiently
from gridledger.demo.scene import Scene
from ledger.client import Client, NodeStatus


async def check_same_state(scene: Scene, first: NodeStatus) -> None:
    """Wait until every further node has come to the height at which the first one is; GridError where one does not, or has another state there."""
    for place in scene.nodes[1:]:
        async with Client(place.url, chain=scene.chain, signer_id="utility", signer=scene.keys["utility"]) as node:
            await wait_for_height(node, place.name, first.height)
            block = await patiently(partial(node.query, f"blocks/{first.height}"))
        if block["state_root"] != first.state_root.hex():
            told = (
                f"{place.name} has the state root {block['state_root']}, {scene.nodes[0].name} {first.state_root.hex()}"
            )
            raise GridError(f"the nodes differ at height {first.height}: {told}; logs: {scene.run_dir}")


async def wait_for_height(node: Client, name: str, height: int) -> None:
    """Wait until a node has come to a height; GridError naming it where it does not."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await patiently(node.status)).height < height:  # noqa: ASYNC110 - another process
                await asyncio.sleep(RETRY_PAUSE_S)
    except TimeoutError:
        raise GridError(f"{name} has not come to height {height} within {PATIENCE_S:.0f} s") from None
