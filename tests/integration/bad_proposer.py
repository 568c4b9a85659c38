"""A node whose proposals are wrong, each time in another way; all else of it is as it should be. Its file is run instead of ``gridledger``.

``python bad_proposer.py node run --config node.toml``; it says on stderr what it proposes at which height.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Final

from gridcore.header import decode_header
from gridcore.logs import get_logger
from gridledger.cli import main
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.engines.cometbft.machine import Machine
from ledger.engines.cometbft.payloads import NOTHING_INJECTED, Injected, decode_injected

Trick = Callable[[Injected, list[bytes]], list[bytes]]

REFUSED: Final[dict[str, Trick]] = {
    "too few signatures": lambda first, rest: [first._replace(certificate=first.certificate[:2]).encode(), *rest],
    "no signatures": lambda first, rest: [first._replace(certificate=[]).encode(), *rest],
    "a spoilt signature": lambda first, rest: [_with_spoilt_signature(first).encode(), *rest],
    "a certificate of another header": lambda first, rest: [_of_another_header(first).encode(), *rest],
    "refused bytes first": lambda first, rest: [b"refused", first.encode(), *rest],
    "refused bytes behind the certificate": lambda first, rest: [first.encode(), b"refused", *rest],
    "nothing in front of its transactions": lambda _, rest: rest,
}
"""What no validator accepts, by name."""
TAKEN: Final[dict[str, Trick]] = {
    "no certificate": lambda _, rest: [NOTHING_INJECTED.encode(), *rest],
    "one signature less": lambda first, rest: [first._replace(certificate=first.certificate[1:]).encode(), *rest],
}
"""What a proposer may do, though it could do better."""

log = get_logger(__name__)


def _with_spoilt_signature(first: Injected) -> Injected:
    (key, signature), *others = first.certificate
    return first._replace(certificate=[(key, signature[::-1]), *others])


def _of_another_header(first: Injected) -> Injected:
    return first._replace(header=replace(decode_header(first.header), state_root=bytes(32)).encode())


def plant() -> None:
    """Have every machine of this process propose so."""
    prepare, tricks = Machine.prepare_proposal, cycle((TAKEN | REFUSED).items())

    def prepare_wrongly(machine: Machine, request: abci.PrepareProposalRequest) -> abci.PrepareProposalResponse:
        right = prepare(machine, request)
        first = decode_injected(right.txs[0])
        if first is None or len(first.certificate) < 4:
            return right  # every trick spoils a full certificate
        trick, spoil = next(tricks)
        log.error("proposes", height=request.height, trick=trick)
        return abci.PrepareProposalResponse(txs=spoil(first, list(right.txs[1:])))

    setattr(Machine, "prepare_proposal", prepare_wrongly)  # noqa: B010 - a method is replaced on purpose


if __name__ == "__main__":
    plant()
    sys.exit(main(sys.argv[1:]))
