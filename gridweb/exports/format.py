"""What a format of export is, and what every file says of where its rows come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gridweb.tables import Table


class Provenance(NamedTuple):
    """Of which chain and when. ledger_time_s: UTC seconds; mark: "SIMULATED", "IMPORTED" or "" (what every page of such a chain says)."""

    chain: str
    height: int
    ledger_time_s: int
    mark: str


class Format(NamedTuple):
    """A way to write a table down. encode: pure, in the language of the request; rows_max: of one file.

    says_where: the file says where its rows come from; where the pages cannot say, there is no such file.
    """

    name: str
    title: str
    suffix: str
    content_type: str
    rows_max: int
    says_where: bool
    encode: Callable[[Table, Provenance], bytes]
