"""What the verifier in the browser says, in the language of the request: it makes verdicts, and takes its words from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gridweb.contract_words import ContractWords, shown
from gridweb.format import QUALITY_WORDS
from gridweb.i18n import N_, translate
from gridweb.pages.line_tables import ANSWERS, CLAIM_TITLES, NOT_CHECKED

LABELS: Final[Mapping[str, str]] = {
    "answers_for": N_("%(signer)s answers for it: %(reason)s"),
    "area": N_("Area"),
    "block": N_("Block"),
    "certified_by": N_("Certified by"),
    "checked": N_("Checked, and it holds"),
    "checked_counts": N_("Checked, and it holds: %(holds)s; not checked: %(open)s"),
    "claim_that_fails": N_("The claim that fails:"),
    "exit_status": N_("exit status %(status)s"),
    "later_runs": N_("Later runs"),
    "ledger": N_("Ledger"),
    "line": N_("Line"),
    "meter": N_("Meter"),
    "no_bundle": N_("Choose a proof first: a file whose name ends in .evd."),
    "no_later_run": N_("none was known when this block was made"),
    "not_certified": N_("nobody that you trust"),
    "not_checked_title": N_("Not checked"),
    "not_fetched": N_("The proof or the trust root cannot be fetched:"),
    "party": N_("Party"),
    "quality": N_("Quality"),
    "register": N_("Register of %(time)s"),
    "run": N_("Run"),
    "slot": N_("Slot"),
    "sum": N_("Sum of the slot"),
    "the_bill": N_("What the proof says"),
    "unknown_file": N_(
        "%(name)s is none of these: a proof ends in .evd, a trust root in .json, an order book in .book."
    ),
    "verifiers_words": N_("The verifier's words:"),
}
MARKS: Final[Mapping[str, str]] = {"SIMULATED": N_("SIMULATED"), "IMPORTED": N_("IMPORTED")}
MARK_TEXTS: Final[Mapping[str, str]] = {
    "SIMULATED": N_("this chain's clock is a simulated one; no real meter stands behind its readings."),
    "IMPORTED": N_("these values were imported from files; no meter signed them."),
}
BAD_USAGE: Final = N_("The trust file cannot be used")
ROLES: Final[Mapping[str, str]] = {
    "administrator": N_("Key of administrator"),
    "aggregator": N_("Key of aggregator"),
    "gateway": N_("Key of gateway"),
    "prosumer": N_("Key of party"),
    "utility": N_("Key of utility"),
}
TIES: Final[Mapping[str, str]] = {
    "enrolled": N_("enrolled by %(by)s at height %(height)s"),
    "genesis": N_("named by genesis"),
    "pinned": N_("pinned in the trust file"),
    "voted": N_("voted by %(by)s at height %(height)s"),
}
OPEN: Final = (
    N_("that the estimate of the energy follows from earlier days, or from the registers around the gap"),
    N_("that the meter showed the registers that its organisation answers for"),
)
"""What the verifier says it has not checked beside NOT_CHECKED, and beside what contracts' lines rest on."""
PAGE_TEXTS: Final[Mapping[str, str]] = {
    "book": N_("Order book (optional, .book)"),
    "bundle": N_("Proof (.evd)"),
    "drop_here": N_("Or drop the files here."),
    "offline_intro": N_(
        "This page checks the proof of a bill line in your browser. It needs no network and sends nothing. Take the trust root from somewhere you trust, never from the sender of the proof."
    ),
    "title": N_("Check a proof"),
    "trust": N_("Trust root (.json)"),
    "verify": N_("Verify"),
}
"""Of the page that takes files."""


def verify_words(contracts: Iterable[ContractWords] = ()) -> dict[str, object]:
    """All of it, as ``static/verify/verdict-card.mjs`` takes it. contracts: whose own words are known; of others lines show their kind."""
    known = list(contracts)
    open_texts = {text["en"]: shown(text) for one in known for text in one.not_checked}
    answers = {answer: translate(title) for answer, (title, _state) in ANSWERS.items()}
    return {
        **_said(LABELS),
        "answers": {**answers, "bad usage": translate(BAD_USAGE)},
        "claims": _said(CLAIM_TITLES),
        "line_kinds": {kind: title for one in known for kind, title in one.line_titles.items()},
        "mark_texts": _said(MARK_TEXTS),
        "marks": _said(MARKS),
        "not_checked": {**_said(NOT_CHECKED), **{text: translate(text) for text in OPEN}, **open_texts},
        "qualities": _said({word: title for word, (title, _state) in QUALITY_WORDS.items()}),
        "roles": _said(ROLES),
        "ties": _said(TIES),
    }


def _said(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: translate(text) for name, text in texts.items()}
