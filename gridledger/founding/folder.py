"""A folder that is filled with new files alone.

Others may be able to write where it lies. A file is made, never opened where one stands or a link leads elsewhere; what has
parts of its own (``run/``, ``ledger/``, ``keys/``) is a new folder, which is ours.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from gridcore.errors import UsageError
from gridcore.files import save_new
from gridcore.signers import save_key
from gridcore.sm import SigningKey


def take_folder(out: Path, argument: str) -> Path:
    """Make ``out``, or take it where it is empty; UsageError naming ``argument`` when it is neither."""
    if out.is_symlink():
        raise UsageError(f"{argument} {out}: is a link; name the folder itself")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{argument} {out}: is not empty; name an absent or an empty folder")
    out.mkdir(mode=0o755, parents=True, exist_ok=True)
    return out.resolve()


def write_new(path: Path, content: str | bytes) -> None:
    """Make the file ``path``. FileExistsError when something stands there, be it a link that leads nowhere."""
    with path.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def save_key_and_password(folder: Path, name: str, key: SigningKey) -> None:
    """Encrypted PKCS#8 and its password, in files that only their owner may read: ``<name>.pem``, ``<name>.password``."""
    password = secrets.token_hex(16).encode()
    save_new(folder / f"{name}.password", password)
    save_key(folder / f"{name}.pem", key, password)
