"""What a gateway's agent pays: signatures by a software key and by a TPM (swtpm), and batches into the outbox with synchronous=FULL.

The bound of signatures is the library's call alone; that of the outbox is a bare SQLite table that commits the same bytes as often.
"""

from __future__ import annotations

import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from benchmarks.influxd import find_program
from gridcore.errors import GridError
from gridledger.bench import Benchmark, Measurement, best_seconds

SIGNATURES = 400
MESSAGE = bytes(300)
BATCHES = 240
GROUP = 8
METERS = 50
ROUNDS = 3
START_S_MAX = 30
SLOT_S = 900


def _sign_all(sign: Callable[[bytes], bytes]) -> Callable[[], None]:
    def work() -> None:
        for _ in range(SIGNATURES):
            sign(MESSAGE)

    return work


def _edge_sign() -> Measurement:
    """By the encrypted key file of a gateway, opened once; 300 bytes a message, one thread."""
    from gridcore.signers import make_key, open_signer
    from gridcore.sm.registry import signing_backend

    with tempfile.TemporaryDirectory(prefix="edge-sign-") as name:
        password = Path(name) / "password"
        password.write_text("benchmark")
        password.chmod(0o600)
        make_key(f"file:{name}/key.pem", f"file:{password}")
        signer = open_signer(f"file:{name}/key.pem", f"file:{password}")
    seconds = best_seconds(_sign_all(signer.sign), ROUNDS)
    backend = signing_backend()
    _, handle = backend.open_key((7).to_bytes(32, "big"))
    from gridcore.sm import DISTINGUISHING_ID

    bound = best_seconds(_sign_all(lambda message: backend.sign(handle, message, DISTINGUISHING_ID)), ROUNDS)
    return Measurement(SIGNATURES, seconds, "the same signatures by libcrypto alone", bound)


def _edge_sign_tpm2() -> Measurement:
    """By an SM2 key inside a software TPM, a connection for each signature."""
    from gridcore.signers import make_key, open_signer

    with _running_swtpm() as place:
        uri = f"tpm2:0x81000010?tpm={place}"
        make_key(uri)
        seconds = best_seconds(_sign_all(open_signer(uri).sign), ROUNDS)
    return Measurement(SIGNATURES, seconds)


def _is_listening(place: Path) -> bool:
    from gridcore.tpm.wire import Tpm, TpmError

    try:
        with Tpm(place):
            return True
    except TpmError:
        return False


@contextmanager
def _running_swtpm() -> Iterator[Path]:
    program = find_program("swtpm")
    if program is None:
        raise GridError("swtpm is missing; run: apt-get install swtpm")
    with tempfile.TemporaryDirectory(prefix="swtpm-") as name:
        place = Path(name) / "tpm.sock"
        options = ["--tpmstate", f"dir={name}", "--server", f"type=unixio,path={place}", "--flags", "startup-clear"]
        process = subprocess.Popen(
            [program, "socket", "--tpm2", *options, "--ctrl", f"type=unixio,path={name}/ctrl"],
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline_s = time.monotonic() + START_S_MAX
            while not _is_listening(place):
                if time.monotonic() > deadline_s:
                    raise GridError(f"swtpm did not start within {START_S_MAX} s")
                time.sleep(0.01)
            yield place
        finally:
            process.kill()
            process.wait()


def _outbox() -> Measurement:
    """Batches of 50 meters, signed beforehand, 8 in a commit, and their receipts in groups of as many."""
    from edge.batches import BatchMaker
    from edge.outbox import Entry, Outbox
    from edge.outbox_file import QueuedBatch, create_outbox
    from edge.progress import Progress
    from gridcore.sm import SigningKey
    from gridcore.transactions.reading_batch import ClockState
    from gridcore.transactions.readings import Reading

    maker = BatchMaker("gw", "chain-0123456789abcdef", SigningKey.generate(), "bench/1", bytes(32), bytes(32))
    readings = [Reading(number, 0, 0, 1000 + number, 0) for number in range(METERS)]
    made: list[QueuedBatch] = []
    progress = Progress("gw", maker.chain, 1)
    for number in range(BATCHES):
        made.append(maker.make((number + 1) * SLOT_S, readings, progress, ClockState(0, "synced")))
        progress = Progress("gw", maker.chain, 1, number + 1, made[-1].id)
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="outbox-") as name:

        def work() -> None:
            path = Path(name) / f"{next(numbers)}.sqlite"
            create_outbox(path, Progress("gw", maker.chain, 1))
            with closing(Outbox.open(path, gateway="gw", chain=maker.chain)) as outbox:
                for at in range(0, BATCHES, GROUP):
                    group = made[at : at + GROUP]
                    outbox.store([Entry(one.boundary_s, lambda _, one=one: one) for one in group])  # type: ignore[misc]  # a default binds the loop's value
                    outbox.acknowledge([one.counter for one in group], at + 1, bytes(32))

        def bare() -> None:
            with closing(sqlite3.connect(Path(name) / f"{next(numbers)}.bare", isolation_level=None)) as connection:
                connection.executescript(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE b(n, wire)"
                )
                for at in range(0, BATCHES, GROUP):
                    connection.execute("BEGIN")
                    rows = [(one.counter, one.wire) for one in made[at : at + GROUP]]
                    connection.executemany("INSERT INTO b VALUES (?, ?)", rows)
                    connection.execute("COMMIT")
                    connection.execute("DELETE FROM b WHERE n <= ?", (at + GROUP,))

        seconds, bound = best_seconds(work, ROUNDS), best_seconds(bare, ROUNDS)
    return Measurement(BATCHES, seconds, "a bare SQLite table, the same bytes and commits", bound)


BENCHMARKS: dict[str, Benchmark] = {
    "edge_sign": _edge_sign,
    "edge_sign/tpm2": _edge_sign_tpm2,
    "outbox": _outbox,
}
