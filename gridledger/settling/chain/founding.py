"""What a dataset's chain has from the start: its points with their parties, its rules and contract, and one importer who answers for all."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from gridcore.column import narrowest_width
from gridcore.errors import GridError
from gridcore.genesis import IMPORTED, Genesis
from gridcore.master_data import Listed, MasterData, Named
from gridcore.registry.area import AREA, Area
from gridcore.registry.gateway import GATEWAY, Gateway
from gridcore.registry.organisation import ORGANISATION, Organisation
from gridcore.registry.signer import SIGNER, RevokedSigner, Signer
from gridcore.registry.zone import ZONE, Zone
from gridcore.validator import Validator
from gridledger.founding.local_days import calendar_of
from gridledger.settling.chain.agreements import agreement_rows
from gridledger.settling.chain.balance import balance_rows
from gridledger.settling.chain.points import point_rows
from gridledger.settling.chain.prices import WHOLE, rules_of_area, rules_rows
from gridledger.settling.chain.reactive import reactive_rows
from gridledger.settling.chain.tariffs import tariff_rows
from gridledger.settling.dataset import Dataset
from ledger.contract import Contract
from ledger.genesis_check import check_genesis
from ledger.leaves.intervals import DAY_S
from settlement.catalogue import CONTRACTS, contract_pin, pins

OPERATOR: Final = "operator"
"""The organisation behind everything, and the signer of headers."""
IMPORTER: Final = "importer"
"""The signer of all transactions, and the gateway of every point."""
IMPORTER_ROLES: Final = ("administrator", "aggregator", "clock", "gateway", "utility")
ZONE_NAME: Final = WHOLE
"""The one zone, and its calendar."""
VALID_S: Final = 3_600
"""How long a transaction is valid, in ledger time, which does not move until it stands in a block."""
BLOCK_VALUES_MAX: Final = 1 << 22
"""Slots of points of which a day is imported in one block: quarter hours of 43,690 points are a day of it."""
DAY_BYTES_MAX: Final = 60 * 1024 * 1024
"""Energies of a day that has to be in one block, which holds 64 MiB (``RECORD_BYTES_MAX``)."""
CALENDAR_DAYS: Final = 3_660
"""Local days behind the last slot that the calendar knows already: ten years."""


class Timeline(NamedTuple):
    """When things happen on the chain, UTC seconds and seconds. Ledger time goes from one noon to the next, a day at a time.

    gate_before_start_s: of the files. noon_s: the ledger time of genesis: when the first day's gates are all still open.
    metering_deadline_s: at least so long that a day is imported before its first slot is settled; where a day is imported in several
    blocks, a day longer: ledger time stands still from one to the next, and none of it is settled before it is all there.
    """

    first_slot_s: int
    noon_s: int
    gate_before_start_s: int
    metering_deadline_s: int

    @property
    def open_before_start_s(self) -> int:
        """So early that all orders of a day may come at the noon before it."""
        return DAY_S + self.gate_before_start_s + 1


def timeline_of(dataset: Dataset) -> Timeline:
    """The timeline of a dataset's chain."""
    first_s, gate_s = int(dataset.slot_start_s[0]), dataset.rules.gate_before_start_s
    days = 2 if is_large(dataset) and dataset.rules.runs is None else 1
    # Where ledger time goes from gate to gate it comes to the end of a day, when that is imported, not only to the noon before it.
    before_end_s = gate_s if dataset.tell_gate is None else 0
    deadline_s = max(dataset.rules.metering_deadline_s, days * DAY_S - before_end_s - dataset.slot_s)
    return Timeline(first_s, first_s - first_s % DAY_S - gate_s - 1, gate_s, deadline_s)


def is_large(dataset: Dataset) -> bool:
    """Whether a whole day of its points is more than one block holds."""
    return len(dataset.points) * (DAY_S // dataset.slot_s) > BLOCK_VALUES_MAX


def check_one_block(dataset: Dataset) -> None:
    """GridError where a day of energies is more than one block holds, for a ledger that does not wait until several have brought it."""
    if not is_large(dataset):
        return
    slots, points = DAY_S // dataset.slot_s, len(dataset.points)
    most_wh = [int(energies.max(initial=0)) for energies in (dataset.import_wh, dataset.export_wh)]
    day_bytes = slots * points * (1 + sum(map(narrowest_width, most_wh)))
    if day_bytes > DAY_BYTES_MAX:
        what = (
            f"{points} points in {slots} slots a day, with up to {max(most_wh)} Wh, are {day_bytes} bytes in one block"
        )
        right = f"with [runs] a day is one block, of at most {DAY_BYTES_MAX}; leave [runs] out, or settle fewer points at once"
        raise GridError(f"points.csv: {what}; {right}")


def contract_of(dataset: Dataset) -> Contract:
    """The contract that the rules name; GridError where the catalogue has none of that name."""
    found = CONTRACTS.get(dataset.rules.contract)
    if found is None:
        raise GridError(
            f"rules.toml: [market] contract {dataset.rules.contract!r}: one of {', '.join(sorted(CONTRACTS))}"
        )
    return found


def found_chain(dataset: Dataset, public_keys: dict[str, bytes]) -> Genesis:
    """The genesis of a dataset's chain, for ``check_chain``. public_keys: of ``OPERATOR`` and ``IMPORTER``, 65 bytes. GridError: no such contract."""
    contract_of(dataset)
    timeline = timeline_of(dataset)
    end_s = int(dataset.slot_start_s[-1]) + dataset.slot_s
    calendar = calendar_of(dataset.timezone, timeline.noon_s, end_s + CALENDAR_DAYS * DAY_S)
    # Data may end within a month: contracts that settle by the month close what there is of it.
    calendar = calendar._replace(months=sorted({*calendar.months, end_s}))
    return MasterData(
        name="files-",
        clock=IMPORTED,
        currency=dataset.rules.invoice.currency,
        ledger_time_s=timeline.noon_s,
        slot_s=dataset.slot_s,
        validators=[Validator(OPERATOR, OPERATOR, public_keys[OPERATOR])],
        calendars={ZONE_NAME: calendar},
        listed=_Entities(dataset, timeline, public_keys[IMPORTER]),
        salt_seed=secrets.token_bytes(32),
    ).genesis()


def check_rows(dataset: Dataset) -> None:
    """What founding would refuse of tariffs, parties and points, said before: errors as of ``tariff_rows`` and ``point_rows``."""
    deque(chain(tariff_rows(dataset), point_rows(dataset, IMPORTER, OPERATOR)), maxlen=0)


def check_chain(genesis: Genesis) -> None:
    """UsageError: what does not fit together."""
    check_genesis(genesis, CONTRACTS, pins())


class _Entities(Iterable[Listed]):
    """What a dataset's chain has from the start, made when it is asked for: of millions of points little is held at once."""

    def __init__(self, dataset: Dataset, timeline: Timeline, importer: bytes) -> None:
        self._of = dataset, timeline, importer

    def __iter__(self) -> Iterator[Listed]:
        return _entities(*self._of)


def signer_rows(dataset: Dataset, importer: bytes) -> Iterator[Named[Signer | RevokedSigner]]:
    """Parties with orders that no batch takes: the importer signs them in their name, with its key of 65 bytes."""
    for party in sorted(dataset.orders.signers):
        yield Named(SIGNER, party, Signer(OPERATOR, importer, ["prosumer"]))


def _entities(dataset: Dataset, timeline: Timeline, importer: bytes) -> Iterator[Listed]:
    """Everything but the calendar, in the order in which it is numbered: parties and points as the dataset has them."""
    contract, runs = dataset.rules.contract, dataset.rules.runs
    yield Named(ORGANISATION, OPERATOR, Organisation(sorted({*IMPORTER_ROLES, "prosumer"}), "Who imported the files"))
    yield from rules_rows(dataset)
    yield from tariff_rows(dataset)
    yield Named(SIGNER, IMPORTER, Signer(OPERATOR, importer, sorted(IMPORTER_ROLES)))
    yield from signer_rows(dataset, importer)
    yield Named(GATEWAY, IMPORTER, Gateway(OPERATOR, "software"))
    yield Named(
        ZONE,
        ZONE_NAME,
        Zone(
            contract=contract,
            contract_pin=contract_pin(contract),
            first_slot_start_s=timeline.first_slot_s,
            gate_before_start_s=timeline.gate_before_start_s,
            metering_deadline_s=timeline.metering_deadline_s,
            open_before_start_s=timeline.open_before_start_s,
            final_after_s=None if runs is None else runs.final_after_s,
            runs_follow_points=True,
            run_calendar=None if runs is None else runs.calendar.encode(),
        ),
    )
    for area in dict.fromkeys(point.area for point in dataset.points):
        yield Named(AREA, area, Area(ZONE_NAME, rules_of_area(dataset, area), ZONE_NAME))
    yield from point_rows(dataset, IMPORTER, OPERATOR)
    yield from reactive_rows(dataset)
    yield from agreement_rows(dataset)
    yield from balance_rows(dataset)
