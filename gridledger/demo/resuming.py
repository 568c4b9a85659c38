"""A run that was killed goes on: what its folder keeps for that, and how far it had come.

``run/begun.json`` is the first file of a folder and says what is run; ``run/signers.keys`` comes when all is laid out; ``run/boundary`` and
``run/orders`` follow the day. Each is written whole or not at all, so a run may be killed at any moment.
"""

from __future__ import annotations

import json
import shutil
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gridcore.cbor import decode, encode
from gridcore.errors import GridError, UsageError
from gridcore.files import replace_file, save_new
from gridcore.sm import SigningKey
from gridledger.demo.nodes import place_nodes
from gridledger.demo.scene import Scene, backend_of, signer_names
from gridledger.founding.folder import take_folder, write_new
from gridledger.settling.dataset import Dataset
from gridledger.simulating.begun import BEGUN, decided_by
from gridledger.simulating.manifest import FILES
from gridledger.simulating.manifest import NAME as MANIFEST
from ledger.store.directory import load_genesis
from simulators.grid.world import World
from simulators.scenarios.gallery import Found

KEYS: Final = "signers.keys"
BOUNDARY: Final = "boundary"
ORDERS: Final = "orders"
SCALAR_BYTES: Final = 32
ENDED_WITHIN_S: Final = 30.0
"""So long the processes of a run that was killed may take to end; they are told as soon as it is gone."""
POLL_S: Final = 0.05
_OTHERS: Final = ("trust.json", "scenario.toml", "grid.csv", "verify.py", "sample.book", MANIFEST)


class Journal:
    """How far a run has come, in its ``run`` folder."""

    def __init__(self, run_dir: Path) -> None:
        self._boundary = run_dir / BOUNDARY
        self._orders = run_dir / ORDERS

    @property
    def has_begun(self) -> bool:
        """Whether anything was handed to the ledger."""
        return self._orders.exists()

    def boundary_index(self) -> int | None:
        """The boundary that meters showed last, or were about to; None before the first one."""
        return int(self._boundary.read_text()) if self._boundary.exists() else None

    def note_boundary(self, boundary_index: int) -> None:
        """Say that meters are about to show a boundary."""
        _put(self._boundary, str(boundary_index).encode())

    def orders(self, slot_index: int) -> list[bytes] | None:
        """The signed orders of a slot where handing them over had begun, so that the same ones are sent again."""
        if not self._orders.exists():
            return None
        slot, wires = decode(self._orders.read_bytes())
        return list(wires) if slot == slot_index else None

    def note_orders(self, slot_index: int, wires: Sequence[bytes]) -> None:
        """Keep the orders of a slot before they are handed over."""
        _put(self._orders, encode([slot_index, list(wires)]))


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all, also where this process is killed; not worth a flush of the disk at each slot."""
    made = path.with_name(f"{path.name}.new")
    made.unlink(missing_ok=True)
    write_new(made, data)
    made.replace(path)


def begin(out: Path, found: Found) -> None:
    """Say in ``out``, absent or an empty folder, what is run there. UsageError where it is neither."""
    run_dir = take_folder(out, "gridledger simulate run: --out") / "run"
    run_dir.mkdir()
    save_new(run_dir / BEGUN, _identity(found))


def keep(scene: Scene, world: World) -> None:
    """Keep what a later process cannot know of a scene that is laid out: keys of simulated signers, as private as the files beside them."""
    scalars = b"".join(scene.keys[name].reveal_scalar() for name in signer_names(world))
    replace_file(scene.run_dir / KEYS, scalars)


def is_begun(out: Path, found: Found) -> bool:
    """Whether ``out`` holds a run that is laid out. What a killed run left of one that is not is taken away.

    UsageError where it holds something else, or another run.
    """
    begun = out / "run" / BEGUN
    if not out.exists() or not any(out.iterdir()):
        return False
    if not begun.exists():
        what = "holds no run that was killed; name its folder, or an absent or empty one"
        raise UsageError(f"gridledger simulate run: --out {out}: {what}")
    if begun.read_bytes() != _identity(found):
        what = "was begun with another scenario, grid, rules or seed; give those with --resume"
        raise UsageError(f"gridledger simulate run: --out {out}: {what}")
    _wait_for_the_end(out / "run")
    for name in (*FILES, *_OTHERS):
        (out / name).unlink(missing_ok=True)
        (out / name).with_suffix(".parquet").unlink(missing_ok=True)
    for sample in out.glob("sample*.evd"):
        sample.unlink()
    if (out / "run" / KEYS).exists():
        return True
    for place in place_nodes(out, found.scenario.consortium, lambda _: 0):
        shutil.rmtree(place.data_dir, ignore_errors=True)
    shutil.rmtree(out / "run")
    return False


def find_scene(out: Path, world: World, terms: Dataset) -> Scene:
    """The scene that ``keep`` kept, without pages. GridError where its files are not whole."""
    run_dir, names = out / "run", signer_names(world)
    scalars = (run_dir / KEYS).read_bytes()
    if len(scalars) != SCALAR_BYTES * len(names):
        raise GridError(f"{run_dir / KEYS}: is not whole; begin anew in another folder")
    each = {name: scalars[at * SCALAR_BYTES :][:SCALAR_BYTES] for at, name in enumerate(names)}
    keys = {name: SigningKey.from_scalar(scalar, backend_of(world, name)) for name, scalar in each.items()}
    places = place_nodes(out, world.scenario.consortium, lambda name: _port_in(run_dir / f"{name}.toml"))
    return Scene(out, run_dir, load_genesis(places[0].data_dir), keys, places, None, terms)


def _port_in(config: Path) -> int:
    """Where a node listens."""
    return int(tomllib.loads(config.read_text())["listen"]["port"])


def _identity(found: Found) -> bytes:
    return json.dumps(decided_by(found)).encode()


def _wait_for_the_end(run_dir: Path) -> None:
    """Wait until no process of the run is left. GridError when one does not end."""
    give_up = time.monotonic() + ENDED_WITHIN_S
    for pid_file in run_dir.glob("*.pid"):
        while _is_of(run_dir, int(pid_file.read_text() or 0)):
            if time.monotonic() > give_up:
                raise GridError(f"{pid_file}: process {pid_file.read_text().strip()} of this run still goes on; end it")
            time.sleep(POLL_S)


def _is_of(run_dir: Path, pid: int) -> bool:
    """Whether a process is there and its command names a file of this run."""
    try:
        return str(run_dir).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
