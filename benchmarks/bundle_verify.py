"""verify_bundle/...: the verifier in JavaScript as Chromium runs it, on the largest bundle among the vectors that is verified.

``first``: the first bundle of a page that has just been opened, as for somebody who looks at one proof; ``p95``: of VERIFIED further ones in
the same page. The bound is the verifier in Python on the same bundle. Chromium gets modules and files over loopback from this process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

from gridcore.errors import GridError, require
from gridledger.bench import Benchmark, Measurement, best_seconds

ROOT: Final = Path(__file__).resolve().parents[1]
CASE: Final = "tests/vectors/bundle_verify/honest-prices-by-series-and-rules-of-a-point-s-own"
VERIFIED: Final = 40
CHROMIUM_S_MAX: Final = 120
FLAGS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
PAGE: Final = f"""<!doctype html><title>verify</title>
<script type="module">
import {{ verifyFiles }} from "/gridweb/static/verify/files.mjs";
const bytes = async (name) => new Uint8Array(await (await fetch("/{CASE}/" + name)).arrayBuffer());
const [bundle, trust] = await Promise.all(["bundle.evd", "trust.json"].map(bytes)), said = [];
for (let at = 0; at <= {VERIFIED}; at += 1) {{
  const start = performance.now(), verdict = await verifyFiles(bundle, trust, null, "trust.json");
  said.push([performance.now() - start, verdict.answer]);
}}
await fetch("/", {{ method: "POST", body: JSON.stringify(said) }});
</script>
"""
"""It says milliseconds and answer of each."""


class _Files(SimpleHTTPRequestHandler):
    """The checkout, and the page, which says in ``said`` what it has found."""

    def __init__(self, said: Queue[bytes], *args: Any) -> None:
        self._said = said
        super().__init__(*args, directory=str(ROOT))

    def do_GET(self) -> None:
        """The page at "/", else a file."""
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def do_POST(self) -> None:
        """What the page has found."""
        self._said.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _serving(said: Queue[bytes]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, said))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@cache
def in_chromium() -> list[float]:
    """Seconds of each verification in one page, in order. GridError where Chromium is not installed, or says nothing."""
    program = shutil.which("chromium")
    if program is None:
        raise GridError("chromium is not installed; on Debian: apt-get install chromium")
    said: Queue[bytes] = Queue()
    with _serving(said) as url, tempfile.TemporaryDirectory(prefix="gridledger-bench-") as folder:
        command = [program, *FLAGS, f"--user-data-dir={Path(folder) / 'profile'}", "--remote-debugging-port=0", url]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            found = json.loads(said.get(timeout=CHROMIUM_S_MAX))
        except Empty:
            raise GridError(f"chromium has verified nothing within {CHROMIUM_S_MAX} s") from None
        finally:
            process.terminate()
            process.wait()
    require({answer for _, answer in found} == {"verified"}, "the bundle is verified each time")
    return [milliseconds / 1_000 for milliseconds, _ in found]


@cache
def in_python() -> float:
    """Seconds of the verifier in Python for the same bundle, at its best."""
    from gridcore import verify

    bundle, trust = ((ROOT / CASE / name).read_bytes() for name in ("bundle.evd", "trust.json"))
    root = verify.decode_trust(trust)
    require(verify.verify_bundle(bundle, root).answer == "verified", "the bundle is verified")
    return best_seconds(lambda: verify.verify_bundle(bundle, root))


def first() -> Measurement:
    """The first bundle of a page."""
    return Measurement(1, in_chromium()[0], "verify.py", in_python())


def p95() -> Measurement:
    """Ninety-five of a hundred of the others are verified as fast."""
    seconds = sorted(in_chromium()[1:])
    return Measurement(1, seconds[-(-95 * len(seconds) // 100) - 1], "verify.py", in_python())


BENCHMARKS: dict[str, Benchmark] = {"verify_bundle/chromium_first": first, "verify_bundle/chromium_p95": p95}
