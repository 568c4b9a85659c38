"""What organisations decide, and what they have decided: proposals with their votes, members, contracts, permissions."""

from __future__ import annotations

from typing import Any, Final

from gridcore.envelope import decode_transaction
from gridcore.errors import EncodingError, broken
from gridcore.governance.table import Action, decode_action
from gridcore.node_interface import API, CBOR_TYPE
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.signer import SIGNER
from gridcore.serving.openapi import Json
from gridcore.serving.problems import Problem
from gridcore.sm import is_valid_signature
from gridcore.x509 import decode_certificate
from ledger.governance.decision import is_open, objection, refusal_of
from ledger.governance.voters import is_removed, voters
from ledger.http import parameters
from ledger.http.queries.answers import leaf_page, plain
from ledger.http.roles import NAMED_READERS, READERS
from ledger.http.route import Posted, Query
from ledger.http.view import LedgerView
from ledger.leaves.contracts import CONTRACTS
from ledger.leaves.offence import OFFENCE
from ledger.leaves.proposal import EXPIRED, OPEN, PROPOSAL, ProposalLeaf
from ledger.leaves.protocol import PROTOCOL
from ledger.leaves.validators import VALIDATORS
from ledger.registry.entries import ENTITY_FAMILIES
from ledger.state.draft import Draft
from ledger.state.transition import roles_of


def proposals(view: LedgerView, start: int) -> Json:
    """All proposals in the order in which they were made, without what they ask for."""
    with view.reader.frozen():
        keys, following = leaf_page(view, PROPOSAL.prefix, start)
        found = [_proposal(view, PROPOSAL.names(key)[0]) for key in keys]
    return {"proposals": found, "next": following}


def proposal(view: LedgerView, transaction_id: bytes) -> Json:
    """One proposal with its action, and why that could not take effect now."""
    with view.reader.frozen():
        shown = _proposal(view, transaction_id.hex())
        action = _action(view, transaction_id.hex(), PROPOSAL.must(view.reader, transaction_id.hex()))
        refusal = refusal_of(_draft(view), action) if shown["status"] == OPEN else None
    words = None if refusal is None else refusal.words
    return {**shown, "action": plain(action.sort.encode(action.record)), "obstacle": words}


def _proposal(view: LedgerView, name: str) -> dict[str, Any]:
    """A proposal for JSON. Problem 404 where there is none."""
    found = PROPOSAL.load(view.reader, name)
    if found is None:
        raise Problem("not-found", f"no proposal {name}")
    action, draft = _action(view, name, found), _draft(view)
    is_expired = found.status == OPEN and not is_open(draft, found)
    return {
        "proposal": name,
        "organisation": found.organisation,
        "sort": action.sort.name,
        "status": EXPIRED if is_expired else found.status,
        "in_favour": list(found.in_favour),
        "against": list(found.against),
        "needed": action.sort.threshold(draft.thresholds),
        "open_until_s": found.open_until_s,
        "proposed_height": found.proposed_height,
        "decided_height": found.decided_height,
    }


def _action(view: LedgerView, name: str, found: ProposalLeaf) -> Action:
    """What a proposal asks for: as the state keeps it, else as its transaction says it, which is never pruned."""
    if found.action:
        return decode_action(found.action)
    decided = view.reader.transaction(bytes.fromhex(name)) or broken(f"proposal {name} was decided")
    return decode_action(decode_transaction(decided.wire).body["action"])


def check(view: LedgerView, body: bytes, caller: str) -> Json:
    """What would become of an action if the caller's organisation proposed it now. ``body``: its canonical bytes."""
    try:
        action = decode_action(body)
    except EncodingError as error:
        raise Problem("bad-request", f"the body is an action: {error}") from None
    with view.reader.frozen():
        draft = _draft(view)
        signer, may_vote = draft.in_force(SIGNER, caller), voters(draft)
        refusal = objection(draft, "" if signer is None else signer.organisation, action)
        needed = action.sort.threshold(draft.thresholds)
    fault = None if refusal is None else {"code": int(refusal.code), "name": refusal.code.name, "words": refusal.words}
    return {"fault": fault, "needed": needed, "voters": sorted(may_vote, key=str.encode)}


def organisations(view: LedgerView) -> Json:
    """Every organisation that was ever registered, by name."""
    family = ENTITY_FAMILIES[ORGANISATION.kind]
    with view.reader.frozen():
        draft = _draft(view)
        names = [family.names(key)[0] for key in view.reader.leaf_keys(family.prefix)]
        found = [_organisation(draft, name) for name in sorted(names, key=str.encode)]
    return {"organisations": found}


def _organisation(draft: Draft, name: str) -> Json:
    """An organisation as it is now."""
    now = draft.in_force(ORGANISATION, name)
    authority = now.authority if isinstance(now, Organisation) else None
    return {
        "organisation": name,
        "title": now.title if isinstance(now, Organisation) else None,
        "roles": [] if now is None else list(now.roles),
        "votes": name in voters(draft),
        "removed": is_removed(draft, name),
        "authority_until_s": None if authority is None else decode_certificate(authority).not_after_s,
    }


def validators(view: LedgerView) -> Json:
    """The set that certifies, the set that waits (empty: none does), what a certificate of the former needs, and who voted twice."""
    with view.reader.frozen():
        leaf = VALIDATORS.must(view.reader)
        names = [OFFENCE.names(key)[0] for key in view.reader.leaf_keys(OFFENCE.prefix)]
        offences = [{"validator": name, "height": OFFENCE.must(view.reader, name).height} for name in names]
    total = sum(member.power for member in leaf.current)
    return {
        "current": [plain(member._asdict()) for member in leaf.current],
        "current_height": leaf.current_height,
        "pending": [plain(member._asdict()) for member in leaf.pending],
        "pending_height": leaf.pending_height,
        "power": total,
        "power_needed": 2 * total // 3 + 1,
        "offences": offences,
    }


def contracts(view: LedgerView) -> Json:
    """The contracts that were approved, whether zones may name each by now, and whether this node has it; what else it has."""
    with view.reader.frozen():
        approved, height = CONTRACTS.must(view.reader).approved, view.reader.height
        pins = view.reader.application.pins
    known_ids = {known.contract for known in approved}
    found = [
        {
            "contract": known.contract,
            "pin": known.pin.hex(),
            "height": known.height,
            "active": known.height <= height,
            "installed": known.contract in view.contracts,
        }
        for known in approved
    ]
    others = [{"contract": name, "pin": pin.hex()} for name, pin in sorted(pins.items()) if name not in known_ids]
    return {"contracts": found, "not_approved": others}


def protocol(view: LedgerView) -> Json:
    """The version of the rules of the next block, and every version that was decided, with its first height."""
    with view.reader.frozen():
        leaf, height = PROTOCOL.must(view.reader), view.reader.height
    return {
        "version": leaf.version_at(height + 1),
        "activations": [activation._asdict() for activation in leaf.versions],
    }


def permissions(view: LedgerView) -> Json:
    """Which roles may send each kind of transaction, and how many organisations each sort of decision needs."""
    with view.reader.frozen():
        draft, kinds = _draft(view), view.reader.application.rules().kinds
        found = [
            {"kind": name, "roles": list(roles_of(draft, name, kind)), "usual": [kind.role]}
            for name, kind in sorted(kinds.items())
        ]
        return {"permissions": found, "thresholds": draft.thresholds._asdict(), "voters": sorted(voters(draft))}


def _draft(view: LedgerView) -> Draft:
    """The next block in the making, in which nothing is applied."""
    reader = view.reader
    draft = Draft(reader.application.state, reader.height + 1, reader.ledger_time_s, view.contracts)
    draft.kinds, draft.is_signed = reader.application.rules().kinds.keys(), is_valid_signature
    return draft


ROUTES: Final = (
    Query(
        rule=f"{API}/proposals",
        summary="Proposals and how they stand.",
        query=proposals,
        access=READERS,
        parameters=(parameters.START,),
    ),
    Query(
        rule=f"{API}/proposals/<transaction_id>",
        summary="A proposal with its votes and its action.",
        query=proposal,
        access=READERS,
        parameters=(parameters.TRANSACTION_ID,),
    ),
    Posted(
        rule=f"{API}/proposals/check",
        summary="What would become of an action.",
        query=check,
        access=NAMED_READERS,
        parameters=(parameters.DIGEST,),
        body=CBOR_TYPE,
    ),
    Query(rule=f"{API}/organisations", summary="Who takes part.", query=organisations, access=READERS),
    Query(rule=f"{API}/validators", summary="Who certifies, and who waits to.", query=validators, access=READERS),
    Query(rule=f"{API}/contracts", summary="Approved contracts.", query=contracts, access=READERS),
    Query(rule=f"{API}/protocol", summary="Versions of the rules of blocks.", query=protocol, access=READERS),
    Query(rule=f"{API}/permissions", summary="Who may send what.", query=permissions, access=READERS),
)
