"""Where the time series are kept: the table ``[series]`` of a process's TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gridcore.errors import UsageError, excerpt

MEBIBYTE = 1024 * 1024
SIZE_MIB_MIN, SIZE_MIB_MAX = 1, 16 * 1024 * 1024
EMBEDDED, INFLUXDB = "embedded", "influxdb"
_KEYS_OF = {EMBEDDED: ("path",), INFLUXDB: ("url", "org", "bucket", "token")}


@dataclass(frozen=True)
class SeriesConfig:
    """``kind``: "embedded" (a SQLite file at ``path``, at most ``size_mib_max`` MiB), or "influxdb" (version 2 at ``url``:
    its organisation, bucket and a reference to the token).
    """

    kind: str = field(default=EMBEDDED, metadata={"choices": tuple(_KEYS_OF)})
    path: Path | None = None
    size_mib_max: int = field(default=64 * 1024, metadata={"min": SIZE_MIB_MIN, "max": SIZE_MIB_MAX})
    url: str | None = field(default=None, metadata={"min": 1, "max": 1_000})
    org: str | None = field(default=None, metadata={"min": 1, "max": 200})
    bucket: str | None = field(default=None, metadata={"min": 1, "max": 200})
    token: str | None = field(default=None, metadata={"secret": True})

    def __post_init__(self) -> None:
        for kind, keys in _KEYS_OF.items():
            for key in keys:
                is_given = getattr(self, key) is not None
                if is_given != (kind == self.kind):
                    what = f"{key} is missing" if kind == self.kind else f"{key} belongs to kind = '{kind}'"
                    raise UsageError(f"{what}; kind = '{self.kind}' takes {', '.join(_KEYS_OF[self.kind])}")
        if self.url is not None:
            check_influxdb_url(self.url)


def check_influxdb_url(url: str) -> None:
    """UsageError unless ``url`` is ``http://HOST:PORT`` or https, perhaps with a path; user names do not belong into it."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a malformed port, an open bracket
        is_whole = False
    if not is_whole or not url.isprintable() or " " in url or "@" in url or parts.query or parts.fragment:
        shown = "" if "@" in url else f" {excerpt(url)}"  # a password in it stays out of logs
        raise UsageError(f"url{shown}: write http://HOST:PORT or https://HOST:PORT, the token under 'token'")
