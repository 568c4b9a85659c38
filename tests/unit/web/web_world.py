"""A site over a node and a time series that tests set by hand, and browsers that are signed in as anybody.

world = make_world(tmp_path)
world.node.answers["areas"] = {"areas": […], "contracts": [CONTRACT]}
browser = world.browser(Role.HOUSEHOLD, party="H001")
response = await browser.get("/households/H001")
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from quart import Quart
from quart.typing import TestClientProtocol
from quart.wrappers import Response
from werkzeug.routing import Rule

from gridcore.codes import Code
from gridcore.serving.metrics import Metrics
from gridcore.sm3 import sm3
from gridseries.series import AnyRow, AnySeries, Columns, Row, Series, SeriesUnavailable, Tags_co, Values_co, columns_of
from gridweb.access import Role, Viewer
from gridweb.app import create_app
from gridweb.config import WebConfig
from gridweb.cookies import Cookies
from gridweb.database import open_database
from gridweb.exports.jobs import Exports
from gridweb.feed import Feed
from gridweb.health import Health
from gridweb.people import PEOPLE, People
from gridweb.sessions import Sessions, form_token
from gridweb.site import SIGN_INS, Site
from gridweb.source import Source
from gridweb.throttle import Throttle
from gridweb.users import Users
from gridweb.worklist import Worklist
from ledger.client import Answer, NodeRefused, NodeStatus, NodeUnreachable, Shortage
from ledger.http.queries.contracts import contract_answer
from settlement.catalogue import CATALOGUE
from tests.worlds.clocks import ManualClock
from tests.worlds.consortium import PRICES

CONTRACT = contract_answer(CATALOGUE["p2p_call_auction/1"].contract, CATALOGUE["p2p_call_auction/1"].vocabulary)
"""What the node says of the contract of the areas here."""
NOW_S = 1_800_000_000
FIRST_S = 1_799_971_200
"""The first slot of area a-1: local midnight in Shanghai."""
DAY_S = 86_400
AREA = {
    "area": "a-1",
    "calendar": "c",
    "contract": "p2p_call_auction/1",
    "first_slot_start_s": FIRST_S,
    "rules": {
        "id": "r",
        "gate_before_start_s": 300,
        "metering_deadline_s": 900,
        "open_before_start_s": 86_400,
        "prices": PRICES,
        "rationing": "pro_rata",
        "reference_price_micro_per_kwh": 370_000,
    },
    "meters": 4,
    "settling": 3,
    "traders": 2,
}
CALENDAR = {"calendar": "c", "tz": "Asia/Shanghai", "tz_version": "1", "months": [0]}


@dataclass
class FakeNode:
    """Answers by path (without query); a callable gets the parameters. ``away``: nothing answers."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    away: bool = False
    height: int = 7
    clock: str = "simulated"
    disputed_by: int = 0
    stall: str = ""
    shortages: tuple[Shortage, ...] = ()
    certified_height: int = 7
    engine: Mapping[str, int] = field(default_factory=dict)
    submitted: list[bytes] = field(default_factory=list)
    submit_code: int = 0

    async def status(self) -> NodeStatus:
        """A chain at a height."""
        self._check()
        return NodeStatus(
            chain="test-0123",
            instance=bytes(16),
            height=self.height,
            header_digest=bytes(32),
            state_root=bytes(32),
            ledger_time_s=NOW_S,
            clock=self.clock,
            simulated=self.clock == "simulated",
            slot_s=900,
            currency="CNY",
            version="0.0-test",
            disputed_by=self.disputed_by,
            stall=self.stall,
            shortages=self.shortages,
            certified_height=self.certified_height,
            engine=self.engine,
        )

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer that a test gave to a path."""
        self._check()
        self.asked.append((path, params))
        if path == "credit" and path not in self.answers:
            return json.dumps(self._credit(str(params["party"]))).encode()
        if path not in self.answers:
            raise NodeRefused(f"no {path}", 404, f"no {path}")
        answer = self.answers[path]
        if path.endswith("/installations") and "party" in params:
            own = [{"since_s": 0, **row} for row in answer["installations"] if row["party"] == params["party"]]
            answer = {**answer, "installations": own}
        if callable(answer):
            answer = answer(**params)
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def _credit(self, party: str) -> Mapping[str, Any]:
        """What a party of the areas' installations owes: nothing."""
        for path, answer in self.answers.items():
            of_area = path.removeprefix("areas/").removesuffix("/installations")
            if path == f"areas/{of_area}/installations" and any(
                row["party"] == party for row in answer["installations"]
            ):
                return {
                    "party": party,
                    "area": of_area,
                    "owes_nano": 0,
                    "held_nano": 0,
                    "credit_nano": None,
                    "shares_points": False,
                }
        raise NodeRefused(f"no party {party}", 404, f"no party {party}")

    async def query_about(self, path: str, body: bytes) -> Any:
        """The same about a body; a callable gets it."""
        return json.loads(await self.fetch_bytes(path, body=body))  # type: ignore[arg-type]  # bytes stand for the body

    async def submit(self, transactions: Sequence[bytes]) -> list[Answer]:
        """Take them all, with the code that a test wants."""
        self._check()
        self.submitted += transactions
        code = self.submit_code
        return [Answer(sm3(wire), code, Code(code).name, False, self.height, None, (), False) for wire in transactions]

    def _check(self) -> None:
        if self.away:
            raise NodeUnreachable("http://127.0.0.1:1: no node answers there (refused)")


@dataclass
class MemorySeries:
    """A time series in memory. ``away``: it does not answer."""

    kind: str = "embedded"
    rows: dict[str, dict[tuple[tuple[str, ...], int], AnyRow]] = field(default_factory=dict)
    away: bool = False

    async def write(self, series: AnySeries, rows: Sequence[AnyRow]) -> None:
        """Keep rows."""
        self._check()
        self.rows.setdefault(series.name, {}).update({(row.tags, row.time_s): row for row in rows})

    async def read(
        self, series: Series[Tags_co, Values_co], start_s: int, end_s: int, tags: Mapping[str, str] | None = None
    ) -> list[Row[Tags_co, Values_co]]:
        """Rows of a span."""
        self._check()
        wanted = [(series.tags.index(name), value) for name, value in (tags or {}).items()]
        found = [
            series.row(*row)
            for row in self.rows.get(series.name, {}).values()
            if start_s <= row.time_s < end_s and all(row.tags[at] == value for at, value in wanted)
        ]
        return sorted(found, key=lambda row: (row.time_s, row.tags))

    async def read_columns(
        self,
        series: AnySeries,
        start_s: int,
        end_s: int,
        tags: Mapping[str, str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Columns:
        """The same as columns."""
        return columns_of(series, await self.read(series, start_s, end_s, tags), tags or {}, fields)

    def _check(self) -> None:
        if self.away:
            raise SeriesUnavailable("the test took the store away")


@dataclass
class Standing:
    """A projection that stands where the test says."""

    height: int = 7
    newest: int = 7


class Browser:
    """A browser, perhaps signed in: carries its cookies, and its form token on every post."""

    def __init__(self, client: TestClientProtocol, token: str | None) -> None:
        self.client = client
        self.token = token

    async def get(self, path: str, **options: Any) -> Response:
        """GET, without following redirects."""
        response = await self.client.get(path, **options)
        assert isinstance(response, Response)
        return response

    async def post(self, path: str, form: Mapping[str, str] | None = None, **options: Any) -> Response:
        """POST a form with the token that our pages put into theirs."""
        fields = dict(form or {})
        if self.token is not None:
            fields.setdefault("form_token", form_token(self.token))
        response = await self.client.post(path, form=fields, **options)
        assert isinstance(response, Response)
        return response

    async def text(self, path: str, **options: Any) -> str:
        """The body of a page that must answer 200."""
        response = await self.get(path, **options)
        body = await response.get_data(as_text=True)
        assert response.status_code == 200, body
        return body


@dataclass
class World:
    """One site with everything behind it."""

    app: Quart
    site: Site
    node: FakeNode
    series: MemorySeries
    progress: Standing
    clock: ManualClock

    def browser(self, role: Role | None = None, party: str | None = None, language: str = "en") -> Browser:
        """A browser signed in by ``role`` (None: by nobody); a household needs its ``party``."""
        client = self.app.test_client()
        cookies = Cookies(self.site.config.is_secure)
        client.set_cookie("localhost", cookies.name("language"), language)
        if role is None:
            return Browser(client, None)
        token = self.site.sessions.begin(Viewer(f"{role.value}-{party or 'x'}", role, party))
        client.set_cookie("localhost", cookies.name("session"), token)
        return Browser(client, token)


class KeptTemplates(BytecodeCache):
    """Templates as they were compiled for an earlier site of this process: each site has an environment of its own, and makes a tenth of a second of them."""

    def __init__(self) -> None:
        self.compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in what is kept of the same text."""
        if bucket.key in self.compiled:
            bucket.bytecode_from_string(self.compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self.compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = KeptTemplates()
Builder = Callable[..., tuple[str, str]]
BUILDERS: dict[tuple[object, ...], Builder] = {}
"""What makes addresses, by a route's text, its parts, and whether arguments follow."""
_compile_builder = Rule._compile_builder


def _kept_builder(rule: Rule, append_unknown: bool = True) -> Builder:
    """The builder of an equal route of an earlier site: a function of the text alone, which werkzeug writes and compiles anew for each site's 211 routes."""
    if rule.defaults:
        return _compile_builder(rule, append_unknown)
    key = (rule.rule, *rule._trace, append_unknown)
    if key not in BUILDERS:
        BUILDERS[key] = _compile_builder(rule, append_unknown)
    return BUILDERS[key]


Rule._compile_builder = _kept_builder  # type: ignore[assignment, method-assign]  # there is no other way in


def app_of(site: Site) -> Quart:
    """The application over a site, which need not compile the templates that one before it has."""
    app = create_app(site)
    app.jinja_env.bytecode_cache = TEMPLATES
    return app


def make_world(folder: Path, **config: Any) -> World:
    """A site with one area and nothing in it. ``config``: fields of WebConfig."""
    trust = folder / "trust.json"
    trust.write_text("{}")
    clock, stop = ManualClock(NOW_S), asyncio.Event()
    node, series, progress, health = FakeNode(), MemorySeries(), Standing(), Health(clock)
    node.answers["areas"] = {"areas": [AREA], "contracts": [CONTRACT]}
    node.answers["areas/a-1/installations"] = {"installations": [], "next": None}
    node.answers["calendars/c"] = {**CALENDAR, "days": [FIRST_S + day * DAY_S for day in range(-1, 3)]}
    database = open_database(folder / "users.db")
    site = Site(
        config=WebConfig(trust=trust, users=folder / "users.db", **config),
        source=Source(node, series, progress, health),
        health=health,
        feed=Feed(stop),
        users=Users(database, clock),
        sessions=Sessions(database, clock, is_demo=bool(config.get("demo"))),
        worklist=Worklist(database, clock),
        throttle=Throttle(clock.now_s),
        metrics=Metrics("web", SIGN_INS),
        exports=Exports(clock, folder),
        clock=clock,
        version="0.0-test",
        stop=stop,
        people=People(open_database(folder / "people.db", PEOPLE)),
    )
    return World(app_of(site), site, node, series, progress, clock)


async def open_form(browser: Browser, path: str = "/sign-in") -> str:
    """Open the sign-in page as a browser does; the token of its form."""
    token = re.search(r'name="form_token" value="(\w+)"', await browser.text(path))
    assert token is not None
    return token[1]


def cookie_of(response: Any, name: str) -> Morsel[str]:
    """A cookie that a response sets."""
    jar: SimpleCookie = SimpleCookie()
    for header in response.headers.getlist("Set-Cookie"):
        jar.load(header)
    return jar[name]
