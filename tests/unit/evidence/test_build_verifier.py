"""The stand-alone verifier is what its parts make: generated anew it is the committed file, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridcore.errors import InvariantError
from gridevidence import build_verifier as builder
from gridevidence.layout import CLAIMS
from gridevidence.verifier.contracts import CONTRACTS
from gridevidence.verifier.verdict import CHECKS

VERIFIER = Path(builder.__file__).parents[1] / "gridcore" / "verify.py"


def test_the_committed_verifier_is_generated_from_its_parts() -> None:
    assert VERIFIER.read_text(encoding="utf-8") == builder.build_verifier()


def test_every_part_is_in_the_verifier() -> None:
    folder = Path(builder.__file__).parent
    text = VERIFIER.read_text(encoding="utf-8")
    parts = [path for path in folder.glob("verifier/**/*.py") if path.name != "__init__.py"]
    assert len(parts) > 12
    for path in (folder / "layout.py", *parts):
        assert f"= {path.relative_to(folder.parent).with_suffix('').as_posix()}\n" in text


def test_every_claim_has_its_check_in_the_order_of_checking() -> None:
    assert ["shape", *CHECKS] == list(CLAIMS)


def test_a_contract_is_found_by_its_own_id() -> None:
    assert all(contract_id == contract.contract_id for contract_id, contract in CONTRACTS.items())


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (
            {"last": "from gridevidence.first import a\n\n\ndef b(): ...\n", "first": "def a(): ...\n\n\nb = 1\n"},
            "two: b",
        ),
        ({"last": "import json as text\n"}, "without 'as'"),
        ({"last": "from gridevidence.first import a as b\n", "first": "a = 1\n"}, "without 'as'"),
    ],
)
def test_parts_that_cannot_stand_in_one_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: dict[str, str], said: str
) -> None:
    (tmp_path / "gridevidence").mkdir()
    for name, source in sources.items():
        (tmp_path / "gridevidence" / f"{name}.py").write_text(source)
    monkeypatch.setattr(builder, "REPOSITORY", tmp_path)
    monkeypatch.setattr(builder, "LAST_PART", "gridevidence.last")
    with pytest.raises(InvariantError, match=said):
        builder.build_verifier()
