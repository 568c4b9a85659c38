"""``gridledger light``: what it learns from honest nodes, what it says of lying ones, and what it checks by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from gridcore import verify
from gridcore.errors import GridError, UsageError
from gridcore.header import LaterHeader, VerificationError
from gridcore.light.codec import decode_fork, encode_certified, encode_fork, encode_proof, encode_steps
from gridcore.light.follow import ForkError, follow
from gridcore.light.state import LightState, load_state, save_state
from gridcore.light.trusted import CertifiedHeader, Step, Trusted, advance, begin, check_certified
from gridledger.cli import main
from gridledger.light.checking import Checked, check_bytes
from gridledger.light.following import ForkFoundError, follow_nodes, fork_path, open_state
from ledger.client import Client
from ledger.evidence import build_bundle
from ledger.light import certified_header, proven_leaf, steps
from ledger.trust import trust_of
from settlement.catalogue import CONTRACTS
from tests.worlds.certified_chain import CHAIN, CertifiedChain, SignerNames, set_of
from tests.worlds.consortium import FIRST_S, SLOT_S
from tests.worlds.false_node import answering, http
from tests.worlds.lagging import LaggingLedger, lagging_ledger
from tests.worlds.nodes import running_node, submit_all
from tests.worlds.two_areas import TWO_AREAS, one_settled_slot

OLD, NEW = ("a", "b", "c", "d"), ("b", "c", "d", "e")
THREE, THREE_NEW = ("a", "b", "c"), ("c", "d", "e")


def chain_of(height: int, *, handover_at: int = 0) -> CertifiedChain:
    """Four signers; from one height on another set, if any."""
    made = CertifiedChain(OLD)
    for number in range(1, height + 1):
        made.add(NEW if handover_at and number >= handover_at else OLD)
    return made


@dataclass
class Shown:
    """A node that shows a chain, in this process. by: who certifies each height; tamper: what it does to a step before it shows it."""

    chain: CertifiedChain
    by: Callable[[int], SignerNames] = lambda height: THREE
    handover_at: int = 0
    tamper: Callable[[Step], Step] = lambda step: step
    newest: int = 0
    asked: list[Mapping[str, str | int]] = field(default_factory=list)

    async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
        """The answer of a route."""
        self.asked.append(params)
        newest = self.newest or len(self.chain.headers) - 1
        if path != "headers":
            height = int(path.removeprefix("headers/"))
            return encode_certified(self.chain.certified(height, self.by(height)))
        known, after = int(params["known_height"]), int(params["after_height"])
        heights = sorted(height for height in {self.handover_at, newest} if height > after)
        shown = [
            self.chain.step(start, height, self.by(height), NEW if height == self.handover_at else ())
            for start, height in zip([known, *heights], heights, strict=False)
        ]
        return encode_steps([self.tamper(step) for step in shown])


async def test_a_node_is_followed_over_a_change_of_the_set(tmp_path: Path) -> None:
    made = chain_of(8, handover_at=4)
    node = Shown(made, lambda height: THREE if height <= 4 else THREE_NEW, handover_at=4)
    trusted = await follow(node, made.begin(OLD))
    assert (trusted.height, trusted.digest) == (8, made.headers[8].digest())
    save_state(tmp_path / "state", LightState(trusted, ()))
    kept = load_state(tmp_path / "state")
    assert kept is not None
    assert kept.trusted == trusted
    assert await follow(node, kept.trusted) == trusted, "nothing newer"


async def test_a_trust_root_that_names_a_later_set_passes_over_what_was_handed_over_before() -> None:
    made = chain_of(8, handover_at=4)
    node = Shown(made, lambda height: THREE if height <= 4 else THREE_NEW, handover_at=4)
    trusted = await follow(node, made.begin(NEW))
    assert trusted.height == 8
    assert [(one.signers, one.after_height) for one in trusted.sets] == [(set_of(NEW), 4)]
    with pytest.raises(VerificationError, match="no known set of signers"):
        check_certified(trusted, made.certified(3, THREE_NEW))


async def test_a_node_that_shows_a_change_which_is_not_in_the_history_is_told_and_the_trust_root_stays_as_it_was() -> (
    None
):
    made = chain_of(8, handover_at=4)
    node = Shown(
        made,
        lambda height: THREE if height <= 4 else THREE_NEW,
        handover_at=4,
        tamper=lambda step: replace(step, header=replace(step.header, height=7)) if step.signers else step,
    )
    with pytest.raises(VerificationError, match="in its history"):
        await follow(node, made.begin(NEW))


def _forged(step: Step) -> Step:
    return replace(step, header=replace(step.header, state_root=b"\1" * 32))


LIES: dict[str, tuple[Shown, str]] = {
    "a header that nobody signed": (Shown(chain_of(5), tamper=_forged), "a signature does not hold"),
    "too few signers": (Shown(chain_of(5), lambda height: ("a", "b")), "not more than 2/3"),
    "strangers": (Shown(chain_of(5), lambda height: ("x", "y", "z")), "outside the signer set"),
    "a path that leads nowhere": (
        Shown(chain_of(5), tamper=lambda step: replace(step, path=())),
        "does not have the trusted header 0 in its history",
    ),
    "a change of the set that it hides": (
        Shown(chain_of(5, handover_at=3), lambda height: THREE if height <= 3 else THREE_NEW),
        "outside the signer set",
    ),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_node_is_told_in_one_line_and_changes_nothing(lie: str) -> None:
    node, said = LIES[lie]
    with pytest.raises(VerificationError, match=said) as raised:
        await follow(node, node.chain.begin(OLD))
    assert "\n" not in str(raised.value)


async def test_two_certified_headers_of_one_height_are_a_fork_with_both_as_evidence() -> None:
    made = chain_of(5)
    trusted = await follow(Shown(made), made.begin(OLD))
    other = made.branch(4)
    for _ in range(4):
        other.add(OLD, salt=b"\1" * 32)
    with pytest.raises(ForkError, match="FORK: two certified headers of height 5") as fork:
        await follow(Shown(other), trusted)
    evidence = encode_fork(fork.value.ours, fork.value.theirs)
    checked = check_bytes(evidence, LightState(made.begin(OLD), ()))
    assert (checked.answer, checked.what, checked.facts) == (verify.VERIFIED, "gridledger-fork", {"height": 5})
    (same, _) = decode_fork(evidence)
    assert (
        check_bytes(encode_fork(same, same), LightState(trusted, ())).reason
        == "these are not two headers of one height"
    )


def test_a_header_without_an_own_certificate_is_evidence_of_a_fork_by_the_one_that_covers_it() -> None:
    made, other = chain_of(5), chain_of(4).branch(4)
    for _ in range(3):
        other.add(OLD, salt=b"\1" * 32)
    later = LaterHeader(other.headers[7], other.path(5, 7))
    covered = CertifiedHeader(other.headers[5], other.certificate(7, THREE), later)
    trusted = replace(made.begin(OLD), height=5, digest=made.headers[5].digest(), newest=made.certified(5, THREE))
    checked = check_bytes(encode_certified(covered), LightState(trusted, ()))
    assert checked.fork is not None
    assert (checked.answer, checked.fork.theirs) == (verify.NOT_VERIFIED, covered)


async def test_a_node_that_shows_headers_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made = chain_of(40)
    node = Shown(made)

    class Endless(Shown):
        async def fetch_bytes(self, path: str, **params: str | int) -> bytes:
            self.newest += 1
            return await super().fetch_bytes(path, **params)

    monkeypatch.setattr("gridcore.light.follow.ANSWERS_MAX", 30)
    with pytest.raises(VerificationError, match="have no end: still going on at 30"):
        await follow(Endless(made), node.chain.begin(OLD))


# ------------------------------------------------------------------------------------------------------- over the wire


async def test_several_nodes_are_compared_and_the_faults_of_each_are_one_line(tmp_path: Path) -> None:
    made, path = chain_of(5), tmp_path / "light.state"

    def honest(head: bytes) -> bytes:
        return http(_answer(Shown(made), head), kind="application/cbor")

    def lying(head: bytes) -> bytes:
        return http(_answer(Shown(made, lambda height: ("a",)), head), kind="application/cbor")

    async with answering(honest) as good, answering(lying) as bad, answering(lambda head: http([])) as odd:
        clients = [Client(url, chain=CHAIN) for url in (bad, odd, good, "http://127.0.0.1:9")]
        followed = await follow_nodes(clients, LightState(made.begin(OLD), ()), path)
        for client in clients:
            await client.close()
    assert followed.state.trusted.height == 5
    assert load_state(path) == followed.state
    assert list(followed.faults) == [bad, odd, "http://127.0.0.1:9"]
    assert "not more than 2/3" in followed.faults[bad]
    assert all(line.startswith(url) for url, line in followed.faults.items())


async def test_a_fork_between_nodes_ends_the_command_and_keeps_both_headers(tmp_path: Path) -> None:
    made, path = chain_of(5), tmp_path / "light.state"
    other = made.branch(4)
    other.add(OLD, salt=b"\1" * 32)
    async with (
        answering(lambda head: http(_answer(Shown(made), head))) as one,
        answering(lambda head: http(_answer(Shown(other), head))) as two,
    ):
        clients = [Client(url, chain=CHAIN) for url in (one, two)]
        with pytest.raises(ForkFoundError, match=r"light\.state\.fork"):
            await follow_nodes(clients, LightState(made.begin(OLD), ()), path)
        for client in clients:
            await client.close()
    ours, theirs = decode_fork(fork_path(path).read_bytes())
    assert (ours.header, theirs.header) == (made.headers[5], other.headers[5])


async def test_a_header_of_another_history_is_compared_with_the_one_that_another_node_has_of_its_height(
    tmp_path: Path,
) -> None:
    """The lying node shows the header that is trusted, and behind it one whose history does not have it."""
    made, path = chain_of(7), tmp_path / "light.state"
    trusted = await follow(Shown(made, newest=5), made.begin(OLD))
    other = made.branch(4)
    for _ in range(2):
        other.add(OLD, salt=b"\1" * 32)

    def lying(head: bytes) -> bytes:
        return http(_answer(Shown(made if b"headers/" in head else other), head))

    async with answering(lying) as bad, answering(lambda head: http(_answer(Shown(made), head))) as good:
        clients = [Client(url, chain=CHAIN) for url in (bad, good)]
        with pytest.raises(ForkFoundError, match="FORK: two certified headers of height 6"):
            await follow_nodes(clients, LightState(trusted, ()), path)
        for client in clients:
            await client.close()
    ours, theirs = decode_fork(fork_path(path).read_bytes())
    assert (ours.header, theirs.header) == (made.headers[6], other.headers[6])


def _answer(node: Shown, head: bytes) -> bytes:
    """What a node answers to the head of a request."""
    target = urlsplit(head.split(b" ")[1].decode())
    coroutine = node.fetch_bytes(target.path.removeprefix("/api/v1/"), **dict(parse_qsl(target.query)))
    try:
        coroutine.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("it waits for nothing")


# ----------------------------------------------------------------------------------------------------- a whole ledger


def state_after(ledger: LaggingLedger) -> LightState:
    """What a light client has learned of a ledger, up to now."""
    trust = verify.decode_trust(json.dumps(trust_of(TWO_AREAS.genesis)).encode())
    trusted: Trusted = begin(trust.chain, trust.genesis, [(key, power) for key, power, _ in trust.signers])
    for step in steps(ledger, 0, 0):
        trusted = advance(trusted, step)
    return LightState(trusted, ())


def test_what_a_ledger_shows_leads_to_its_certified_height_and_proves_leaves_headers_receipts_and_bundles(
    tmp_path: Path,
) -> None:
    blocks = [*one_settled_slot(TWO_AREAS.sender()), [], [], []]
    with lagging_ledger(tmp_path, TWO_AREAS, blocks, uncovered={2}) as ledger:
        state = state_after(ledger)
        assert (state.trusted.height, ledger.certified_height, ledger.height) == (7, 7, 9)
        assert steps(ledger, 7, 7) == []
        leaf = proven_leaf(ledger, "chain")
        assert leaf is not None
        bundle = build_bundle(ledger, CONTRACTS, party="p-1", slot_start_s=FIRST_S, line_kind="levy")
        receipt = ledger.receipt(ledger.results(2)[0].id) or b""
        shown = {
            "state-proof": encode_proof(leaf),
            "header": encode_certified(certified_header(ledger, 2)),
            "gridledger-evidence": bundle,
            "receipt": receipt,
        }
        for what, data in shown.items():
            checked = check_bytes(data, state)
            assert (checked.answer, checked.what) == (verify.VERIFIED, what), checked.reason
            for place in range(40, len(data), max(1, len(data) // 16)):
                changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
                assert check_bytes(changed, state).answer != verify.VERIFIED, (what, place)


async def test_what_a_set_certified_that_has_been_replaced_since_cannot_be_decided() -> None:
    made = chain_of(8, handover_at=4)
    node = Shown(made, lambda height: THREE if height <= 4 else THREE_NEW, handover_at=4)
    state = LightState(await follow(node, made.begin(OLD)), ())
    checked = check_bytes(encode_certified(made.certified(2, THREE)), state)
    assert (checked.answer, checked.reason) == (
        verify.CANNOT_BE_DECIDED,
        "header 2: the set that certified it has been replaced since; ask a node for it anew",
    )
    assert check_bytes(encode_certified(made.certified(6, THREE_NEW)), state).answer == verify.VERIFIED
    strangers = check_bytes(encode_certified(made.certified(8, ("x", "y", "z"))), state)
    assert strangers.answer == verify.NOT_VERIFIED


def test_what_is_no_file_of_ours_or_too_old_is_said(tmp_path: Path) -> None:
    made = chain_of(5)
    state = LightState(replace(made.begin(OLD), sets=()), ())
    certified = encode_certified(made.certified(3, THREE))
    assert check_bytes(certified, state) == Checked(
        verify.CANNOT_BE_DECIDED,
        "header",
        "header 3: the set that certified it is not known here (followed up to 0)",
    )
    for data in (b"", b"\x80", b"\xa0", b"no cbor"):
        assert check_bytes(data, state).answer == verify.NOT_VERIFIED


async def test_a_running_node_is_followed_over_http(tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
    state = open_state(tmp_path / "light.state", trust)
    async with running_node(tmp_path / "ledger") as node:
        sender, client = node.sender(), node.client()
        (followed, none_yet) = await follow_nodes([client], state, tmp_path / "light.state"), state.trusted.height
        assert (followed.state.trusted.height, none_yet, followed.faults) == (0, 0, {})
        await submit_all(client, [[sender.clock(FIRST_S)], [sender.clock(FIRST_S + SLOT_S)]])
        followed = await follow_nodes([client], state, tmp_path / "light.state")
        assert (followed.state.trusted.height, followed.faults) == (2, {})
        proof = await node.client("reg").fetch_bytes("proof", key="chain")
        assert check_bytes(proof, followed.state).answer == verify.VERIFIED
        for path in ("headers/3", "headers/0", "proof?key=nothing", "headers?known_height=9"):
            with pytest.raises(GridError):
                await node.client("reg").fetch_bytes(path)
    assert load_state(tmp_path / "light.state") == followed.state


async def test_the_command_follows_a_node_and_checks_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trust.json").write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
    state, trust = str(tmp_path / "light.state"), str(tmp_path / "trust.json")
    async with running_node(tmp_path / "ledger") as node:
        await node.client().submit([node.sender().clock(FIRST_S)])
        (tmp_path / "proof").write_bytes(await node.client("reg").fetch_bytes("proof", key="chain"))
        follow = ["light", "follow", "--url", node.url, "--trust", trust, "--state", state, "--once", "--json"]
        assert await asyncio.to_thread(main, follow) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["height"], told["header_digest"]) == (1, node.ledger.digest(1).hex())
    again = ["light", "follow", "--url", node.url, "--state", state, "--once"]
    assert await asyncio.to_thread(main, again) == 1
    assert "no node answers there" in capsys.readouterr().err
    check = ["light", "check", str(tmp_path / "proof"), "--state", state]
    assert main(check) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'proof'}: state-proof: verified\n"
    assert main(["light", "check", str(tmp_path / "proof"), "--trust", trust]) == 0
    (tmp_path / "proof").write_bytes(b"torn")
    assert main(check) == 1
    assert main(["light", "check", str(tmp_path / "proof"), "--state", str(tmp_path / "none")]) == 2


def test_a_state_is_kept_for_one_chain_and_begins_with_a_trust_root(tmp_path: Path) -> None:
    trust, path = tmp_path / "trust.json", tmp_path / "light.state"
    trust.write_text(json.dumps(trust_of(TWO_AREAS.genesis)))
    with pytest.raises(UsageError, match="begin with --trust"):
        open_state(path, None)
    state = open_state(path, trust)
    save_state(path, state)
    assert open_state(path, None) == open_state(path, trust) == state
    save_state(path, LightState(chain_of(1).begin(OLD), ()))
    with pytest.raises(UsageError, match="of another chain"):
        open_state(path, trust)
    path.write_bytes(b"torn")
    with pytest.raises(UsageError, match="is no state of a light client, or damaged"):
        open_state(path, None)
