"""A software TPM (swtpm) on a Unix socket, with an endorsement certificate by an authority of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gridcore.tpm.wire import Tpm, TpmError
from tests.external import needs
from tests.waiting import wait_until

INSTALLED_BY = "apt-get install swtpm swtpm-tools"
NEEDS_SWTPM = needs("swtpm", INSTALLED_BY)


@dataclass
class SoftwareTpm:
    """``socket``: where it answers; ``authority``: who signed its endorsement certificate (PEM), with what stands above."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "tpm.sock"

    @property
    def authority(self) -> Path:
        return self.folder / "authorities.pem"

    def start(self) -> None:
        """Start it, as a machine does at boot."""
        self.process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'state'}"),
                *("--server", f"type=unixio,path={self.socket}", "--ctrl", f"type=unixio,path={self.folder / 'ctrl'}"),
                *("--flags", "startup-clear"),
            ],
            stderr=subprocess.DEVNULL,
        )
        wait_until(self.is_listening, "swtpm listens")

    def is_listening(self) -> bool:
        """Whether it takes a connection: the socket is there a moment before."""
        try:
            Tpm(self.socket).__exit__()
        except TpmError:
            return False
        return True

    def stop(self) -> None:
        """Cut its power."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.socket.unlink(missing_ok=True)


@contextmanager
def software_tpm(folder: Path) -> Iterator[SoftwareTpm]:
    """A new TPM, manufactured and running; ended at the end."""
    tpm = SoftwareTpm(folder)
    (folder / "state").mkdir(parents=True)
    (folder / "ca").mkdir()
    (folder / "localca.conf").write_text(
        f"statedir = {folder / 'ca'}\nsigningkey = {folder / 'ca/signkey.pem'}\n"
        f"issuercert = {folder / 'ca/issuercert.pem'}\ncertserial = {folder / 'ca/certserial'}\n"
    )
    (folder / "localca.options").write_text("--platform-manufacturer T\n--platform-version 1\n--platform-model T\n")
    (folder / "setup.conf").write_text(
        "create_certs_tool = /usr/bin/swtpm_localca\n"
        f"create_certs_tool_config = {folder / 'localca.conf'}\n"
        f"create_certs_tool_options = {folder / 'localca.options'}\n"
    )
    subprocess.run(
        [
            *("swtpm_setup", "--tpm2", "--tpmstate", os.fspath(folder / "state"), "--create-ek-cert"),
            *("--config", os.fspath(folder / "setup.conf")),
        ],
        check=True,
        capture_output=True,
    )
    roots = [folder / "ca" / name for name in ("issuercert.pem", "swtpm-localca-rootca-cert.pem")]
    tpm.authority.write_bytes(b"".join(path.read_bytes() for path in roots))
    tpm.start()
    try:
        yield tpm
    finally:
        tpm.stop()


@contextmanager
def changed_answers(tpm: SoftwareTpm, place: Path, change: Callable[[int, bytes], bytes]) -> Iterator[Path]:
    """A socket before a TPM that gives its answers changed: ``change(command code, answer)``. For TPMs that are otherwise."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(place))
        listening.listen(1)
        thread = threading.Thread(target=_pass_on, args=(tpm.socket, listening, change))
        thread.start()
        try:
            yield place
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _pass_on(real: Path, listening: socket.socket, change: Callable[[int, bytes], bytes]) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(ConnectionError):
            server.connect(os.fspath(real))
            while command := client.recv(4096):
                server.sendall(command)
                answer = server.recv(4096)
                client.sendall(change(struct.unpack_from(">HII", command)[2], answer))
