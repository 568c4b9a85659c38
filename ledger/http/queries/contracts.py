"""What a contract declares, with the words for it: whoever shows lines needs no list of their kinds."""

from __future__ import annotations

from gridcore.serving.openapi import Json
from ledger.contract import Contract, Vocabulary
from ledger.state.order_terms import takes_conditions


def contract_answer(contract: Contract, words: Vocabulary) -> Json:
    """A contract as JSON: kinds of lines and accounts in its order, prices, each with its texts by language."""
    return {
        "contract": contract.contract_id,
        "takes_orders": contract.takes_orders,
        "takes_conditions": takes_conditions(contract),
        "supplier_keys": list(contract.supplier_keys),
        "line_kinds": [
            {
                "kind": kind.kind,
                "account": kind.account,
                "sign": kind.sign,
                "price": kind.price,
                "title": dict(words.line_kinds[kind.kind].title),
                "energy": dict(words.line_kinds[kind.kind].energy),
            }
            for kind in contract.line_kinds
        ],
        "accounts": [{"account": name, "title": dict(words.accounts[name])} for name in contract.accounts],
        "prices": [{"price": key, "title": dict(title)} for key, title in words.prices.items()],
        "not_checked": [dict(text) for text in words.not_checked],
    }
