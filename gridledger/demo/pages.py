"""The pages of a live demonstration: the configuration of ``gridledger serve``, and when it answers first."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import httpx

from gridledger.demo.scene import Scene
from gridledger.founding.folder import write_new

URL_WITHIN_S: Final = 15.0
"""The URL is printed at the latest this long after the start: as soon as pages answer, else with the word that they do not yet."""
ASK_EVERY_S: Final = 0.1


def write_web_config(scene: Scene) -> None:
    """Write ``run/web.toml``: pages on loopback, by role without a password, that follow the demonstration's node."""
    address = urlsplit(scene.pages_url or "")
    write_new(
        scene.web_config,
        f'node = "{scene.url}"\n\n'
        '[key]\nsigner = "web"\nuri = "file:web.pem"\npassword = "file:web.password"\n\n'
        '[web]\ntrust = "../trust.json"\nusers = "users.db"\npeople = "people.db"\nbook = "../book"\ndemo = true\n\n'
        f'[web.listen]\nhost = "{address.hostname}"\nport = {address.port}\n\n'
        f'[replay]\narchive = "archive"\nfolder = "replica"\nledger = "../{scene.nodes[0].data_dir.name}"\n\n'
        '[series]\npath = "series.db"\n',
    )


async def wait_for_pages(url: str, within_s: float) -> bool:
    """Whether the pages at ``url``, and the node behind them, have answered within so many seconds: a sign-in needs both."""
    try:
        async with asyncio.timeout(within_s), httpx.AsyncClient(base_url=url) as client:
            while not await _is_ready(client):  # noqa: ASYNC110 - another process
                await asyncio.sleep(ASK_EVERY_S)
    except TimeoutError:
        return False
    return True


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False
