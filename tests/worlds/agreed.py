"""An area under ``bilateral_agreements/1``: a roof that sells, a house and a shop that buy, of two organisations; one slot that settles."""

from __future__ import annotations

from gridcore.master_data import Named
from gridcore.registry.agreement import AGREEMENT, DIFFERENCE, FIXED_QUANTITY, PAY_AS_PRODUCED, Agreement
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries
from tests.worlds.community import PRICES
from tests.worlds.consortium import FIRST_S, SLOT_S, Consortium, area, feeder, load, rules, zone

HOUSE = Agreement("house", "P-2", FIXED_QUANTITY, 450_000, "roof", "P-1", quantity_wh=300)
"""Takes first, by its name below."""
SHOP = Agreement("shop", "P-3", PAY_AS_PRODUCED, 420_000, "roof", "P-1", share_ppm=500_000, series="spot")
HEDGE = Agreement("shop", "P-3", DIFFERENCE, 430_000, "roof", "P-1", quantity_wh=1_000, series="reference")
BEGIN_S = FIRST_S - SLOT_S
"""From when on series and agreements hold."""
SPOT = Named(PRICE_SERIES, "spot", PriceSeries.of(SLOT_S, [0, 410_000]), BEGIN_S)
REFERENCE = Named(PRICE_SERIES, "reference", PriceSeries.of(SLOT_S, [0, 400_000]), BEGIN_S)
AGREED = Consortium(
    rules=[rules("agreed", prices=PRICES, terms={})],
    zones=[zone(contract="bilateral_agreements/1")],
    areas=[area("a-1", rules="agreed")],
    meters=[load(1, "roof"), load(2, "house"), load(3, "shop", organisation="dso"), feeder(4)],
    roles={
        "reg": ["regulator"], "admin": ["administrator"], "dso-admin": ["administrator"], "third": ["administrator"],
    },
    organisations={"dso-admin": "dso", "third": "third"},
    more=[
        SPOT,
        REFERENCE,
        Named(AGREEMENT, "a-house", HOUSE, BEGIN_S),
        Named(AGREEMENT, "b-shop", SHOP, BEGIN_S),
        Named(AGREEMENT, "hedge", HEDGE, BEGIN_S),
    ],
)  # fmt: skip
"""The roof exports 601 Wh, of which 300 go to the house (of 400) and 300 to the shop (of 600)."""
