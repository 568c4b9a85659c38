"""The one sentence about a market: how much was traded, and whether that was cheaper than the supplier alone.

The overview page and the demonstration's summary say it in the same words because both take words and arithmetic from here.
``Headline.sentence`` is the English template and the message id by which pages translate it; its places are ``homes``
(``homes_words`` with their ``count``), ``energy_kwh``, ``share`` (per cent) and ``amount`` (currency), which each reader formats in
its own way. Integers only. A saving below zero is said as plainly as one above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def N_(text: str) -> str:  # noqa: N802 - gettext's own name: what stands in it is found for translation
    """Mark ``text`` for translation."""
    return text


NO_TRADE: Final = N_("No trade yet")
CHEAPER: Final = N_("%(homes)s traded %(energy_kwh)s kWh; %(share)s %% cheaper than supplier only")
DEARER: Final = N_("%(homes)s traded %(energy_kwh)s kWh; %(share)s %% dearer than supplier only")
SAME: Final = N_("%(homes)s traded %(energy_kwh)s kWh; neither cheaper nor dearer than supplier only")
BETTER: Final = N_("%(homes)s traded %(energy_kwh)s kWh; %(amount)s better off than with supplier only")
WORSE: Final = N_("%(homes)s traded %(energy_kwh)s kWh; %(amount)s worse off than with supplier only")
ONE_HOME: Final = N_("1 home")
MANY_HOMES: Final = N_("%(count)s homes")
SENTENCES: Final = (NO_TRADE, CHEAPER, DEARER, SAME, BETTER, WORSE)


@dataclass(frozen=True, slots=True)
class Headline:
    """What the homes that take part in a market traded and pay together, over the slots that are settled."""

    homes: int
    """Parties that take part in the market."""
    traded_wh: int
    """Energy that they bought of one another, each Wh once."""
    pays_nano: int
    """What they pay together; below zero: they are paid."""
    supplier_only_nano: int
    """What they would pay for the same energy with the supplier alone; below zero: be paid."""
    supplier_charge_nano: int
    """What the supplier alone would charge for what they took, before it pays anything for what they gave."""

    @property
    def saving_nano(self) -> int:
        """How much less they pay than with the supplier alone; below zero: how much more, with a minus."""
        return self.supplier_only_nano - self.pays_nano

    @property
    def traded_tenths_kwh(self) -> int:
        """The traded energy in tenths of a kWh, half rounded up."""
        return (self.traded_wh + 50) // 100

    @property
    def share_per_mille(self) -> int | None:
        """|saving| as a share of what the supplier alone would charge, in tenths of a per cent, half rounded up.

        The base is the charge for what the homes took, not their balance: where they sell about as much as they buy, that is
        near zero, and a share of it says nothing. None where the supplier alone would charge nothing.
        """
        if self.supplier_charge_nano <= 0:
            return None
        return (2000 * abs(self.saving_nano) + self.supplier_charge_nano) // (2 * self.supplier_charge_nano)

    @property
    def sentence(self) -> str:
        """The one of SENTENCES that is true. What rounds to 0.0 % is neither cheaper nor dearer."""
        if not self.traded_wh:
            return NO_TRADE
        share = self.share_per_mille
        if not self.saving_nano or share == 0:
            return SAME
        if share is None:
            return BETTER if self.saving_nano > 0 else WORSE
        return CHEAPER if self.saving_nano > 0 else DEARER

    @property
    def homes_words(self) -> str:
        """The template that says how many homes."""
        return ONE_HOME if self.homes == 1 else MANY_HOMES

    @property
    def has_share(self) -> bool:
        """Whether the sentence says a share, so that its base has to be said, too."""
        return self.sentence in (CHEAPER, DEARER)

    def in_english(self, currency: str) -> str:
        """The sentence with figures for a terminal: kWh and per cent with one digit, amounts with two."""
        share, tenths = self.share_per_mille, self.traded_tenths_kwh
        return self.sentence % {
            "homes": self.homes_words % {"count": f"{self.homes:,}"},
            "energy_kwh": f"{tenths // 10:,}.{tenths % 10}",
            "share": "" if share is None else f"{share // 10}.{share % 10}",
            "amount": f"{abs(self.saving_nano) / 10**9:,.2f} {currency}",
        }
