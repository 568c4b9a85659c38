"""Claim 7, and with the book one more: the party's filled orders, and the price that follows from all orders of the slot."""

from __future__ import annotations

from collections import Counter

from gridevidence.layout import BOOK, BOOK_BYTES_MAX, BOOK_ROW, BOOK_TYPE, FILL_ROW, ORDER_KIND, SIDES, SIGNED_ORDER
from gridevidence.verifier.answers import CANNOT_BE_DECIDED, hold, same
from gridevidence.verifier.cbor import decode
from gridevidence.verifier.examination import Examination
from gridevidence.verifier.shapes import conform, known_version
from gridevidence.verifier.trees import root_of_leaves


def check_orders(of: Examination) -> str:
    """7: each order is the party's, for this area and slot, filled within its limit; the fills are all it bought and sold."""
    if not of.contract().rationings:
        hold(not of.bundle["orders"], "there are orders under a contract that takes none")
        return "The contract takes no orders: what the point bought and sold are its shares."
    clearing, due = of.value["clearing"], (of.facts["party"], of.facts["area"], of.facts["slot_start_s"])
    last_counter, price = 0, clearing.get("price_micro_per_kwh", 0)
    for what, _, part in of.orders():
        order = of.signed(part, SIGNED_ORDER, ORDER_KIND, what)
        body, identity, counter = order["body"], order["identity"], order["identity"]["counter"]
        same(f"party, area and slot of {what}", (order["signer"], body["area"], identity["slot_start_s"]), due)
        hold(counter > last_counter, "the orders do not ascend by their counters")
        last_counter, side = counter, SIDES.index(body["side"])
        fill = of.row(part["fill"], FILL_ROW, clearing["fills_root"], f"fill of {what}")
        own = (of.value["meter"]["number"], counter, side, body["quantity_wh"], body["price_micro_per_kwh"])
        same(f"the fill of {what}", fill[:5], own)
        hold(0 < fill[5] <= fill[3], f"{what} was filled with nothing, or with more than its quantity")
        hold(price <= fill[4] if side == 0 else price >= fill[4], f"{what} was filled beyond its limit")
        of.fills.append(fill)
    filled_wh = [sum(fill[5] for fill in of.fills if fill[2] == side) for side in (0, 1)]
    same("the sum of fills bought and sold", filled_wh, [of.facts["bought_wh"], of.facts["sold_wh"]])
    what = "1 filled order" if len(of.fills) == 1 else f"{len(of.fills)} filled orders"
    return f"{what} of the party, none beyond its limit: all that it bought and sold."


def check_book(of: Examination) -> str:
    """With the book: it is the clearing's; price, volume and every fill follow from it by the contract's rule."""
    clearing, rules, contract = of.value["clearing"], of.value["rules"], of.contract()
    is_known = bool(clearing) and rules.get("rationing") in contract.rationings
    hold(is_known, "no clearing of a known rationing", CANNOT_BE_DECIDED)
    orders = [BOOK_ROW.unpack(row) for row in _book_rows(of)]
    hold(all(order[0] == rank for rank, order in enumerate(orders)), "the book is not in rank order")
    hold(all(order[1] <= 1 and order[2] > 0 for order in orders), "an order has no known side or no quantity")
    volume_wh, price, fills = contract.clear([order[1:4] for order in orders], rules)
    cleared = [clearing["volume_wh"], clearing.get("price_micro_per_kwh")]
    same("the clearing's volume and price", cleared, [volume_wh, price])
    hold(fills == [order[4] for order in orders], "the rule gives other fills than the book states")
    own, listed = Counter(fill[2:] for fill in of.fills), Counter(order[1:] for order in orders)
    hold(own <= listed, "an order of the party does not stand in the book with its fill")
    return f"Price, volume and every fill follow from all orders of the slot ({len(orders)}) by the auction's rule."


def _book_rows(of: Examination) -> list[bytes]:
    """The rows of the book file, all of them under the clearing's book root."""
    clearing, data = of.value["clearing"], of.book_data or b""
    other = "the book file is another slot's, or altered"
    hold(len(data) <= min(BOOK_BYTES_MAX, 100 + 48 * clearing["orders"]), f"{other}: it is too large")
    book = known_version(decode(data, "the book file"), BOOK_TYPE, "the book file")
    conform(book, BOOK, "book")
    rows, salts = book["book"], book["salts"]
    hold(len(rows) == len(salts) == clearing["orders"], f"{other}: it has not {clearing['orders']} rows")
    for row, salt in zip(rows, salts, strict=True):
        conform([row, salt], (BOOK_ROW.size, 16), "row of the book")
    leaves = [salt + row for salt, row in zip(salts, rows, strict=True)]
    hold(root_of_leaves(leaves) == clearing["book_root"], f"{other}: it is not the one that was cleared")
    return list(rows)
