"""Keys in a TPM 2.0 (swtpm): made, kept, signing; each trap of the real ones as a line of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridcore.config import load_config
from gridcore.errors import UsageError
from gridcore.signers import make_key, open_signer
from gridcore.sm import SignerError, is_valid_signature
from gridcore.sm.curve import der_of
from gridcore.tpm import commands
from gridcore.tpm.objects import RESTRICTED, sm2_template, storage_template
from gridcore.tpm.wire import Tpm
from gridledger.cli import main
from tests.external import needs
from tests.unit.edge_agent.edge_world import write_config
from tests.worlds.tpm import NEEDS_SWTPM, SoftwareTpm, changed_answers, software_tpm

pytestmark = NEEDS_SWTPM
HANDLE = 0x81000010


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        make_key(uri_of(running), pin(running, "1234"))
        yield running


def uri_of(tpm: SoftwareTpm, handle: int = HANDLE) -> str:
    return f"tpm2:{handle:#x}?tpm={tpm.socket}"


def pin(tpm: SoftwareTpm, value: str) -> str:
    path = tpm.folder / f"pin-{value}"
    path.write_text(value)
    path.chmod(0o600)
    return f"file:{path}"


def spki_pem(public_key: bytes) -> str:
    """SubjectPublicKeyInfo of an SM2 key, as openssl reads it."""
    import base64

    from gridcore.public_key import PUBLIC_KEY_INFO_PREFIX

    text = base64.encodebytes(PUBLIC_KEY_INFO_PREFIX + public_key).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


@pytest.mark.usefixtures("tpm")
class TestSigning:
    """A key that was made in the TPM and lasts."""

    pytestmark = needs("openssl", "apt-get install openssl")

    def test_openssl_verifies_what_the_tpm_signed(self, tpm: SoftwareTpm, tmp_path: Path) -> None:
        signer = open_signer(uri_of(tpm), pin(tpm, "1234"))
        (tmp_path / "key.pem").write_text(spki_pem(signer.public_key))
        command = [
            "openssl",
            "dgst",
            "-sm3",
            "-sigopt",
            "distid:1234567812345678",
            "-verify",
            str(tmp_path / "key.pem"),
        ]
        for number, message in enumerate((b"", b"reading", bytes(70_000))):
            signature = signer.sign(message)
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            (tmp_path / f"s{number}").write_bytes(der_of(r, s))
            (tmp_path / f"m{number}").write_bytes(message)
            done = subprocess.run(
                [*command, "-signature", str(tmp_path / f"s{number}"), str(tmp_path / f"m{number}")],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.stdout == "Verified OK\n", done.stderr
            assert is_valid_signature(signer.public_key, message, signature)


def test_forty_signatures_and_keys_leave_no_object_in_the_few_slots(tpm: SoftwareTpm, tmp_path: Path) -> None:
    signer = open_signer(uri_of(tpm), pin(tpm, "1234"))
    for number in range(8):
        make_key(f"tpm2-sealed:{tmp_path / str(number)}?tpm={tpm.socket}")
        open_signer(f"tpm2-sealed:{tmp_path / str(number)}?tpm={tpm.socket}")
        assert is_valid_signature(signer.public_key, b"m", signer.sign(b"m"))


def test_short_numbers_keep_their_leading_zeros(tpm: SoftwareTpm) -> None:
    signer = open_signer(uri_of(tpm), pin(tpm, "1234"))
    signatures = [signer.sign(b"m") for _ in range(300)]
    assert {len(signature) for signature in signatures} == {64}
    assert all(is_valid_signature(signer.public_key, b"m", signature) for signature in signatures)


def test_tpm_that_loses_its_power_is_an_error_that_passes(tmp_path: Path) -> None:
    with software_tpm(tmp_path / "tpm") as tpm:
        make_key(uri_of(tpm))
        signer = open_signer(uri_of(tpm))
        tpm.stop()
        with pytest.raises(SignerError, match="no TPM answers there"):
            signer.sign(b"m")
        tpm.start()
        assert is_valid_signature(signer.public_key, b"m", signer.sign(b"m"))  # the key has lasted


def test_tpm_without_sm2_names_what_to_use_instead(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """As many discrete TPMs are: the answer about its curves does not have SM2 in it."""

    def without_sm2(code: int, answer: bytes) -> bytes:
        return answer.replace(b"\x00\x20", b"\x00\x21") if code == 0x17A else answer

    with changed_answers(tpm, tmp_path / "s", without_sm2) as place:
        for work in (open_signer, make_key):
            with pytest.raises(UsageError, match=r"this TPM has no SM2; use tpm2-sealed:PATH") as caught:
                work(f"tpm2:{HANDLE:#x}?tpm={place}", origin="key")
            assert str(caught.value).startswith("key 'tpm2:0x81000010")


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff" * 50,
        b"\x80\x02" + bytes(8),
        bytes.fromhex("80020000000e0000000000000fff"),
        bytes.fromhex("80010000000a00000000"),
    ],
    ids=["no length", "length of nothing", "fields end early", "no fields"],
)
def test_answer_that_is_no_tpm_s_is_refused(tpm: SoftwareTpm, tmp_path: Path, bad: bytes) -> None:
    def spoil(code: int, answer: bytes) -> bytes:
        return bad if code == 0x15D else answer

    with changed_answers(tpm, tmp_path / "s", spoil) as place, pytest.raises(UsageError, match="answer"):
        open_signer(f"tpm2:{HANDLE:#x}?tpm={place}", pin(tpm, "1234"))


@pytest.mark.parametrize(
    ("handle", "secret", "reason"),
    [
        (HANDLE, "4321", "wrong authorisation value"),
        (HANDLE + 1, "1234", "there is no key under this handle; make one: gridledger edge keygen --key"),
        (0x80000000, "1234", "is no persistent handle"),
    ],
)
def test_key_that_cannot_be_used_is_one_line_without_the_pin(
    tpm: SoftwareTpm, handle: int, secret: str, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        open_signer(uri_of(tpm, handle), pin(tpm, secret), origin="--key")
    assert str(caught.value).startswith("--key 'tpm2:")
    assert reason in str(caught.value)
    assert "4321" not in str(caught.value)


SM2 = sm2_template(has_pin=False)
RESTRICTED_SM2 = SM2[:4] + (int.from_bytes(SM2[4:8], "big") | RESTRICTED).to_bytes(4, "big") + SM2[8:]


@pytest.mark.parametrize(
    "template",
    [RESTRICTED_SM2, storage_template(), SM2.replace(b"\x00\x1b", b"\x00\x18")],
    ids=["restricted", "storage", "ECDSA on the SM2 curve"],
)
def test_key_that_is_none_of_sm2_is_refused(tpm: SoftwareTpm, template: bytes) -> None:
    """ECDSA on the curve of SM2 gives 64 bytes too: no signature of SM2."""
    other = HANDLE + 0x10
    with Tpm(tpm.socket) as connection, commands.primary(connection, commands.OWNER, template) as (handle, _):
        commands.persist(connection, handle, other)
    try:
        with pytest.raises(UsageError, match="none that signs digests by SM2"):
            open_signer(uri_of(tpm, other))
    finally:
        with Tpm(tpm.socket) as connection:
            commands.persist(connection, other, other)  # evicts it


def test_handle_that_is_taken_is_not_made_anew(tpm: SoftwareTpm) -> None:
    before = open_signer(uri_of(tpm), pin(tpm, "1234")).public_key
    with pytest.raises(UsageError, match="there is an object under this handle already"):
        make_key(uri_of(tpm))
    assert open_signer(uri_of(tpm), pin(tpm, "1234")).public_key == before


def test_sealed_key_opens_in_its_own_tpm_and_in_no_other(tpm: SoftwareTpm, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sealed"
    public_key = make_key(f"tpm2-sealed:{path}?tpm={tpm.socket}", pin(tpm, "1234"))
    signer = open_signer(f"tpm2-sealed:{path}?tpm={tpm.socket}", pin(tpm, "1234"))
    assert signer.public_key == public_key
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="wrong authorisation value"):
        open_signer(f"tpm2-sealed:{path}?tpm={tpm.socket}", pin(tpm, "4321"))
    with (
        software_tpm(tmp_path / "other") as other,
        pytest.raises(UsageError, match="sealed by another TPM, or altered"),
    ):
        open_signer(f"tpm2-sealed:{path}?tpm={other.socket}", pin(tpm, "1234"))
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UsageError):
        open_signer(f"tpm2-sealed:{path}?tpm={tpm.socket}", pin(tpm, "1234"))


def test_command_makes_a_key_and_a_configuration_takes_it(
    tpm: SoftwareTpm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"tpm2-sealed:gateway.sealed?tpm={tpm.socket}"
    made = uri.replace("gateway", f"{tmp_path}/gateway")
    assert main(["edge", "keygen", "--key", made]) == 0
    public_key = capsys.readouterr().out.strip()
    path = write_config(tmp_path, key=f'"{uri}"', key_password="")
    assert main(["edge", "check", "--config", str(path)]) == 0
    assert public_key in capsys.readouterr().out
    from edge.config import EdgeConfig

    assert load_config(path, EdgeConfig).key == made
