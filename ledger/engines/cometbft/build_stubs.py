"""Makes ``abci_pb2.py`` and its types of ``abci.proto``, which are committed: a node needs protobuf alone.

python -m ledger.engines.cometbft.build_stubs
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grpc_tools import protoc

from gridcore.errors import require

REPOSITORY: Final = Path(__file__).resolve().parents[3]
PROTO: Final = "ledger/engines/cometbft/abci.proto"


def build_stubs(folder: Path) -> None:
    """Write the stubs below ``folder``, at the same places as in the repository."""
    command = ["protoc", f"--proto_path={REPOSITORY}", f"--python_out={folder}", f"--pyi_out={folder}", PROTO]
    require(protoc.main(command) == 0, "abci.proto is well-formed")


if __name__ == "__main__":
    build_stubs(REPOSITORY)
