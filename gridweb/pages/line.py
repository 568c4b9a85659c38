"""One bill line down to its proof: what it rests on, level by level; its bundle; the check; and attempts at cheating.

``/households/<party>/lines/<slot>/<kind>``, ``…/bundle``, ``…/altered``, POST ``…/verify`` and ``…/cheat``; and what anybody
needs to check a bundle at home: ``/trust.json`` and ``/verify.py``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue

from gridcore.serving.problems import Problem
from gridcore.verify import Trust
from gridevidence import forgery
from gridevidence.view import BundleView, decode_bundle
from gridweb import format as shown
from gridweb.access import EVERY_ROLE, check_party, public, requires
from gridweb.contract_words import ContractWords
from gridweb.i18n import _, translate
from gridweb.pages import line_tables
from gridweb.pages.day_tables import correction_path
from gridweb.pages.household_tables import line_url
from gridweb.points import day_of, find_point
from gridweb.proofs import (
    BUNDLE_SUFFIX,
    TRUST_NAME,
    VERIFIER_NAME,
    LineName,
    Outcome,
    book_name,
    check_bundle,
    fetch_bundle,
    load_trust,
    read_trust,
    verifier_digest,
    verifier_source,
)
from gridweb.site import site, source, viewer
from gridweb.source import SourceBusy, SourceMissing, SourceNotYet
from gridweb.tables import table_url
from gridweb.verify_words import verify_words
from gridweb.views import render_fragment, render_page

pages = Blueprint("line", __name__)

BUNDLE_TYPE: Final = "application/cbor"
SHOWN_DIGITS: Final = 16
"""Hex digits of a signature that are shown where it was altered: the last ones."""


@dataclass(frozen=True)
class Attempt:
    """An attempt at cheating: what was altered, before and after, and the verdict on the altered copy."""

    what: str
    before: str
    after: str
    outcome: Outcome


@pages.get("/households/<party>/lines/<int:slot>/<kind>")
@pages.get("/households/<party>/lines/<int:slot>/<kind>/at/<point>")
@requires(*EVERY_ROLE)
async def show_line(party: str, slot: int, kind: str, point: str = "") -> ResponseReturnValue:
    """The way from a bill line down to the certificate."""
    return await _show(LineName(party, slot, kind, point))


@pages.post("/households/<party>/lines/<int:slot>/<kind>/verify")
@pages.post("/households/<party>/lines/<int:slot>/<kind>/at/<point>/verify")
@requires(*EVERY_ROLE)
async def verify_line(party: str, slot: int, kind: str, point: str = "") -> ResponseReturnValue:
    """Check the bundle here, for browsers without scripts; with them, the page's own script does it there."""
    line = LineName(party, slot, kind, point)
    check_party(viewer(), party)
    return await _show(line, outcome=await check_bundle(await fetch_bundle(source(), line), site().config.trust))


@pages.post("/households/<party>/lines/<int:slot>/<kind>/cheat")
@pages.post("/households/<party>/lines/<int:slot>/<kind>/at/<point>/cheat")
@requires(*EVERY_ROLE)
async def cheat_line(party: str, slot: int, kind: str, point: str = "") -> ResponseReturnValue:
    """Alter a copy of the bundle as the form says, and show both verdicts."""
    line = LineName(party, slot, kind, point)
    check_party(viewer(), party)
    what = (await request.form).get("what", "")
    data = await fetch_bundle(source(), line)
    trust, currency = site().config.trust, decode_bundle(data).currency
    altered = _alter(data, what)
    outcome, cheated = await asyncio.gather(check_bundle(data, trust), check_bundle(altered.data, trust))
    before, after = (_value(altered.change.unit, text, currency) for text in altered.change[1:])
    attempt = Attempt(what, before, after, cheated)
    if _wants_fragment():
        words = _words((await find_point(source(), party)).area.contract)
        return await render_fragment("line/attempt.html", outcome=outcome, attempt=attempt, line=line, **words)
    return await _show(line, outcome=outcome, attempt=attempt)


@pages.get("/households/<party>/lines/<int:slot>/<kind>/bundle")
@pages.get("/households/<party>/lines/<int:slot>/<kind>/at/<point>/bundle")
@requires(*EVERY_ROLE)
async def download_bundle(party: str, slot: int, kind: str, point: str = "") -> Response:
    """The bundle as a file."""
    line = LineName(party, slot, kind, point)
    check_party(viewer(), party)
    data = await fetch_bundle(source(), line)
    return _file(data, await _stem(line) + BUNDLE_SUFFIX)


@pages.get("/households/<party>/lines/<int:slot>/<kind>/altered")
@pages.get("/households/<party>/lines/<int:slot>/<kind>/at/<point>/altered")
@requires(*EVERY_ROLE)
async def download_altered(party: str, slot: int, kind: str, point: str = "") -> Response:
    """An altered copy as a file, for whoever wants to see it fail at home."""
    line = LineName(party, slot, kind, point)
    check_party(viewer(), party)
    what = request.args.get("what", "")
    altered = _alter(await fetch_bundle(source(), line), what)
    return _file(altered.data, f"{await _stem(line)}-altered-{what}{BUNDLE_SUFFIX}")


async def _stem(line: LineName) -> str:
    return line.file_stem((await find_point(source(), line.party)).area)


@pages.get(f"/{TRUST_NAME}")
@public
async def download_trust() -> Response:
    """The trust root that these pages check with. Who does not trust these pages takes it from elsewhere."""
    data = await asyncio.to_thread(read_trust, site().config.trust)
    return Response(data, content_type="application/json")


@pages.get(f"/{VERIFIER_NAME}")
@public
async def download_verifier() -> Response:
    """The stand-alone verifier."""
    return _file(verifier_source(), VERIFIER_NAME, "text/x-python; charset=utf-8")


async def _show(line: LineName, outcome: Outcome | None = None, attempt: Attempt | None = None) -> ResponseReturnValue:
    """The page; while the line cannot be proved yet, or the node is busy, it says so and asks again by itself."""
    check_party(viewer(), line.party)
    point = await find_point(source(), line.party)
    frame = {"line": line, "point": point, "outcome": outcome, "attempt": attempt, **_words(point.area.contract)}
    day = day_of(point.area, line.slot_start_s)
    frame["verify_words"] = verify_words([point.area.contract])
    frame |= {"day": day, "line_url": line_url(line.party, line.slot_start_s, line.kind, line.point)}
    try:
        data = await fetch_bundle(source(), line)
    except SourceBusy as busy:
        page = await render_page("line/waiting.html", reason=str(busy), is_new=isinstance(busy, SourceNotYet), **frame)
        return Response(page, status=503, headers={"Retry-After": "2"})
    trust = await asyncio.to_thread(load_trust, site().config.trust)
    frame["bundle_name"] = line.file_stem(point.area) + BUNDLE_SUFFIX
    frame["book_name"] = book_name(point.area, line.slot_start_s)
    return await render_page("line/line.html", **frame, **_contents(data, line.kind, trust))


def _contents(data: bytes, kind: str, trust: Trust) -> dict[str, Any]:
    """What the page shows of a bundle, and of one kind of line in it. SourceMissing where the slot has no such line."""
    view = decode_bundle(data)
    party, slot, term = view.party, view.run.slot_start_s, view.term(kind)
    if term is None:
        raise SourceMissing(f"{party} has no line {kind} in slot {slot}")
    functions = {
        "terms": line_tables.line_terms_table,
        "orders": line_tables.line_orders_table,
        "trades": line_tables.line_trades_table,
        "readings": line_tables.line_readings_table,
    }
    return {
        "view": view,
        "term": term,
        "ties": [(key, line_tables.tie_of(key, view, trust)) for key in view.keys],
        "correction_path": correction_path,
        "urls": {name: table_url(function, party=party, slot=slot, kind=kind) for name, function in functions.items()},
        "alterations": forgery.alterations(data),
        "certifiers": _certifiers(view, trust.signers),
        "signers_total": len(trust.signers),
        "verifier_digest": verifier_digest(),
    }


def _certifiers(view: BundleView, signers: Any) -> list[tuple[str, bytes, bytes]]:
    """(name out of the trust root, or "", key, signature) of each certifier."""
    names = {key: name for key, _power, name in signers}
    return [(names.get(key, ""), key, signature) for key, signature in view.certificate]


def _alter(data: bytes, what: str) -> forgery.Altered:
    try:
        return forgery.alter(data, what)
    except KeyError:
        raise Problem("bad-request", f"what={what[:40]}: one of {', '.join(forgery.alterations(data))}") from None


def _value(unit: str, text: str, currency: str) -> str:
    """An altered value as people read it."""
    if unit == "hex":
        return f"… {text[-SHOWN_DIGITS:]}"
    number = int(text)
    forms = {
        "wh": lambda: shown.energy(number),
        "micro": lambda: shown.price(number, currency, is_exact=True),
        "nano": lambda: shown.money(number, currency, 9),
        "times": lambda: f"× {number}",
    }
    return forms[unit]()


def _words(contract: ContractWords) -> dict[str, Any]:
    """What the templates of this page say names with."""
    return {
        "words": contract,
        "claim_titles": line_tables.CLAIM_TITLES,
        "not_checked": line_tables.NOT_CHECKED,
        "answers": line_tables.ANSWERS,
        "alteration_titles": line_tables.ALTERATION_TITLES,
        "flag_titles": line_tables.FLAG_TITLES,
        "clock_states": line_tables.CLOCK_STATES,
        "is_forgery": forgery.is_forgery,
        "sides": {"buy": _("buy"), "sell": _("sell")},
        "translate": translate,
    }


def _wants_fragment() -> bool:
    """Whether a script of the page asks, and puts the answer into it."""
    return request.headers.get("HX-Request") == "true"


def _file(data: bytes, name: str, content_type: str = BUNDLE_TYPE) -> Response:
    return Response(data, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
