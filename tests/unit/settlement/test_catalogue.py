"""The catalogue: every contract is found by its id, and people find a word for everything that it declares."""

from __future__ import annotations

import pytest

from gridcore import verify
from gridweb.i18n import LANGUAGES
from settlement.catalogue import CATALOGUE, CONTRACTS, Entry, pins


def test_contracts_and_pins_are_by_id() -> None:
    assert list(CONTRACTS) == list(CATALOGUE) == list(pins())
    assert all(contract.contract_id == contract_id for contract_id, contract in CONTRACTS.items())
    assert len(set(pins().values())) == len(CATALOGUE)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_line_kinds_name_declared_accounts_and_each_kind_stands_once(entry: Entry) -> None:
    kinds = [kind.kind for kind in entry.contract.line_kinds]
    assert len(set(kinds)) == len(kinds) <= 256
    assert {kind.account for kind in entry.contract.line_kinds} == set(entry.contract.accounts)
    assert {kind.sign for kind in entry.contract.line_kinds} <= {1, -1}


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_what_a_bundle_leaves_open_has_a_text_in_every_language(entry: Entry) -> None:
    texts = entry.vocabulary.not_checked
    assert [text["en"] for text in texts] == list(verify.CONTRACTS[entry.contract.contract_id].not_checked)
    assert all(set(text) == set(LANGUAGES) and all(text.values()) for text in texts)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_every_word_of_a_contract_has_a_text_in_every_language(entry: Entry) -> None:
    words = entry.vocabulary
    assert list(words.line_kinds) == [kind.kind for kind in entry.contract.line_kinds]
    assert list(words.accounts) == list(entry.contract.accounts)
    assert set(entry.contract.supplier_keys) <= set(words.prices)
    texts = [*words.accounts.values(), *words.prices.values()]
    texts += [text for line in words.line_kinds.values() for text in line]
    for text in texts:
        assert set(text) == set(LANGUAGES)
        assert all(text.values())
