"""The verdict as a household reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from gridevidence.verifier.answers import NOT_VERIFIED, plain
from gridevidence.verifier.claims.certificate import OWN_WORD
from gridevidence.verifier.verdict import Verdict

MARKS: Final = {"simulated": "SIMULATED", "imported": "IMPORTED"}
MARK_TEXTS: Final = {
    "SIMULATED": "this chain's clock is simulated; no real meter stands behind its readings.",
    "IMPORTED": "these values were imported from files; no meter signed them.",
}
NANO_DIGITS, MICRO_DIGITS = 9, 6


def mark_of(facts: dict[str, Any]) -> str:
    """SIMULATED, IMPORTED, or "" for values of real meters."""
    return MARKS.get(facts.get("clock", ""), "")


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """The answer; the bill; state, certificate and keys; what was checked, and what was not."""
    facts, mark = verdict.facts, mark_of(verdict.facts)
    yield f"{verdict.answer.upper()}: {verdict.reason}"
    if mark:
        yield f"{mark}: {MARK_TEXTS[mark]}"
    if verdict.answer != NOT_VERIFIED and "party" in facts:
        yield from _bill_lines(facts)
        yield from _origin_lines(facts)
    if verdict.claims:
        yield from ("", "Checked:")
        yield from (f"  {word}: {text}" for word, text in verdict.claims.items())
    yield from ("", "Not checked:")
    yield from (f"  {text}" for text in verdict.not_checked)


def _time(seconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def _bill_lines(facts: dict[str, Any]) -> Iterator[str]:
    start, end = _time(facts["slot_start_s"], "%Y-%m-%d %H:%M"), _time(facts["slot_end_s"], "%H:%M")
    yield ""
    yield f"{facts['party']}, meter {plain(facts['meter'])}, {start} to {end} UTC, area {facts['area']}, run {facts['run']}:"
    if "lines" not in facts:
        return
    currency = facts["currency"]
    rows = [("line", "energy", f"{currency} per kWh", currency, "account")]
    for line in facts["lines"]:
        price = line["price_micro_per_kwh"]
        shown = "" if price is None else _decimal(price, MICRO_DIGITS, 4)
        amount = _decimal(line["amount_nano"], NANO_DIGITS, 2)
        rows.append((line["line_kind"], f"{line['energy_wh']} Wh", shown, amount, line["account"]))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for kind, energy, price, amount, account in rows:
        shown = f"  {kind:<{widths[0]}}  {energy:>{widths[1]}}  {price:>{widths[2]}}  {amount:>{widths[3]}}  {account}"
        yield shown
    pays, alone = (_owes(facts[name], currency) for name in ("pays_nano", "supplier_only_nano"))
    yield f"{facts['party']} {pays} for this slot. With the supplier alone it {alone.replace('owes', 'would owe')}."


def _decimal(number: int, digits: int, least: int) -> str:
    """A number of 10^-digits, exactly, with at least so many places."""
    shown = f"{Decimal(number).scaleb(-digits):.{digits}f}"
    cut = digits - least
    return shown[: len(shown) - cut] + shown[len(shown) - cut :].rstrip("0")


def _owes(amount_nano: int, currency: str) -> str:
    return f"{'is paid' if amount_nano < 0 else 'owes'} {_decimal(abs(amount_nano), NANO_DIGITS, 2)} {currency}"


def _origin_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Where it stands, who certified it, whose keys signed, and which clocks the gateways stated."""
    later = ", ".join(facts["later_runs"])
    yield ""
    yield f"Ledger {facts['chain']}, block {facts['height']} of {_time(facts['header_time_s'])} UTC."
    yield f"A later run of this slot was known then: {later}." if later else "No later run of this slot was known then."
    if "signers" in facts:
        count = (
            f"{facts['signers']} of {facts['signers_total']} signers, {facts['power']} of {facts['power_total']} power"
        )
        names = ", ".join(facts["certified_by"])
        yield f"Certified by {names} ({OWN_WORD if facts['signers_total'] == 1 else count})."
    for key in facts.get("keys", ()):
        origin = "" if key["tie"] == key["origin"] else f", {key['origin']}"
        yield f"Key of {key['role']} {key['signer']}: {key['tie']}{origin}"
        yield f"  fingerprint {key['fingerprint']}"
    for clock in facts.get("clocks", ()):
        stated = f"{clock['state']}, {clock['offset_ms']} ms off"
        yield f"Reading of {_time(clock['boundary_s'])} UTC: gateway {clock['gateway']} stated its clock as {stated}."
