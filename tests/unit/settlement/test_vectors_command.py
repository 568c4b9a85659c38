"""The conformance runner: our own cases pass, and every way a case can be wrong is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridcore.errors import InvariantError, UsageError
from gridledger import cli
from gridledger.vectors import run_vectors
from gridledger.vectors.cases import CaseInput
from gridledger.vectors.handlers import HANDLERS, Handler

ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
ORDERS = "order_id,participant,side,quantity_wh,price_micro_per_kwh,sequence\n"


def write_case(folder: Path, text: str, **files: str) -> None:
    folder.mkdir(parents=True)
    (folder / "case.toml").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def sm3_case(message: str = '"616263"', expect: str = f'[expect]\ndigest = "{ABC}"') -> str:
    return f'handler = "sm3/1"\n[input]\nmessage = {message}\n{expect}\n'


def auction_case(orders: str = '"orders"') -> str:
    return f'handler = "call_auction/1"\n[input]\norders = {orders}\n[expect]\nvolume_wh = 0\n'


def test_every_case_that_the_project_carries_passes(repository: Path) -> None:
    report = run_vectors(repository / "tests" / "vectors")
    assert report.failures == ()
    assert report.passed > 300


def test_every_handler_has_cases_and_one_that_is_refused_or_not_valid(repository: Path) -> None:
    for name in HANDLERS:
        folder = repository / "tests" / "vectors" / name.partition("/")[0]
        texts = [path.read_text(encoding="utf-8") for path in folder.rglob("case.toml")]
        refusals = ("= false", 'answer = "not_verified"')
        assert any("[expect]" not in text or any(word in text for word in refusals) for text in texts), name


def test_folder_itself_may_be_a_case(tmp_path: Path) -> None:
    write_case(tmp_path / "one", sm3_case())
    report = run_vectors(tmp_path / "one")
    assert (report.passed, report.text()) == (1, "1 passed, 0 failed")


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (sm3_case(expect='[expect]\ndigest = "00"'), "digest", ABC),
        (sm3_case(expect=""), "expect", "refused"),
        (sm3_case(expect='[expect]\ndigests = "00"'), "digests", "absent"),
        (sm3_case(expect='[expect]\nabsent = ["digest"]'), "digest", "absent"),
        (sm3_case(expect='[expect]\nabsent = "digest"'), "expect.absent", "list"),
        (sm3_case(message='"6 16263"'), "expect", "refused: input.message is not hex"),
        (sm3_case(message="616263"), "input.message", "a string"),
        (sm3_case(message="616263", expect=""), "input.message", "a string"),
        (sm3_case(expect="[expct]\n"), "expct", "no tables but input and expect"),
        ('handler = "sm3/1"\n[input]\n', "input.message", "nothing"),
        ('handler = "sm3/1"\n[input]\nmessage = "00"\nmesage = "00"\n', "input.mesage", "an unknown key"),
        ('handler = "sm3/2"\n[input]\nmessage = "00"\n', "handler", "sm3/2"),
        ('handler = "sm3/1"\n', "input", "a table"),
        ('handler = "sm3/1"\ninput = 3\n', "input", "a table"),
        ('handler = "sm3/1"\nexpect = 3\n[input]\nmessage = "00"\n', "expect", "a table"),
        ("[input]\n", "handler", "a string"),
        ("handler = \n", "case.toml", "TOML"),
        ('handler = "merkle_root/1"\n[input]\nleaves = "00"\n', "input.leaves", "a list"),
        ('handler = "difference_posting/1"\n[input]\nruns = [{a = true}]\n', "input.runs[0].a", "a whole number"),
        ('handler = "difference_posting/1"\n[input]\nruns = [{a = 1.0}]\n', "input.runs[0].a", "a whole number"),
        ('handler = "difference_posting/1"\n[input]\nruns = [3]\n', "input.runs[0]", "a table"),
        (auction_case('"nothing.csv"'), "nothing.csv", "a file that can be read"),
        (auction_case('"../orders.csv"'), "input.orders", "beside case.toml"),
    ],
)
def test_case_that_differs_or_is_broken_is_a_failure_that_says_so(
    tmp_path: Path, text: str, field: str, words: str
) -> None:
    write_case(tmp_path / "sm3" / "a", text)
    report = run_vectors(tmp_path)
    assert (report.passed, report.failed) == (0, 1)
    assert (report.failures[0].case, report.failures[0].field) == ("sm3/a", field)
    line, last = report.text().splitlines()
    assert line.startswith(f"sm3/a: {field}: expected ")
    assert words in line
    assert last == "0 passed, 1 failed"
    json.dumps(report.as_json())


@pytest.mark.parametrize(
    ("orders", "field"),
    [
        ("", "orders"),
        (ORDERS.replace(",sequence", ""), "orders"),
        (ORDERS + "b1,home,buy,5,300000\n", "orders row 1"),
        (ORDERS + "b1,home,buy,5.0,300000,1\n", "row 1, quantity_wh"),
        (ORDERS + "b1,home,buy, 5,300000,1\n", "row 1, quantity_wh"),
        (ORDERS + "b1,home,buy,5,300000,\n", "row 1, sequence"),
        (ORDERS + 'b1,"home,buy,5,300000,1\n', "orders"),
    ],
)
def test_broken_table_is_a_failure_that_names_the_row(tmp_path: Path, orders: str, field: str) -> None:
    write_case(tmp_path / "a", auction_case(), orders=orders)
    assert [failure.field for failure in run_vectors(tmp_path).failures] == [field]


def test_table_in_expect_must_match_entirely_and_only_the_difference_is_shown(tmp_path: Path) -> None:
    orders = ORDERS + "b1,home,buy,5,300000,1\nb2,home,buy,5,300000,1\ns1,roof,sell,10,300000,1\n"
    text = auction_case().replace("volume_wh = 0", "filled_wh = {b1 = 5, b2 = 4, s2 = 1}")
    write_case(tmp_path / "a", text, orders=orders)
    failure = run_vectors(tmp_path).failures[0]
    assert (failure.field, failure.expected, failure.got) == ("filled_wh", {"b2": 4, "s2": 1}, {"b2": 5, "s1": 10})


def test_true_is_not_one(tmp_path: Path) -> None:
    write_case(tmp_path / "a", 'handler = "cbor_canonical/1"\n[input]\nbytes = "00"\n[expect]\ncanonical = 1\n')
    assert run_vectors(tmp_path).failures[0].got is True


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), InvariantError("debits equal credits")])
def test_unexpected_error_of_ours_is_a_failure_and_never_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def crash(case: CaseInput) -> dict[str, object]:
        raise error

    monkeypatch.setitem(HANDLERS, "sm3/1", Handler(crash, ("message",)))
    write_case(tmp_path / "a", sm3_case(expect=""))
    write_case(tmp_path / "b", sm3_case())
    report = run_vectors(tmp_path)
    assert report.failed == 2
    assert type(error).__name__ in str(report.failures[0].got)


def test_result_outside_64_bits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HANDLERS, "sm3/1", Handler(lambda case: {"digest": [{"a": 2**63}]}, ("message",)))
    write_case(tmp_path / "a", sm3_case(expect=""))
    assert run_vectors(tmp_path).is_conformant


def test_exit_status_is_0_only_when_a_case_ran_and_none_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["vectors", "run", str(tmp_path)]
    assert cli.main(command) == 2
    assert "no case lies in it; a case is a folder <handler>/<case> with case.toml" in capsys.readouterr().err
    write_case(tmp_path / "a", sm3_case())
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"passed": 1, "failed": 0, "failures": []}
    write_case(tmp_path / "b", sm3_case(expect=""))
    assert cli.main([*command, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["passed"], result["failed"]) == (1, 1)
    assert result["failures"][0] == {"case": "b", "field": "expect", "expected": "refused", "got": {"digest": ABC}}


def test_folder_that_is_not_there_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        run_vectors(tmp_path / "nowhere")
    assert cli.main(["vectors", "run", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
