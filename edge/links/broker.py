"""One connection to one MQTT broker: it comes back by itself, and says of each message whether it may be an old one.

paho does the protocol (3.1.1 or 5), the event loop reads and writes its socket, and this module decides when to connect again.
The session is persistent and everything is subscribed with QoS 1, so the broker keeps what is published while the connection
is away. What it kept arrives first after the next connection, without a time. Therefore the link sends itself a **mark** behind
its subscriptions: what comes before the mark comes back may be as old as the lost connection, what comes after it is new.
Retained messages are old by definition and end here. A message is acknowledged once whoever wants it has taken it.

A packet longer than PACKET_BYTES_MAX is refused before it is read: by the broker itself where the protocol lets us say so (5),
else by giving the connection up. The session is given up with it, or the broker would send the packet again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.backoff import backoff_ms
from edge.links.tls import open_tls
from gridcore.clock import monotonic_ms
from gridcore.errors import EncodingError, GridError, UsageError, require
from gridcore.logs import get_logger

RETRY_MS = 200
STABLE_MS = 10_000
"""After a connection that has lasted so long the pauses begin anew; two agents under one client id throw each other out."""
MARK_MS_MAX = 2000
"""A broker that lets nobody publish the mark: after this all that it kept has arrived."""
PROTOCOLS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
PACKET_BYTES_MAX = 65_536
"""A payload has at most 16,384 bytes; the rest is room for its topic and properties."""
QUEUED_MAX = 8192
"""Questions that a broker has not acknowledged; beyond, none is sent."""
SESSION_S_MAX = 86_400
"""For so long a broker (5) keeps what is published while the connection is away."""
TICK_S = 1.0
"""How often paho looks after its keep-alive."""
QOS = 1

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """Where a broker is and who we are to it. Field metadata as in ``gridcore.config``."""

    broker: str = field(metadata={"min": 1, "max": 64})
    host: str = field(metadata={"min": 1, "max": 255})
    port: int = field(default=1883, metadata={"min": 1, "max": 65_535})
    client_id: str | None = field(default=None, metadata={"min": 1, "max": 64})
    """Under which the broker keeps our session; absent: the gateway's id."""
    user: str | None = field(default=None, metadata={"min": 1, "max": 255})
    password: str | None = field(default=None, metadata={"secret": True})
    tls: bool = False
    ca: Path | None = None
    """PEM file of the authorities that may vouch for the broker; absent: those of the system."""
    protocol: str = field(default="3.1.1", metadata={"choices": tuple(PROTOCOLS)})
    keepalive_s: int = field(default=30, metadata={"min": 5, "max": 3600})
    """A connection that is silent for longer than half as much again is given up."""
    connect_timeout_ms: int = field(default=3000, metadata={"min": 10, "max": 60_000})
    retry_ms_max: int = field(default=30_000, metadata={"min": RETRY_MS, "max": 600_000})
    """Longest pause between two attempts to connect; the first is RETRY_MS, and it doubles, with jitter."""

    def __post_init__(self) -> None:
        """Rules over several fields. UsageError names the broker and what would be right."""
        where = f"brokers: broker {self.broker!r}"
        if self.password is not None and self.user is None:
            raise UsageError(f"{where} has a password but no user; give both or neither")
        if self.ca is not None and not self.tls:
            raise UsageError(f"{where} has a ca but tls is false; set tls = true")
        if self.client_id is not None and not is_topic_level(self.client_id):
            raise UsageError(
                f"{where}: client_id {self.client_id!r} stands in topics: no /, +, #, $ or control character"
            )


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message. ``at_ms`` on the monotonic clock: when it came, or, of what the broker had kept (``kept``), the earliest that
    it can have been published: minus infinity where this process does not know. ``again``: the broker has sent it before.
    """

    topic: str
    payload: bytes
    at_ms: float
    kept: bool
    again: bool


Taker = Callable[[Arrival], None]


def is_topic_level(text: str) -> bool:
    """Whether ``text`` can stand as one level of a topic to publish to."""
    return text.isprintable() and not text.startswith("$") and not set("/+#") & set(text)


def broker_tls(config: BrokerConfig) -> ssl.SSLContext | None:
    """The TLS settings of a broker, None without TLS; UsageError for a file of authorities that cannot be used."""
    if not config.tls:
        return None
    context = open_tls(f"brokers: broker {config.broker!r}", config.ca)
    context.sslsocket_class = _TlsSocket
    return context


class _TlsSocket(ssl.SSLSocket):
    """A TLS socket that is closed when its handshake fails; paho leaves it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class PacketTooLongError(GridError):
    """A broker announces a packet that no message of ours fills."""


class _BoundedClient(Client):
    """paho reads a packet of any announced length (up to 256 MiB) into memory; this one asks for none beyond the limit.

    Messages of QoS 2 paho keeps until the broker releases them, 65,535 of them: nothing of ours is subscribed so.
    """

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > PACKET_BYTES_MAX:
            raise PacketTooLongError(f"a packet of {bufsize} bytes was refused, {PACKET_BYTES_MAX} are the most")
        return super()._sock_recv(bufsize)

    def _handle_publish(self) -> MQTTErrorCode:
        if self._in_packet["command"] >> 1 & 3 > QOS:
            raise EncodingError(f"a message of QoS 2 was refused, {QOS} is the most that was subscribed")
        return super()._handle_publish()


class BrokerLink:
    """The connection to one broker. Call ``subscribe`` before ``start``; one event loop only; ``close`` at the end."""

    def __init__(
        self,
        config: BrokerConfig,
        client_id: str,
        *,
        password: bytes | None = None,
        tls: ssl.SSLContext | None = None,
        clean: bool = False,
        clock_ms: Callable[[], float] = monotonic_ms,
        jitter: random.Random | None = None,
    ) -> None:
        self.config = config
        self.client_id = client_id
        self.connections = 0
        self.trouble = "not connected yet"
        self._clock_ms = clock_ms
        self._jitter = jitter or random.SystemRandom()
        self._takers: dict[str, Taker] = {}
        self._mark_topic = f"{client_id}/mark"
        self._mark = b""
        self._up_ms = float("inf")  # since when the present connection is up
        self._why = ""  # why the present connection ends, where more is known than that it ended
        self._lost_ms = float("-inf")  # until when the connection before this one was up
        self._up = asyncio.Event()
        self._tried = asyncio.Event()
        self._new_only = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._retained: set[str] = set()
        self._fd = -1
        self._reads_on = False
        self._next_is_clean: bool | None = None  # whether the next connection begins anew; None: as the present one
        self._password, self._tls = password, tls
        self._is_clean = clean
        self._client = self._new_client(clean)

    def _new_client(self, clean: bool) -> Client:
        """A paho client that has not connected yet. ``clean``: the broker forgets what it has kept for us."""
        config = self.config
        self._client_is_clean = clean
        is_5 = config.protocol == "5"
        client = _BoundedClient(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if is_5 else clean,
            protocol=PROTOCOLS[config.protocol],
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = config.connect_timeout_ms / 1000.0
        client.max_queued_messages_set(QUEUED_MAX)
        if config.user is not None:
            password = None if self._password is None else self._password.decode("utf-8", "surrogateescape")
            client.username_pw_set(config.user, password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if is_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho annotates none
            properties.MaximumPacketSize = PACKET_BYTES_MAX
            properties.SessionExpiryInterval = SESSION_S_MAX
            client.connect_async(config.host, config.port, config.keepalive_s, clean_start=clean, properties=properties)
        else:
            client.connect_async(config.host, config.port, config.keepalive_s)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_close = self._on_socket_close
        return client

    @property
    def is_up(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._up.is_set()

    def subscribe(self, topic: str, taker: Taker) -> None:
        """Let ``taker`` have every message of ``topic`` that is not retained."""
        require(self._task is None, "topics are subscribed before the link starts")
        require(topic not in self._takers, "each topic has one taker")
        self._takers[topic] = taker

    def start(self) -> None:
        """Connect, and stay connected, until ``close``."""
        require(self._task is None, "a link starts once")
        self._task = asyncio.create_task(self._keep_up())

    async def wait_usable(self, timeout_s: float) -> bool:
        """Wait until the link is up and what the broker had kept has arrived; False when it is down, or not in time.

        A link that has tried in vain to connect is down; only the very first attempt is waited for.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._tried.wait()
                if self.is_up:
                    await self._new_only.wait()
                    return self.is_up
        return False

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message while the link is up; without a connection nothing is sent, now or later."""
        if self.is_up:
            self._client.publish(topic, payload, QOS)
            self._watch_socket()

    async def close(self) -> None:
        """Leave the broker; it keeps the session."""
        if self._task is None:
            return
        if self.is_up:
            self._client.disconnect()
            self._watch_socket()
        self._task.cancel()
        await asyncio.wait({self._task})
        self._up.clear()
        self._drop()

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            self._why, self._up_ms = "", float("inf")
            if self._next_is_clean is not None:
                self._client, self._next_is_clean = self._new_client(self._next_is_clean), None
            connecting = asyncio.ensure_future(asyncio.to_thread(self._client.reconnect))
            try:
                await asyncio.shield(connecting)
            except asyncio.CancelledError:  # a thread that connects is not stopped half-way
                await asyncio.wait({connecting})
                raise
            except Exception as error:  # noqa: BLE001 - whatever a resolver, a socket or TLS raises: it is tried again
                self._say_down(_reason_of(error))
            else:
                await self._serve()
            self._tried.set()
            failures = 1 if self._clock_ms() - self._up_ms >= STABLE_MS else failures + 1
            await asyncio.sleep(backoff_ms(failures, RETRY_MS, self.config.retry_ms_max, self._jitter) / 1000.0)

    async def _serve(self) -> None:
        """Stay while the connection lasts."""
        found = self._client.socket()
        if found is not None:
            self._ended.clear()
            if isinstance(
                found, socket.socket
            ):  # small packets both ways: without this each waits 40 ms for the other's
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._watch_socket()
        give_up_ms = self._clock_ms() + self.config.connect_timeout_ms
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(TICK_S, self.config.connect_timeout_ms / 1000.0)):
                    await self._ended.wait()
            if not self.is_up and self._clock_ms() > give_up_ms:
                self._why = "the broker does not answer"
                self._drop()
            elif not self._ended.is_set():
                self._guarded(self._client.loop_misc)
        if self.is_up:
            self._lost_ms = self._clock_ms()
        self._up.clear()
        self._new_only.clear()
        self._say_down(self._why or "the connection was lost")

    def _say_down(self, reason: str) -> None:
        if reason != self.trouble or not self._tried.is_set():
            _log.warning("broker_down", broker=self.config.broker, reason=reason)
        self.trouble = reason

    def _watch_socket(self) -> None:
        """Let the event loop tell when the socket can be read, and written if there is anything to write."""
        found = self._client.socket()
        if found is None or found.fileno() < 0:
            return
        loop = asyncio.get_running_loop()
        if self._fd != found.fileno():
            self._fd = found.fileno()
            loop.add_reader(self._fd, self._read)
        if self._client.want_write():
            loop.add_writer(self._fd, self._write)
        else:
            loop.remove_writer(self._fd)

    def _read(self) -> None:
        self._guarded(self._client.loop_read)
        found = self._client.socket()
        is_left = (
            isinstance(found, ssl.SSLSocket) and found.pending() > 0
        )  # decrypted already: the system does not tell
        if is_left and not self._reads_on:
            self._reads_on = True
            asyncio.get_running_loop().call_soon(self._read_on)
        self._watch_socket()

    def _read_on(self) -> None:
        """Read in turn with everybody else: a broker that floods would leave them none."""
        self._reads_on = False
        self._read()

    def _write(self) -> None:
        self._guarded(self._client.loop_write)
        self._watch_socket()

    def _guarded(self, step: Callable[[], object]) -> None:
        """Let paho do a step; bytes of a broker that break it cost the connection, not the agent."""
        try:
            step()
        except PacketTooLongError as error:
            _log.error("packet_too_long", broker=self.config.broker, reason=str(error))
            self._why, self._next_is_clean = str(error), True
            self._drop()
        except Exception as error:  # noqa: BLE001 - what a broker sends is not ours to trust
            _log.error(
                "broker_breaks_protocol", broker=self.config.broker, error=type(error).__name__, reason=str(error)
            )
            self._drop()
        if self._client.socket() is None:
            self._ended.set()

    def _drop(self) -> None:
        """Give the connection up: the socket is cut, and paho finds it so."""
        self._ended.set()
        found = self._client.socket()
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(Exception):  # it only has to close its side
                self._client.loop_read()
            self._on_socket_close(self._client, None, found)
            found.close()

    def _on_socket_close(self, _client: Client, _userdata: Any, _socket: Any) -> None:
        if self._fd >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._fd)
            loop.remove_writer(self._fd)
            self._fd = -1
        self._ended.set()

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._why = f"the broker refuses us: {reason}"
            return
        self.connections += 1
        if self._client_is_clean != self._is_clean:
            self._next_is_clean = self._is_clean
        self._mark = b""  # the broker may send the last connection's mark again
        self._up_ms = self._clock_ms()
        self._up.set()
        self._tried.set()
        _log.info("broker_up", broker=self.config.broker, host=self.config.host, port=self.config.port)
        self.trouble = ""
        wish = SubscribeOptions(QOS, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        topics = (*self._takers, self._mark_topic)
        if self.config.protocol == "5":
            client.subscribe([(topic, wish) for topic in topics])
        else:
            client.subscribe([(topic, QOS) for topic in topics])

    def _on_subscribe(
        self, client: Client, _userdata: Any, _mid: int, reasons: Sequence[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip((*self._takers, self._mark_topic), reasons, strict=False):
            if reason.is_failure:
                _log.error("subscription_refused", broker=self.config.broker, topic=topic, reason=str(reason))
        self._mark = secrets.token_hex(8).encode()
        client.publish(self._mark_topic, self._mark, QOS)
        connection = self.connections
        asyncio.get_running_loop().call_later(MARK_MS_MAX / 1000.0, self._all_new, connection)

    def _all_new(self, connection: int) -> None:
        if self.is_up and self.connections == connection:
            self._new_only.set()

    def _on_message(self, client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if self._ended.is_set():  # paho hands over once more what broke the connection
            return
        self._hand_over(message)  # raises for a bug of whoever takes it: then the broker keeps it
        client.ack(message.mid, message.qos)

    def _hand_over(self, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        if topic == self._mark_topic:
            if self._mark and message.payload == self._mark:
                self._all_new(self.connections)
            return
        taker = self._takers.get(topic)
        if taker is None:
            return
        if message.retain:
            if topic not in self._retained:  # one line for each topic, not for each connection
                self._retained.add(topic)
                _log.warning("retained_message_ignored", broker=self.config.broker, topic=topic)
            return
        kept = not self._new_only.is_set()
        at_ms = self._lost_ms if kept else self._clock_ms()
        taker(Arrival(topic, bytes(message.payload), at_ms, kept, bool(message.dup)))


def _reason_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"no connection ({error.strerror})"
    return f"no connection ({str(error) or type(error).__name__})"
