"""``gridledger edge enrol``: a gateway's key becomes known: asked for on the gateway, challenged and issued by its organisation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gridcore.forms import TIME_S_MAX
from gridledger.commands import Actions, print_result, whole_number

T = TypeVar("T")


def declare(actions: Actions) -> None:
    """Declare ``enrol`` with ask, challenge, answer and issue."""
    enrol = actions.add_parser("enrol", help="have the organisation issue the certificate of a gateway's key")
    steps = enrol.add_subparsers(dest="step", required=True, metavar="STEP", title="steps")
    ask = steps.add_parser("ask", help="on the gateway: write the request of its key")
    ask.add_argument("--gateway", required=True, metavar="ID", help="the gateway's id on the ledger")
    challenge = steps.add_parser("challenge", help="at the organisation: check a TPM's maker, and challenge the TPM")
    challenge.add_argument("request", type=Path, metavar="REQUEST", help="the file that ask wrote")
    challenge.add_argument("--makers", type=Path, required=True, metavar="FILE", help="makers' certificates (PEM)")
    challenge.add_argument("--secret", type=Path, required=True, metavar="FILE", help="what stays here until issue")
    answer = steps.add_parser("answer", help="on the gateway: have the TPM answer the challenge")
    answer.add_argument("challenge", type=Path, metavar="CHALLENGE", help="the file that challenge wrote")
    for step in (ask, answer):
        step.add_argument("--key", required=True, metavar="URI", help="such as tpm2:0x81000010")
        step.add_argument("--key-password", metavar="REF", help="its password or PIN: file:PATH or env:NAME")
    issue = steps.add_parser("issue", help="at the organisation: certificate and registry rows of the gateway")
    issue.add_argument("request", type=Path, metavar="REQUEST", help="the file that ask wrote")
    issue.add_argument(
        "--evidence", type=Path, metavar="FILE", help="the file that answer wrote; without: a software key"
    )
    issue.add_argument("--secret", type=Path, metavar="FILE", help="the file that challenge kept")
    issue.add_argument("--refuse-software", action="store_true", help="issue nothing for a key that no TPM vouches for")
    issue.add_argument("--authority", type=Path, required=True, metavar="DIR", help="made by certificate authority")
    issue.add_argument("--organisation", required=True, metavar="NAME", help="whose gateway it is, on the ledger")
    issue.add_argument(
        "--from-s",
        type=whole_number(0, TIME_S_MAX),
        required=True,
        metavar="S",
        help="from when on the rows hold, UTC seconds",
    )
    issue.add_argument("--days", type=whole_number(1, 36_500), required=True, metavar="N", help="how long it holds")
    for step in (ask, challenge, answer, issue):
        step.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")


def run(args: argparse.Namespace) -> int:
    """Do the step. What is shown and proves nothing is a UsageError in one line."""
    from gridcore.errors import UsageError
    from gridcore.tpm.attestation import AttestationError

    steps = {"ask": _ask, "challenge": _challenge, "answer": _answer, "issue": _issue}
    try:
        return steps[args.step](args)
    except AttestationError as error:
        raise UsageError(f"edge enrol {args.step}: {error}") from None


def _ask(args: argparse.Namespace) -> int:
    from edge.enrolment import make_request
    from gridcore.enrolment import encode_message
    from gridcore.envelope import NAME
    from gridcore.errors import UsageError
    from gridcore.files import save_new

    if not NAME.fullmatch(args.gateway):
        raise UsageError("--gateway is an id: 1 to 64 of A-Z a-z 0-9 . _ -")
    request = make_request(args.gateway, args.key, args.key_password)
    save_new(args.out, encode_message(request))
    result = {"request": str(args.out), "gateway": args.gateway, "public_key": request.public_key.hex()}
    print_result(args, result, f"{args.out}: hand it to the organisation of {args.gateway}")
    return 0


def _challenge(args: argparse.Namespace) -> int:
    from gridcore.clock import WallClock
    from gridcore.enrolment import FILE_BYTES_MAX, decode_request, encode_message
    from gridcore.files import read_bounded, save_new
    from gridledger.gateway.judging import challenge_of

    request = _read(args.request, decode_request)
    makers = read_bounded(args.makers, 64 * FILE_BYTES_MAX, "check --makers")
    challenge, kept = challenge_of(request, [makers], WallClock().now_s())
    save_new(args.secret, kept)
    save_new(args.out, encode_message(challenge))
    print_result(args, {"challenge": str(args.out), "gateway": request.gateway}, f"{args.out}: hand it to the gateway")
    return 0


def _answer(args: argparse.Namespace) -> int:
    from edge.enrolment import answer_challenge
    from gridcore.enrolment import decode_challenge, encode_message
    from gridcore.files import save_new
    from gridcore.secrets import read_secret

    pin = b"" if args.key_password is None else read_secret(args.key_password)
    evidence = answer_challenge(_read(args.challenge, decode_challenge), args.key, pin)
    save_new(args.out, encode_message(evidence))
    print_result(
        args, {"evidence": str(args.out), "gateway": evidence.gateway}, f"{args.out}: hand it to the organisation"
    )
    return 0


def _issue(args: argparse.Namespace) -> int:
    from gridcore.enrolment import FILE_BYTES_MAX, SOFTWARE, decode_evidence, decode_request
    from gridcore.errors import UsageError
    from gridcore.files import read_bounded, save_new
    from gridledger.commands.certificate import issued
    from gridledger.gateway.judging import protection_of
    from gridledger.toml_text import toml_lines

    if (args.evidence is None) != (args.secret is None):
        raise UsageError("--evidence and --secret go together; give both or none")
    request = _read(args.request, decode_request)
    evidence = None if args.evidence is None else _read(args.evidence, decode_evidence)
    kept = b"" if args.secret is None else read_bounded(args.secret, FILE_BYTES_MAX, "check --secret")
    protection = protection_of(request, evidence, kept)
    if protection == SOFTWARE and args.refuse_software:
        raise UsageError(f"gateway {request.gateway}: its key is in software, which --refuse-software does not take")
    certificate = issued(args.authority, request.gateway, request.public_key, args.days)
    common = {"name": request.gateway, "from_s": args.from_s, "organisation": args.organisation}
    signer = {**common, "public_key": request.public_key.hex(), "roles": ["gateway"], "certificate": certificate.hex()}
    rows: dict[str, object] = {"signer": [signer], "gateway": [{**common, "protection": protection}]}
    save_new(args.out, ("\n".join(toml_lines(rows)) + "\n").encode())
    result = {"rows": str(args.out), "gateway": request.gateway, "protection": protection}
    print_result(args, result, f"{args.out}: {request.gateway}, {protection}; submit it: gridledger registry submit")
    return 0


def _read(path: Path, decode: Callable[[bytes], T]) -> T:
    from gridcore.enrolment import FILE_BYTES_MAX
    from gridcore.errors import EncodingError, UsageError
    from gridcore.files import read_bounded

    try:
        return decode(read_bounded(path, FILE_BYTES_MAX, "name the file of the step before"))
    except EncodingError as error:
        raise UsageError(f"{path}: {error}") from None
