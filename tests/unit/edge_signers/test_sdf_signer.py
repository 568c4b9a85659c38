"""Keys in a GM/T 0018 device, against a library that is built here and keeps to the standard's structures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gridcore.errors import UsageError
from gridcore.signers import make_key, open_signer
from gridcore.sm import SignerError, SigningKey, is_valid_signature
from tests.external import needs

pytestmark = needs("cc", "apt-get install gcc libc6-dev")
SOURCE = Path(__file__).with_name("sdf_double.c")


def built(folder: Path, *options: str) -> str:
    """The double as a library, and the PIN beside it."""
    out = folder / "libsdf.so"
    command = ["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *options, "-o", str(out), str(SOURCE)]
    subprocess.run([*command, "-l:libcrypto.so.3"], check=True)
    for name, pin in (("pin", "1234"), ("wrong", "4321")):
        (folder / name).write_text(pin)
        (folder / name).chmod(0o600)
    return f"sdf:{out}"


def test_device_signs_for_the_key_of_its_index(tmp_path: Path) -> None:
    signer = open_signer(f"{built(tmp_path)}?key=1", f"file:{tmp_path / 'pin'}")
    scalar = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
    assert signer.public_key == SigningKey.from_scalar(scalar).public_key
    for message in (b"", b"m", bytes(70_000)):
        assert is_valid_signature(signer.public_key, message, signer.sign(message))
    assert not is_valid_signature(signer.public_key, b"other", signer.sign(b"m"))


@pytest.mark.parametrize(
    ("options", "pin", "reason"),
    [
        ("", "wrong", "SDF_GetPrivateKeyAccessRight: the device refuses: the right to use the key: wrong PIN"),
        ("", None, "SDF_InternalSign_ECC: the device refuses: the right to use the key: wrong PIN"),
        ("?key=2", "pin", "SDF_GetPrivateKeyAccessRight: the device refuses: code 0x01000008"),
        ("?index=1", "pin", "'index' is no option with a value; there are: key="),
    ],
)
def test_device_that_refuses_is_one_line_without_the_pin(
    tmp_path: Path, options: str, pin: str | None, reason: str
) -> None:
    uri = built(tmp_path) + options
    with pytest.raises(UsageError) as caught:
        open_signer(uri, None if pin is None else f"file:{tmp_path / pin}")
    assert reason in str(caught.value)
    assert "4321" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_not_at_the_right_of_their_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="numbers are not at the right of their fields"):
        open_signer(built(tmp_path, "-DLEFT_ALIGNED"), f"file:{tmp_path / 'pin'}")


def test_device_that_goes_away_is_an_error_that_can_pass(tmp_path: Path) -> None:
    signer = open_signer(built(tmp_path), f"file:{tmp_path / 'pin'}")
    signer.close()  # type: ignore[attr-defined]  # a signer of this kind has it
    with pytest.raises(SignerError):
        signer.sign(b"m")


def test_keys_of_devices_are_made_by_their_own_tools(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="others by their module's own tools"):
        make_key(built(tmp_path))
