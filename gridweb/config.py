"""The configuration of the pages: a part of ``web.toml`` (``gridledger serve --config web.toml``).

[web]
demo = false                         # true: sign in without a password; loopback and a simulated chain only
users = "users.db"                   # made by: gridledger serve --config web.toml --add-user NAME --role ROLE
people = "people.db"                 # made by: gridledger people add; without: pages show pseudonyms alone
book = "book"                        # made by: gridledger settle issue; without: pages show no documents that were issued
trust = "trust.json"                 # the trust root that visitors download to check bundles with
public_url = "https://…"             # what a browser shows; https makes cookies "Secure"
proxies = 1                          # proxies of ours in front, each adding to X-Forwarded-For

[web.listen]
host = "127.0.0.1"
port = 7080
certificate = "pages-cert.pem"       # with certificate_key: TLS; without: plain HTTP
certificate_key = "pages-cert-key.pem"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridcore.serving.listen import Listen

PORT_DEFAULT: Final = 7080


@dataclass(frozen=True)
class ListenConfig(Listen):
    """Where pages are served."""

    port: int = field(default=PORT_DEFAULT, metadata={"min": 0, "max": 65_535})


@dataclass(frozen=True)
class WebConfig:
    """Pages. ``public_url``: the address in browsers, where it is not the one listened on; people: who stands behind pseudonyms; book: what was issued."""

    trust: Path
    users: Path = Path("users.db")
    people: Path | None = None
    book: Path | None = None
    demo: bool = False
    public_url: str | None = field(default=None, metadata={"schemes": ("http", "https"), "max": 255})
    proxies: int = field(default=0, metadata={"min": 0, "max": 8})
    listen: ListenConfig = field(default_factory=ListenConfig)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the pages by TLS, so that cookies are theirs alone."""
        return self.listen.tls is not None or (self.public_url or "").startswith("https:")
