"""What the runs that hold now came to for each party: the rows of ``participants.csv``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gridledger.settling.dataset import Dataset
from gridledger.settling.participants import Participant
from gridledger.settling.results.invoices import Issued
from gridledger.settling.results.party_lines import exact_sums
from gridledger.settling.results.sheets import Grid, Sheets
from gridledger.tables.columns import Places


def participants_of(
    dataset: Dataset, sheets: Sheets, points_of_party: Mapping[str, Places], issued: Sequence[Issued]
) -> list[Participant]:
    """Parties by the bytes of their names, one that has no document too."""
    names = ("import_wh", "export_wh", "bought_wh", "sold_wh", "supplier_only_nano", "pays_nano")
    sums = {name: _of_points(sheets.last(name)) for name in names}
    billed: dict[str, list[Issued]] = {party: [] for party in points_of_party}
    for one in issued:
        billed[one.party].append(one)
    rules = dataset.rules.invoice
    found: list[Participant] = []
    for party, points in points_of_party.items():
        of_party = {name: sum(of_points[at] for at in points.tolist()) for name, of_points in sums.items()}
        documents = [one.document for one in billed[party]]
        found.append(
            Participant(
                party=party,
                points=len(points),
                first_slot_start_s=int(dataset.slot_start_s[0]),
                end_s=int(dataset.slot_start_s[-1]) + dataset.slot_s,
                currency=rules.currency,
                import_wh=of_party["import_wh"],
                export_wh=of_party["export_wh"],
                bought_wh=of_party["bought_wh"],
                sold_wh=of_party["sold_wh"],
                net_nano=rules.quantum_nano * sum(document.net for document in documents),
                tax_nano=rules.quantum_nano * sum(document.tax for document in documents),
                gross_nano=rules.quantum_nano * sum(document.gross for document in documents),
                saving_nano=of_party["supplier_only_nano"] - of_party["pays_nano"],
            )
        )
    return found


def _of_points(grid: Grid) -> list[int]:
    """Of each point the sum over all slots, exact."""
    sums: list[int] = exact_sums(np.ascontiguousarray(grid.T), np.zeros(1, dtype=np.intp))[:, 0].tolist()
    return sums
