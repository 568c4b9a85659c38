"""Tables: the same rows for a page and for every format of ``gridweb.exports``. Values are exact: whole numbers in base units, or text.

A table function lies beside the page that shows it, and is served by itself as well:

    @serves_table("/areas/<area>/positions", *READS_ALL)
    async def positions_table(source: Source, area: str, *, run: str = "initial") -> Table: ...

    table_url(positions_table, area="a-1")      # /api/v1/areas/a-1/positions, for data_table and chart

Arguments before ``*`` are parts of the path, those after it come from the query string; both are ``str`` or ``int``.
A function whose rows depend on who asks takes ``viewer: Viewer`` behind ``source`` (and checks it: ``check_party``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, get_type_hints
from urllib.parse import quote, urlencode

from gridcore.errors import require
from gridcore.serving.problems import Problem
from gridweb.access import Role, Viewer
from gridweb.format import run
from gridweb.i18n import translate
from gridweb.source import Source

API: Final = "/api/v1"
KINDS: Final[Mapping[str, str]] = {
    "text": "",
    "name": "",  # somebody's own, in whatever language
    "instant": "s",  # UTC seconds
    "slot": "s",  # its start, UTC seconds
    "month": "",  # a local one, YYYY-MM
    "day": "",  # a local one, YYYY-MM-DD
    "run": "",  # the name of a settlement run: initial, correction-1, ...
    "energy_wh": "Wh",
    "amount_nano": "1e-9 {currency}",
    "price_micro": "1e-6 {currency}/kWh",
    "count": "1",
    "voltage_milli": "mV",
    "quality": "",  # a word of gridcore.quality.QUALITIES, or "missing"
    "share": "1e-6",  # parts per million
    "digest": "",  # lower-case hex digits
}
"""Kinds of columns and the unit of their exact values."""
NUMBERS: Final = frozenset({"energy_wh", "amount_nano", "price_micro", "count", "voltage_milli", "share"})
"""Kinds that are set flush right, in tabular figures."""
TIMES: Final = frozenset({"instant", "slot", "month", "day"})
"""Kinds whose values stay on one line, however narrow the window is."""
TABLE_ROWS_MAX: Final = 110_000
"""Rows of one answer: a year of one point fits, in quarter hours (35,040) and in five minutes (105,120)."""

TableFunction = TypeVar("TableFunction", bound=Callable[..., Awaitable["Table"]])


@dataclass(frozen=True)
class Column:
    """One column. ``key``: its name in CSV and JSON, with unit; ``title``: a message id; ``kind``: a key of KINDS.

    ``words``: message ids of its codes, or texts in the language of the request: a page shows those where CSV and JSON have the code.
    """

    key: str
    title: str
    kind: str = "text"
    words: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require(self.kind in KINDS, f"column {self.key} is of a known kind")

    def shown(self, value: object) -> object:
        """The value as a page has it: a code in words, and so is the name of a run."""
        if self.kind == "run" and isinstance(value, str):
            return run(value)
        return translate(self.words[value]) if isinstance(value, str) and value in self.words else value

    @property
    def is_number(self) -> bool:
        """Whether values are numbers that are compared from row to row."""
        return self.kind in NUMBERS

    @property
    def is_time(self) -> bool:
        """Whether values are instants, days or months."""
        return self.kind in TIMES

    @property
    def has_words(self) -> bool:
        """Whether a page shows values in other words than CSV and JSON have."""
        return bool(self.words) or self.kind == "run"


@dataclass(frozen=True)
class Table:
    """Rows under columns; None is "no value". ``title``, ``note``: text as shown (already translated).

    ``links``: an address for each row, or None; ``buttons``: the same of a button before each row, with ``button`` on it, on pages alone; ``totals``: a last row of sums, None where a column has none;
    ``tz``: the zone in which instants are shown; ``currency``: of amounts and prices.
    """

    name: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[object]]
    title: str = ""
    note: str = ""
    links: Sequence[str | None] = ()
    buttons: Sequence[str | None] = ()
    button: str = ""
    totals: Sequence[object] | None = None
    tz: str = "UTC"
    currency: str = ""

    @property
    def has_instants(self) -> bool:
        """Whether it shows times, so that their zone has to be named."""
        return any(column.kind in ("instant", "slot") for column in self.columns)

    def link(self, row: int) -> str | None:
        """The address behind a row, if it has one."""
        return self.links[row] if row < len(self.links) else None


@dataclass(frozen=True)
class TableRoute:
    """A table that is served under ``/api/v1``. ``path`` and ``query``: names and types (str or int) of its arguments,
    ``required``: of the query those that have no default.
    """

    rule: str
    function: Callable[..., Awaitable[Table]]
    roles: tuple[Role, ...]
    path: Mapping[str, type]
    query: Mapping[str, type]
    required: frozenset[str]
    takes_viewer: bool

    @property
    def endpoint(self) -> str:
        """The function's own name: the operation's id."""
        return self.function.__name__

    async def table(self, source: Source, viewer: Viewer, **arguments: str | int) -> Table:
        """The table for a viewer. Problem 400 when an argument of the query that it cannot do without is missing."""
        missing = sorted(self.required - arguments.keys())
        if missing:
            raise Problem("bad-request", f"{missing[0]} is missing")
        if self.takes_viewer:
            return await self.function(source, viewer, **arguments)
        return await self.function(source, **arguments)


_routes: dict[str, TableRoute] = {}


def serves_table(rule: str, *roles: Role) -> Callable[[TableFunction], TableFunction]:
    """Serve a table function at ``/api/v1<rule>`` in every format to people of these roles; parts in ``<name>``."""

    def record(function: TableFunction) -> TableFunction:
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        takes_viewer = bool(parameters) and hints[parameters[0].name] is Viewer
        parameters = parameters[takes_viewer:]
        kinds = {parameter.name: _plain_type(hints[parameter.name]) for parameter in parameters}
        query = {p.name: kinds[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY}
        path = {name: kind for name, kind in kinds.items() if name not in query}
        require(set(re.findall(r"<(\w+)>", rule)) == set(path), f"{rule} names the arguments of {function.__name__}")
        typed = re.sub(r"<(\w+)>", lambda m: f"<int(signed=True):{m[1]}>" if path[m[1]] is int else m[0], rule)
        required = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)
        route = TableRoute(typed, function, roles, path, query, required, takes_viewer)
        require(route.endpoint not in _routes, f"one table function is named {route.endpoint}")
        _routes[route.endpoint] = route
        return function

    return record


def table_routes() -> list[TableRoute]:
    """Every table that is served, by the names of their functions."""
    return [_routes[name] for name in sorted(_routes)]


def table_url(function: Callable[..., Awaitable[Table]], **values: str | int | None) -> str:
    """The address of a served table with these arguments (those of the query that are None are left out)."""
    route = _routes[function.__name__]
    require(values.keys() <= route.path.keys() | route.query.keys(), f"{function.__name__} has these arguments")
    address = re.sub(r"<(?:[^:<>]*:)?(\w+)>", lambda match: quote(str(values[match[1]]), safe=""), route.rule)
    pairs = [(name, str(values[name])) for name in route.query if values.get(name) is not None]
    return f"{API}{address}" + (f"?{urlencode(pairs)}" if pairs else "")


def _plain_type(hint: Any) -> type:
    return int if hint in (int, int | None) else str
