"""Many messages at once: every row kernel gives the digests of plain Python, and a kernel that does not is not used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import pinned_hashlib
from gridcore import merkle
from gridcore.sm import native as sm2_native
from gridcore.sm3 import DIGEST_BYTES, RowKernel, native, sm3, sm3_each
from gridcore.sm3.hashers import PythonHasher, factory
from gridcore.sm3.rows import LoopKernel
from gridledger import build_row_kernel
from gridledger.vectors.runner import run_vectors
from tests.external import needs

NEEDS_CC = needs("cc", "apt-get install gcc libc6-dev")
Test = TypeVar("Test", bound=Callable[..., object])
LOOPS: dict[str, RowKernel] = {name: LoopKernel(name, factory(name)) for name in ("hashlib", "cryptography")}
ORACLE = LoopKernel("python", PythonHasher)
DATA = b"".join(number.to_bytes(2, "big") for number in range(20_000))


def needs_cc(test: Test) -> Test:
    """Mark a test that compiles."""
    for mark in NEEDS_CC:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel, built for this test alone."""
    path = tmp_path_factory.mktemp("kernel") / "sm3_kernel.so"
    build_row_kernel.build(build_row_kernel.find_compiler(), build_row_kernel.kernels()[0]._replace(library=path))
    return path


@pytest.fixture(
    params=[*LOOPS, *(pytest.param(name, marks=NEEDS_CC) for name in native.KERNELS)],
)
def kernel(request: pytest.FixtureRequest) -> RowKernel:
    """Each kernel of this machine."""
    if request.param in LOOPS:
        return LOOPS[request.param]
    path: Path = request.getfixturevalue("library")
    lanes = native.KERNELS[request.param]
    if lanes > (widest := native.NativeKernel(path)._lanes):
        request.node.add_marker("other_processor")
        pytest.skip(f"this processor hashes {widest} messages side by side, not {lanes}")
    return native.NativeKernel(path, lanes)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 15, 16, 17, 33, 500])
@pytest.mark.parametrize("row_bytes", [1, 25, 38, 39, 64, 102, 103, 200])
def test_rows_of_every_length_and_number_have_the_digests_of_one_message_each(
    kernel: RowKernel, count: int, row_bytes: int
) -> None:
    heads, rows = DATA[1 : 1 + 16 * count], (DATA * 3)[: row_bytes * count]
    digests = kernel.rows(b"\x00", heads, 16, rows, row_bytes)
    assert [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)] == [
        sm3(b"\x00" + heads[16 * i : 16 * i + 16] + rows[row_bytes * i : row_bytes * (i + 1)]) for i in range(count)
    ]


@given(
    st.binary(max_size=70), st.lists(st.binary(max_size=300), max_size=40), st.integers(0, 60), st.binary(max_size=70)
)
@settings(max_examples=25, deadline=None)
def test_all_kernels_agree_with_plain_python(prefix: bytes, messages: list[bytes], count: int, seed: bytes) -> None:
    digests = ORACLE.messages(prefix, messages)
    stream = ORACLE.stream(seed, count)
    kernels = list(installed_kernels())
    assert len(kernels) >= len(LOOPS)
    for kernel in kernels:
        assert kernel.messages(prefix, messages) == digests
        offsets = array("Q", accumulate(map(len, messages), initial=0)).tobytes()
        assert kernel.slices(prefix, b"".join(messages) + b"behind", offsets) == digests
        assert kernel.stream(seed, count) == stream
        if stream:
            assert kernel.level(stream) == ORACLE.level(stream)
            assert kernel.root(stream) == ORACLE.root(stream)
            assert kernel.salted_root(seed, stream, DIGEST_BYTES) == ORACLE.salted_root(seed, stream, DIGEST_BYTES)


def installed_kernels() -> Iterator[RowKernel]:
    """The loops, and every width of the kernel that set-up built (none where it built none)."""
    yield from LOOPS.values()
    for lanes in native.KERNELS.values():
        try:
            yield native.NativeKernel(native.LIBRARY, lanes)
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize("leaves", [1, 2, 3, 16, 31, 32, 33, 64, 65, 1000])
def test_trees_of_every_kernel_are_those_of_rfc_9162(kernel: RowKernel, leaves: int) -> None:
    digests = kernel.stream(b"seed", leaves)
    hashes = [digests[start : start + DIGEST_BYTES] for start in range(0, len(digests), DIGEST_BYTES)]
    level = hashes
    while len(level) > 1:
        pairs = [
            merkle.node_hash(*level[i : i + 2]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)
        ]
        assert kernel.level(b"".join(level)) == b"".join(pairs)
        level = pairs
    assert kernel.root(digests) == level[0]


@pytest.mark.parametrize("count", [0, 1, 2, 154, 1023, 1024, 1025, 1500])
def test_salted_rows_have_one_root_whatever_computes_it(
    kernel: RowKernel, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    rows = [DATA[25 * i : 25 * (i + 1)] for i in range(count)]
    salts = [sm3(b"seed" + counter.to_bytes(4, "big")) for counter in range(1, (count + 1) // 2 + 1)]
    halves = [half for digest in salts for half in (digest[:16], digest[16:])]
    expected = merkle.root(salt + row for salt, row in zip(halves, rows, strict=False))
    monkeypatch.setattr(merkle, "ROWS", kernel)
    assert merkle.salted_root(b"seed", rows) == expected


def test_vectors_of_trees_and_salted_rows_hold_for_every_kernel(
    kernel: RowKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merkle, "ROWS", kernel)
    for area in ("merkle_root", "merkle_inclusion", "merkle_consistency", "salted_root"):
        report = run_vectors(Path(__file__).parents[2] / "vectors" / area)
        assert report.passed > 0
        assert not report.failures


def test_messages_longer_than_the_others_of_their_group_are_not_cut(kernel: RowKernel) -> None:
    messages = [DATA[: 977 * number % 3_000] for number in range(37)] + [DATA]
    digests = kernel.messages(b"\x00", messages)
    assert digests == b"".join(sm3(b"\x00" + message) for message in messages)


def test_known_answers_are_those_of_plain_python() -> None:
    assert native.known_root(ORACLE) == native._KNOWN_ROOT
    assert ORACLE.messages(b"", native._KNOWN_MESSAGES) == native._KNOWN_DIGESTS


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("0x7380166f", "0x7380166e"),
        ("0x7a879d8a", "0x7a879d8b"),
        ('"\\x01", NULL', '"\\x02", NULL'),
        ("counter + (uint32_t)(first + i)", "counter + (uint32_t)(first + 2 * i)"),
        ("(before[word] & ~is_open)", "(state[word] & ~is_open)"),
    ],
    ids=["initial state", "round constant", "node prefix", "counter", "shorter message"],
)
@needs_cc
def test_a_library_with_wrong_digests_is_not_used(tmp_path: Path, right: str, wrong: str) -> None:
    for name in ("kernel.c", "lanes.h"):
        text = native.SOURCE.with_name(name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(right, wrong), encoding="utf-8")
    library = tmp_path / "sm3_kernel.so"
    compiler = build_row_kernel.find_compiler()
    subprocess.run([*compiler, *build_row_kernel.OPTIONS, tmp_path / "kernel.c", "-o", library], check=True)
    assert native.load(library) is None


@pytest.mark.parametrize("content", [None, b"", b"no library at all"], ids=["absent", "empty", "text"])
def test_a_file_that_is_no_library_is_not_used(tmp_path: Path, content: bytes | None) -> None:
    library = tmp_path / "sm3_kernel.so"
    if content is not None:
        library.write_bytes(content)
    assert native.load(library) is None


@needs_cc
def test_another_library_is_not_used(tmp_path: Path) -> None:
    source, library = tmp_path / "other.c", tmp_path / "sm3_kernel.so"
    source.write_text("int sm3_lanes_max(void) { return 16; }\n")
    compiler = build_row_kernel.find_compiler()
    subprocess.run([*compiler, *build_row_kernel.OPTIONS, source, "-o", library], check=True)
    assert native.load(library) is None


def chosen(wanted: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter chooses, or its complaint."""
    program = "from gridcore import sm3; print(sm3.BACKEND, sm3.ROWS.name)"
    environment = {**os.environ, "GRIDLEDGER_SM3": wanted}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def test_the_environment_can_force_an_implementation() -> None:
    for name in ("hashlib", "cryptography", "python"):
        assert chosen(name).stdout.split() == [name, name]
    if native.load() is not None:
        assert chosen("native4").stdout.split()[1] == "native4"


def test_an_implementation_that_is_not_there_is_refused_with_the_names() -> None:
    done = chosen("native5")
    assert done.returncode == 1
    assert "GRIDLEDGER_SM3=native5: there is none here; one of native16, native8, native4, hashlib" in done.stderr


@needs_cc
def test_many_rows_are_hashed_without_the_interpreter_lock(library: Path) -> None:
    kernel = native.NativeKernel(library)
    rows = bytes(25 * 200_000)
    expected = kernel.rows(b"\x00", b"", 0, rows, 25)
    digests: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: digests.append(kernel.rows(b"\x00", b"", 0, rows, 25))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [expected] * 4
    assert kernel._library(len(rows)) is kernel._releasing
    assert kernel._library(1000) is kernel._keeping


def test_set_up_without_a_compiler_says_so_in_one_line_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert build_row_kernel.main() == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "gridledger: no native SM3 row kernel",
        "gridledger: no native SM2 kernel",
    ]
    assert "no C compiler" in lines[0]
    assert "apt-get install gcc libc6-dev" in lines[0]
    assert "make setup NATIVE=zig" in lines[0]


def test_a_compiler_that_fails_is_quoted_and_leaves_no_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'fatal error: string.h: no such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "lib" / "sm3_kernel.so")
    monkeypatch.setattr(sm2_native, "LIBRARY", tmp_path / "lib" / "sm2_kernel.so")
    assert build_row_kernel.main(str(broken)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "cannot compile kernel.c: fatal error: string.h: no such file" in lines[0]
    assert list((tmp_path / "lib").iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_each_of_some_messages_has_its_own_digest(count: int) -> None:
    messages = [DATA[: 7 * number] for number in range(count)]
    assert sm3_each(messages) == [sm3(message) for message in messages]


@pytest.mark.parametrize("count", [1, 2, 3, 501])
def test_the_pinned_loop_of_the_benchmark_s_bound_gives_our_roots(count: int) -> None:
    rows = [DATA[25 * number : 25 * (number + 1)] for number in range(count)]
    assert pinned_hashlib.salted_root(b"seed", rows) == merkle.salted_root(b"seed", rows)
