"""Which SM2 backend works here: loaded by name, tested once, the default chosen once and logged."""

from __future__ import annotations

import functools
import os
from typing import Final

from gridcore.errors import UsageError
from gridcore.logs import get_logger
from gridcore.sm.backend import Backend, SmBackendError, check_known_answers
from gridcore.sm.libcrypto import LIBRARY_VARIABLE as LIBCRYPTO_VARIABLE
from gridcore.sm.libcrypto import LibcryptoBackend
from gridcore.sm.libgmssl import LIBRARY_VARIABLE as LIBGMSSL_VARIABLE
from gridcore.sm.native import LIBRARY as NATIVE_LIBRARY
from gridcore.sm.native import NativeBackend

BACKEND_NAMES: Final = (
    "libcrypto",
    "python",
    "gmssl",
    *(("native",) if NATIVE_LIBRARY.exists() else ()),
    *(("libgmssl",) if LIBGMSSL_VARIABLE in os.environ else ()),
)
"""libcrypto signs; native verifies where set-up has built it, else libcrypto, and python where that is missing; gmssl only cross-checks;
libgmssl, or the libcrypto that is named, verifies where the environment names it.
"""


@functools.cache
def load_backend(name: str) -> Backend:
    """The backend ``name`` after its known-answer test; SmBackendError when it is missing or fails, each time anew."""
    backend: Backend
    if name == "libcrypto":
        backend = LibcryptoBackend()
    elif name == "python":
        from gridcore.sm.pure import PythonBackend

        backend = PythonBackend()
    elif name == "native":
        backend = NativeBackend()
    elif name == "libgmssl":
        from gridcore.sm.libgmssl import LibgmsslBackend

        backend = LibgmsslBackend()
    elif name == "gmssl":
        from gridcore.sm.gmssl_check import GmsslBackend

        backend = GmsslBackend()
    else:
        raise UsageError(f"unknown SM2 backend {name!r}: one of {', '.join(BACKEND_NAMES)}")
    check_known_answers(backend)
    return backend


@functools.cache
def verifying_backend() -> Backend:
    """What the environment names, else the native kernel, else libcrypto, or plain Python with a warning in the log.

    All give the same verdicts. SmBackendError where the library that the operator named is of no use.
    """
    log = get_logger(__name__)
    if LIBGMSSL_VARIABLE in os.environ:
        backend = load_backend("libgmssl")
        log.info("sm2_backend_chosen", backend=backend.name, version=backend.version)
        return backend
    try:
        backend = _native_or_libcrypto() if LIBCRYPTO_VARIABLE not in os.environ else load_backend("libcrypto")
    except SmBackendError as error:
        backend = load_backend("python")
        log.warning("sm2_verification_falls_back", backend=backend.name, version=backend.version, reason=str(error))
        return backend
    log.info("sm2_backend_chosen", backend=backend.name, version=backend.version)
    return backend


def simulating_backend() -> Backend:
    """For keys of simulated signers, which are nobody's: the native kernel, which is not constant time, else libcrypto. SmBackendError without both."""
    return _native_or_libcrypto()


def _native_or_libcrypto() -> Backend:
    try:
        return load_backend("native")
    except SmBackendError:
        return load_backend("libcrypto")


def encrypting_backend() -> LibcryptoBackend:
    """The libcrypto backend, which alone encrypts. SmBackendError where it is missing."""
    backend = signing_backend()
    if not isinstance(backend, LibcryptoBackend):
        raise SmBackendError(f"{backend.name} does not encrypt")
    return backend


def signing_backend() -> Backend:
    """The libcrypto backend. SmBackendError where it is missing: no key falls back to code that is not constant time."""
    try:
        return load_backend("libcrypto")
    except SmBackendError as error:
        raise SmBackendError(f"no backend to sign with: {error}") from error
