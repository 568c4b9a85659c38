"""The command line of the verifier: alone on a bare Python, and as ``gridledger verify``; answers and exit statuses."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridcore import cbor, verify
from gridcore.sm3.hashers import PythonHasher
from gridledger.cli import main
from tests.unit.verify.honest import TRADE


def trust() -> dict[str, Any]:
    """A copy of the trust root, to be changed."""
    return copy.deepcopy(dict(TRADE.trust))


SIGNER = trust()["signers"][0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a bundle, its trust root and book, and the verifier, and nothing else."""
    (tmp_path / "sample.evd").write_bytes(TRADE.bundle_bytes)
    (tmp_path / "sample.book").write_bytes(TRADE.book_bytes)
    (tmp_path / "trust.json").write_bytes(TRADE.trust_bytes)
    shutil.copyfile(verify.__file__, tmp_path / "verify.py")
    return tmp_path


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "verify.py", *arguments]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_file_alone_verifies_on_a_bare_interpreter(folder: Path) -> None:
    done = run_alone(folder, "sample.evd", "--trust", "trust.json", "--with-book", "sample.book")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED: every claim holds\n\nh1, meter M-1, 1970-01-01 02:30 to 02:45 UTC")
    assert "  trade_buy          600 Wh     0.10  0.060  clearing\n" in done.stdout
    assert "h1 owes 0.226 CNY for this slot; with the supplier alone it would owe 0.37 CNY.\n" in done.stdout
    report = json.loads(run_alone(folder, "sample.evd", "--trust", "trust.json", "--json").stdout)
    assert (report["answer"], report["exit"], report["claim"], report["mark"]) == ("verified", 0, None, "")
    assert list(report["claims"]) == [name for name in verify.CLAIMS if name != "book"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["sample.evd"], 3, "CANNOT BE DECIDED: no trust root"),
        (["trust.json", "--trust", "trust.json"], 1, "NOT VERIFIED: shape"),
        (["absent.evd", "--trust", "trust.json"], 2, "verify: cannot read absent.evd"),
        (["sample.evd", "--trust", "absent.json"], 2, "verify: cannot read absent.json"),
        (["sample.evd", "--trust", "."], 2, "verify: cannot read ."),
        (["sample.evd", "--trust", "sample.evd"], 2, "verify: sample.evd: the trust file is malformed"),
        (["sample.evd", "--trust", "trust.json", "--with-book", "trust.json"], 3, "CANNOT BE DECIDED: book: "),
        ([], 2, "verify.py: error:"),
        (["sample.evd", "--nonsense"], 2, "verify.py: error:"),
    ],
)
def test_each_answer_has_its_exit_status_and_a_fault_is_one_line(
    folder: Path, arguments: list[str], status: int, said: str
) -> None:
    done = run_alone(folder, *arguments)
    output = done.stderr if status == 2 else done.stdout
    assert (done.returncode, said in output) == (status, True), done
    assert "Traceback" not in done.stderr
    assert status != 2 or done.stderr.count("\n") == 1


def test_gridledger_verify_gives_the_same_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ["--trust", str(folder / "trust.json")]
    assert main(["verify", str(folder / "sample.evd"), *trust, "--with-book", str(folder / "sample.book")]) == 0
    assert capsys.readouterr().out.startswith("VERIFIED")
    assert main(["verify", str(folder / "sample.evd"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["answer"] == verify.CANNOT_BE_DECIDED
    assert main(["verify", str(folder / "verify.py"), *trust]) == 1
    assert main(["verify", str(folder / "absent"), *trust]) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert "cannot read" in output.err


def test_names_with_control_characters_never_reach_the_terminal(folder: Path) -> None:
    root = trust()
    root["signers"][0]["name"] = "op\x1b[2J\nVERIFIED\ud800"
    (folder / "trust.json").write_text(json.dumps(root))
    done = run_alone(folder, "sample.evd", "--trust", "trust.json")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "op\\x1b[2J\\nVERIFIED\\ud800" in done.stdout


MALFORMED: dict[str, Callable[[dict[str, object]], object]] = {
    "another type": lambda root: root.update(type="trust"),
    "no version": lambda root: root.pop("version"),
    "version that is no integer": lambda root: root.update(version="1"),
    "version true": lambda root: root.update(version=True),
    "unknown key": lambda root: root.update(comment="hello"),
    "no chain": lambda root: root.pop("chain"),
    "genesis of 31 bytes": lambda root: root.update(genesis="00" * 31),
    "genesis that is no hex": lambda root: root.update(genesis="0x" + "00" * 31),
    "no signers": lambda root: root.update(signers=[]),
    "signers that are no list": lambda root: root.update(signers={}),
    "power 0": lambda root: root.update(signers=[{**SIGNER, "power": 0}]),
    "power true": lambda root: root.update(signers=[{**SIGNER, "power": True}]),
    "power 1.0": lambda root: root.update(signers=[{**SIGNER, "power": 1.0}]),
    "power beyond 63 bits": lambda root: root.update(signers=[{**SIGNER, "power": 1 << 63}]),
    "one key twice": lambda root: root.update(signers=[SIGNER, SIGNER]),
    "key off the curve": lambda root: root.update(signers=[{**SIGNER, "public_key": "04" + "01" * 64}]),
    "compressed key": lambda root: root.update(signers=[{**SIGNER, "public_key": "02" + "01" * 32}]),
    "signer without a name": lambda root: root.update(signers=[{"power": 1, "public_key": "04" + "01" * 64}]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_trust_root_is_bad_usage(name: str) -> None:
    root = trust()
    MALFORMED[name](root)
    with pytest.raises(verify.Halt) as halted:
        verify.decode_trust(json.dumps(root).encode())
    assert halted.value.args[0] == verify.BAD_USAGE


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 5_000, b'{"a": NaN}'])
def test_a_trust_file_that_is_no_trust_root_is_bad_usage(data: bytes) -> None:
    with pytest.raises(verify.Halt) as halted:
        verify.decode_trust(data)
    assert halted.value.args[0] == verify.BAD_USAGE
    for word in ("byte", "recursion", "digits", "codec", "char", "NoneType", "dict"):
        assert word not in halted.value.args[1]


def test_a_trust_file_that_is_no_json_is_shown_where_it_breaks() -> None:
    with pytest.raises(verify.Halt) as halted:
        verify.decode_trust(b'{"type":\n  oops}')
    assert halted.value.args[1].endswith("it cannot be read as JSON in UTF-8, at line 2, column 3")


@pytest.mark.parametrize("key", ["version", "chain", "signers", "power", "public_key"])
def test_a_key_twice_in_a_trust_file_is_refused(key: str) -> None:
    text = json.dumps(trust())
    verify.decode_trust(text.encode())
    with pytest.raises(verify.Halt, match="a key stands twice") as halted:
        verify.decode_trust(text.replace(f'"{key}":', f'"{key}": 1, "{key}":').encode())
    assert halted.value.args[0] == verify.BAD_USAGE
    assert key in halted.value.args[1]


@pytest.mark.parametrize(("version", "said"), [(1, "version 1, known here is 2; release 0.1"), (3, "version 3")])
def test_a_trust_root_of_an_unknown_version_cannot_decide(folder: Path, version: int, said: str) -> None:
    (folder / "trust.json").write_text(json.dumps({**trust(), "version": version, "novelty": 1}))
    done = run_alone(folder, "sample.evd", "--trust", "trust.json")
    assert done.returncode == 3
    assert done.stdout.startswith(f"CANNOT BE DECIDED: trust.json: the trust root is of {said}")
    assert all(text in done.stdout for text in verify.CLAIMS.values())


def test_sm3_without_a_library_gives_the_same_digests() -> None:
    for length in (0, 1, 3, 55, 56, 63, 64, 65, 200):
        data = bytes(range(256))[:length]
        assert verify._sm3_python(data) == PythonHasher(data).digest()
        assert verify.sm3(data) == PythonHasher(data).digest()


def test_a_slot_at_the_end_of_time_is_shown_without_a_traceback() -> None:
    facts = {**verify.verify_bundle(TRADE.bundle_bytes, None).facts, "meter": "m\x1b", "pays_nano": -1}
    facts |= {"slot_start_s": verify.TIME.stop - 1, "slot_end_s": verify.TIME.stop + 3_600}
    verdict = verify.Verdict(verify.VERIFIED, "", None, {}, (), facts)
    text = verify.render(verdict, as_json=False)
    assert "UTC" in text
    assert "h1 is paid 0.000000001 CNY for this slot" in text
    assert "\x1b" not in text


def test_a_refuted_claim_is_named_by_number_and_word(folder: Path) -> None:
    (folder / "bad.evd").write_bytes(TRADE.bundle_bytes.replace(b"h1", b"h2"))
    report = json.loads(run_alone(folder, "bad.evd", "--trust", "trust.json", "--json").stdout)
    assert (report["answer"], report["exit"], report["claim"]) == ("not verified", 1, {"number": 3, "word": "registry"})


def test_a_deep_or_wide_item_is_refused_at_once() -> None:
    for data in (b"\x81" * 1_000_000, b"\x9b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8, b"\x5b" + b"\xff" * 8):
        with pytest.raises(verify.Halt):
            verify.decode(data, "it")
    nested: object = 0
    for _ in range(verify.DEPTH_MAX):
        nested = [nested]
    assert verify.decode(cbor.encode(nested), "it") == nested  # type: ignore[arg-type]  # built of lists and an int
    with pytest.raises(verify.Halt):
        verify.decode(cbor.encode([nested]), "it")  # type: ignore[list-item]  # as above
