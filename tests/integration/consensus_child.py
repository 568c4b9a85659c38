"""Applies the blocks of a file by the real machine, and prints what each came to: started in other surroundings by its test.

``python -m tests.integration.consensus_child BLOCKS FOLDER``
"""

from __future__ import annotations

import sys
from pathlib import Path

from gridcore import cbor
from ledger.engines.cometbft import abci_pb2 as abci
from simulators.consensus.founding import Founding
from simulators.consensus.home import Home


def main(blocks: Path, folder: Path) -> None:
    """Print height, S_h, app hash and codes of each block."""
    powers, clock, requests = cbor.decode(blocks.read_bytes(), items_max=1 << 20)
    home = Home(Founding(tuple(powers), clock), 0, folder)
    machine = home.open()
    assert home.ledger is not None
    for data in requests:
        request = abci.FinalizeBlockRequest.FromString(data)
        answer = machine.finalize_block(request)
        machine.commit(abci.CommitRequest())
        codes = [result.code for result in answer.tx_results]
        print(request.height, home.ledger.digest(request.height).hex(), answer.app_hash.hex(), codes)
    home.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
