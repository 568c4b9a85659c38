"""The way to a node: its HTTP interface (docs/spec/http.md) as a small client that imports gridcore and httpx only.

    async with Client("http://127.0.0.1:7070", chain=chain, signer_id="gw-1", signer=key) as client:
        answers = await client.submit([wire])
        receipt = await client.receipt(answers[0].id)     # decoded, not verified: gridcore.header.check_receipt

A query is signed when ``signer`` is given. Nothing that a node says is believed here beyond its form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from ssl import SSLError
from typing import Any, Final, Self, TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import httpx

from gridcore import cbor
from gridcore.clock import Clock, WallClock
from gridcore.errors import EncodingError, GridError, UsageError, broken, excerpt, require
from gridcore.forms import BOOL, DIGEST, INSTANT, LINE, NAME, NUMBERS, Form, integer, text
from gridcore.header import Receipt, decode_receipt
from gridcore.light.follow import NoLongerThereError
from gridcore.node_interface import (
    ANSWER_BYTES_MAX,
    API,
    CBOR_TYPE,
    SHORT_BYTES_MAX,
    SLOWEST_BYTES_S,
    SLOWEST_SENT_BYTES_S,
    VERDICTS_BYTES_MAX,
    WAIT_S_MAX,
    parts_of,
    retry_after_s,
)
from gridcore.serving.problems import PROBLEM_URN, TITLES
from gridcore.serving.tls import TlsFiles, refusal_words, trusting
from gridcore.signed_query import INSTANCE_BYTES, Audience, authorization
from gridcore.sm import Signer
from gridcore.sm3 import sm3
from gridcore.strict_json import decode_json

COUNT: Final = integer(0)
INSTANCE: Final = Form("16 bytes", lambda value: isinstance(value, bytes) and len(value) == INSTANCE_BYTES)
HEX: Final = text(0, 64)
ID: Final = Form("32 bytes, or none", lambda value: isinstance(value, bytes) and len(value) in (0, 32))
LIST: Final = Form("an array", lambda value: isinstance(value, list))
DETAIL_CHARACTERS_MAX: Final = 1_000
"""Of a node's own line that are repeated."""
SLOT_S_MAX: Final = 86_400

T = TypeVar("T")


class NodeUnreachable(GridError):  # noqa: N818 - the name says what happened
    """No answer, or "not now" (503): nothing listens there, the connection broke, time ran out. Trying again can help."""


class NodeBusy(NodeUnreachable):
    """The node answered "not now" (503), or "less often" (429). ``detail``: its own line; ``word``: of its problem
    (``gridcore.serving.problems``), or "busy"; ``retry_after_s``: how long it wants to be left alone, 0 where it does not say.
    """

    def __init__(self, line: str, detail: str, word: str = "busy", retry_after_s: int = 0) -> None:
        super().__init__(line)
        self.detail = detail
        self.word = word
        self.retry_after_s = retry_after_s


class NodeRefused(GridError):  # noqa: N818
    """An answer that is not the one asked for. ``status``: HTTP status; ``detail``: the node's own line."""

    def __init__(self, line: str, status: int, detail: str) -> None:
        super().__init__(line)
        self.status = status
        self.detail = detail


class NotCertified(NodeRefused):
    """A block has decided it, and its certificate has not come yet (409): ask again."""


class NodeGone(NodeRefused, NoLongerThereError):  # noqa: N818
    """The node no longer has it (410): its history begins later, or it was pruned. Another node may have it."""


class AnswerMalformed(NodeRefused):
    """An answer that no node gives: no JSON, a field of another form, too long. The next one may be right."""


@dataclass(frozen=True)
class Shortage:
    """What will run out. ``kind``: calendar, prices or disk; ``subject``: which; ``days_left``: whole days, 0 when it is over."""

    kind: str
    subject: str
    days_left: int


@dataclass(frozen=True)
class NodeStatus:
    """What a node says of itself. ``header_digest``: S_h of its newest block (S_0 at height 0); ``instance``: see Audience;
    ``certified_height``: the newest that has a certificate, by ``certificate_power`` of the ``signers_power`` of its set;
    ``engine``: numbers of its engine by name, such as engine_peers;
    ``disputed_by``: gateways that hold receipts of another history than the node's; ``stall``: why it makes no blocks, a word, "" while it
    does; ``shortages``: what will run out within 30 days.
    """

    chain: str
    instance: bytes
    height: int
    header_digest: bytes
    state_root: bytes
    ledger_time_s: int
    clock: str
    simulated: bool
    slot_s: int
    currency: str
    version: str
    certified_height: int = 0
    certificate_power: int = 0
    signers_power: int = 0
    disputed_by: int = 0
    stall: str = ""
    shortages: tuple[Shortage, ...] = ()
    engine: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Answer:
    """What became of a submitted transaction.

    ``id``: SM3 of its signed bytes, empty when it is none; ``retry``: the same bytes can help later; ``height``: of the block
    that decided it; ``waiting_for``: the counter that a held batch waits for; ``rows``: verdicts of a batch's rows that were
    not used, as (row index, meter number, code); ``other_history``: the batch names a verified header that the node does not have.
    """

    id: bytes
    code: int
    name: str
    retry: bool
    height: int | None
    waiting_for: int | None
    rows: tuple[tuple[int, int, int], ...] = ()
    other_history: bool = False


def check_url(url: str) -> SplitResult:
    """The parts of ``http://HOST:PORT`` or https, perhaps with a path. UsageError for another; one with a password is not repeated."""
    if "@" in url:
        raise UsageError("node URL: holds a user or a password, which a node does not ask for; write http://HOST:PORT")
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):  # a malformed port, an open bracket, a control character
        is_whole = False
    if not is_whole or parts.query or parts.fragment:
        raise UsageError(f"node URL {excerpt(url)}: write http://HOST:PORT or https://HOST:PORT")
    return parts


class Client:
    """A connection to one node; use it in one event loop, and close it (``async with``)."""

    def __init__(
        self,
        url: str,
        *,
        chain: str | None = None,
        signer_id: str | None = None,
        signer: Signer | None = None,
        timeout_s: float = 30.0,
        clock: Clock | None = None,
        authority: Path | None = None,
        own: TlsFiles | None = None,
    ) -> None:
        """``url``: ``http://host:port`` or https, which goes with ``authority``. ``chain``: expected chain; None takes the node's word for it.

        ``signer_id`` and ``signer`` (both or none) sign queries. ``timeout_s``: silence after which a node counts as
        unreachable. ``authority``: certificates (PEM) that an https node is compared with, None for those of this machine;
        ``own``: what this client proves itself by to it.
        UsageError for a URL or a signer's id of another form, or where the certificates cannot be read.
        """
        parts = check_url(url)
        if signer_id is not None and not NAME.holds(signer_id):
            raise UsageError(f"signer {excerpt(signer_id)}: is {NAME.words}")
        if authority is not None and parts.scheme != "https":
            raise UsageError(f"node URL {excerpt(url)}: would be asked in the clear; write https://")
        require((signer_id is None) == (signer is None), "a client has both a signer and its id, or neither")
        self.url = url.rstrip("/")
        self._root = parts.path.rstrip("/") + API
        self._chain = chain
        self._credentials = (signer_id, signer) if signer_id is not None and signer is not None else None
        self._meant: Audience | None = None
        self._timeout_s = timeout_s
        self._clock = clock or WallClock()
        # The way to the node is in the configuration alone: proxy variables of the environment are not looked at.
        self._http = httpx.AsyncClient(
            base_url=f"{parts.scheme}://{parts.netloc}",
            timeout=httpx.Timeout(timeout_s),
            trust_env=False,
            verify=trusting(authority, own) if parts.scheme == "https" else False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def status(self) -> NodeStatus:
        """What the node says of its chain. NodeRefused when it is of another chain than expected."""
        status = _status_of(await self._json("status"), self.url)
        if self._chain is not None and status.chain != self._chain:
            detail = f"is of chain {status.chain}, expected {self._chain}"
            raise NodeRefused(f"{self.url}: {detail}", 200, detail)
        return status

    async def wait_clock(self, after_s: int, wait_s: float = WAIT_S_MAX) -> int:
        """Ledger time, as soon as it is later than ``after_s``, or as it is after ``wait_s`` (at most WAIT_S_MAX)."""
        wait_s = min(max(wait_s, 0), WAIT_S_MAX)
        pairs = [("after_s", str(after_s)), ("wait_s", str(round(wait_s, 3)))]
        value = await self._json("clock", pairs, timeout_s=self._timeout_s + wait_s)
        return int(read_field(value, "ledger_time_s", INSTANT, self.url))

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        """Hand over wire bytes, in this order; one answer for each, once it is decided (or held, or refused)."""
        answers: list[Answer] = []
        for part in parts_of(transactions):
            body = cbor.encode(list(part))
            data = await self._request(
                "POST",
                "transactions",
                (),
                content=body,
                headers={"Content-Type": CBOR_TYPE},
                signed=False,
                bytes_max=VERDICTS_BYTES_MAX,
            )
            entries = read_field(parse_answer(data, self.url), "answers", LIST, self.url)
            if len(entries) != len(part):
                raise _nonsense(self.url, f"{len(entries)} answers to {len(part)} transactions")
            answers += [_answer_of(entry, self.url) for entry in entries]
        return answers

    async def receipt(self, transaction_id: bytes) -> Receipt | None:
        """The receipt of a decided transaction, None while there is none. Not verified: ``gridcore.header.check_receipt``.

        NotCertified while the transaction is decided, and no certificate covers its block.
        """
        try:
            data = await self._request("GET", f"receipts/{transaction_id.hex()}", (), signed=False)
        except NodeRefused as refused:
            if refused.status == httpx.codes.NOT_FOUND:
                return None
            raise
        try:
            return decode_receipt(data)
        except EncodingError as error:
            raise _nonsense(self.url, f"a receipt that cannot be decoded: {error}") from None

    async def query(self, path: str, **params: str | int) -> Any:
        """The JSON answer of ``/api/v1/<path>?<params>``, signed where the client has a signer."""
        return parse_answer(await self.fetch_bytes(path, **params), self.url)

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of ``/api/v1/<path>?<params>`` as bytes, signed where the client has a signer."""
        return await self._ask("GET", path, [(name, str(value)) for name, value in params.items()])

    async def query_about(self, path: str, body: bytes) -> Any:
        """The JSON answer to a question about a body (CBOR), which the signature covers by its digest."""
        return parse_answer(await self._ask("POST", path, [("digest", sm3(body).hex())], body), self.url)

    async def _ask(
        self, method: str, path: str, pairs: Sequence[tuple[str, str]], content: bytes | None = None
    ) -> bytes:
        """The answer to a query, signed where the client has a signer."""
        headers = {"Content-Type": CBOR_TYPE} if content else None
        send = partial(self._request, method, path, pairs, content=content, headers=headers)
        if self._credentials is None:
            return await send(signed=False)
        meant = await self._audience()
        try:
            return await send(signed=True)
        except NodeRefused as refused:
            if refused.status != httpx.codes.UNAUTHORIZED:
                raise
            self._meant = None  # it may have been started anew
            if await self._audience() == meant:
                raise
            return await send(signed=True)

    async def chain(self) -> str:
        """The chain: the expected one, else the node's, asked once."""
        if self._chain is None:
            self._chain = (await self.status()).chain
        return self._chain

    async def _audience(self) -> Audience:
        """Whom queries are signed for, asked once, and again when it refused one."""
        if self._meant is None:
            status = await self.status()
            self._meant = Audience(status.chain, status.instance)
        return self._meant

    async def _json(self, path: str, pairs: Sequence[tuple[str, str]] = (), timeout_s: float | None = None) -> Any:
        data = await self._request("GET", path, pairs, signed=False, timeout_s=timeout_s, bytes_max=SHORT_BYTES_MAX)
        return parse_answer(data, self.url)

    async def _request(
        self,
        method: str,
        path: str,
        pairs: Sequence[tuple[str, str]],
        *,
        signed: bool,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        bytes_max: int | None = None,
    ) -> bytes:
        """Send one request and return the body of a good answer, at most ``bytes_max`` (ANSWER_BYTES_MAX)."""
        full = f"{self._root}/{path}"
        sent = {"Accept-Encoding": "identity", **(headers or {})}  # what is small on the way may be large here
        if signed:
            sent["Authorization"] = await self._authorization(method, full, pairs)
        target = quote(full, safe="/~") + (f"?{urlencode(pairs)}" if pairs else "")
        silence_s = self._timeout_s if timeout_s is None else timeout_s
        due_s = asyncio.get_running_loop().time() + silence_s + len(content or b"") / SLOWEST_SENT_BYTES_S
        try:
            async with (
                asyncio.timeout_at(due_s) as deadline,
                self._http.stream(method, target, content=content, headers=sent, timeout=silence_s) as response,
            ):
                is_good = response.status_code == httpx.codes.OK
                bytes_max = (bytes_max or ANSWER_BYTES_MAX) if is_good else SHORT_BYTES_MAX
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > bytes_max:
                        raise _nonsense(self.url, f"an answer of more than {bytes_max} bytes")
                    deadline.reschedule(due_s + len(body) / SLOWEST_BYTES_S)
        except (httpx.TimeoutException, TimeoutError):
            raise NodeUnreachable(f"{self.url}: no answer within {silence_s:g} s ({method} {full})") from None
        except (httpx.TransportError, SSLError) as error:  # an alert of the node passes through httpx as it is
            reason = refusal_words(error) or _one_line(str(error)) or type(error).__name__
            raise NodeUnreachable(f"{self.url}: no node answers there ({reason})") from None
        if not is_good:
            raise _failure(self.url, method, full, response, bytes(body))
        return bytes(body)

    async def _authorization(self, method: str, path: str, pairs: Sequence[tuple[str, str]]) -> str:
        audience = await self._audience()
        issued_s = self._clock.now_s()

        def sign() -> str:
            signer_id, signer = self._credentials or broken("only a client with a signer signs")
            return authorization(
                signer_id, signer, audience=audience, method=method, path=path, pairs=pairs, issued_s=issued_s
            )

        return await asyncio.to_thread(sign)  # a hardware key takes its time


def run_with_client(url: str, work: Callable[[Client], Awaitable[T]], **options: Any) -> T:
    """Run ``work`` with a client of its own, to the end: for command lines and scripts without an event loop."""

    async def main() -> T:
        async with Client(url, **options) as client:
            return await work(client)

    return asyncio.run(main())


def _failure(url: str, method: str, path: str, response: httpx.Response, body: bytes) -> GridError:
    """The node's own line out of a problem+json body, or the bare status of something that is no node."""
    detail = word = ""
    if response.headers.get("content-type", "").partition(";")[0] == "application/problem+json":
        try:
            problem = decode_json(body, SHORT_BYTES_MAX)
            detail = _one_line(str(problem.get("detail") or problem.get("title") or ""))
            word = str(problem.get("type")).removeprefix(PROBLEM_URN)
        except (EncodingError, AttributeError):
            detail = word = ""
    detail = detail or _one_line(f"status {response.status_code} {response.reason_phrase}")
    line = f"{url}: {method} {path}: {detail}"
    if response.status_code in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS):
        return NodeBusy(
            line, detail, word if word in TITLES else "busy", retry_after_s(response.headers.get("retry-after", ""))
        )
    if word == "not-certified":
        return NotCertified(line, response.status_code, detail)
    if word == "gone":
        return NodeGone(line, response.status_code, detail)
    return NodeRefused(line, response.status_code, detail)


def _nonsense(url: str, what: str) -> AnswerMalformed:
    return AnswerMalformed(f"{url}: does not answer like a GridLedger node: {what}", 200, what)


def _one_line(text: str) -> str:
    """What a node says, fit for a terminal and a log: no line breaks, no control characters, cut where it is long."""
    words = " ".join(text[: 2 * DETAIL_CHARACTERS_MAX].split())[:DETAIL_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "?" for character in words)


def parse_answer(data: bytes, url: str) -> Any:
    """The JSON of a node's answer (``gridcore.strict_json``); numbers are whole. AnswerMalformed for anything else."""
    try:
        return decode_json(data, ANSWER_BYTES_MAX)
    except EncodingError as error:
        raise _nonsense(url, f"no JSON where JSON is expected: {error}") from None


def read_field(value: Any, name: str, form: Form, url: str) -> Any:
    """What stands under ``name`` in an answer of the node at ``url``. AnswerMalformed unless it has the form."""
    item = value.get(name) if isinstance(value, dict) else None
    if not form.holds(item):
        raise _nonsense(url, f"{name!r} is not {form.words}")
    return item


def read_octets(value: Any, name: str, form: Form, url: str) -> bytes:
    """The same of bytes in hex digits."""
    try:
        octets = bytes.fromhex(read_field(value, name, HEX, url))
    except ValueError:
        raise _nonsense(url, f"no hex digits under {name!r}") from None
    if not form.holds(octets):
        raise _nonsense(url, f"{name!r} is not {form.words}")
    return octets


def _status_of(value: Any, url: str) -> NodeStatus:
    return NodeStatus(
        chain=read_field(value, "chain", NAME, url),
        instance=read_octets(value, "instance", INSTANCE, url),
        height=read_field(value, "height", COUNT, url),
        header_digest=read_octets(value, "header_digest", DIGEST, url),
        state_root=read_octets(value, "state_root", DIGEST, url),
        ledger_time_s=read_field(value, "ledger_time_s", INSTANT, url),
        clock=read_field(value, "clock", LINE, url),
        simulated=read_field(value, "simulated", BOOL, url),
        slot_s=read_field(value, "slot_s", integer(1, SLOT_S_MAX), url),
        currency=read_field(value, "currency", LINE, url),
        version=read_field(value, "version", LINE, url),
        certified_height=read_field(value, "certified_height", COUNT, url),
        certificate_power=read_field(value, "certificate_power", COUNT, url),
        signers_power=read_field(value, "signers_power", COUNT, url),
        disputed_by=read_field(value, "disputed_by", COUNT, url),
        stall=read_field(value, "stall", LINE, url),
        shortages=tuple(_shortage_of(item, url) for item in read_field(value, "shortages", LIST, url)),
        engine=read_field(value, "engine", NUMBERS, url),
    )


def _shortage_of(value: Any, url: str) -> Shortage:
    return Shortage(
        kind=read_field(value, "kind", LINE, url),
        subject=read_field(value, "subject", LINE, url),
        days_left=read_field(value, "days_left", COUNT, url),
    )


def _answer_of(value: Any, url: str) -> Answer:
    height, waiting_for = (
        None if isinstance(value, dict) and value.get(name) is None else read_field(value, name, COUNT, url)
        for name in ("height", "waiting_for")
    )
    return Answer(
        id=read_octets(value, "id", ID, url),
        code=read_field(value, "code", COUNT, url),
        name=read_field(value, "name", LINE, url),
        retry=read_field(value, "retry", BOOL, url),
        height=height,
        waiting_for=waiting_for,
        rows=tuple(_row_of(row, url) for row in read_field(value, "rows", LIST, url)),
        other_history=read_field(value, "other_history", BOOL, url),
    )


def _row_of(value: Any, url: str) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(map(COUNT.holds, value)):
        raise _nonsense(url, "a row's verdict is row, meter, code")
    return value[0], value[1], value[2]
