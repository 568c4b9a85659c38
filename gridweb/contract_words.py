"""What the node says of a contract: its kinds of lines, accounts and prices, with the words for them in every language.

Pages know no line kind by name. What people read comes from here, in the language of the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gridweb.i18n import language

Text = Mapping[str, str]
"""A text by language."""


@dataclass(frozen=True)
class LineWords:
    """One kind of line: its title, and what its energy is."""

    title: Text
    energy: Text


@dataclass(frozen=True)
class ContractWords:
    """A contract as pages need it. ``lines``: by kind, in the contract's order; ``accounts``, ``prices``: by name.

    ``takes_conditions``: whether its bids may prefer sellers and kinds of energy; ``supplier_keys``: the prices that a kWh from the supplier alone is made of; ``not_checked``: what no bundle can prove.
    """

    contract_id: str
    takes_orders: bool
    takes_conditions: bool
    supplier_keys: tuple[str, ...]
    lines: Mapping[str, LineWords]
    accounts: Mapping[str, Text]
    prices: Mapping[str, Text]
    not_checked: tuple[Text, ...]

    def line_title(self, kind: str) -> str:
        """The title of a kind of line; the kind itself where the contract does not know it."""
        return shown(self.lines[kind].title) if kind in self.lines else kind

    def line_energy(self, kind: str) -> str:
        """What the energy of a kind of line is."""
        return shown(self.lines[kind].energy) if kind in self.lines else ""

    def price_title(self, key: str) -> str:
        """The title of one of the rules' prices."""
        return shown(self.prices[key]) if key in self.prices else key

    def not_checked_text(self, text: str) -> str:
        """One of the things that a verifier says it has not checked, which is known by its English text."""
        return next((shown(known) for known in self.not_checked if known["en"] == text), text)

    @property
    def line_titles(self) -> Mapping[str, str]:
        """Titles by kind of line, in the contract's order."""
        return {kind: shown(words.title) for kind, words in self.lines.items()}

    @property
    def account_titles(self) -> Mapping[str, str]:
        """Titles by account."""
        return {name: shown(text) for name, text in self.accounts.items()}

    def supplier_price_micro(self, prices: Mapping[str, int]) -> int:
        """The supplier's full price of a kWh, micro, by an area's prices."""
        return sum(int(prices[key]) for key in self.supplier_keys)


def shown(text: Text) -> str:
    """A text in the language of the request."""
    return text[language()]


def account_titles(contracts: Iterable[ContractWords]) -> Mapping[str, str]:
    """Titles of the accounts of several contracts; of an account that two of them have, the first one's."""
    titles: dict[str, str] = {}
    for contract in contracts:
        titles = {**contract.account_titles, **titles}
    return titles


def contract_words(answer: Mapping[str, Any]) -> ContractWords:
    """Out of the node's answer (docs/spec/http.md, ``areas``)."""
    return ContractWords(
        contract_id=answer["contract"],
        takes_orders=answer["takes_orders"],
        takes_conditions=answer["takes_conditions"],
        supplier_keys=tuple(answer["supplier_keys"]),
        lines={line["kind"]: LineWords(line["title"], line["energy"]) for line in answer["line_kinds"]},
        accounts={account["account"]: account["title"] for account in answer["accounts"]},
        prices={price["price"]: price["title"] for price in answer["prices"]},
        not_checked=tuple(answer["not_checked"]),
    )
