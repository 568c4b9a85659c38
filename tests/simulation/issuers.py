"""Certificates for signers, as their organisations' authorities issue them, and as they should not."""

from __future__ import annotations

import random
from typing import Any

from gridcore.registry.organisation import ROLES
from gridcore.x509 import Subject, decode_certificate, issue
from tests.twin.twin import Twin
from tests.worlds.keys import key, sign_cheaply

Content = dict[str, Any]
DAY_S = 86_400


class Issuers:
    """One authority an organisation, which it registers and gives up again; certificates cheaply signed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.organisations: set[str] = set()
        """Those that have an authority now."""

    def learn(self, twin: Twin) -> None:
        """Which organisations have one."""
        keys = [leaf for leaf in twin.leaves if leaf.startswith("organisation/")]
        self.organisations = {key.split("/")[1] for key in keys if "authority" in (twin.in_force(key) or {})}

    def organisation_row(self) -> tuple[str, Content]:
        """An organisation with an authority, or without one again."""
        name = self.rng.choice(["dso", "dso", "reg", "nobody"])
        value: Content = {"roles": list(ROLES), "title": f"The {name}"}
        if self.rng.random() < 0.7:
            value["authority"] = (
                self.authority(name) if self.rng.random() < 0.9 else self.certificate("x", "x", name, 0)
            )
        return f"organisation/{name}", value

    def add_to(self, value: Content, name: str, hand: str, now_s: int) -> None:
        """Give a signer's row the certificate that its organisation asks for, mostly the right one."""
        rng, organisation = self.rng, value["organisation"]
        if "public_key" not in value or rng.random() > (0.9 if organisation in self.organisations else 0.03):
            return
        value["certificate"] = self.certificate(
            name if rng.random() < 0.95 else "another",
            hand if rng.random() < 0.95 else "another",
            organisation if rng.random() < 0.95 else "another",
            now_s + rng.choice([DAY_S, DAY_S, DAY_S, 1_800, -1]),
        )

    def authority(self, organisation: str) -> bytes:
        """An authority's own certificate."""
        hand = f"ca of {organisation}"
        subject = Subject(hand, key(hand).public_key, 0, 2**33, is_authority=True)
        return issue(1, b"", subject, lambda signed: sign_cheaply(hand, signed))

    def certificate(self, name: str, hand: str, organisation: str, not_after_s: int) -> bytes:
        """A signer's, by the authority of an organisation, up to ``not_after_s``."""
        subject = Subject(name, key(hand).public_key, 0, max(0, not_after_s))
        issuer = self.issuer(organisation)
        return issue(2, issuer, subject, lambda signed: sign_cheaply(f"ca of {organisation}", signed))

    def issuer(self, organisation: str) -> bytes:
        """The name of an authority (DER)."""
        return decode_certificate(self.authority(organisation)).subject
