"""``/verify``: a proof is checked in the browser of whoever has one; nothing is sent. ``…/offline.html`` does it without this site.

Public: a proof names its party, and whoever holds it may check it.
"""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response
from quart.typing import ResponseReturnValue

from gridcore.sm3 import sm3
from gridweb.access import public
from gridweb.proofs import VERIFIER_NAME, verifier_digest
from gridweb.site import source
from gridweb.source import part_of
from gridweb.static_files import static_folder
from gridweb.verify_words import PAGE_TEXTS, verify_words
from gridweb.views import render_page

pages = Blueprint("verify", __name__)

OFFLINE_NAME: Final = "offline.html"
MANIFEST_NAME: Final = "MANIFEST"


@pages.get("/verify")
@public
async def show_verify() -> ResponseReturnValue:
    """The page that takes files. What lines are called comes from the node, where that answers."""
    areas = await part_of(source().areas())
    return await render_page(
        "verify/verify.html",
        texts=PAGE_TEXTS,
        verify_words=verify_words(one.contract for one in areas.value or ()),
        offline_name=OFFLINE_NAME,
        offline_digest=sm3(_file(OFFLINE_NAME)).hex(),
        verifier_name=VERIFIER_NAME,
        verifier_digest=verifier_digest(),
    )


@pages.get(f"/verify/{OFFLINE_NAME}")
@public
async def download_offline() -> Response:
    """The verifier as one page, to be kept: opened here, the policy of these pages would keep its script from running."""
    headers = {"Content-Disposition": f'attachment; filename="verify-{OFFLINE_NAME}"'}
    return Response(_file(OFFLINE_NAME), content_type="text/html; charset=utf-8", headers=headers)


@pages.get(f"/verify/{MANIFEST_NAME}")
@public
async def download_manifest() -> Response:
    """SM3 and name of each module, of the offline page and of the stand-alone verifier."""
    return Response(_file(MANIFEST_NAME), content_type="text/plain; charset=utf-8")


def _file(name: str) -> bytes:
    return (static_folder() / "verify" / name).read_bytes()
