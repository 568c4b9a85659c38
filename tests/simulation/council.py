"""Proposals and votes from a seed: organisations that join and leave, contracts, versions, permissions, numbers; and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridcore import cbor
from gridcore.registry.organisation import ROLES
from gridcore.sm3 import sm3
from tests.simulation.generated_world import AUCTION, COMMUNITIES
from tests.twin.forms import KINDS
from tests.worlds.consortium import UTILITY
from tests.worlds.keys import key

if TYPE_CHECKING:
    from tests.simulation.generator import BlockMaker, Content, Wire
    from tests.twin.twin import Twin

FAR = 10**6
"""A height that no test reaches: from it on a node would need what it does not have."""


class Council:
    """Draws for one chain what its organisations ask one another, as ``maker`` signs it."""

    def __init__(self, maker: BlockMaker) -> None:
        self.maker = maker
        self.rng = maker.rng
        self.newcomers: list[str] = []
        """Administrators of organisations that were proposed."""

    def wires(self, twin: Twin) -> list[Wire]:
        """Some proposals and votes of one block."""
        rng, found = self.rng, []
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            found.append(self.propose(twin))
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            found.append(self.vote(twin))
        return found

    def administrator(self) -> str:
        """Who signs, mostly an administrator."""
        return self.rng.choice(["admin", "dso-admin", "reg-admin", "reg-admin", UTILITY, *self.newcomers[-3:]])

    def propose(self, twin: Twin) -> Wire:
        """A proposal of any sort; now and then of a form that is none, or open for too short or too long."""
        rng = self.rng
        draw = rng.choice(
            [
                self.joins,
                self.joins,
                self.leaves,
                self.key,
                self.contract,
                self.protocol,
                self.permission,
                self.numbers,
                self.validators,
            ]
        )
        action = draw(twin)
        if rng.random() < 0.1:
            self.spoil(action)
        open_s = rng.choice([3_600, 3_600, 7_200, 86_400, 31 * 86_400])
        if rng.random() < 0.05:
            open_s = rng.choice([3_599, 31 * 86_400 + 1, 0, -1])
        encoded = cbor.encode(action)
        if rng.random() < 0.04:
            encoded = rng.choice([b"", encoded + b"\x00", encoded[:-1], b"\xf6", bytes(49_152), bytes(49_153)])
        body = {"action": encoded, "open_until_s": max(0, self.maker.now_s + open_s)}
        return self.maker.wire("governance/propose", self.administrator(), self.maker.identity(), body)

    def vote(self, twin: Twin) -> Wire:
        """A vote on a proposal, mostly an open one and in favour."""
        rng = self.rng
        known = [leaf.partition("/")[2] for leaf in twin.leaves if leaf.startswith("proposal/")]
        opened = [name for name in known if twin.leaves[f"proposal/{name}"]["status"] == "open"]
        names = (opened if rng.random() < 0.9 else known) or [rng.randbytes(32).hex()]
        body: Content = {"in_favour": rng.random() < 0.75, "proposal": bytes.fromhex(rng.choice(names))}
        return self.maker.wire("governance/vote", self.administrator(), self.maker.identity(), body)

    # ------------------------------------------------------------------------------------------------------ actions

    def joins(self, twin: Twin) -> Content:
        """A new organisation with its administrator; now and then one of the two."""
        rng = self.rng
        name = f"org-{rng.randrange(4)}"
        roles = list(ROLES) if rng.random() < 0.8 else ["utility"]
        rows = [
            [f"organisation/{name}", {"roles": roles, "title": "A new one"}],
            self.signer_row(f"{name}-admin", name),
        ]
        if rng.random() < 0.1:
            rng.shuffle(rows)
        if rng.random() < 0.1:
            rows.pop()
        return self.membership(rows)

    def leaves(self, twin: Twin) -> Content:
        """An organisation that goes."""
        names = [key.split("/")[1] for key in twin.leaves if key.startswith("organisation/org-")]
        name = self.rng.choice([*names, *names, "reg", "dso", "nobody"])
        return self.membership([[f"organisation/{name}", {"removed": True}]])

    def key(self, twin: Twin) -> Content:
        """Another key of an administrator, or none any more."""
        rng = self.rng
        name, organisation = rng.choice([("admin", UTILITY), ("dso-admin", "dso"), ("reg-admin", "reg")])
        if rng.random() < 0.2:
            return self.membership([[f"signer/{name}", {"organisation": organisation, "revoked": True}]])
        return self.membership([self.signer_row(name, organisation)])

    def signer_row(self, name: str, organisation: str) -> list[Any]:
        """An administrator with one of a few keys, which from now on signs where the chain knows it."""
        hand = f"{name}+{self.rng.randrange(3)}"
        self.maker.keys[key(hand).public_key] = hand
        if name not in self.newcomers and organisation.startswith("org-"):
            self.newcomers.append(name)
        value = {"organisation": organisation, "public_key": key(hand).public_key, "roles": ["administrator"]}
        self.maker.issuers.add_to(value, name, hand, self.maker.now_s)
        return [f"signer/{name}", value]

    def membership(self, rows: list[list[Any]]) -> Content:
        """Rows of members."""
        return {"rows": rows, "seed": self.rng.randbytes(32), "sort": "membership"}

    def validators(self, twin: Twin) -> Content:
        """Another set: somebody joins or leaves, has another power or other keys; now and then of a form that is none."""
        rng, leaf = self.rng, twin.leaves["validators"]
        members = [
            dict(one) for one in rng.choice([leaf["current"], leaf["current"], leaf["pending"] or leaf["current"]])
        ]
        number, has_engine = rng.randrange(4), bool(members[0]["consensus_key"])
        one = {
            "consensus_key": sm3(b"engine %d" % number) if has_engine == (rng.random() < 0.95) else b"",
            "name": f"member-{number}",
            "organisation": rng.choice([UTILITY, "dso", "reg", "org-1", "nobody"]),
            "power": rng.choice([1, 1, 2, 2**31]),
            "public_key": key(f"member-{number}").public_key,
        }
        members = [member for member in members if member["name"] != one["name"]]
        if members and rng.random() < 0.3:
            members.pop(rng.randrange(len(members)))
        elif members and rng.random() < 0.3:
            rng.choice(members)["power"] = rng.choice([1, 7, 0, 2**31 + 1])
        members += [one] if rng.random() < 0.7 or not members else []
        if rng.random() < 0.95:
            members.sort(key=lambda member: bytes(member["public_key"]))
        return {"sort": "validators", "validators": members}

    def contract(self, twin: Twin) -> Content:
        """A contract that this program has, soon; or another one, far ahead."""
        rng, soon = self.rng, self.maker.height + self.rng.choice([0, 1, 2, 3])
        contract = rng.choice([AUCTION, *COMMUNITIES, "p2p/9", f"new/{rng.randrange(9)}"])
        height = soon if contract in (AUCTION, *COMMUNITIES) or soon <= self.maker.height else FAR
        return {"contract": contract, "height": max(1, height), "pin": bytes(32), "sort": "contract"}

    def protocol(self, twin: Twin) -> Content:
        """Another version, far ahead, or one that comes too late."""
        height = self.rng.choice([FAR + self.rng.randrange(10**6), FAR, 1, self.maker.height])
        return {"height": max(1, height), "sort": "protocol", "version": 3 + self.rng.randrange(20)}

    def permission(self, twin: Twin) -> Content:
        """Other roles for a kind, mostly such that everybody goes on."""
        rng = self.rng
        kind = rng.choice([*KINDS, "market/swap"])
        roles = rng.sample(ROLES, rng.choice([0, 1, 2]))
        usual = [KINDS[kind][0]] if kind in KINDS and rng.random() < 0.9 else []
        return {"kind": kind, "roles": sorted({*roles, *usual}), "sort": "permission"}

    def numbers(self, twin: Twin) -> Content:
        """Other thresholds."""
        names = ("contract", "protocol", "registry", "signers")
        return {name: self.rng.choice([1, 1, 2, 2, 3, 9]) for name in names} | {"sort": "thresholds"}

    def spoil(self, action: Content) -> None:
        """One thing wrong with an action."""
        rng = self.rng
        place = rng.choice(sorted(action))
        match rng.randrange(3):
            case 0:
                del action[place]
            case 1:
                action[place] = rng.choice([0, -1, 2**63 - 1, "", "x", b"", bytes(32), [], {}, True, "validators"])
            case _:
                action["extra"] = 1
