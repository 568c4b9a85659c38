"""Signed bundles of profiles: what was signed is what is read, and whatever else is refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.parts
from firmware_profiles import FOLDER, load_bundle, make_bundle, open_library, profile_digest, profile_ids
from firmware_profiles.bundle import BUNDLE_BYTES_MAX, FORMAT, decode_profile_bundle
from firmware_profiles.files import PROFILES_MAX
from firmware_profiles.schema import ProfileError
from gridcore import cbor
from gridcore.errors import EncodingError, UsageError
from gridcore.sm import SigningKey
from gridcore.sm.curve import der_of
from gridcore.sm3 import sm3
from gridledger.cli import main
from tests.unit.edge_agent.edge_world import write_config

MAKER = SigningKey.generate()
STRANGER = SigningKey.generate()
TWO = {name: (FOLDER / f"{name}.toml").read_bytes() for name in ("acrel_adl400", "eastron_sdm630")}
BUNDLE = make_bundle("2026-11", TWO, MAKER)


def changed(**fields: Any) -> bytes:
    """BUNDLE with other fields, the manifest signed again where it is another."""
    table = cbor.decode(BUNDLE) | fields
    if "manifest" in fields and "signature" not in fields:
        table["signature"] = MAKER.sign(table["manifest"])
    return cbor.encode(table)


def manifest(**fields: Any) -> bytes:
    return cbor.encode(cbor.decode(cbor.decode(BUNDLE)["manifest"]) | fields)


def write(folder: Path, data: bytes = BUNDLE) -> Path:
    path = folder / "2026-11.profiles"
    path.write_bytes(data)
    return path


def test_bundle_gives_the_profiles_that_were_signed_and_no_others(tmp_path: Path) -> None:
    bundle = load_bundle(write(tmp_path), MAKER.public_key)
    assert (bundle.name, dict(bundle.files)) == ("2026-11", TWO)
    assert bundle.digest == sm3(cbor.decode(BUNDLE)["manifest"])
    library = open_library(None, bundle)
    assert library.ids == ("acrel_adl400", "eastron_sdm630")
    assert library.load("eastron_sdm630").digest == profile_digest(TWO["eastron_sdm630"])
    with pytest.raises(UsageError, match="unknown profile 'abb_b23'"):
        library.load("abb_b23")


def test_own_folder_adds_to_a_bundle_and_may_not_stand_for_one_of_it(tmp_path: Path) -> None:
    bundle = decode_profile_bundle(BUNDLE)
    (tmp_path / "abb_b23.toml").write_bytes((FOLDER / "abb_b23.toml").read_bytes())
    assert open_library(tmp_path, bundle).load("abb_b23").vendor == "ABB"
    (tmp_path / "acrel_adl400.toml").write_bytes(TWO["acrel_adl400"])
    with pytest.raises(UsageError, match=r"acrel_adl400\.toml: 'acrel_adl400' is the id of bundle 2026-11"):
        open_library(tmp_path, bundle)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BUNDLE + b"\0", "no bundle of profiles"),
        (b"", "no bundle of profiles"),
        (cbor.encode([1, 2]), "it is no table of files, manifest, public_key, signature"),
        (changed(signature="text"), "signature is of another type"),
        (changed(signature=STRANGER.sign(manifest())), "the signature does not fit its manifest and key"),
        (changed(public_key=STRANGER.public_key), "the signature does not fit its manifest and key"),
        (changed(public_key=b"\4"), "the signature does not fit its manifest and key"),
        (changed(manifest=manifest(format="gridledger-profiles/9")), f"is not '{FORMAT}'"),
        (changed(manifest=manifest(name="a b")), "its name is none"),
        (changed(manifest=manifest(profiles=[])), "0 profiles are signed and 2 are in it"),
        (changed(manifest=manifest(profiles=[1, 2])), "a row of its manifest is no profile id with a digest"),
        (changed(files={"acrel_adl400": TWO["acrel_adl400"]}), "2 profiles are signed and 1 are in it"),
        (changed(files=TWO | {"acrel_adl400": b"id = 1"}), "acrel_adl400 is not as it was signed"),
        (changed(files={"a": b"", "eastron_sdm630": TWO["eastron_sdm630"]}), "acrel_adl400 is not in it"),
        (
            changed(manifest=manifest(profiles=cbor.decode(manifest())["profiles"][::-1])),
            "lists acrel_adl400 out of order or twice",
        ),
    ],
)
def test_bundle_that_is_not_as_it_was_signed_is_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_bundle(write(tmp_path, data), MAKER.public_key)
    line = str(caught.value)
    assert "2026-11.profiles" in line
    assert reason in line
    assert "\n" not in line


def test_bundle_of_another_signer_names_both_keys(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"signed by {MAKER.public_key.hex()}, .*trusted is {STRANGER.public_key.hex()}"
    ):
        load_bundle(write(tmp_path), STRANGER.public_key)


def test_bundle_larger_than_its_bound_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="larger than"):
        load_bundle(write(tmp_path, bytes(BUNDLE_BYTES_MAX + 1)), MAKER.public_key)


def test_number_of_profiles_in_a_bundle_is_limited() -> None:
    many = {f"meter_{number}": b"" for number in range(PROFILES_MAX)}
    assert len(decode_profile_bundle(make_bundle("many", many, MAKER)).files) == PROFILES_MAX
    with pytest.raises(ProfileError, match="1 to 1024 profiles, not 1025"):
        make_bundle("many", many | {"one_more": b""}, MAKER)


@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
@settings(max_examples=200)
def test_no_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    data = bytearray(BUNDLE)
    data[place] ^= change
    with pytest.raises((ProfileError, EncodingError)):
        decode_profile_bundle(bytes(data))


def test_batches_name_the_bundle_that_their_profiles_come_from(tmp_path: Path) -> None:
    write(tmp_path)
    keys = {"profile_bundle": '"2026-11.profiles"', "profile_signer": f'"{MAKER.public_key.hex()}"'}
    parts = edge.parts.load_parts(write_config(tmp_path, **keys), "0")
    named: list[cbor.Value] = [
        ["", decode_profile_bundle(BUNDLE).digest],
        ["eastron_sdm630", profile_digest(TWO["eastron_sdm630"])],
    ]
    assert parts.maker.profiles == sm3(cbor.encode(named))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"profile_bundle": '"2026-11.profiles"'}, "profile_bundle and profile_signer go together"),
        (
            {"profile_bundle": '"2026-11.profiles"', "profile_signer": f'"{"zz" * 65}"'},
            "profile_signer is no public key",
        ),
        ({"profile_bundle": '"2026-11.profiles"', "profile_signer": f'"{"04" * 65}"'}, "which is not trusted"),
        ({"profile_bundle": '"nowhere"', "profile_signer": f'"{"04" * 65}"'}, "nowhere: cannot be read"),
        ({"profiles": '"nowhere"'}, "nowhere: no folder of profiles"),
    ],
)
def test_configuration_with_a_bundle_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: dict[str, str], reason: str
) -> None:
    write(tmp_path)
    assert main(["edge", "check", "--config", str(write_config(tmp_path, **keys))]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl on PATH: apt-get install openssl")
def test_openssl_verifies_the_signature_of_a_bundle(tmp_path: Path) -> None:
    table = cbor.decode(BUNDLE)
    curve_of_sm2 = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
    (tmp_path / "key.der").write_bytes(curve_of_sm2 + table["public_key"])
    r, s = (int.from_bytes(table["signature"][start : start + 32], "big") for start in (0, 32))
    (tmp_path / "signature").write_bytes(der_of(r, s))
    words = [
        *("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-sigfile", "signature"),
        *("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-in", "manifest"),
    ]
    for manifest_bytes, answer in ((table["manifest"], 0), (table["manifest"] + b"\0", 1)):
        (tmp_path / "manifest").write_bytes(manifest_bytes)
        assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == answer


def test_commands_make_and_check_a_bundle_with_profiles_of_one_s_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    text = (FOLDER / "abb_b23.toml").read_text("utf-8").replace('id = "abb_b23"', 'id = "abb_of_ours"', 1)
    (own / "abb_of_ours.toml").write_text(text, encoding="utf-8")
    assert main(["profiles", "check", str(own), "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)["profiles"]] == ["abb_of_ours"]
    password = tmp_path / "password"
    password.write_text("a long password of the maker", encoding="utf-8")
    password.chmod(0o600)
    assert main(["edge", "keygen", "--out", str(tmp_path / "maker.pem"), "--password-file", str(password)]) == 0
    capsys.readouterr()
    path = tmp_path / "made.profiles"
    make = ["profiles", "bundle", "--name", "mine", "--out", str(path), "--profiles", str(own)]
    assert main([*make, "--key", f"file:{tmp_path / 'maker.pem'}", "--password", f"file:{password}", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["profiles"] == len(profile_ids()) + 1
    assert main(["profiles", "verify", str(path), "--signer", made["signer"], "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert "abb_of_ours" in [row["id"] for row in checked["profiles"]]
    assert main(["profiles", "verify", str(path), "--signer", STRANGER.public_key.hex()]) == 2
    assert "which is not trusted" in capsys.readouterr().err


def test_list_names_what_bills(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)["profiles"]}
    assert tuple(rows) == profile_ids()
    assert rows["abb_b23"]["bills"] == "1.8.0 2.8.0"
    assert (rows["shelly_3em"]["bills"], rows["dlt645_2007"]["transport"]) == ("", "dlt645")
