"""A block in the making: the state as its transactions see it, the state itself left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from gridcore import merkle
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.genesis import Thresholds
from gridcore.registry.entity import Entity
from ledger.contract import Contract
from ledger.leaves.chain import CHAIN
from ledger.leaves.family import Value
from ledger.registry import bodies
from ledger.registry.bodies import OpenedEntities
from ledger.registry.certificates import IsSigned
from ledger.registry.entries import EntityLeaf, Entry
from ledger.registry.histories import Numbering, Related
from ledger.registry.in_force import InForce, Registry
from ledger.state.columns import Batch
from ledger.state.kept_means import KeptMeans
from ledger.state.kept_profiles import KeptProfiles
from ledger.state.last_orders import LastOrders
from ledger.state.nearest import NearestValues
from ledger.state.seen_ids import SeenIds
from ledger.state.span_changes import SpanChanges
from ledger.state.state import State
from ledger.state.taken_orders import TakenOrders
from ledger.state.told_histories import ToldHistories

R = TypeVar("R")
C = TypeVar("C")
A = TypeVar("A")


class Touched(NamedTuple):
    """Slots of a zone that start in [first_slot_s, end_s), UTC seconds."""

    zone: str
    first_slot_s: int
    end_s: int


NO_CONTRACTS: Final[Mapping[str, Contract]] = {}
NONE_ATTACHED: Final[Mapping[bytes, Any]] = {}


class Recorded:
    """What a block has recorded in the registry so far, beside its entities. related: who names whom; numbering: numbers given; spans: what
    points have rules of their own.
    """

    def __init__(self) -> None:
        self.related = Related()
        self.numbering = Numbering()
        self.spans = SpanChanges()

    def update(self, related: Related, numbering: Numbering, spans: SpanChanges) -> None:
        """Take up what one more transaction has recorded, and the numbers given after it."""
        self.related.update(related)
        self.spans.update(spans)
        self.numbering = numbering


class Draft:
    """Reads through to the state, keeps writes to itself. Values are never changed in place: ``put`` a new one.

    ledger_time_s: the only time that contracts, gates, deadlines and validity see, UTC seconds; contracts: by id, as
    the zones name them; a draft in which nothing is applied needs none. attached: see ``Block``.
    """

    def __init__(
        self,
        state: State,
        height: int,
        ledger_time_s: int,
        contracts: Mapping[str, Contract] = NO_CONTRACTS,
        attached: Mapping[bytes, Any] = NONE_ATTACHED,
    ) -> None:
        self._state = state
        self._chain = CHAIN.must(state)  # of it transactions change the thresholds alone
        self._changes: dict[str, Value] = {}
        self._changed_keys: defaultdict[str, list[str]] = defaultdict(list)
        """Of ``_changes``, by family: a block may ask for those of one family thousands of times."""
        self._bodies: dict[bytes, bytes] = {}
        self._attached = attached
        self.ledger_time_s = ledger_time_s
        self.block_time_s = 0
        """Of the block in the making, UTC seconds; 0 in a draft in which nothing is applied."""
        self.height = height
        self.is_signed: IsSigned = lambda *_: broken(
            "a draft in which certificates are judged knows how they are checked"
        )
        self.contracts = contracts
        self.kinds: Collection[str] = ()
        """Kinds of transactions by the rules of the block; none in a draft in which nothing is applied."""
        self.taken: list[TakenOrders] = []
        """Orders that have not met those that stand yet, a transaction each, in block order; see ``orders``."""
        self.profiles: dict[tuple[str, int], KeptProfiles] = {}
        """By zone and chunk: what transactions of this block take and end of profiles; see ``kept_profiles``."""
        self.seen: dict[int, SeenIds] = {}
        """By hour: client ids, with those of this block's transactions; see ``client_ids``."""
        self.last_orders: dict[str, LastOrders] = {}
        """By zone: in which slots parties have their last orders, as the block before left the books."""
        self.batches: list[Batch] = []
        """Accepted reading batches whose rows have not been judged yet, in block order; see ``metering``."""
        self.imported: dict[tuple[str, int, int], Sequence[Value | None]] = {}
        """By zone, day and rows of the zone, of one at most: the leaves that the slot settled last had its energies from; see ``intervals``."""
        self.nearest = NearestValues()
        """Where values stand around gaps."""
        self.means = KeptMeans()
        """Of rows before the parts of their gaps, for the next of the slots of these."""
        self.fed: set[Touched] = set()
        """Slots whose energy rows accepted in this block may have changed."""
        self.reopened: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        """By zone: from which instant on and until before which one registrations of this block change what was in force, UTC seconds."""
        self.told = ToldHistories()
        """What registrations of this block have asked for."""
        self.registered_parties: set[str] = set()
        """Names of the parties of which this block has recorded a row."""
        self.voted: set[str] = set()
        """Keys of organisations and signers that votes of this block have changed."""
        self.recorded = Recorded()

    def get(self, key: str) -> Value | None:
        """The value of a leaf as of now, or None."""
        value = self._changes.get(key)
        return value if value is not None else self._state.get(key)

    def load_together(self, keys: Iterable[str]) -> None:
        """Bring the values of a few leaves into memory together, for a ``get`` of each to find them there."""
        self._state.load_together(key for key in keys if key not in self._changes)

    def leaf_keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``: those of the state, then those that this block has brought."""
        yield from self._state.leaf_keys(prefix)
        brought = self._changed_keys.get(prefix.partition("/")[0], ())
        yield from (key for key in brought if key.startswith(prefix) and key not in self._state)

    def put(self, key: str, value: Value) -> None:
        """Give a leaf a new value."""
        if key not in self._changes:
            self._changed_keys[key.partition("/")[0]].append(key)
        self._changes[key] = value

    @property
    def changes(self) -> Mapping[str, Value]:
        """What was put so far."""
        return self._changes

    def attached(self, decode: Callable[[Transaction, C], A], transaction: Transaction, content: C) -> A:
        """What ``decode`` gives for a transaction's attachment, unless that is known from before the block."""
        known: A | None = self._attached.get(transaction.digest)
        return decode(transaction, content) if known is None else known

    @property
    def chain_id(self) -> str:
        """The chain that transactions must be signed for."""
        return self._state.chain

    @property
    def clock(self) -> str:
        """What moves ledger time: see ``gridcore.genesis.CLOCKS``."""
        return self._chain.clock

    @property
    def thresholds(self) -> Thresholds:
        """How many organisations approve a change, as this block's votes have left it."""
        return CHAIN.must(self).thresholds

    @property
    def slot_s(self) -> int:
        """The chain's slot length, seconds."""
        return self._chain.slot_s

    # ---------------------------------------------------------------------------------------------------- registry

    @property
    def registry(self) -> Registry:
        """Who and what was registered before this block, as columns."""
        return self._state.registry

    def at(self, time_s: int) -> InForce:
        """The columns of what is in force at ``time_s`` (UTC seconds) for this block: what it records itself does not count."""
        return self.registry.at(time_s, self.height - 1)

    def in_force(self, entity: Entity[R], name: str, time_s: int | None = None) -> R | None:
        """The record of an entity in force at ``time_s`` (by itself ledger time) for this block, or None."""
        at_s = self.ledger_time_s if time_s is None else time_s
        found = bodies.in_force(self, entity, name, at_s, self.height - 1)
        return None if found is None else found.record

    @property
    def opened(self) -> OpenedEntities:
        """Entities that were opened before."""
        return self._state.opened

    def folded(self, key: str, leaf: EntityLeaf) -> Sequence[Entry]:
        """None: slots that are settled are not final, and what is folded speaks of final ones."""
        del key, leaf
        return ()

    def body(self, digest: bytes) -> bytes:
        """The salted registry row whose digest a leaf holds."""
        return self._bodies.get(digest) or self._state.body(digest)

    def put_body(self, body: bytes) -> bytes:
        """Keep a salted registry row; returns its digest."""
        digest = merkle.leaf_hash(body)
        self._bodies[digest] = body
        return digest

    @property
    def bodies(self) -> Mapping[bytes, bytes]:
        """The salted registry rows that were put so far, by digest."""
        return self._bodies
