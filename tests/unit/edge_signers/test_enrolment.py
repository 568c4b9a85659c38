"""A gateway's key is enrolled: a TPM of a known maker proves that it is in there; what proves nothing is one line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from gridcore import cbor
from gridcore.enrolment import decode_evidence, decode_request, encode_message, proof_message
from gridcore.signers import make_key, save_key
from gridcore.sm import SigningKey, is_valid_signature
from gridcore.tpm.attestation import SECRET_BYTES
from gridcore.tpm.objects import decode_public, endorsement_template
from gridcore.x509 import decode_certificate
from gridledger.cli import main
from gridledger.registering.rows_file import read_rows
from tests.worlds.tpm import NEEDS_SWTPM, SoftwareTpm, software_tpm

FROM_S = 1_800_000_000


@dataclass
class Desk:
    """A folder in which both sides put their files; ``tpm``: the gateway's."""

    folder: Path
    tpm: SoftwareTpm
    capsys: pytest.CaptureFixture[str]

    @property
    def key(self) -> str:
        return f"tpm2:0x81000010?tpm={self.tpm.socket}"

    def run(self, *words: object) -> dict[str, Any]:
        assert main(["edge", "enrol", *map(str, words), "--json"]) == 0, self.capsys.readouterr().err
        shown: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return shown

    def refused(self, *words: object) -> str:
        assert main(["edge", "enrol", *map(str, words)]) == 2
        line = self.capsys.readouterr().err
        assert line.count("\n") == 1
        return line

    def ask(self, gateway: str = "gw-1", key: str | None = None, out: str = "request") -> Path:
        self.run("ask", "--gateway", gateway, "--key", key or self.key, "--out", self.folder / out)
        return self.folder / out

    def challenge(self, request: Path, makers: Path | None = None, out: str = "challenge") -> list[object]:
        kept = ["--secret", self.folder / f"{out}.secret", "--out", self.folder / out]
        return ["challenge", request, "--makers", makers or self.tpm.authority, *kept]

    def answer(self, out: str = "evidence", key: str | None = None) -> list[object]:
        return ["answer", self.folder / "challenge", "--key", key or self.key, "--out", self.folder / out]

    def issue(self, request: Path, *more: object, out: str = "rows.toml") -> list[object]:
        named = ["--authority", self.folder / "authority", "--organisation", "utility"]
        return ["issue", request, *named, "--from-s", FROM_S, "--days", 365, "--out", self.folder / out, *more]

    def with_evidence(self, request: Path, evidence: Path | None = None, out: str = "rows.toml") -> list[object]:
        shown = ["--evidence", evidence or self.folder / "evidence", "--secret", self.folder / "challenge.secret"]
        return self.issue(request, *shown, "--refuse-software", out=out)


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareTpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as running:
        make_key(f"tpm2:0x81000010?tpm={running.socket}")
        yield running


@pytest.fixture
def desk(tmp_path: Path, tpm: SoftwareTpm, capsys: pytest.CaptureFixture[str]) -> Desk:
    words = ["--name", "Utility CA", "--days", "3650", "--out", str(tmp_path / "authority")]
    assert main(["certificate", "authority", *words]) == 0
    capsys.readouterr()
    return Desk(tmp_path, tpm, capsys)


pytestmark = NEEDS_SWTPM


def test_key_in_a_tpm_of_a_known_maker_is_enrolled_as_what_it_is(desk: Desk) -> None:
    request = desk.ask()
    desk.run(*desk.challenge(request))
    desk.run(*desk.answer())
    shown = desk.run(*desk.with_evidence(request))
    assert shown["protection"] == "tpm2"
    rows = {found.row.key: found.row.value for found in read_rows(desk.folder / "rows.toml")}
    asked = decode_request(request.read_bytes())
    authority = desk.folder / "authority" / "authority.crt"
    assert set(rows) == {"signer/gw-1", "gateway/gw-1"}
    assert rows["gateway/gw-1"]["protection"] == "tpm2"
    assert rows["signer/gw-1"]["public_key"] == asked.public_key
    certificate = decode_certificate(rows["signer/gw-1"]["certificate"])
    assert (certificate.common_name, certificate.public_key) == ("gw-1", asked.public_key)
    assert main(["certificate", "show", str(authority), "--json"]) == 0
    issuer = bytes.fromhex(json.loads(desk.capsys.readouterr().out)["public_key"])
    assert is_valid_signature(issuer, certificate.signed, certificate.signature)


def test_software_and_sealed_keys_are_enrolled_as_software_where_the_policy_takes_them(desk: Desk) -> None:
    sealed = f"tpm2-sealed:{desk.folder / 'sealed'}?tpm={desk.tpm.socket}"
    make_key(sealed)
    request = desk.ask(key=sealed)
    assert desk.run(*desk.issue(request))["protection"] == "software"
    line = desk.refused(*desk.issue(request, "--refuse-software", out="other.toml"))
    assert "gateway gw-1: its key is in software, which --refuse-software does not take" in line
    assert not (desk.folder / "other.toml").exists()
    assert "the request is of a software key" in desk.refused(*desk.challenge(request))


def test_tpm_of_a_maker_that_is_not_known_is_refused(desk: Desk, tmp_path: Path) -> None:
    with software_tpm(tmp_path / "other") as other:
        line = desk.refused(*desk.challenge(desk.ask(), makers=other.authority))
    assert "the endorsement certificate is by none of the known makers" in line


def test_challenge_is_answered_by_no_other_tpm(desk: Desk, tmp_path: Path) -> None:
    desk.run(*desk.challenge(desk.ask()))
    with software_tpm(tmp_path / "other") as other:
        key = f"tpm2:0x81000010?tpm={other.socket}"
        make_key(key)
        assert "is this the TPM that the request came from?" in desk.refused(*desk.answer(key=key))


def test_evidence_of_another_challenge_counts_nothing(desk: Desk) -> None:
    request = desk.ask()
    desk.run(*desk.challenge(request))
    desk.run(*desk.answer())
    kept = desk.folder / "challenge.secret"
    kept.write_bytes(bytes(SECRET_BYTES) + kept.read_bytes()[SECRET_BYTES:])
    assert "no answer to this challenge" in desk.refused(*desk.with_evidence(request))


@pytest.mark.parametrize("field", ["said", "r", "s"])
def test_evidence_that_was_altered_is_refused(desk: Desk, field: str) -> None:
    request = desk.ask()
    desk.run(*desk.challenge(request))
    desk.run(*desk.answer())
    evidence = decode_evidence((desk.folder / "evidence").read_bytes())
    data = getattr(evidence, field)
    altered = evidence._replace(**{field: data[:-1] + bytes([data[-1] ^ 1])})
    (desk.folder / "altered").write_bytes(encode_message(altered))
    line = desk.refused(*desk.with_evidence(request, desk.folder / "altered"))
    assert "is not signed by its attestation key" in line


def test_software_key_does_not_pass_for_the_one_in_the_tpm(desk: Desk) -> None:
    """The request of another key with the TPM's own papers: the TPM certifies the key that it has, not the one that asks."""
    save_key(desk.folder / "soft.pem", SigningKey.generate(), b"hush")
    (desk.folder / "hush").write_text("hush")
    (desk.folder / "hush").chmod(0o600)
    honest = decode_request(desk.ask().read_bytes())
    words = ["--gateway", "gw-1", "--key", f"file:{desk.folder / 'soft.pem'}", "--key-password"]
    desk.run("ask", *words, f"file:{desk.folder / 'hush'}", "--out", desk.folder / "soft")
    soft = decode_request((desk.folder / "soft").read_bytes())
    forged = honest._replace(public_key=soft.public_key, proof=soft.proof)
    (desk.folder / "forged").write_bytes(encode_message(forged))
    desk.run(*desk.challenge(desk.folder / "forged"))
    desk.run(*desk.answer())
    line = desk.refused(*desk.with_evidence(desk.folder / "forged"))
    assert "the key that the TPM certifies is not the one that asks to be enrolled" in line


def test_request_that_takes_the_place_of_the_challenged_one_is_refused(desk: Desk) -> None:
    """Who has one real TPM learns the secret, and makes the papers of a software key by it: only the request itself tells."""
    request = desk.ask()
    desk.run(*desk.challenge(request))
    desk.run(*desk.answer())
    honest, evidence = decode_request(request.read_bytes()), decode_evidence((desk.folder / "evidence").read_bytes())
    soft, attester = SigningKey.generate(), ec.generate_private_key(ec.SECP256R1())
    key_area = honest.key_area.replace(honest.public_key[1:33], soft.public_key[1:33])
    key_area = key_area.replace(honest.public_key[33:], soft.public_key[33:])
    known, own = decode_public(honest.attester_area), attester.public_key().public_numbers()
    attester_area = honest.attester_area.replace(known.point[0], own.x.to_bytes(32, "big"))
    attester_area = attester_area.replace(known.point[1], own.y.to_bytes(32, "big"))
    forged = honest._replace(
        public_key=soft.public_key,
        proof=soft.sign(proof_message("gw-1", soft.public_key)),
        key_area=key_area,
        attester_area=attester_area,
    )
    said = evidence.said.replace(decode_public(honest.key_area).name, decode_public(key_area).name)
    r, s = decode_dss_signature(attester.sign(said, ec.ECDSA(SHA256())))
    forgery = evidence._replace(said=said, r=r.to_bytes(32, "big"), s=s.to_bytes(32, "big"))
    request.write_bytes(encode_message(forged))
    (desk.folder / "forgery").write_bytes(encode_message(forgery))
    line = desk.refused(*desk.with_evidence(request, desk.folder / "forgery"))
    assert "this is not the request that was challenged" in line


def test_request_in_another_gateway_s_name_is_not_signed(desk: Desk) -> None:
    asked = decode_request(desk.ask().read_bytes())
    (desk.folder / "other").write_bytes(encode_message(asked._replace(gateway="gw-2")))
    assert "not signed by the key that it names" in desk.refused(*desk.issue(desk.folder / "other"))
    assert "not signed by the key that it names" in desk.refused(*desk.challenge(desk.folder / "other"))


def test_endorsement_certificate_of_another_key_is_refused(desk: Desk) -> None:
    asked = decode_request(desk.ask().read_bytes())
    area = bytearray(asked.endorsement_area)
    area[-1] ^= 1
    (desk.folder / "other").write_bytes(encode_message(asked._replace(endorsement_area=bytes(area))))
    line = desk.refused(*desk.challenge(desk.folder / "other"))
    assert "of another key than the TPM's endorsement key" in line


def test_endorsement_certificate_of_a_key_that_is_not_known_here_is_one_line(desk: Desk) -> None:
    """Of an SM2 key, which is no curve of TLS libraries; other makers' have RSA keys marked for OAEP."""
    pem = (desk.folder / "authority" / "authority.crt").read_bytes()
    of_sm2 = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    asked = decode_request(desk.ask().read_bytes())
    (desk.folder / "odd").write_bytes(encode_message(asked._replace(endorsement_certificate=of_sm2)))
    assert "the endorsement certificate cannot be read" in desk.refused(*desk.challenge(desk.folder / "odd"))


@pytest.mark.parametrize(
    "data", [b"", b"\x00", cbor.encode(["gridledger-enrolment-request/1", "gw-1"]), cbor.encode([1] * 8)]
)
def test_file_that_is_none_of_enrolment_is_one_line(desk: Desk, data: bytes) -> None:
    (desk.folder / "bad").write_bytes(data)
    assert str(desk.folder / "bad") in desk.refused(*desk.issue(desk.folder / "bad"))


def test_public_area_of_an_rsa_key_is_read_as_it_was_written() -> None:
    found = decode_public(endorsement_template(is_rsa=True))
    assert len(found.modulus) == 256
    assert decode_public(endorsement_template(is_rsa=False)).curve == 3
