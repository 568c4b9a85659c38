"""``gridledger node audit``: who did what on a chain, asked of a node."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridcore.column import I64_MAX
from gridcore.forms import INSTANT, Form
from gridledger.commands import Actions, print_result, whole_number

if TYPE_CHECKING:
    from ledger.client import Client


def declare(actions: Actions) -> None:
    """Declare ``audit``."""
    audit = actions.add_parser("audit", help="who did what to registry, keys, epochs and clock")
    audit.add_argument("--url", required=True, metavar="URL", help="of the node")
    audit.add_argument(
        "--authority", type=Path, metavar="FILE", help="https: certificates (PEM) to believe instead of this machine's"
    )
    audit.add_argument(
        "--signer", required=True, metavar="NAME", help="who asks: of role utility, regulator or administrator"
    )
    audit.add_argument("--key", required=True, metavar="URI", help="its key, file:PATH")
    audit.add_argument("--password", required=True, metavar="REF", help="of the key, file:PATH or env:NAME")
    audit.add_argument("--organisation", metavar="NAME", help="of this organisation alone")
    audit.add_argument(
        "--after-height",
        type=whole_number(0, I64_MAX),
        default=0,
        metavar="HEIGHT",
        help="only blocks after this one",
    )


@dataclass(frozen=True)
class Act:
    """One transaction, as a node tells it. time_s: of its block; what: its body, None where that was pruned."""

    height: int
    time_s: int
    organisation: str | None
    signer: str
    kind: str
    name: str
    what: Mapping[str, Any] | None


def run(args: argparse.Namespace) -> int:
    """Print every act, oldest first."""
    from gridcore.signers import open_signer
    from ledger.client import run_with_client

    async def ask(client: Client) -> list[Act]:
        acts: list[Act] = []
        asked = {} if args.organisation is None else {"organisation": args.organisation}
        after = args.after_height
        while True:
            height, newest, more = _decode(await client.query("audit", after_height=after, **asked), args.url)
            acts += more
            if not after < height < newest:
                return acts
            after = height

    signer = open_signer(args.key, args.password, origin="--key")
    acts = run_with_client(args.url, ask, signer_id=args.signer, signer=signer, authority=args.authority)
    print_result(args, {"acts": [asdict(act) for act in acts]}, "\n".join(map(_line, acts)))
    return 0


def _decode(answer: Any, url: str) -> tuple[int, int, list[Act]]:
    """Up to which height it tells, the newest one, and the acts. AnswerMalformed for anything else."""
    from gridcore.forms import LINE
    from ledger.client import COUNT, LIST, read_field

    def act_of(value: Any) -> Act:
        return Act(
            height=read_field(value, "height", COUNT, url),
            time_s=read_field(value, "time_s", INSTANT, url),
            organisation=read_field(value, "organisation", _maybe(LINE), url),
            signer=read_field(value, "signer", LINE, url),
            kind=read_field(value, "kind", LINE, url),
            name=read_field(value, "name", LINE, url),
            what=read_field(value, "what", _WHAT, url),
        )

    acts = [act_of(value) for value in read_field(answer, "acts", LIST, url)]
    return read_field(answer, "height", COUNT, url), read_field(answer, "newest", COUNT, url), acts


def _maybe(form: Form) -> Form:
    return Form(f"{form.words}, or null", lambda value: value is None or form.holds(value))


_WHAT: Final = Form("an object, or null", lambda value: value is None or isinstance(value, dict))


def _line(act: Act) -> str:
    """An act for people: height, block time, who, what, and whether it was taken."""
    at = datetime.fromtimestamp(act.time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"{act.height} {at} {act.organisation or '?'}/{act.signer} {act.kind} {act.name} {_said(act.what)}"


def _said(what: Mapping[str, Any] | None) -> str:
    if what is None:
        return "(pruned)"
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=True)}" for name, value in sorted(what.items()))
