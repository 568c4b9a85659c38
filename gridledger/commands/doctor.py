"""``gridledger doctor``: what this machine has and lacks for each part, with the command that would mend it."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gridcore.errors import UsageError
from gridledger.commands import print_result

EXAMPLE = "gridledger doctor --path /var/lib/gridledger"

FSYNC_ROUNDS = 20
FREE_BYTES_MIN = 1_000_000_000
EXTRAS = {
    "edge": ("paho", "httpx"),
    "node": ("numpy", "quart", "hypercorn", "httpx"),
    "web": ("quart", "hypercorn", "httpx", "jinja2", "babel", "argon2", "influxdb_client"),
    "sim": ("power_grid_model", "pymodbus", "paho", "amqtt"),
    "crosscheck": ("gmssl",),
}
PROGRAMS = {
    "mbpoll": "an independent Modbus client",
    "openssl": "an independent SM2 and keystore client",
    "mosquitto": "an MQTT broker",
    "chromium": "a browser",
    "chromedriver": "drives the browser",
}
BUILD_ROW_KERNEL = f"{sys.executable} -m gridledger.build_row_kernel"
PACKAGES = {"chromedriver": "chromium-driver"}
"""Debian packages that have another name than their program."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``state`` is "ok", "missing" (optional) or "broken" (nothing works without it)."""

    topic: str
    state: str
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--path``."""
    parser.add_argument(
        "--path", type=Path, default=Path(), metavar="DIR", help="folder whose disk is tried (default: here)"
    )


def run(args: argparse.Namespace) -> int:
    """Look at everything; 0 when nothing is broken, else 1."""
    if not args.path.is_dir():
        raise UsageError(f"--path {args.path}: is no folder; name an existing folder on the disk to try")
    findings = list(examine(args.path))
    signs = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}
    lines = [f"{signs[f.state]}  {f.topic}: {f.detail}" + (f"; {f.remedy}" if f.remedy else "") for f in findings]
    is_healthy = all(finding.state != "broken" for finding in findings)
    print_result(args, {"healthy": is_healthy, "findings": [asdict(finding) for finding in findings]}, "\n".join(lines))
    return 0 if is_healthy else 1


def examine(folder: Path) -> Iterator[Finding]:
    """Yield a finding for each topic; ``folder`` is where the disk is tried."""
    yield examine_python(sys.version_info[:3])
    for topic, check in (
        ("sm2", examine_sm2),
        ("sm3", examine_sm3),
        ("sm3 rows", examine_sm3_rows),
        ("sm4", examine_sm4),
    ):
        yield guarded(topic, check)
    for extra, modules in EXTRAS.items():
        yield examine_extra(extra, modules)
    for program, purpose in PROGRAMS.items():
        yield examine_program(program, purpose)
    yield examine_engine()
    yield guarded("pages", examine_pages)
    yield guarded("disk", lambda: examine_disk(folder))
    yield examine_fonts()


def guarded(topic: str, check: Callable[[], Finding]) -> Finding:
    """Return the check's finding, or ``topic`` "broken" with the error's line: a doctor does not fall ill."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the machine is the finding
        return Finding(topic, "broken", f"{type(error).__name__}: {error}")


def examine_python(version: tuple[int, ...]) -> Finding:
    """Python 3.11 or later."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Finding("python", "broken", text, "install Python 3.11 or later")
    return Finding("python", "ok", f"{text}, {os.cpu_count()} cores")


def examine_sm2() -> Finding:
    """SM2 in the system's libcrypto, found by the backend's own known-answer tests; pure Python stands in."""
    from gridcore.sm import load_backend, verifying_backend
    from gridcore.sm.libgmssl import LIBRARY_VARIABLE

    try:
        load_backend("libcrypto")
    except Exception as error:  # noqa: BLE001 - any failure to load means: not here
        load_backend("python")
        return Finding("sm2", "missing", f"libcrypto: {error}; pure Python stands in", "install OpenSSL 3.0 or later")
    if LIBRARY_VARIABLE in os.environ:
        return Finding("sm2", "ok", f"libcrypto signs, libgmssl verifies ({verifying_backend().version})")
    verifying = verifying_backend()
    found = load_backend("libcrypto").version
    return Finding(
        "sm2",
        "ok",
        found if verifying.name == "libcrypto" else f"{found} signs, our kernel verifies ({verifying.version})",
    )


def examine_sm3() -> Finding:
    """Which SM3 is in use for one message."""
    from gridcore.sm3 import BACKEND

    if BACKEND == "python":
        return Finding("sm3", "missing", "pure Python, slow", "use a Python whose hashlib has sm3")
    return Finding("sm3", "ok", BACKEND)


def examine_sm3_rows() -> Finding:
    """Which SM3 is in use for many rows: the native kernel, or one row at a time."""
    from gridcore.sm3 import ROWS, native

    if ROWS.name in native.KERNELS:
        return Finding("sm3 rows", "ok", ROWS.description)
    return Finding("sm3 rows", "missing", ROWS.description, f"{BUILD_ROW_KERNEL} (needs a C compiler)")


def examine_sm4() -> Finding:
    """SM4-GCM against RFC 8998, appendix A.1."""
    from gridcore.sm.sm4 import gcm_decrypt, gcm_encrypt

    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    nonce = bytes.fromhex("00001234567800000000abcd")
    associated_data = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plaintext = b"".join(bytes([octet]) * 8 for octet in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    sealed = gcm_encrypt(key, nonce, plaintext, associated_data)
    if sealed[-16:].hex() != "83de3541e4c2b58177e065a9bf7b62ec":
        return Finding("sm4", "broken", "SM4-GCM gives another tag than RFC 8998")
    gcm_decrypt(key, nonce, sealed, associated_data)
    return Finding("sm4", "ok", "cryptography")


def examine_extra(extra: str, modules: tuple[str, ...]) -> Finding:
    """Are the libraries of an extra installed."""
    lacking = [module for module in modules if importlib.util.find_spec(module) is None]
    if lacking:
        return Finding(f"[{extra}]", "missing", " ".join(lacking), f"pip install 'gridledger[{extra}]'")
    return Finding(f"[{extra}]", "ok", " ".join(modules))


def examine_program(program: str, purpose: str) -> Finding:
    """Is a program from outside on PATH."""
    path = shutil.which(program)
    if path is None:
        package = PACKAGES.get(program, program)
        return Finding(program, "missing", f"{purpose}; some tests need it", f"apt-get install {package}")
    return Finding(program, "ok", path)


def examine_engine() -> Finding:
    """The engine of a consortium: a version that this release works with."""
    from ledger.engines.cometbft.program import find_engine

    try:
        return Finding("cometbft", "ok", str(find_engine()))
    except UsageError as error:
        return Finding("cometbft", "missing", "engine of a consortium", str(error))


def examine_pages() -> Finding:
    """The files that browsers load and the fonts of PDF files: bundled by set-up, shipped in a wheel."""
    from gridweb.exports.pdf_file import check_fonts
    from gridweb.static_files import check_static_files, static_folder

    try:
        check_static_files()
        check_fonts()
    except UsageError as error:
        return Finding("pages", "missing", *str(error).rsplit("; ", 1))
    return Finding("pages", "ok", str(static_folder()))


def examine_disk(folder: Path) -> Finding:
    """Free room, and how long the disk takes to make a small write durable: every acknowledged batch waits for it."""
    free = shutil.disk_usage(folder).free
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".gridledger-doctor-") as file:
        start = time.perf_counter()
        for _ in range(FSYNC_ROUNDS):
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
        fsync_ms = (time.perf_counter() - start) * 1000 / FSYNC_ROUNDS
    detail = f"{folder.resolve()}: {free / 1e9:.1f} GB free, fsync {fsync_ms:.2f} ms"
    if free < FREE_BYTES_MIN:
        return Finding("disk", "broken", detail, "free at least 1 GB, or choose another disk with --path")
    return Finding("disk", "ok", detail)


def examine_fonts() -> Finding:
    """A font with Chinese characters, for printed reports."""
    program = shutil.which("fc-list")
    if program is None:
        return Finding("fonts", "missing", "fontconfig not installed", "apt-get install fontconfig fonts-noto-cjk")
    listed = subprocess.run([program, ":lang=zh", "family"], capture_output=True, text=True, check=False, timeout=30)
    families = sorted({line.split(",")[0] for line in listed.stdout.splitlines() if line})
    if not families:
        return Finding("fonts", "missing", "no font with Chinese characters", "apt-get install fonts-noto-cjk")
    return Finding("fonts", "ok", families[0])
