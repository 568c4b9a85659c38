"""``grid_fee_path/2``: the markets of version 1, whose places also take a fraction of the offer; trades are at what sellers ask."""

from __future__ import annotations

from typing import Final

from gridevidence.verifier.contracts.grid_fee_path_1 import GRID_FEE_PATH_1

GRID_FEE_PATH_2: Final = GRID_FEE_PATH_1._replace(
    contract_id="grid_fee_path/2",
    terms={
        "grid_places": [
            {
                "fee_micro_per_kwh": range(10**9 + 1),
                "fee_ppm": range(1_000_001),
                "parent?": range(1, 65_536),
                "place": range(1, 65_536),
            },
            1,
            64,
        ],
    },
)
