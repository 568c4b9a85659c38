"""Random blocks from a seed: valid transactions and every kind of invalid one, mixed.

``BlockMaker(world)`` draws block after block; it follows what the chain accepted by looking at a twin's leaves, so that batches and
orders are mostly right, and then breaks some of them on purpose.
"""

from __future__ import annotations

import random
import struct
from typing import Any

from gridcore import cbor, merkle
from gridcore.errors import EncodingError
from gridcore.registry.organisation import ROLES
from gridcore.registry.row import rows_root
from gridcore.sm3 import sm3
from tests.simulation.cashier import Cashier
from tests.simulation.columns import encode_column
from tests.simulation.council import Council
from tests.simulation.drawn_orders import draw_cancel, draw_order, draw_order_batch
from tests.simulation.drawn_profiles import Profiles
from tests.simulation.generated_world import SILENT, World
from tests.simulation.issuers import Issuers
from tests.simulation.quarrels import Quarrels
from tests.simulation.registrar import Registrar
from tests.twin.twin import Twin
from tests.worlds.consortium import UTILITY
from tests.worlds.keys import key, sign_cheaply

Wire = bytes
Content = dict[str, Any]
HUGE = (2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**31), -(2**63), -(2**64))


class BlockMaker:
    """Draws the blocks of a world. ``next_block`` looks at the twin to know what was accepted so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(world.seed * 7 + 1)
        self.engine_rng = random.Random(world.seed * 11 + 5)
        self.certified_height = 0
        self.height = 0
        self.block_s = world.time_s
        self.now_s = world.time_s
        self.history: list[Wire] = []
        self.keys: dict[bytes, str] = {key(name).public_key: name for name in world.consortium.signers}
        """The name of every key that was ever used, by the key."""
        self.hands: dict[str, str] = {}
        """By signer: the name of the key that the chain has of it now."""
        self.gateways: dict[str, Content] = {}
        self.silent_epoch = 0
        self.registrar = Registrar(world, self.rng)
        self.council = Council(self)
        self.quarrels = Quarrels(self)
        self.cashier = Cashier(self)
        self.profiles = Profiles()
        self.issuers = Issuers(self.rng)
        self.own_gateways = {found.name for found in world.consortium.gateways if found.record.organisation == UTILITY}
        self.sent_to: dict[str, int] = {}
        """The boundary up to which a gateway has sent."""

    def next_block(self, twin: Twin) -> tuple[int, int, list[Wire]]:
        """(height, block time, transactions) of the next block, for a twin that has applied all blocks before it."""
        rng, world = self.rng, self.world
        self.height += 1
        step = rng.choice([0, 1, 59, 300, world.slot_s, world.slot_s, world.slot_s, 2 * world.slot_s])
        if rng.random() < 0.01:
            step = rng.choice([20 * world.slot_s, 86_400])
        if world.simulated:
            self.block_s += step * rng.randrange(2)
            self.now_s = twin.ledger_time_s
        else:
            self.move_block_time(twin.ledger_time_s, step)
            self.now_s = twin.follow_block_time(self.block_s)
        self.silent_epoch = twin.leaves[f"delivery/{SILENT}"]["epoch"]
        self.gateways = {name: dict(twin.leaves[f"delivery/{name}"]) for name in world.gateways}
        self.learn_keys(twin)
        self.registrar.learn(twin)
        self.issuers.learn(twin)
        wires: list[Wire] = []
        if rng.random() < (0.8 if world.simulated else 0.05):
            wires.append(self.clock(self.now_s + step))
        if rng.random() < (0.02 if self.block_s <= self.now_s + 900 else 0.4):
            wires.append(self.accept())
        for _ in range(rng.choice([0, 1, 1, 2, 3]) * len(world.gateways)):
            wires.append(self.batch())
            if rng.random() < 0.1:
                rng.shuffle(wires)
        for _ in range(rng.choice([0, 1, 3, 10])):
            wires.append(draw_order(self))
        for _ in range(rng.choice([0, 0, 1, 2])):
            wires.append(draw_order_batch(self))
            wires.append(draw_cancel(self))
        wires += self.profiles.wires(self)
        if rng.random() < 0.1:
            wires.append(self.epoch())
        if rng.random() < 0.2:
            wires.append(self.approval())
        if rng.random() < 0.4:
            wires.append(self.registration())
        if rng.random() < (0.4 if any(leaf.startswith("pending/") for leaf in twin.leaves) else 0.02):
            wires.append(self.registry_approval(twin))
        wires += self.council.wires(twin)
        wires += self.quarrels.wires(twin)
        wires += self.cashier.wires()
        if rng.random() < 0.05:
            wires += self.id_storm()
        if self.history and rng.random() < 0.3:
            wires.append(rng.choice(self.history))
        if rng.random() < 0.4:
            wires.insert(rng.randrange(len(wires) + 1), self.broken(rng.choice(wires or [b""])))
        if rng.random() < 0.1:
            rng.shuffle(wires)
        self.history = (self.history + wires)[-40:]
        return self.height, self.block_s, wires

    def draw_certified(self) -> tuple[int, list[tuple[bytes, int]]]:
        """What the next block's engine says beside its transactions: up to where headers are certified, and who offended."""
        rng = self.engine_rng
        self.certified_height = rng.randint(self.certified_height, self.height - 1)
        known = [one.consensus_address for one in self.world.consortium.validators]
        if not known or rng.random() > 0.1:
            return self.certified_height, []
        drawn = rng.choices([*known, bytes(20)], k=rng.choice([1, 1, 2]))
        return self.certified_height, [(address, rng.randrange(self.height)) for address in drawn]

    # -------------------------------------------------------------------------------------------- envelopes

    def wire(self, kind: str, signer: str, identity: Content, body: Content, attachment: bytes = b"") -> Wire:
        """A signed transaction; now and then with one thing wrong in its envelope, properly signed all the same."""
        content: Content = {"body": body, "chain": self.world.consortium.chain, "identity": identity, "kind": kind}
        content |= {"signer": signer, "type": "transaction", "version": 1}
        if self.rng.random() < 0.03:
            self.damage(content)
        signed = cbor.encode(content)
        named = content.get("signer")
        is_known = isinstance(named, str) and named in self.hands
        who = self.hands[str(named)] if is_known and self.rng.random() >= 0.02 else "observer"
        return cbor.encode([signed, sign_cheaply(who, signed), attachment])

    def damage(self, content: Content) -> None:
        """Change one key of the signed map, of its body or of its identity."""
        rng = self.rng
        place = rng.choice([content, content["body"], content["identity"], content["body"]])
        key = rng.choice(sorted(place))
        values: list[Any] = [*HUGE, True, "", "x", "é" * 65, b"", bytes(32), [], {}, 0, 1, 17, "sell", "gw-1", "guest"]
        match rng.randrange(6):
            case 0:
                del place[key]
            case 1:
                place["extra"] = rng.choice(values)
            case 2:
                content["chain"] = rng.choice(["twin0000000000000000", "", self.world.consortium.chain.upper()])
            case 3:
                content["kind"] = rng.choice(
                    ["", "market/swap", "clock/advance", "clock/accept", "market/order", "clock/advance "]
                )
            case 4:
                names = ["observer", UTILITY, "guest", "nobody", "", "a b", "x" * 64, "x" * 65, "H0\n"]
                content["signer"] = rng.choice([*names, *self.world.consortium.signers])
            case _:
                place[key] = rng.choice(values)

    def broken(self, wire: Wire) -> Wire:
        """Other bytes: flipped, cut, padded, of another shape, not canonical."""
        rng = self.rng
        flipped = bytearray(wire or b"\x00")
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        choices: list[Wire] = [bytes(flipped), wire[: rng.randrange(len(wire) + 1)], wire + b"\x00", b"", b"\xf6"]
        try:
            signed, signature, attachment = cbor.decode(wire)
            content = cbor.decode(signed)
        except (EncodingError, KeyError, TypeError, ValueError):  # broken before
            return rng.choice(choices)
        backwards = b"\xa2\x61b\x01\x61a\x01"
        choices += [
            b"\x98\x03" + wire[1:],
            cbor.encode([signed, signature]),
            cbor.encode([signed, signature, attachment, b""]),
            cbor.encode([signed, signature[:63], attachment]),
            cbor.encode([signed, signature + b"\x00", attachment]),
            cbor.encode([signed, bytes(64), attachment]),
            cbor.encode([signed, signature, attachment + b"\x00"]),
            cbor.encode([signed, signature, attachment[:-1]]),
            cbor.encode([signed + b"\x00", signature, attachment]),
            cbor.encode([content, signature, attachment]),
            cbor.encode([backwards, signature, attachment]),
            cbor.encode({"signed": signed}),
        ]
        if rng.random() < 0.04:  # one byte more than is allowed
            longer, bulkier = signed + bytes(65_537 - len(signed)), attachment + bytes(1_048_577 - len(attachment))
            choices += [cbor.encode([longer, signature, attachment]), cbor.encode([signed, signature, bulkier])]
        return rng.choice(choices)

    # ------------------------------------------------------------------------------------- clock and epochs

    def identity(self) -> Content:
        """A client id, mostly fresh, and until when it is valid."""
        rng = self.rng
        until = rng.choice([1, 300, 3_600, 86_400, rng.randrange(86_400)])
        if rng.random() < 0.08:
            until = rng.choice([-1, 0, 86_401, -self.now_s, 10**15])
        client_id = rng.randbytes(16) if rng.random() < 0.95 else bytes([rng.randrange(3)] * 16)
        return {"client_id": client_id, "valid_until_s": self.now_s + until}

    def clock(self, to_s: int) -> Wire:
        """A step of ledger time; now and then one that stands still, goes back or is too long."""
        if self.rng.random() < 0.05:
            to_s = self.now_s + self.rng.choice([0, -1, -10_000, 86_401, 10**9])
        wire = self.wire("clock/advance", "clock", self.identity(), {"to_s": to_s})
        self.now_s = to_s if self.now_s < to_s <= self.now_s + 86_400 else self.now_s
        return wire

    def stated_clock(self) -> Content:
        """What a gateway says of its clock, now and then that it is off."""
        rng = self.rng
        half_ms = 500 * self.world.slot_s
        offset_ms = rng.randint(-9, 9) if rng.random() < 0.95 else rng.choice([half_ms, -half_ms - 1, 900_000, 2**62])
        states = ["synced", "holdover", "simulated"] if rng.random() < 0.95 else ["unsynced"]
        return {"offset_ms": offset_ms, "state": rng.choice(states)}

    def move_block_time(self, ledger_time_s: int, step: int) -> None:
        """Block time goes on, now and then too far for ledger time to follow; a clock that was wrong is put right."""
        rng = self.rng
        if self.block_s > ledger_time_s + 900 and rng.random() < 0.3:
            self.block_s = ledger_time_s + rng.randrange(901)
        elif rng.random() < 0.05:
            self.block_s += rng.choice([901, step, 20 * self.world.slot_s, 30 * 86_400])
        else:
            self.block_s += min(step, 900)

    def accept(self) -> Wire:
        """Let ledger time come up to block time, or to an instant that cannot be accepted."""
        to_s = self.rng.choice(
            [self.block_s, self.block_s, self.block_s - 1, self.now_s + 900, self.block_s + 1, self.now_s]
        )
        return self.wire("clock/accept", "clock", self.identity(), {"to_s": to_s})

    def epoch(self) -> Wire:
        """A gateway's next epoch, or what is none."""
        rng = self.rng
        name = rng.choice([*self.world.gateways, SILENT, "gw-unknown"])
        state = self.gateways.get(name, {"epoch": 1})
        body = {"epoch": state["epoch"] + rng.choice([1, 1, 1, 0, 2]), "gateway": name}
        if body["epoch"] == state["epoch"] + 1 and name in self.own_gateways:
            state |= {"epoch": body["epoch"], "counter": 0, "last": bytes(32)}
        reason = rng.choice(["disk lost", "丢失", "x" * 200, "x" * 201, ""])
        return self.wire("metering/open_epoch", UTILITY, self.identity(), body | {"reason": reason})

    def approval(self) -> Wire:
        """What a meter shows, or something else, as its organisation or another one says it."""
        rng, world = self.rng, self.world
        number = rng.choice([*world.meters, *world.meters, 61])
        slots = (self.now_s - world.start_s) // world.slot_s
        boundary = world.start_s + (slots - rng.choice([0, 0, 1, 1, 2, 5, -1])) * world.slot_s
        true = world.truth(number, boundary) if number in world.meters else (0, 0)
        registers = [max(0, wh + rng.choice([0, 0, 0, 1, -1, -1_000, 10**9])) for wh in true]
        body: Content = {"boundary_s": max(0, boundary + rng.choice([0] * 19 + [1])), "installation": number}
        body |= {"reason": rng.choice(["read at the meter", "x" * 200, ""]), "registers": registers}
        return self.wire("metering/approve", rng.choice([UTILITY] * 4 + ["dso"]), self.identity(), body)

    def learn_keys(self, twin: Twin) -> None:
        """Who signs with which key by now; a signer that was revoked goes on with its old one."""
        for leaf_key in twin.leaves:
            if leaf_key.startswith("signer/"):
                value = twin.registry.value(leaf_key, self.now_s, self.height - 1) or {}
                if "public_key" in value:
                    self.hands[leaf_key.removeprefix("signer/")] = self.keys[value["public_key"]]

    def registration(self) -> Wire:
        """New keys, roles and revocations of signers; now and then of what is none, or not the administrator's to say."""
        rng = self.rng
        rows = [self.registry_row() for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        who = rng.choice(["admin", "admin", "admin", "dso-admin", UTILITY])
        if rng.random() < 0.6:
            rows = [row.encode() for row in self.registrar.rows(self.now_s)]
            who = who if rng.random() < 0.2 else "admin"
        if rng.random() < 0.1:
            name, value = self.issuers.organisation_row()
            rows.append(cbor.encode([name, self.now_s, value]))
            who = rng.choice(["dso-admin", "reg-admin", who])
        if rng.random() < 0.1:
            rows.append(rng.choice([rows[0], b"", b"\x80", cbor.encode(["signer/x", 0]), bytes(4_097)]))
        seed = rng.randbytes(32)
        root = rows_root(seed, rows) if rng.random() < 0.97 else bytes(32)
        count = len(rows) if rng.random() < 0.97 else rng.choice([0, len(rows) + 1, 4_097])
        attached: Any = {"rows": rows, "seed": seed if rng.random() < 0.97 else seed[:31]}
        if rng.random() < 0.03:
            attached["extra"] = 1
        bulk = cbor.encode(attached) if rng.random() < 0.97 else rng.randbytes(9)
        return self.wire("registry/register", who, self.identity(), {"rows": count, "rows_root": root}, bulk)

    def registry_approval(self, twin: Twin) -> Wire:
        """An administrator agrees to rows that wait, or to what are none; now and then once too often."""
        rng = self.rng
        waiting = [bytes.fromhex(leaf.partition("/")[2]) for leaf in twin.leaves if leaf.startswith("pending/")]
        transaction = rng.choice([*waiting, rng.randbytes(32)]) if rng.random() < 0.9 else b""
        who = rng.choice(["dso-admin", "dso-admin", "dso-admin", "admin", UTILITY])
        return self.wire("registry/approve", who, self.identity(), {"transaction": transaction})

    def registry_row(self) -> Wire:
        """A row that says who a signer is, mostly in good form."""
        rng, world = self.rng, self.world
        names = [*world.gateways, SILENT, *world.parties, "admin", "clock", "guest", f"new-{rng.randrange(5)}"]
        name = rng.choice(names)
        hand = f"{name}+{rng.randrange(3)}"
        self.keys[key(hand).public_key] = hand
        organisation = world.consortium.organisation_of.get(name, UTILITY)
        if rng.random() < 0.05:
            organisation = rng.choice(["dso", "nobody"])
        roles = sorted(rng.sample(ROLES, rng.choice([1, 1, 2])))
        usual = [*world.consortium.signers.get(name, ["prosumer"])]
        value: Content = {
            "organisation": organisation,
            "public_key": key(hand).public_key,
            "roles": usual if rng.random() < 0.9 else roles,
        }
        if rng.random() < 0.1:
            value = {"organisation": organisation, "revoked": True}
        self.issuers.add_to(value, name, hand, self.now_s)
        if rng.random() < 0.05:
            place = rng.choice(sorted(value))
            value[place] = rng.choice([bytes(65), [], ["king"], "x y", False, 1, {}])
        kind = rng.choice(["signer"] * 20 + ["gateway", "party", "weather", "signer/"])
        from_s = self.now_s + rng.choice([0, 0, 0, 1, world.slot_s, 2 * world.slot_s, -1])
        return cbor.encode([f"{kind}/{name}", from_s if rng.random() < 0.97 else -1, value])

    def id_storm(self) -> list[Wire]:
        """Several transactions that share a client id."""
        identity, epoch = self.identity(), self.silent_epoch
        bodies = [{"epoch": epoch + n, "gateway": SILENT, "reason": str(n // 3)} for n in (1, 1, 2, 4)]
        return [self.wire("metering/open_epoch", UTILITY, identity, body) for body in bodies]

    # ---------------------------------------------------------------------------------------------- readings

    def batch(self) -> Wire:
        """A gateway's next batch, for the newest boundary or for one that it missed; sometimes out of its order."""
        rng, world = self.rng, self.world
        name = rng.choice(world.gateways)
        state = self.gateways[name]
        newest = max(world.start_s, self.now_s // world.slot_s * world.slot_s)
        boundary = self.sent_to.get(name, world.start_s - world.slot_s) + world.slot_s
        if boundary <= newest and rng.random() < 0.93:
            self.sent_to[name] = boundary
        else:
            back = rng.choice([0, 0, 1, 1, 2, 3, 5, 95, 96, 97, 98])
            boundary = max(world.start_s, newest - back * world.slot_s)
        rows = self.rows(name, boundary)
        if rng.random() < 0.03:
            boundary += rng.choice([world.slot_s, 1, -1, -world.slot_s, -boundary, -boundary - world.slot_s, 10**12])
        counter, epoch, previous = state["counter"] + 1, state["epoch"], state["last"]
        if rng.random() < 0.05:
            counter += rng.choice([-1, -2, 1, 5, 2**40, -counter])
        if rng.random() < 0.02:
            epoch += rng.choice([1, -1, 2**40])
        if rng.random() < 0.02:
            previous = rng.choice([bytes(32), rng.randbytes(32)])
        seed = rng.randbytes(32)
        attachment, root = self.columns(seed, rows)
        body = {
            "agent": "edge 0.1",
            "boundary_s": boundary,
            "clock": self.stated_clock(),
            "configuration": bytes(32),
            "previous": previous,
            "profiles": bytes(32),
            "registers": ["1-0:1.8.0", "1-0:2.8.0"],
            "rows": len(rows) if rng.random() < 0.98 else rng.choice([0, len(rows) + 1, 4_096, 4_097]),
            "rows_root": root if rng.random() < 0.98 else rng.randbytes(32),
        }
        if rng.random() < 0.3:
            body["receipt"] = [self.height, bytes(32)]
        attachment = self.observe(body, attachment)
        wire = self.wire("metering/reading_batch", name, {"counter": counter, "epoch": epoch}, body, attachment)
        state["counter"] += 1
        state["last"] = sm3(cbor.decode(wire)[0])
        return wire

    def observe(self, body: Content, attachment: bytes) -> bytes:
        """The attachment with observations that ``body`` then names; now and then one of the two without, or with others."""
        rng = self.rng
        if rng.random() < 0.5:
            return attachment
        observed: Any = rng.randbytes(rng.choice([1, 40, 700]))
        if rng.random() < 0.01:
            observed = rng.randbytes(rng.choice([65_536, 65_537]))
        digest = sm3(observed)
        if rng.random() < 0.02:
            observed = rng.choice([b"", observed + b"\x00", "text", [observed], 1])
        if rng.random() < 0.02:
            digest = rng.choice([bytes(32), sm3(b""), digest[:31], digest + b"\x00"])
        if rng.random() >= 0.02:
            body["observations"] = digest
        try:
            held = cbor.decode(attachment)
        except EncodingError:  # broken on purpose before
            return attachment
        if not isinstance(held, dict) or rng.random() < 0.02:
            return attachment
        return cbor.encode(held | {"observations": observed})

    def rows(self, gateway: str, boundary: int) -> list[list[int]]:
        """Most of a gateway's meters with what they show; some wrong, missing, doubled, foreign or unknown."""
        rng, world = self.rng, self.world
        mine = [number for number, meter in world.meters.items() if meter.gateway == gateway]
        missing = rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.6])
        numbers = [number for number in mine if rng.random() >= missing] or [rng.choice([*world.meters])]
        if rng.random() < 0.5:
            rng.shuffle(numbers)
        rows = [[number, rng.randint(-500, 500), 0, *world.truth(number, boundary)] for number in numbers]
        wrongs = rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 5])
        for _ in range(wrongs):
            self.spoil(rng.choice(rows), rows)
        return rows

    def spoil(self, row: list[int], rows: list[list[int]]) -> None:
        """One thing wrong with a row."""
        rng, world = self.rng, self.world
        meter = world.meters.get(row[0])
        limit, modulus = (meter.limit_wh, meter.modulus_wh) if meter else (1, 0)
        register = rng.choice([3, 4])
        match rng.randrange(8):
            case 0:
                row[0] = rng.choice([0, 61, 2**32 - 1, 2**32 - 2, *world.meters])
            case 1:
                row[2] = rng.choice([1, 2, 3, 4, 15, 0x10, 0x20, 0x80, 0xD0, 0xF0, 0xF4, 0xFF])
            case 2:
                row[register] = max(0, row[register] - rng.choice([1, limit, 10 * limit]))
            case 3:
                row[register] += rng.choice([1, limit, limit + 1, 2 * limit, 97 * limit])
            case 4:
                row[register] = rng.choice([0, 10**13, 10**13 + 1, 10**14, 2**63 - 1, modulus, max(0, modulus - 1)])
            case 5:
                rows.append(
                    [*row[:3], *(row[3:] if rng.random() < 0.5 else world.truth(rng.choice([*world.meters]), 0))]
                )
            case 6:
                half = 500 * world.slot_s
                row[1] = rng.choice([-(2**31), 2**31 - 1, half, half + 1, -half, -half - 1, 900_000])
            case _:
                row[3], row[4] = row[4], row[3]
        row[register] = min(row[register], 2**63 - 1)

    def columns(self, seed: bytes, rows: list[list[int]]) -> tuple[bytes, bytes]:
        """(attachment, rows_root): canonical columns, or now and then some that are not, under a root that may fit."""
        rng = self.rng
        values = [list(column) for column in zip(*rows, strict=True)]
        packed = [struct.pack("<IiBQQ", *row) for row in rows]
        root = merkle.root_of_hashes(merkle.salted_leaf_hashes(seed, packed))
        columns = [encode_column(column) for column in values]
        attached: Any = {"columns": columns, "seed": seed}
        if rng.random() < 0.05:
            at = rng.randrange(5)
            width = columns[at][8]
            match rng.randrange(9):
                case 0:
                    columns[at] = encode_column(values[at], width=min(8, 2 * width))
                case 1:
                    columns[at] = encode_column(values[at], base=max(-(2**63), min(values[at]) - 1))
                case 2:
                    columns[at] = columns[at][:-1]
                case 3:
                    columns[at] = columns[at][:8] + bytes([rng.choice([0, 3, 16])]) + columns[at][9:]
                case 4:
                    columns.pop()
                case 5:
                    attached = {"columns": columns, "seed": seed[:31]}
                case 6:
                    attached = attached | {"extra": 1}
                case 7:
                    wild = rng.choice([-1, 2**32, 2**31, -(2**31) - 1, 256, 2**63 - 1, -(2**63)])
                    columns[at] = encode_column([wild, *values[at][1:]])
                case _:
                    # base + offset leaves 64 bits
                    high = struct.pack("<qB", 2**63 - 1, 8) + struct.pack("<Q", 0)
                    columns[at] = high + struct.pack("<Q", 2**64 - 1) * (len(rows) - 1)
        return (cbor.encode(attached) if rng.random() < 0.99 else rng.randbytes(20)), root
