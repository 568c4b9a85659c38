"""What a route is: one record of its address, parameters, access, answer and schema.

From the record the application serves the route (``ledger.http.app``) and OpenAPI describes it (``ledger.http.openapi``). To add one: write
the function that answers and its record beside it, in a module of ``ledger.http.queries``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from quart import request

from gridcore.serving.door import network_of
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.sm3 import sm3
from ledger.http.dispatcher import Dispatcher
from ledger.http.parameters import Parameter
from ledger.http.roles import EVERYBODY, Access, Arguments
from ledger.http.view import LedgerView

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True)
class Schema:
    """A shape that the OpenAPI document lists under a name of its own."""

    name: str
    shape: Json


@dataclass(frozen=True, kw_only=True)
class Route(ABC):
    """A route of the node.

    ``rule``: its path, parts in ``<name>``; ``summary``: one line; ``content``: media type of the answer; ``schema``: its shape, None
    where it is only said to be an object (JSON) or a text; ``answered``: the answer in words, the summary where empty;
    ``body``: media type of the request's body, "" for none.
    """

    rule: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    access: Access = EVERYBODY
    content: str = JSON_TYPE
    schema: Json | Schema | None = None
    answered: str = ""
    method: str = "GET"
    body: str = ""

    def read_arguments(self, path: Mapping[str, str], query: Mapping[str, str]) -> Arguments:
        """The arguments of the function that answers. Problem 400 for a parameter that cannot be understood."""
        return {
            one.argument: one.read(one.name, (path if one.is_in_path else query).get(one.name))
            for one in self.parameters
        }

    @abstractmethod
    async def answer(self, dispatcher: Dispatcher, arguments: Arguments) -> Json | bytes | str:
        """The answer to a request with these arguments."""


@dataclass(frozen=True, kw_only=True)
class Query(Route):
    """A route that is answered from the state: ``query(view, **arguments)`` runs in a thread, once the access has been checked.

    ``is_long``: it takes a thread for so long that a caller may have few of them at once (``Dispatcher``).
    """

    query: Callable[..., Json | bytes]
    is_long: bool = False

    async def answer(self, dispatcher: Dispatcher, arguments: Arguments) -> Json | bytes:
        """What the query returns."""
        return await dispatcher.ask(self.access, self.query, arguments, is_long=self.is_long)


@dataclass(frozen=True, kw_only=True)
class Posted(Query):
    """A query about the body of the request, whose parameter ``digest`` binds it to the signature; the function gets a ``body``."""

    method: str = "POST"

    async def answer(self, dispatcher: Dispatcher, arguments: Arguments) -> Json | bytes:
        """What the query returns."""
        host, _ = (request.scope["client"] or ("", 0))[:2]
        with dispatcher.bodies.body(network_of(host)) as body:
            data = await body.read(request.body, request.content_length)
            if sm3(data) != arguments["digest"]:
                raise Problem("bad-request", "digest is the SM3 of the body")
            told = {name: value for name, value in arguments.items() if name != "digest"}
            return await dispatcher.ask(self.access, self.query, {**told, "body": data}, is_long=True)


@dataclass(frozen=True, kw_only=True)
class Service(Route):
    """A route that the node answers itself: ``serve(dispatcher, **arguments)`` runs in its event loop, once the access has been checked."""

    serve: Callable[..., Awaitable[Json | bytes | str]]

    async def answer(self, dispatcher: Dispatcher, arguments: Arguments) -> Json | bytes | str:
        """What the service returns."""
        if self.access.admit is not None:
            await dispatcher.ask(self.access, _nothing, arguments)
        return await self.serve(dispatcher, **arguments)


def _nothing(_view: LedgerView, **_: object) -> None:
    """Asked where only the access is to be checked."""
