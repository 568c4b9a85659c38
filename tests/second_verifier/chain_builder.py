"""A chain by hand: genesis, blocks, headers and paths as docs/spec/header.md, registry.md and state.md say.

It applies nothing: whoever builds a block states what it does to the leaves. So a block can also hold a lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.second_verifier.encoding import Item, as_name, as_time, encode
from tests.second_verifier.signing import KeyPair, sign
from tests.second_verifier.sm import sm3
from tests.second_verifier.trees import leaf_hash, path, root, salted_hash, salted_hashes, salts

NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class Placed:
    """A row, its salt and its path under the root of `Rows`."""

    row: bytes
    salt: bytes
    path: list[Item]

    @property
    def proof(self) -> dict[str, Item]:
        return {"path": self.path, "row": self.row, "salt": self.salt}


@dataclass(frozen=True)
class Rows:
    """Salted rows under one root."""

    seed: bytes
    rows: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        return root(salted_hashes(self.seed, self.rows))

    def place(self, index: int) -> Placed:
        steps = list[Item](path(salted_hashes(self.seed, self.rows), index))
        return Placed(self.rows[index], salts(self.seed, len(self.rows))[index], steps)


@dataclass(frozen=True)
class SignedTransaction:
    signed: bytes
    signature: bytes
    attachment: bytes

    @property
    def digest(self) -> bytes:
        return sm3(encode([self.signed, self.signature, sm3(self.attachment)]))


@dataclass(frozen=True)
class RecordedRow:
    """A registry row, where it was recorded."""

    key: str
    from_s: int
    row: bytes
    salt: bytes
    height: int

    @property
    def entry(self) -> Item:
        return [self.from_s, self.height, salted_hash(self.salt, self.row)]

    @property
    def opening(self) -> dict[str, Item]:
        return {"row": self.row, "salt": self.salt}


def record(seed: bytes, rows: Sequence[tuple[str, int, Item]], height: int) -> list[RecordedRow]:
    encoded = [encode([key, from_s, value]) for key, from_s, value in rows]
    places = zip(rows, encoded, salts(seed, len(rows)), strict=True)
    return [RecordedRow(key, from_s, row, salt, height) for (key, from_s, _), row, salt in places]


@dataclass(frozen=True)
class Block:
    header: bytes
    data_leaves: tuple[bytes, ...]
    state: dict[str, bytes]  # key -> leaf, in number order

    @property
    def digest(self) -> bytes:
        return sm3(self.header)

    @property
    def state_hashes(self) -> list[bytes]:
        return [leaf_hash(leaf) for leaf in self.state.values()]


def set_digest(signers: Sequence[KeyPair]) -> bytes:
    """Of a set in which every signer has the power 1."""
    pairs: list[Item] = [[key, 1] for key in sorted(signer.public for signer in signers)]
    return sm3(encode(["signers/1", pairs]))


class ChainBuilder:
    """`values` are the leaves as they stand now; a block freezes them."""

    def __init__(self, genesis: dict[str, Item], leaves: Mapping[str, Item], signers: Sequence[KeyPair]) -> None:
        self.name = as_name(genesis["name"]) + sm3(encode(genesis)).hex()[:16]
        self.values: dict[str, Item] = dict(leaves)
        self.signers = signers
        self.waiting: Sequence[KeyPair] | None = None
        self.protocol_version = 2
        self.blocks: list[Block] = []
        self._append(as_time(genesis["ledger_time_s"]), sm3(encode({**genesis, "chain": self.name})), ())

    def block(
        self,
        time_s: int,
        transactions: Sequence[SignedTransaction] = (),
        changes: Mapping[str, Item] | None = None,
        next_signers: Sequence[KeyPair] | None = None,
        waiting: Sequence[KeyPair] | None = None,
    ) -> Block:
        """The next block: every transaction accepted, new leaves in ascending order behind the old ones.

        `next_signers` sign the header after it; `waiting` is the set that waits to take over.
        """
        for key in sorted(changes or {}, key=str.encode):
            self.values[key] = (changes or {})[key]
        self.signers = next_signers or self.signers
        self.waiting = waiting
        leaves = tuple(encode([transaction.digest, 0]) for transaction in transactions)
        return self._append(time_s, root([leaf_hash(leaf) for leaf in leaves]), leaves)

    def _append(self, time_s: int, data_root: bytes, data_leaves: tuple[bytes, ...]) -> Block:
        state = {key: encode([key, value]) for key, value in self.values.items()}
        header: list[Item] = [
            "header/2",
            self.name,
            len(self.blocks),
            time_s,
            time_s,
            self.blocks[-1].digest if self.blocks else NO_DIGEST,
            root([leaf_hash(block.digest) for block in self.blocks]),
            data_root,
            root([leaf_hash(leaf) for leaf in state.values()]),
            set_digest(self.signers),
            set_digest(self.waiting) if self.waiting else b"",
            self.protocol_version if self.blocks else 2,
        ]
        self.blocks.append(Block(encode(header), data_leaves, state))
        return self.blocks[-1]

    def certificate(self, height: int, signers: Sequence[KeyPair]) -> list[Item]:
        message = encode(["certificate/1", self.name, height, self.blocks[height].digest])
        return [[signer.public, sign(signer, message)] for signer in sorted(signers, key=lambda pair: pair.public)]

    def history_path(self, height: int, under: int) -> list[Item]:
        return list(path([leaf_hash(block.digest) for block in self.blocks[:under]], height))

    def state_proof(self, key: str, height: int) -> dict[str, Item]:
        block = self.blocks[height]
        return {"leaf": block.state[key], "path": list(path(block.state_hashes, list(block.state).index(key)))}

    def opened(self, row: RecordedRow, height: int) -> dict[str, Item]:
        return {**self.state_proof(row.key, height), **row.opening}

    def transaction_proof(self, transaction: SignedTransaction, height: int, under: int) -> dict[str, Item]:
        """Of a transaction of the block `height`, for a bundle whose header is of the height `under`."""
        block = self.blocks[height]
        hashes = [leaf_hash(leaf) for leaf in block.data_leaves]
        index = block.data_leaves.index(encode([transaction.digest, 0]))
        return {
            "attachment_digest": sm3(transaction.attachment),
            "data_path": list(path(hashes, index)),
            "header": block.header,
            "history_path": self.history_path(height, under),
            "signature": transaction.signature,
            "signed": transaction.signed,
        }

    def transaction(
        self,
        kind: str,
        signer: str,
        pair: KeyPair,
        identity: dict[str, Item],
        body: dict[str, Item],
        attachment: bytes = b"",
        chain: str | None = None,
    ) -> SignedTransaction:
        signed = encode(
            {
                "body": body,
                "chain": chain or self.name,
                "identity": identity,
                "kind": kind,
                "signer": signer,
                "type": "transaction",
                "version": 1,
            }
        )
        return SignedTransaction(signed, sign(pair, signed), attachment)
