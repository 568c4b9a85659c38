"""The routes: each parses its request, asks in a thread, and answers JSON, CBOR or a problem (docs/spec/http.md)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Final, TypeVar

from quart import Quart, Response, g, jsonify, request

from gridcore.clock import Clock
from gridcore.codes import RETRY
from gridcore.logs import get_logger
from gridcore.serving.metrics import CONTENT_TYPE, CounterKind, Metrics
from gridcore.serving.problems import PROBLEM_TYPE, Problem, word_of
from ledger.client import API, CBOR_TYPE, SUBMISSION_BYTES_MAX
from ledger.contract import Contract, Statements
from ledger.engines.base import Engine, EngineStoppedError, Outcome
from ledger.http.access import Authenticator, Caller
from ledger.http.openapi import openapi
from ledger.http.parsing import decode_submission, height_of, seconds_of, slot_of, start_of, text_of, whole_of
from ledger.http.queries import areas, blocks, market, metering, settlement
from ledger.http.view import LedgerView
from ledger.store.errors import StoreError, StoreWriteError
from ledger.store.reader import LedgerReader

QUESTION_THREADS: Final = 4
QUESTIONS_MAX: Final = 256
"""Questions that are being answered or wait for a thread."""
BODIES_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of submissions in hand at once; one of unknown length counts as the longest allowed."""
WAITERS_MAX: Final[Mapping[str, int]] = {"the clock": 10_000, "a block": 1_000}
"""Requests that wait, by what for: the clock is anybody's to ask, and whoever fills its room keeps no follower out."""
FAULT: Final = "see the node's log"
ANSWERS: Final = CounterKind("transactions_total", "Answered transactions by the name of the code.", "code")

T = TypeVar("T")
log = get_logger(__name__)


@dataclass(frozen=True)
class Node:
    """What the door opens to. ``contracts``: by id, as the ledger was opened with; ``stop``: set when the node goes down.

    ``statements``: how settled slots become statements and postings.
    """

    ledger: LedgerReader
    engine: Engine
    contracts: Mapping[str, Contract]
    statements: Statements
    clock: Clock
    version: str
    stop: asyncio.Event


class Door:
    """Handlers of all routes over one node, and the bounds that they keep."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.view = LedgerView(node.ledger, node.contracts, node.statements)
        self.metrics = Metrics("node", ANSWERS)
        self._authenticator = Authenticator(
            node.ledger.chain, lambda name: node.ledger.get(f"signer/{name}"), node.clock
        )
        self._threads = ThreadPoolExecutor(QUESTION_THREADS, thread_name_prefix="http")
        self._questions = 0
        self._bodies_bytes = 0
        self._waiting = dict.fromkeys(WAITERS_MAX, 0)
        self._broken: BaseException | None = None

    def guarded(self, handler: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        """``handler``, except that a broken promise in it takes the node down; ``check_whole`` raises it then."""

        @wraps(handler)
        async def answer(**arguments: str) -> Response:
            try:
                return await handler(**arguments)
            except (Exception, asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # passed on by ``check_whole``, outside the web framework
                log.error("promise_broken", path=request.path, exc_info=error)
                self._broken = self._broken or error
                self.node.stop.set()
                raise Problem("fault", FAULT) from None

        return answer

    def check_whole(self) -> None:
        """Raise the promise that was broken in an answer, if one was: the state in memory is not to be relied on."""
        if self._broken is not None:
            raise self._broken

    async def close(self) -> None:
        """Return when the questions that run have finished and nothing reads the ledger any more; those that wait are dropped."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    # -------------------------------------------------------------------------------------------------- everybody's

    async def status(self) -> Response:
        """Where the chain stands."""

        def read() -> dict[str, Any]:
            ledger = self.node.ledger
            with ledger.frozen():
                chain, height = ledger.must("chain"), ledger.height
                return {
                    "chain": ledger.chain,
                    "clock": chain["clock"],
                    "currency": chain["currency"],
                    "header_digest": ledger.digest(height).hex(),
                    "height": height,
                    "ledger_time_s": ledger.ledger_time_s,
                    "simulated": chain["clock"] == "simulated",
                    "slot_s": chain["slot_s"],
                    "state_root": ledger.state_root().hex(),
                    "version": self.node.version,
                }

        return jsonify(await self._ask(read))

    async def clock(self) -> Response:
        """Ledger time, once it is later than ``after_s`` or ``wait_s`` have passed."""
        after_s, wait_s = whole_of("after_s", default=-1), seconds_of("wait_s")
        return jsonify({"ledger_time_s": await self._wait("the clock", self.node.engine.wait_clock(after_s, wait_s))})

    async def submit(self) -> Response:
        """Decide transactions: a canonical CBOR array of wire bytes in, one answer for each out, in this order."""
        with self._body_room(request.content_length):
            body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
            wires = decode_submission(body)
            outcomes = await self.node.engine.submit(wires)
        for outcome in outcomes:
            self.metrics.count(ANSWERS.name, outcome.code.name)
        return jsonify({"answers": [_answer_json(outcome) for outcome in outcomes]})

    async def receipt(self, transaction_id: str) -> Response:
        """The receipt of a decided transaction, for anyone who knows its id."""
        if re.fullmatch(r"[0-9a-f]{64}", transaction_id) is None:
            raise Problem("bad-request", "a transaction id is 64 lower-case hex digits")
        receipt = await self._ask(lambda: self.node.ledger.receipt(bytes.fromhex(transaction_id)))
        if receipt is None:
            raise Problem("not-found", "no block has decided this transaction")
        return Response(receipt, content_type=CBOR_TYPE)

    async def describe(self) -> Response:
        """This interface as OpenAPI."""
        return jsonify(openapi(self.node.version))

    async def healthz(self) -> Response:
        """The process answers."""
        return jsonify({"status": "ok"})

    async def readyz(self) -> Response:
        """Blocks can be made: the engine takes submissions and the ledger answers."""
        height = await self._ask(lambda: self.node.ledger.height)
        await self.node.engine.submit(())
        return jsonify({"status": "ready", "height": height})

    async def show_metrics(self) -> Response:
        """Counters and gauges as Prometheus text."""
        height, time_s = await self._ask(lambda: (self.node.ledger.height, self.node.ledger.ledger_time_s))
        gauges = {
            "height": ("Height of the newest certified block.", height),
            "ledger_time_seconds": ("Ledger time, UTC seconds.", time_s),
            "waiters": ("Requests that wait for ledger time or for a block.", sum(self._waiting.values())),
            "questions": ("Questions being answered or waiting for a thread.", self._questions),
            "submission_bytes": ("Bytes of submissions in hand.", self._bodies_bytes),
        }
        return Response(self.metrics.render(gauges), content_type=CONTENT_TYPE)

    # -------------------------------------------------------------------------------------------------- by role

    async def changes(self) -> Response:
        """What was written after a height, once there is a block beyond it or ``wait_s`` have passed."""
        after_height, wait_s = whole_of("after_height"), seconds_of("wait_s")
        caller = await self._ask_as_caller(partial(blocks.check_follower, after_height=after_height))
        await self._wait("a block", self.node.engine.wait_height(after_height, wait_s))
        return jsonify(await self._ask(partial(blocks.changes, self.view, caller, after_height)))

    async def block(self, height: str) -> Response:
        """A block and its transactions."""
        return await self._answer(blocks.block, height=height_of(height), start=start_of())

    async def gateways(self) -> Response:
        """All gateways."""
        return await self._answer(metering.gateways, start=start_of())

    async def gateway(self, gateway: str) -> Response:
        """Counters of a gateway."""
        return await self._answer(metering.gateway, gateway_id=gateway)

    async def observations(self, gateway: str) -> Response:
        """Informational values of a gateway at a boundary."""
        return await self._answer(metering.observations, gateway_id=gateway, boundary_s=whole_of("boundary_s"))

    async def areas(self) -> Response:
        """Areas and their rules."""
        return await self._answer(areas.areas)

    async def calendar(self, calendar: str) -> Response:
        """Local days and months."""
        return await self._answer(areas.calendar, calendar_id=calendar)

    async def installations(self, area: str) -> Response:
        """Metering points of an area."""
        return await self._answer(areas.installations, area_id=area, start=start_of())

    async def progress(self, area: str) -> Response:
        """What an area clears and settles next."""
        return await self._answer(areas.progress, area_id=area)

    async def coverage(self, area: str) -> Response:
        """How many meters have a value at a boundary."""
        return await self._answer(areas.coverage, area_id=area, boundary_s=whole_of("boundary_s"))

    async def registers(self, area: str) -> Response:
        """Registers at a boundary."""
        boundary_s = whole_of("boundary_s")
        return await self._answer(metering.registers, area_id=area, boundary_s=boundary_s, start=start_of())

    async def orders(self, area: str, slot: str) -> Response:
        """Orders and fills of a slot."""
        page = {"start": start_of(), "only": request.args.get("party")}
        return await self._answer(market.orders, area_id=area, slot_start_s=slot_of(slot), **page)

    async def clearing(self, area: str, slot: str) -> Response:
        """Price and volume of a slot."""
        return await self._answer(market.clearing, area_id=area, slot_start_s=slot_of(slot))

    async def run(self, area: str, slot: str) -> Response:
        """Statement lines and postings of a settled slot."""
        return await self._answer(settlement.run, area_id=area, slot_start_s=slot_of(slot), **_page_of_run())

    async def positions(self, area: str, slot: str) -> Response:
        """Energy and money of a settled slot, point by point."""
        return await self._answer(settlement.positions, area_id=area, slot_start_s=slot_of(slot), **_page_of_run())

    async def day(self, area: str, day: str) -> Response:
        """Statements of a local day."""
        return await self._answer(settlement.day, area_id=area, day_start_s=slot_of(day, "day"), **_page_of_run())

    async def exceptions(self) -> Response:
        """Rows of batches that were not used."""
        return await self._answer(metering.exceptions, gateway_id=request.args.get("gateway"), start=start_of())

    async def accounts(self) -> Response:
        """Net of accounts and parties."""
        return await self._answer(settlement.accounts, area_id=text_of("area"), start=start_of())

    async def book(self) -> Response:
        """The anonymous book of a cleared gate."""
        ask = partial(market.book, area_id=text_of("area"), slot_start_s=slot_of(text_of("slot")))
        return Response(await self._ask_as_caller(ask), content_type=CBOR_TYPE)

    async def evidence(self) -> Response:
        """The bundle of one bill line."""
        ask = partial(
            settlement.evidence,
            party=text_of("party"),
            slot_start_s=whole_of("slot_start_s"),
            line_kind=text_of("line_kind"),
            run_name=request.args.get("run", "initial"),
        )
        return Response(await self._ask_as_caller(ask), content_type=CBOR_TYPE)

    # -------------------------------------------------------------------------------------------------- internal

    async def _answer(self, query: Callable[..., Any], **arguments: Any) -> Response:
        """The JSON answer to a signed query."""
        return jsonify(await self._ask_as_caller(partial(query, **arguments)))

    async def _wait(self, what: str, event: Coroutine[Any, Any, T]) -> T:
        """What ``event`` comes to, for one of at most WAITERS_MAX that wait for ``what``; Problem 503 when the node goes down first."""
        if self._waiting[what] >= WAITERS_MAX[what]:
            event.close()
            raise Problem("busy", f"{WAITERS_MAX[what]} requests wait for {what} already; ask again later")
        self._waiting[what] += 1
        waiting = asyncio.ensure_future(event)
        stopping = asyncio.ensure_future(self.node.stop.wait())
        try:
            await asyncio.wait((waiting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise Problem("busy", "the node is going down; ask again later")
            return waiting.result()
        finally:
            self._waiting[what] -= 1
            waiting.cancel()
            stopping.cancel()

    async def _ask_as_caller(self, ask: Callable[[LedgerView, Caller], T]) -> T:
        """Authenticate the query and answer it, in one go beside the event loop."""
        header, method, path = request.headers.get("Authorization"), request.method, request.path
        pairs = list(request.args.items(multi=True))

        def work() -> T:
            return ask(self.view, self._authenticator.authenticate(header, method, path, pairs))

        return await self._ask(work)

    async def _ask(self, work: Callable[[], T]) -> T:
        if self._questions >= QUESTIONS_MAX:
            raise Problem("busy", f"{QUESTIONS_MAX} questions wait already; ask again later")
        self._questions += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._questions -= 1

    @contextmanager
    def _body_room(self, content_length: int | None) -> Iterator[None]:
        """Room for one submission's body."""
        size = SUBMISSION_BYTES_MAX if content_length is None else content_length
        if size > SUBMISSION_BYTES_MAX:
            raise Problem("too-large", f"a submission has at most {SUBMISSION_BYTES_MAX} bytes")
        if self._bodies_bytes + size > BODIES_BYTES_MAX:
            raise Problem("busy", f"submissions of {self._bodies_bytes} bytes are in hand already; send again later")
        self._bodies_bytes += size
        try:
            yield
        finally:
            self._bodies_bytes -= size


def create_app(door: Door) -> Quart:
    """The ASGI application over a door."""
    app = Quart("gridledger.node", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=SUBMISSION_BYTES_MAX, BODY_TIMEOUT=60, RESPONSE_TIMEOUT=60)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of the default provider, which is the one in use
    for rule, method, handler in routes(door):
        app.add_url_rule(
            rule,
            endpoint=handler.__name__,
            view_func=door.guarded(handler),
            methods=[method],
            provide_automatic_options=False,
        )
    app.register_error_handler(Exception, _handle_error)

    @app.before_request
    async def start_clock() -> None:
        g.started_s = time.monotonic()

    @app.after_request
    async def finish(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "none"
        door.metrics.count_request(route, response.status_code, time.monotonic() - g.started_s)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def routes(door: Door) -> Sequence[tuple[str, str, Callable[..., Any]]]:
    """Every route: URL rule, method, handler."""
    return (
        ("/healthz", "GET", door.healthz),
        ("/readyz", "GET", door.readyz),
        ("/metrics", "GET", door.show_metrics),
        (f"{API}/openapi.json", "GET", door.describe),
        (f"{API}/status", "GET", door.status),
        (f"{API}/clock", "GET", door.clock),
        (f"{API}/transactions", "POST", door.submit),
        (f"{API}/receipts/<transaction_id>", "GET", door.receipt),
        (f"{API}/changes", "GET", door.changes),
        (f"{API}/blocks/<height>", "GET", door.block),
        (f"{API}/gateways", "GET", door.gateways),
        (f"{API}/gateways/<gateway>", "GET", door.gateway),
        (f"{API}/gateways/<gateway>/observations", "GET", door.observations),
        (f"{API}/calendars/<calendar>", "GET", door.calendar),
        (f"{API}/areas", "GET", door.areas),
        (f"{API}/areas/<area>/installations", "GET", door.installations),
        (f"{API}/areas/<area>/progress", "GET", door.progress),
        (f"{API}/areas/<area>/coverage", "GET", door.coverage),
        (f"{API}/areas/<area>/registers", "GET", door.registers),
        (f"{API}/areas/<area>/slots/<slot>/orders", "GET", door.orders),
        (f"{API}/areas/<area>/slots/<slot>/clearing", "GET", door.clearing),
        (f"{API}/areas/<area>/slots/<slot>/run", "GET", door.run),
        (f"{API}/areas/<area>/slots/<slot>/positions", "GET", door.positions),
        (f"{API}/areas/<area>/days/<day>/statements", "GET", door.day),
        (f"{API}/exceptions", "GET", door.exceptions),
        (f"{API}/accounts", "GET", door.accounts),
        (f"{API}/book", "GET", door.book),
        (f"{API}/evidence", "GET", door.evidence),
    )


def _page_of_run() -> dict[str, Any]:
    """Which run, from which row on, and perhaps of which party alone."""
    arguments = request.args
    return {"run_name": arguments.get("run", "initial"), "start": start_of(), "only": arguments.get("party")}


async def _handle_error(error: Exception) -> Response:
    """Every error as a problem; a fault of our own is logged with its traceback and not shown."""
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, StoreWriteError):
        problem = Problem("busy", "the node's disk does not take writes now; ask again later")
    elif isinstance(error, EngineStoppedError):
        problem = Problem("busy", "the node makes no blocks any more; ask again once it was started anew")
    elif isinstance(error, StoreError):
        log.error("store_damaged", path=request.path, reason=str(error))
        problem = Problem("fault", FAULT)
    elif (status := _framework_status(error)) is not None:
        problem = Problem(word_of(status), " ".join(str(getattr(error, "description", error)).split()))
    else:
        log.error("request_failed", path=request.path, exc_info=error)
        problem = Problem("fault", FAULT)
    response = jsonify(problem.body())
    response.status_code = problem.status
    response.content_type = PROBLEM_TYPE
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "GridLedger"
    if problem.status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _framework_status(error: Exception) -> int | None:
    """The status of an error that the framework raises by itself: no such route, method, or a body that is too long."""
    status = getattr(error, "code", None)
    return status if hasattr(error, "get_response") and isinstance(status, int) else None


def _answer_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.id.hex(),
        "code": int(outcome.code),
        "name": outcome.code.name,
        "retry": outcome.code in RETRY,
        "height": outcome.height,
        "waiting_for": outcome.waiting_for,
        "rows": [list(row) for row in outcome.rows],
    }
