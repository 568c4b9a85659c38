"""The verdict as a household reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from gridevidence.layout import SUBSTITUTE, TIME
from gridevidence.verifier.answers import NOT_VERIFIED, plain
from gridevidence.verifier.claims.certificate import OWN_WORD
from gridevidence.verifier.verdict import Verdict

MARKS: Final = {"simulated": "SIMULATED", "imported": "IMPORTED"}
MARK_TEXTS: Final = {
    "SIMULATED": "this chain's clock is simulated; no real meter stands behind its readings.",
    "IMPORTED": "these values were imported from files; no meter signed them.",
}
ROLE_WORDS: Final = {
    "gateway": "gateway",
    "prosumer": "party",
    "aggregator": "aggregator",
    "administrator": "administrator",
    "utility": "utility",
}
TIE_WORDS: Final = {"genesis": "named by genesis", "pinned": "pinned in the trust file"}
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
    return datetime.fromtimestamp(min(seconds, TIME[-1]), UTC).strftime(form)


def _register_word(approved: dict[str, Any]) -> str:
    """Of a register that an organisation answers for: nobody read a substitute."""
    return "substituted" if approved["reason"].startswith(SUBSTITUTE) else "corrected"


def _energy_word(facts: dict[str, Any]) -> str:
    """Of an energy that does not end with a reading, "" for any other."""
    if facts.get("missing"):
        return "missing"
    if facts.get("estimates") or "estimated" in facts:
        return "estimated"
    ends = [one for one in facts.get("approved", ()) if one["boundary_s"] == facts["slot_end_s"]]
    return _register_word(ends[-1]) if ends else ""


def _bill_lines(facts: dict[str, Any]) -> Iterator[str]:
    """The lines of the point as a table, and what they come to."""
    start, end = _time(facts["slot_start_s"], "%Y-%m-%d %H:%M"), _time(facts["slot_end_s"], "%H:%M")
    yield ""
    where = "" if "estimated" in facts else f"meter {plain(facts['meter'])}"
    energy = f"energy {word.upper()}" if (word := _energy_word(facts)) else ""
    told = ", ".join(filter(None, (where, energy)))
    yield f"{facts['party']}, {told}, {start} to {end} UTC, area {facts['area']}, run {facts['run']}:"
    if "lines" not in facts:
        return
    currency, lines = facts["currency"], facts["lines"]
    prices = _decimals([line["price_micro_per_kwh"] for line in lines], MICRO_DIGITS)
    amounts = _decimals([line["amount_nano"] for line in lines], NANO_DIGITS)
    rows = [("line", "energy", f"{currency}/kWh", currency, "account")]
    for line, price, amount in zip(lines, prices, amounts, strict=True):
        rows.append((line["line_kind"], f"{line['energy_wh']} Wh", price, amount, line["account"]))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for kind, energy, price, amount, account in rows:
        right = f"{energy:>{widths[1]}}  {price:>{widths[2]}}  {amount:>{widths[3]}}"
        yield f"  {kind:<{widths[0]}}  {right}  {account}"
    pays = _owes(facts["pays_nano"], currency, ("owes", "is paid"))
    alone = _owes(facts["supplier_only_nano"], currency, ("would owe", "would be paid"))
    yield f"{facts['party']} {pays} for this slot; with the supplier alone it {alone}."


def _decimals(numbers: Sequence[int | None], digits: int) -> list[str]:
    """Numbers of 10^-digits, exactly, all with as many places as the longest needs, at least two; "" for None."""
    shown = ["" if number is None else f"{Decimal(number).scaleb(-digits):.{digits}f}" for number in numbers]
    spare = min((len(text) - len(text.rstrip("0")) for text in shown if text), default=0)
    return [text[: len(text) - min(spare, digits - 2)] for text in shown]


def _owes(amount_nano: int, currency: str, words: tuple[str, str]) -> str:
    """An amount with the word for one that is owed, or for one that is received."""
    return f"{words[amount_nano < 0]} {_decimals([abs(amount_nano)], NANO_DIGITS)[0]} {currency}"


def _tie(tie: str) -> str:
    return TIE_WORDS.get(tie, tie)


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
        origin = "" if key["tie"] == key["origin"] else f"; {_tie(key['origin'])}"
        yield f"Key of {ROLE_WORDS[key['role']]} {key['signer']}, {_tie(key['tie'])}{origin}; fingerprint (SM3):"
        yield f"  {key['fingerprint']}"
    for placed in facts.get("aggregators", ()):
        yield f"Order {placed['counter']} was placed by aggregator {placed['aggregator']} under a mandate of the party's registry row."
    for file in facts.get("files", ()):
        yield f"Imported from {plain(file['name'])}, SM3:"
        yield f"  {file['sm3']}"
    if facts.get("estimates"):
        yield f"The importer estimated the energy by {plain(facts['estimates'])}."
    for one in facts.get("approved", ()):
        answers = f"{one['signer']} answers for it: {plain(one['reason'])}"
        yield f"Register of {_time(one['boundary_s'])} UTC: {_register_word(one)}, {answers}"
    for clock in facts.get("clocks", ()):
        stated = f"{clock['state']}, {clock['offset_ms']} ms off"
        yield f"Reading of {_time(clock['boundary_s'])} UTC: gateway {clock['gateway']} stated its clock as {stated}."
