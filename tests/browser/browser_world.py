"""What the browser tests share: who looks at which page, what stands on it, and when it has settled."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from selenium.webdriver.support.select import Select

from gridweb.i18n import catalogue
from tests.browser.chromium import INSTALL, Browser, Look
from tests.demo.demo_run import EXECUTABLE, Finished
from tests.demo.live import LiveDemo
from tests.external import needs

NEEDS_CHROMIUM = [*needs("chromium", INSTALL), *needs("chromedriver", INSTALL)]
HOUSEHOLDS, SLOTS = 12, 12
AXE = Path(sys.prefix) / "assets" / "node_modules" / "axe-core" / "axe.min.js"
"""Put there by: make setup."""
LANGUAGE_TAGS = {"en": "en", "zh_CN": "zh-CN"}
EXTREMES = WIDE, NARROW = (1280, 360)
LOOKS_ON = {
    f"{device}-{language}": [Look(width, dark, language) for width, dark in looks]
    for device, looks in {
        "phone": [(NARROW, False), (390, False), (414, False), (NARROW, True)],
        "screen": [(WIDE, False), (WIDE, True)],
    }.items()
    for language in LANGUAGE_TAGS
}
"""Each width in both languages; dark, which moves nothing, at the widest and the narrowest. By device and language."""

CHARTS_ARE_READ = """
return [...document.querySelectorAll("figure.chart")].every((figure) => figure.getAttribute("aria-busy") === "false")
"""
STREAM_IS_ON = "return document.documentElement.dataset.stream === 'on'"
TEXTS = """
const root = document.documentElement, found = [document.title];
const isOurs = (element) => element && !element.closest("script, style, code, pre") && element.closest("[lang]") === root;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) if (isOurs(node.parentElement)) found.push(node.textContent);
for (const name of ["title", "aria-label", "placeholder", "alt", "label"])
  for (const element of document.querySelectorAll(`[${name}]`)) if (isOurs(element)) found.push(element.getAttribute(name));
return found.map((text) => text.trim().replace(/\\s+/g, " ")).filter(Boolean);
"""
KEY_FILES = {"key": "pem", "password": "password"}
PLACEHOLDER = re.compile(r"%\\?\(\w+\\?\)s|\\?\{\w+\\?\}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True)
class BillLine:
    """A line of a household's bill that somebody can ask about."""

    area: str
    party: str
    slot_start_s: int
    kind: str

    @property
    def address(self) -> str:
        """The page of the line."""
        return f"/households/{self.party}/lines/{self.slot_start_s}/{self.kind}"


def find_line(demo: LiveDemo, kind: str = "trade_sell") -> BillLine:
    """The largest line of its kind in a demonstration that is over."""
    finished = Finished(demo.out, 0, "", "", 0.0)
    rows = [row for row in finished.rows("statements.csv") if row["line_kind"] == kind]
    row = max(rows, key=lambda row: abs(int(row["amount_nano"])))
    area = next(meter["area"] for meter in finished.rows("meters.csv") if meter["party"] == row["party"])
    return BillLine(area, row["party"], int(row["slot_start_s"]), kind)


TARIFF = """
[[tariff]]
name = "home"
from_s = 2026-06-20T00:00:00+08:00
quantum_nano = 10000000
rounding = "half_even"
tax_ppm = 130000
components = [
    {name = "energy", account = "grid", base = "import", taxed = true, steps = [[0, 480000], [200000, 530000]]},
    {name = "night", account = "grid", base = "residual", taxed = true, price = -60000, windows = [[0, 21600], [79200, 86400]], months = [6, 7, 8]},
    {name = "demand", account = "grid", base = "kw_contracted", taxed = true, price = 32000000},
    {name = "power factor", account = "funds", base = "percent", taxed = false, price = -7500, of = ["energy", "night"]},
]

[[party]]
name = "PARTY"
from_s = 2026-06-21T00:00:00+08:00
area = "AREA"
organisation = "utility"
trades = true
tariff = "home"
contracted_w = {demand = 12000}
"""
"""What a demonstration does not have: charges by the month, and a household that is charged them."""


def register_tariff(demo: LiveDemo, area: str, party: str) -> None:
    """Have the utility of a demonstration register TARIFF, by the command that it would use itself."""
    run_dir = demo.out / "run"
    file = run_dir / "tariff.toml"
    file.write_text(TARIFF.replace("PARTY", party).replace("AREA", area), "utf-8")
    node = tomllib.loads((run_dir / "web.toml").read_text("utf-8"))["node"]
    own = ["--signer", "utility", *(f"--{name}=file:{run_dir / 'utility'}.{end}" for name, end in KEY_FILES.items())]
    command = [str(EXECUTABLE), "registry", "submit", str(file), "--url", node, *own]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


@dataclass(frozen=True)
class Place:
    """A page. ``path`` with the fields of a bill line; ``role``: who looks at it, "" for nobody in particular."""

    name: str
    path: str
    role: str


_LINE = "/households/{party}/lines/{slot}/{kind}"
PLACES = (
    Place("sign-in", "/sign-in", ""),
    Place("verify", "/verify", ""),
    Place("interface", "/interface", ""),
    Place("overview", "/overview", "utility"),
    Place("slot", "/slots/{area}/{slot}", "utility"),
    Place("flow", "/flow", "utility"),
    Place("quality", "/quality", "utility"),
    Place("exception", "/exception?key=missing_register%2F{area}%2FM-{party}%2F{slot}%2FNO_VALUE", "utility"),
    Place("fleet", "/fleet", "utility"),
    Place("gateway", "/gateways/gateway-1", "utility"),
    Place("meters", "/meters?area={area}", "utility"),
    Place("meter", "/meters/M-{party}", "utility"),
    Place("correction", "/meters/M-{party}/correction?boundary={slot}", "utility"),
    Place("parties", "/households", "utility"),
    Place("blocks", "/blocks", "utility"),
    Place("consortium", "/consortium", "regulator"),
    Place("proposals", "/consortium/proposals", "regulator"),
    Place("new-proposal", "/consortium/proposals/new?form=validators", "regulator"),
    Place("contracts", "/consortium/contracts", "regulator"),
    Place("block", "/blocks/2", "utility"),
    Place("registry", "/registry", "utility"),
    Place("registry-kind", "/registry/party", "utility"),
    Place("registry-entity", "/registry/party/{party}", "utility"),
    Place("runs", "/runs", "utility"),
    Place("documents", "/documents", "utility"),
    Place("balances", "/documents/balances?area={area}", "utility"),
    Place("area-payments", "/payments?area={area}", "utility"),
    Place("issued", "/documents/issued", "utility"),
    Place("certificates", "/certificates", "utility"),
    Place("replays", "/replays?area={area}&slot={slot}", "regulator"),
    Place("exports", "/exports", "utility"),
    Place("imbalance", "/imbalance", "utility"),
    Place("balance", "/balance", "utility"),
    Place("balance-month", "/balance/month?area={area}", "utility"),
    Place("balance-year", "/balance/year?area={area}", "utility"),
    Place("tariffs", "/tariffs", "utility"),
    Place("tariff", "/tariffs/home", "utility"),
    Place("disputes", "/disputes", "regulator"),
    Place("condition", "/condition", "utility"),
    Place("users", "/users", "administrator"),
    Place("sample", "/sample", "regulator"),
    Place("line-to-the-utility", _LINE, "utility"),
    Place("household", "/households/{party}", "household"),
    Place("month", "/households/{party}/month", "household"),
    Place("own-tariff", "/households/{party}/tariff", "household"),
    Place("payments", "/households/{party}/payments", "household"),
    Place("own-issued", "/households/{party}/issued", "household"),
    Place("own-balance", "/households/{party}/balance", "household"),
    Place("own-balance-documents", "/households/{party}/balance/documents", "household"),
    Place("own-balance-year", "/households/{party}/balance/year", "household"),
    Place("own-certificates", "/households/{party}/certificates", "household"),
    Place("own-disputes", "/households/{party}/disputes", "household"),
    Place("orders", "/households/{party}/orders", "household"),
    Place("standing", "/households/{party}/standing", "household"),
    Place("contest", "/households/{party}/contest/{slot}?line={kind}", "household"),
    Place("contest-document", "/households/{party}/contest-document?part=total", "household"),
    Place("year", "/households/{party}/year", "household"),
    Place("account", "/households/{party}/account?year=2026", "household"),
    Place("statement", "/households/{party}/statement", "household"),
    Place("line", _LINE, "household"),
    Place("refused", "/overview", "household"),
)


class Visit:
    """Somebody in front of a browser, at the pages of ``url``."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url

    def sign_in(self, role: str, party: str = "") -> None:
        """Be nobody, then choose a role on the sign-in page; "": stay nobody. Who is that already stays it."""
        if self.browser.identity == (self.url, role, party):
            return
        self.browser.forget_cookies()
        if role:
            self.open("/sign-in?lang=en")
            if party:
                Select(self.browser.find("#party")).select_by_visible_text(party)
            self.browser.leave(lambda: self.browser.click(f"button[name=role][value={role}]"))
            assert "/sign-in" not in self.browser.driver.current_url, self.browser.text()
        self.browser.identity = (self.url, role, party)

    def go_to(self, place: Place, line: BillLine, look: Look | None = None) -> None:
        """Open a page as who may look at it, and wait until it has settled."""
        self.sign_in(place.role, line.party if place.role == "household" else "")
        path = place.path.format(area=line.area, party=line.party, slot=line.slot_start_s, kind=line.kind)
        if look is not None:
            self.browser.look(look)
            path += f"{'&' if '?' in path else '?'}lang={look.language}&theme=auto"
        self.open(path)
        self.settle()

    def open(self, path: str) -> None:
        """Open a page of this site."""
        self.browser.open(self.url + path)

    def settle(self) -> None:
        """Wait until charts have their data and the event stream is open."""
        self.browser.wait(CHARTS_ARE_READ)
        if self.browser.run("return 'events' in document.documentElement.dataset"):
            self.browser.wait(STREAM_IS_ON)

    def texts(self) -> list[str]:
        """Every text of the page that is in its own language: what is seen, what is said, what is folded away."""
        return [str(text) for text in self.browser.run(TEXTS)]


def untranslated(texts: list[str]) -> Iterator[str]:
    """What a page in Chinese says in the English of the catalogue."""
    for text in {text for text in texts if ENGLISH.search(text)}:
        for message, pattern in _phrases().items():
            if pattern.search(text):
                yield f"{message!r} in {text!r}"


@cache
def _phrases() -> Mapping[str, re.Pattern[str]]:
    """What finds the messages that Chinese has other words for: phrases anywhere, single words as a whole text."""
    found = {}
    for message in catalogue("en"):
        bare, translation = PLACEHOLDER.sub(" ", message), catalogue("zh_CN").get(message, "")
        if message in translation or not ENGLISH.search(bare):
            continue
        pattern = PLACEHOLDER.sub(".{1,80}?", re.escape(message))
        is_phrase = len(re.findall(r"[A-Za-z]{2,}", bare)) > 2
        found[message] = re.compile(rf"\b{pattern}" if is_phrase else rf"^{pattern}(?: · GridLedger)?$")
    return found
