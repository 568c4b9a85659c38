"""Certificates of servers of this machine, made by the openssl program."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gridcore.serving.tls import TlsFiles


def own_certificate(folder: Path) -> TlsFiles:
    """A certificate for 127.0.0.1 that signs itself."""
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=node"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    out = ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run([*command.split(), *names, *out], check=True, capture_output=True)
    return files
