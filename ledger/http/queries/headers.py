"""Headers and their certificates, for whoever follows them without trusting this node; proofs of single leaves."""

from __future__ import annotations

from typing import Final

from gridcore.errors import UsageError
from gridcore.light.codec import encode_certified, encode_proof, encode_steps
from gridcore.node_interface import API, CBOR_TYPE
from gridcore.serving.problems import Problem
from ledger import light
from ledger.http.parameters import HEIGHT, needed, optional, read_whole, read_whole_or_earlier, read_word
from ledger.http.roles import READERS
from ledger.http.route import Query
from ledger.http.view import LedgerView


def headers(view: LedgerView, known_height: int, after_height: int) -> bytes:
    """Steps from a height that the asker knows to the newest certified header."""
    after_height = max(after_height, known_height)
    if not 0 <= known_height <= view.reader.height:
        raise Problem("bad-request", f"known_height={known_height}: this ledger has heights 0 to {view.reader.height}")
    return encode_steps(light.steps(view.reader, known_height, after_height))


def header(view: LedgerView, height: int) -> bytes:
    """A header and the certificate that covers it."""
    if height == 0:
        raise Problem("not-found", "height 0: is genesis, which nobody certifies")
    try:
        return encode_certified(light.certified_header(view.reader, height))
    except UsageError as error:
        raise Problem("not-found", str(error)) from None


def proof(view: LedgerView, key: str) -> bytes:
    """A state leaf under the newest certified header."""
    try:
        found = None if view.reader.leaf(key) is None else light.proven_leaf(view.reader, key)
    except UsageError as error:
        raise Problem("not-found", str(error)) from None
    if found is None:
        raise Problem("not-found", f"no leaf {key!r} under the newest certified header")
    return encode_proof(found)


ROUTES: Final = (
    Query(
        rule=f"{API}/headers",
        summary="Certified headers from a known height on: hand-overs, then the newest.",
        query=headers,
        parameters=(
            needed("known_height", "The height of the header that you trust (0: genesis).", read_whole),
            optional(
                "after_height", "Only headers above this one; default known_height.", read_whole_or_earlier, "integer"
            ),
        ),
        content=CBOR_TYPE,
    ),
    Query(
        rule=f"{API}/headers/<height>",
        summary="A header and the certificate that covers it.",
        query=header,
        parameters=(HEIGHT,),
        content=CBOR_TYPE,
    ),
    Query(
        rule=f"{API}/proof",
        summary="A state leaf, proved under the newest certified header.",
        access=READERS,
        query=proof,
        parameters=(needed("key", "Key of the leaf, such as validators.", read_word, "string"),),
        content=CBOR_TYPE,
    ),
)
