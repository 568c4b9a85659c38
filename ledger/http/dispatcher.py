"""Between routes and a node: questions are answered in threads, submissions and waiting requests kept within bounds."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

from quart import Response, request

from gridcore.clock import Clock
from gridcore.logs import get_logger
from gridcore.serving.asgi import client_of
from gridcore.serving.metrics import CounterKind, Metrics
from gridcore.serving.problems import Problem
from gridcore.signed_query import INSTANCE_BYTES, Audience
from ledger.contract import Contract, Statements
from ledger.engines.base import Engine, Outcome, Sender
from ledger.http.access import Authenticator
from ledger.http.bodies import BodyRoom
from ledger.http.certificates import Certificates
from ledger.http.documents import Documents
from ledger.http.reports import GatewayReports
from ledger.http.roles import Access, Arguments
from ledger.http.view import LedgerView
from ledger.store.reader import LedgerReader

QUESTION_THREADS: Final = 4
QUESTIONS_MAX: Final = 256
"""Questions that are being answered or wait for a thread."""
WAITERS_MAX: Final[Mapping[str, int]] = {"the clock": 10_000, "a block": 1_000}
"""Requests that wait, by what for: the clock is anybody's to ask, and whoever fills its room keeps no follower out."""
LONG_AT_ONCE: Final = 2
"""Long questions, such as for a bundle, of one caller that are answered at once: the other threads are for everybody else."""
LONG_MAX: Final = 32
"""Of one caller, with those that wait for their turn."""
FAULT: Final = "see the node's log"
ANSWERS: Final = CounterKind("transactions_total", "Answered transactions by the name of the code.", "code")

T = TypeVar("T")
log = get_logger(__name__)


@dataclass(frozen=True)
class Node:
    """What the routes of a node work on. ``contracts``: by id, as the ledger was opened with; ``stop``: set when the node goes down.

    ``statements``: how settled slots become statements and postings; ``documents``: what makes the documents of a month, ``certificates``: what counts green
    certificates, ``balance_documents``: what makes those of balances of areas; None for none.
    """

    ledger: LedgerReader
    engine: Engine
    contracts: Mapping[str, Contract]
    statements: Statements
    clock: Clock
    version: str
    stop: asyncio.Event
    documents: Documents | None = None
    certificates: Certificates | None = None
    balance_documents: Documents | None = None


def check_presented(presented: str, signer: str) -> None:
    """Problem 403 where a client has proved itself by another name's certificate than the gateway's whose hand it sends.
    ``presented``: "" where none was asked for.
    """
    if presented and presented != signer:
        log.warning("certificate_of_another", presented=presented, signer=signer)
        raise Problem(
            "not-authorised", f"this connection's certificate is of {presented}, what it sends is signed by {signer}"
        )


class LongQuestions:
    """Long questions of each caller: LONG_AT_ONCE are answered, LONG_MAX in all taken. Used by one event loop."""

    def __init__(self) -> None:
        self._by_caller: dict[str, asyncio.Semaphore] = {}
        self._counts: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """The caller's turn for one of them; Problem 503 where it has LONG_MAX already."""
        if self._counts[caller] >= LONG_MAX:
            raise Problem("busy", f"{caller}: {LONG_MAX} bundles and books are being made for you; ask again later")
        self._counts[caller] += 1
        try:
            async with self._by_caller.setdefault(caller, asyncio.Semaphore(LONG_AT_ONCE)):
                yield
        finally:
            self._counts[caller] -= 1
            if not self._counts[caller]:
                del self._counts[caller], self._by_caller[caller]


class Dispatcher:
    """One node as its routes see it, and the bounds that they keep."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.metrics = Metrics("node", ANSWERS)
        makes = (node.documents, node.certificates, node.balance_documents)
        self._view = LedgerView(node.ledger, node.contracts, node.statements, *makes)
        self.instance = secrets.token_bytes(INSTANCE_BYTES)
        self._authenticator = Authenticator(Audience(node.ledger.chain, self.instance), self._view.asking, node.clock)
        self._threads = ThreadPoolExecutor(QUESTION_THREADS, thread_name_prefix="http")
        self._questions = 0
        self._long_ones = LongQuestions()
        self.bodies = BodyRoom()
        self.reports = GatewayReports()
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

    def gauges(self) -> dict[str, tuple[str, int]]:
        """What is in hand now, for metrics: name -> (help, value)."""
        return {
            **self.node.engine.gauges,
            "waiters": ("Requests that wait for ledger time or for a block.", sum(self._waiting.values())),
            "questions": ("Questions being answered or waiting for a thread.", self._questions),
            "disputed_by": (
                "Gateways that hold receipts of another history than this node's.",
                self.node.engine.disputed_by,
            ),
            "stalled": ("1 while nothing goes on: status says why.", int(bool(self.node.engine.stall))),
            "submission_bytes": ("Bytes of submissions in hand.", self.bodies.taken),
        }

    async def ask(self, access: Access, query: Callable[..., T], arguments: Arguments, *, is_long: bool = False) -> T:
        """What ``query(view, **arguments)`` returns for who asks by the request in hand, beside the event loop.

        Problem 401 or 403 where the access needs a signature or roles that the request has not; 503 where too many wait.
        ``is_long``: of one caller few of these are answered at once.
        """
        if self._questions >= QUESTIONS_MAX:
            raise Problem("busy", f"{QUESTIONS_MAX} questions wait already; ask again later")
        header, method, path = request.headers.get("Authorization"), request.method, request.path
        presented = client_of(request.scope)
        pairs = list(request.args.items(multi=True))

        def admit() -> tuple[str, Arguments]:
            if access.admit is None:
                return "", arguments
            caller = self._authenticator.authenticate(header, method, path, pairs)
            if "gateway" in caller.roles:
                check_presented(presented, caller.id)
            return caller.id, access.admit(self._view, caller, arguments)

        def work() -> T:
            return query(self._view, **admit()[1])

        self._questions += 1
        try:
            if not is_long:
                return await self._in_thread(work)
            caller, admitted = await self._in_thread(admit)
            async with self._long_ones.turn(caller):
                return await self._in_thread(lambda: query(self._view, **admitted))
        finally:
            self._questions -= 1

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def wait(self, what: str, event: Coroutine[Any, Any, T]) -> T:
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

    async def submit(self, wires: list[bytes], sender: Sender) -> Sequence[Outcome]:
        """What became of transactions, in this order."""
        outcomes = await self.node.engine.submit(wires, sender)
        for outcome in outcomes:
            self.metrics.count(ANSWERS.name, outcome.code.name)
        return outcomes
