"""Claims 1, 2 and 6: one whole bundle, whose records are of one state of the ledger and in its history."""

from __future__ import annotations

from typing import Any

from gridevidence.layout import (
    BUNDLE,
    BUNDLE_BYTES_MAX,
    BUNDLE_TYPE,
    CHAIN,
    CLEARING,
    DATA_ROOT,
    GATEWAY,
    HEADER,
    HISTORY_ROOT,
    INSTALLATION,
    OF_SLOT,
    RULES,
    RUN,
    SIGNER,
    SLOT_LENGTHS_S,
    VERSION,
)
from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.cbor import decode, encode
from gridevidence.verifier.contracts import CONTRACTS
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.shapes import conform, known_version
from gridevidence.verifier.sm3 import sm3
from gridevidence.verifier.trees import root_of_path


def decode_parts(data: bytes) -> dict[str, Any]:
    """The parts of a bundle; halts unless ``data`` is a canonical map of a known version with just the parts of a bundle."""
    hold(len(data) <= BUNDLE_BYTES_MAX, f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    parts = known_version(decode(data, "the bundle"), BUNDLE_TYPE, "the bundle")
    conform(parts, BUNDLE, "bundle")
    return parts


def check_shape(of: Examination) -> str:
    """1: canonical bytes, a known version, exactly the parts of a bundle, each of its type."""
    of.bundle = decode_parts(of.data)
    return f"The file is one canonical evidence bundle, version {VERSION}."


def check_header(of: Examination) -> str:
    """2: the header, and under its state root the records that belong to this line, each under the key it must have."""
    first = of.bundle["genesis"]
    of.head = decode(of.bundle["header"], "the header", HEADER)
    hold(all(item[0] == 1 for item in first["path"]), "the genesis is not the first leaf of the history")
    same("the history with this genesis", root_of_path(first["digest"], first["path"]), of.head[HISTORY_ROOT])
    _check_run(of)
    _check_meter(of)
    _check_keys(of)
    _check_clearing(of)
    chain, run, meter = of.value["chain"], of.value["run"], of.value["meter"]
    of.facts.update(chain=of.head[1], height=of.head[2], area=run["area"], run=run["run"], currency=chain["currency"])
    of.facts.update(meter=meter["meter"], party=meter["party"], gateway=meter["gateway"])
    of.facts.update(protection=of.value["end gateway"]["protection"], simulated=chain["clock"] == "simulated")
    of.facts.update(slot_start_s=run["slot_start_s"], slot_end_s=run["slot_start_s"] + chain["slot_s"])
    of.contract()
    return f"Run, rules, meter, gateway and keys are those that belong here, in the state of header {of.head[2]}."


def _check_run(of: Examination) -> None:
    """The chain, the run of one of its slots, and the rules that it was settled by."""
    of.leaf(of.bundle["chain"], CHAIN, "chain", "chain")
    slot_s = of.value["chain"]["slot_s"]
    hold(slot_s in SLOT_LENGTHS_S, "the chain's slots have no length that a slot may have")
    key = of.leaf(of.bundle["run"], RUN, "run")
    run = of.value["run"]
    same("the key of the run leaf", key, f"run/{run['area']}/{run['slot_start_s']}/{run['run']}")
    is_before = run["as_of_height"] < of.head[2] and run["slot_start_s"] % slot_s == 0
    hold(is_before, "the run is after the header, or of no slot")
    known = CONTRACTS.get(run["contract"])
    if known is not None:
        conform(run, known.run, "run")
        known.check_run(run)
    rules = known.rules if known is not None else RULES
    hold(of.leaf(of.bundle["rules"], rules, "rules").startswith("rules/"), "the rules leaf holds no rules")
    hold(sm3(of.bundle["rules"]["leaf"]) == run["rules"], "the run was settled by other rules than these")


def _check_meter(of: Examination) -> None:
    """The installation that the line is about, of the run's area, and in use at the slot's start."""
    number = int.from_bytes(of.bundle["line"]["row"][:4], "little")
    of.leaf(of.bundle["installation"], INSTALLATION, "meter", f"installation/{number}")
    meter, run = of.value["meter"], of.value["run"]
    same("number and area of the installation", (meter["number"], meter["area"]), (number, run["area"]))
    hold(meter["from_s"] <= run["slot_start_s"], "the installation came into use after the slot's start")


def _check_keys(of: Examination) -> None:
    """The keys of the installation's gateway and of its party, each with the role that it needs."""
    meter = of.value["meter"]
    for when, proofs in of.bundle["gateways"].items():
        of.leaf(proofs["gateway"], GATEWAY, f"{when} gateway", f"gateway/{meter['gateway']}")
        of.leaf(proofs["signer"], SIGNER, f"{when} signer", f"signer/{meter['gateway']}")
        hold("gateway" in of.value[f"{when} signer"]["roles"], "the gateway's key may not sign readings")
    has_orders = bool(of.bundle["orders"])
    hold(("party" in of.bundle) == has_orders, "the party's key belongs to orders, and only to them")
    if has_orders:
        of.leaf(of.bundle["party"], SIGNER, "party signer", f"signer/{meter['party']}")
        hold("prosumer" in of.value["party signer"]["roles"], "the party's key may not sign orders")


def _check_clearing(of: Examination) -> None:
    """The clearing that the orders were filled by: of the run's slot, at its price."""
    run = of.value["run"]
    hold("clearing" in of.bundle or not of.bundle["orders"], "there are orders but no clearing")
    if "clearing" in of.bundle:
        of.leaf(of.bundle["clearing"], CLEARING, "clearing", f"clearing/{run['area']}/{run['slot_start_s']}")
        ours, theirs = ([one.get(name.rstrip("?")) for name in OF_SLOT] for one in (run, of.value["clearing"]))
        same("the clearing", theirs, ours)


def check_recorded(of: Examination) -> str:
    """6: batches and orders were accepted (code 0) in blocks before the run, in the history of the header."""
    for what, _, part in (*of.batches(), *of.orders()):
        block = decode(part["header"], f"the header of {what}", HEADER)
        hold(block[2] <= of.value["run"]["as_of_height"] + 1, f"{what} was recorded after the run")
        leaf = encode([sm3(encode([part["signed"], part["signature"], part["attachment_digest"]])), 0])
        hold(root_of_path(leaf, part["data_path"]) == block[DATA_ROOT], f"{what} was not accepted in its block")
        past = root_of_path(sm3(part["header"]), part["history_path"])
        hold(past == of.head[HISTORY_ROOT], f"the block of {what} is not in the header's history")
    return "Both batches and each order were accepted in blocks before the run, in the header's history."
