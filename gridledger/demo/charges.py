"""What components of a tariff charge parties in the ledger of a run: lines and postings of a month, at its first slot, as ``settle files`` has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from gridledger.demo.genesis import ZONE_NAME
from gridledger.demo.run_sums import Line, RunSums
from gridledger.settling.chain import Scope
from gridledger.settling.documents import Books, month_billing, slots_of_months
from ledger.store.offline import reading
from settlement.catalogue import CONTRACTS
from settlement.tariffs.charges import Charge


def read_charges(data_dir: Path) -> Mapping[tuple[int, str], RunSums]:
    """By first slot of a month and run, of a ledger that no node uses and in which every party names a tariff. StoreError where it cannot be read."""
    found: dict[tuple[int, str], RunSums] = defaultdict(RunSums)
    with reading(data_dir, CONTRACTS) as reader:
        scope = Scope(ZONE_NAME, reader.height)
        for month, slot_start_s in slots_of_months(reader, scope).items():
            books = Books(reader, scope, month, is_of_files=False)
            billing = month_billing(books, slot_start_s).billing
            for (run, party), added in billing.charges.items():
                sums = found[int(slot_start_s[0]), run]
                for sign, charge in added.charges:
                    _charge(sums, party, sign, charge)
    return found


def _charge(sums: RunSums, party: str, sign: int, charge: Charge) -> None:
    """Add a charge (sign 1), or take one back (-1)."""
    price = charge.price_micro_per_kwh
    line = Line(party, charge.name, "" if price is None else price, charge.account)
    energy_wh, amount_nano = sums.lines[line]
    sums.lines[line] = energy_wh + sign * charge.energy_wh, amount_nano + sign * charge.amount_nano
    owes, is_owed = (party, charge.account) if charge.amount_nano > 0 else (charge.account, party)
    amount = sign * abs(charge.amount_nano)
    for account, debit_nano, credit_nano in ((owes, amount, 0), (is_owed, 0, amount)):
        debit, credit = sums.accounts[account]
        sums.accounts[account] = debit + debit_nano, credit + credit_nano
