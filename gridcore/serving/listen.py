"""Where a server answers, as its configuration says it: host, port and, for TLS, its certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gridcore.errors import UsageError
from gridcore.serving.ports import is_loopback
from gridcore.serving.tls import TlsFiles


@dataclass(frozen=True)
class Listen:
    """Where a server answers. ``certificate`` and ``certificate_key`` (PEM; both or none): with TLS. Plain HTTP is for one
    machine alone, or for a proxy with TLS before it.
    """

    host: str = field(default="127.0.0.1", metadata={"min": 1, "max": 255})
    port: int = field(default=0, metadata={"min": 0, "max": 65_535})
    certificate: Path | None = None
    certificate_key: Path | None = None

    def __post_init__(self) -> None:
        """A rule over two fields. UsageError names the keys."""
        if (self.certificate is None) != (self.certificate_key is None):
            raise UsageError("listen.certificate and listen.certificate_key go together; give both or none")

    @property
    def tls(self) -> TlsFiles | None:
        """What the server proves itself by; None for plain HTTP."""
        if self.certificate is None or self.certificate_key is None:
            return None
        return TlsFiles(self.certificate, self.certificate_key)

    @property
    def is_open_to_readers(self) -> bool:
        """Whether what is answered can be read on the way, unless a proxy with TLS stands before the server."""
        return self.tls is None and not is_loopback(self.host)


@dataclass(frozen=True)
class MutualListen:
    """Where a server answers by mutual TLS: nobody comes in without a certificate by ``client_authority``, whose common name is
    whom the client may speak for.
    """

    port: int = field(metadata={"min": 0, "max": 65_535})
    certificate: Path
    certificate_key: Path
    client_authority: Path
    host: str = field(default="127.0.0.1", metadata={"min": 1, "max": 255})

    @property
    def tls(self) -> TlsFiles:
        """What the server proves itself by, and whom it lets in."""
        return TlsFiles(self.certificate, self.certificate_key, self.client_authority)
