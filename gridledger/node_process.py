"""One node as a process: its ledger, what makes its blocks, its HTTP interface; until it is told to stop, or something breaks."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager, closing

from gridcore.clock import WallClock
from gridcore.errors import UsageError, broken
from gridcore.logs import get_logger
from gridcore.serving.asgi import open_socket
from gridcore.serving.ports import HOST
from gridcore.serving.tls import check_tls
from gridledger import __version__
from gridledger.settling.area_balance_month import AreaBalanceDocuments
from gridledger.settling.area_certificates import certificates_of_area
from gridledger.settling.area_month import AreaDocuments
from ledger.config import NodeConfig, load_key, load_signing_keys
from ledger.engines.base import Engine
from ledger.engines.cometbft.home import check_chain, load_keys, peer_ids
from ledger.engines.cometbft.program import find_engine
from ledger.engines.embedded import EmbeddedEngine
from ledger.engines.standby import StandbyEngine
from ledger.engines.timekeeper import Timekeeper
from ledger.http.dispatcher import Node
from ledger.http.server import Door, serve_node
from ledger.store.consortium import ConsortiumLedger
from ledger.store.ledger import Ledger
from ledger.store.standby import Standby
from settlement import statements
from settlement.catalogue import CONTRACTS, pins

AnyLedger = Ledger | Standby | ConsortiumLedger

log = get_logger(__name__)


def run_node(config: NodeConfig, ready: Callable[[str, str, int], None]) -> None:
    """Run a node until SIGTERM or SIGINT. ``ready``: called once with URL, chain id and height when questions are answered.

    UsageError for what its configuration gets wrong; whatever breaks the node later passes through.
    """
    tls = config.listen.tls
    if tls is not None:
        check_tls(tls)
    elif config.listen.is_open_to_readers:
        log.warning(
            "listens_without_tls",
            host=config.listen.host,
            remedy="give listen.certificate, or put a proxy with TLS before it",
        )
    with ExitStack() as opened:
        doors = [Door(opened.enter_context(open_socket(config.listen.host, config.listen.port)), tls)]
        if config.gateways is not None:
            check_tls(config.gateways.tls)
            bound = opened.enter_context(open_socket(config.gateways.host, config.gateways.port))
            doors.append(Door(bound, config.gateways.tls))
        ledger = opened.enter_context(closing(_open(config)))

        def say_ready(url: str) -> None:
            gc.freeze()  # what the start has read stays: the collector need not walk it again and again
            ready(url, ledger.chain, ledger.height)

        asyncio.run(_serve(config, ledger, doors, say_ready))


def _open(config: NodeConfig) -> AnyLedger:
    """The ledger with its key, or without one the standby."""
    if config.key is None:
        return Standby.open(config.data_dir, CONTRACTS, pins=pins())
    key, *more_keys = load_signing_keys(config)
    if config.engine.home is None:
        return Ledger.open(
            config.data_dir, CONTRACTS, key, WallClock(), more_keys=more_keys, pins=pins(), guard=config.guard
        )
    ledger = ConsortiumLedger.open(
        config.data_dir,
        CONTRACTS,
        key,
        more_keys=more_keys,
        pins=pins(),
        guard=config.guard,
        snapshot_blocks=config.engine.snapshot_blocks,
    )
    try:
        check_chain(config.engine.home, ledger.chain)
        _say_what_keys_are_worth(
            ledger,
            {key.public_key, *(more.public_key for more in more_keys)},
            load_keys(config.engine.home).consensus_key,
        )
    except UsageError:
        ledger.close()
        raise
    return ledger


def _say_what_keys_are_worth(ledger: ConsortiumLedger, public_keys: Collection[bytes], consensus_key: bytes) -> None:
    """Warn where the set of validators does not know this node's keys: it follows then, and counts nothing."""
    validators = ledger.application.validators
    own = next((validator for validator in validators if validator.public_key in public_keys), None)
    if own is None:
        reason = f"its keys are none of the {len(validators)} validators' keys: this node follows, and its signature counts nothing"
        log.warning("no_validator", reason=reason)
    elif own.consensus_key != consensus_key:
        log.warning(
            "votes_count_nothing", validator=own.name, reason="the engine's key in engine.home is not this validator's"
        )


@asynccontextmanager
async def _engine_of(config: NodeConfig, ledger: AnyLedger) -> AsyncIterator[Engine]:
    """What makes the blocks of a ledger, running."""
    if isinstance(ledger, Standby):
        async with StandbyEngine(ledger) as standby:
            yield standby
    elif isinstance(ledger, Ledger):
        async with EmbeddedEngine(ledger, quotas=config.quotas) as embedded:
            yield embedded
    else:
        async with _consensus_engine_of(config, ledger) as consensus:
            yield consensus


@asynccontextmanager
async def _consensus_engine_of(config: NodeConfig, ledger: ConsortiumLedger) -> AsyncIterator[Engine]:
    """Our side of the consensus engine, and its process, which is kept alive meanwhile and ends first.

    Where the process does not stay alive, our side breaks.
    """
    from ledger.engines.cometbft.engine import (
        CometEngine,
        Doors,
    )  # a node that certifies alone starts without its libraries
    from ledger.engines.cometbft.process import EngineProcess

    home = config.engine.home or broken("a validator's engine has a home")
    abci, rpc_port = f"unix://{config.engine.socket}", config.engine.rpc_port
    options = (f"--proxy_app={abci}", f"--rpc.laddr=tcp://{HOST}:{rpc_port}")
    program = find_engine(config.engine.binary)
    async with CometEngine(ledger, Doors(abci, rpc_port), quotas=config.quotas, peers=peer_ids(home)) as engine:
        process = EngineProcess(program, home, options, position=lambda: engine.position)
        running = asyncio.create_task(process.run(), name="engine")
        engine.depend_on(running)
        try:
            yield engine
        finally:
            await process.stop()
            await asyncio.wait({running})


@asynccontextmanager
async def _keeping_time(config: NodeConfig, chain: str, engine: Engine) -> AsyncIterator[None]:
    """Meanwhile accept the clock, where the configuration has a key for that."""
    if config.clock_key is None:
        yield
        return
    signer = load_key(config.clock_key, "clock_key")
    keeper = Timekeeper(engine, chain, config.clock_key.signer, signer, WallClock())
    keeping = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        keeping.cancel()


async def _serve(config: NodeConfig, ledger: AnyLedger, doors: Sequence[Door], ready: Callable[[str], None]) -> None:
    """Make blocks and answer until SIGTERM or SIGINT, or until a promise breaks, in a block or an answer: it passes through."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _engine_of(config, ledger) as engine:
        makes = (AreaDocuments(), certificates_of_area, AreaBalanceDocuments())
        node = Node(ledger, engine, CONTRACTS, statements, WallClock(), __version__, stop, *makes)
        breaking = asyncio.create_task(engine.wait_stopped())
        breaking.add_done_callback(lambda _: stop.set())
        async with _keeping_time(config, ledger.chain, engine):
            await serve_node(node, *doors, ready=ready)
    await breaking  # the engine is closed: what broke it, be it in its last block, passes through
