"""Acts that a person signs in the browser: what the pages' script sends is read and checked here before it is passed on to the node.

The key file is opened by the page's script (``static/acts``) and never sent: what comes here is a signed transaction, and of some kinds
the words whose SM3 it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from quart import Response, jsonify

from gridcore import cbor
from gridcore.codes import Code
from gridcore.envelope import WIRE_BYTES_MAX, decode_transaction
from gridcore.errors import EncodingError
from gridcore.node_interface import CBOR_TYPE
from gridcore.serving.problems import Problem
from gridcore.sm3 import sm3
from gridcore.transactions.content import Content
from gridweb.i18n import N_, translate
from gridweb.source import AsOf
from ledger.client import Answer

SUBMISSION_ITEMS_MAX: Final = 3
STATEMENT_CHARACTERS_MAX: Final = 2_000
_STATEMENT_BYTES_MAX: Final = 4 * STATEMENT_CHARACTERS_MAX
VALID_S: Final = 43_200
"""How long after the ledger time of its page an act may enter a block: half of what the ledger allows, for its time goes on meanwhile."""
SIGNING_WORDS: Final[Mapping[str, str]] = {
    "file": N_("This is not a key file: choose the encrypted .pem file."),
    "scheme": N_("The key file is encrypted in a way that this page does not open."),
    "password": N_("Wrong password for this key file."),
    "key": N_("The file holds no SM2 key."),
    "opening": N_("Opening the key file in this browser …"),
    "sending": N_("Signed. Sending it …"),
    "unanswered": N_("No answer: it is not known whether it stands. Sent again unchanged it counts once."),
    "amounts": N_("A field is empty, or not of its form."),
}
"""Of the script of every form that is signed."""
ANSWERS: Final[Mapping[int, str]] = {
    Code.EXISTS: N_("This stood already."),
    Code.EXPIRED: N_("This page was open for too long: open it again."),
    Code.NODE_BUSY: N_("The ledger takes nothing at the moment: try again later."),
    Code.NOT_PERMITTED: N_("The ledger does not let this signer do that."),
    Code.REVOKED: N_("The key of this signer was revoked."),
    Code.UNKNOWN_SIGNER: N_("The ledger knows no signer of this name."),
    Code.WRONG_SIGNATURE: N_("The key is not the one that the ledger has of this signer."),
}
"""What the node's answer to any of them means, by code; kinds say more."""

C = TypeVar("C", bound=Content)


@dataclass(frozen=True)
class ActFrame:
    """What a form that is signed needs to know. words: of its script; keeps_words: whether this site keeps those of a dispute, None: there are none."""

    chain: str
    valid_until_s: int
    words: Mapping[str, str]
    keeps_words: bool | None
    statement_max: int = STATEMENT_CHARACTERS_MAX


def act_frame(as_of: AsOf, *, keeps_words: bool | None = None, **words: str) -> ActFrame:
    """The frame of an act on a page as of ``as_of``; ``words``: message ids that differ from SIGNING_WORDS."""
    shown = {name: translate(text) for name, text in {**SIGNING_WORDS, **words}.items()}
    return ActFrame(as_of.chain, as_of.ledger_time_s + VALID_S, shown, keeps_words)


@dataclass(frozen=True)
class Act(Generic[C]):
    """A signed transaction. words: the text that it holds the SM3 of, "" of a kind that holds none."""

    wire: bytes
    signer: str
    content: C
    words: str


def read_act(body: bytes, content_type: str, kind: type[C], signer: str | None = None) -> Act[C]:
    """The act of a body: a canonical CBOR array of one transaction of ``kind``, by ``signer`` where one is given, and its words.

    Problem 400 for anything else. The signature is not checked here: the node does.
    """
    if content_type != CBOR_TYPE:
        raise Problem("bad-request", f"what was signed is sent as {CBOR_TYPE}")
    try:
        found = cbor.decode(body[: WIRE_BYTES_MAX + _STATEMENT_BYTES_MAX + 16], items_max=SUBMISSION_ITEMS_MAX)
        if not isinstance(found, list) or not 1 <= len(found) <= 2 or not isinstance(found[0], bytes):
            raise EncodingError("an array of one transaction, and perhaps its words")
        transaction = decode_transaction(found[0])
        if transaction.kind != kind.kind:
            raise EncodingError(f"it is of the kind {transaction.kind}")
        content = kind.decode(transaction)
        words = _words(found[1:], getattr(content, "statement", None))
    except (EncodingError, ValueError) as error:
        raise Problem("bad-request", f"no {kind.kind}: {error}") from None
    if signer is not None and transaction.signer != signer:
        raise Problem("bad-request", f"the transaction is a {kind.kind} of {signer}")
    return Act(found[0], transaction.signer, content, words)


def _words(given: list[object], statement: bytes | None) -> str:
    """The words beside a transaction. EncodingError unless they are there where it holds an SM3, and are those that it holds."""
    if statement is None:
        if given:
            raise EncodingError("it has no words")
        return ""
    if len(given) != 1 or not isinstance(given[0], str) or not 1 <= len(given[0]) <= STATEMENT_CHARACTERS_MAX:
        raise EncodingError(f"its words have 1 to {STATEMENT_CHARACTERS_MAX} characters")
    if sm3(given[0].encode()) != statement:
        raise EncodingError("its words are not those whose SM3 it holds")
    return given[0]


def is_taken(answer: Answer) -> bool:
    """Whether an act stands, now or already."""
    return answer.code in (Code.ACCEPTED, Code.EXISTS)


def told(answer: Answer, answers: Mapping[int, str], next_page: str, more: str = "") -> Response:
    """What became of an act, as its form wants it: in the words of its kind and what there is ``more`` to say, and the page to go on with."""
    words = answers.get(answer.code) or ANSWERS.get(answer.code) or N_("The ledger refuses it.")
    shown = {"code": answer.code, "name": answer.name, "is_taken": is_taken(answer)}
    shown["words"] = f"{translate(words)} {more}".rstrip()
    return jsonify({**shown, "next": next_page})
