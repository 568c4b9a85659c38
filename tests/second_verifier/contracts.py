"""The arithmetic of each contract for one point: docs/spec/contracts.md."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from tests.second_verifier.agreements import Agreed, may_differ, may_schedule, may_trade
from tests.second_verifier.auction import Terms
from tests.second_verifier.encoding import Item, MalformedError, as_bool, as_int, as_map, as_word
from tests.second_verifier.paired import (
    Pair,
    as_they_come,
    between_limits,
    by_choice,
    pay_as_bid,
    read_places,
    reduce,
    up_the_grid,
)
from tests.second_verifier.registry import Rules, as_price
from tests.second_verifier.rows import BookRow

UNIT = "_micro_per_kwh"
NANO = 10**9
PPM = 1_000_000


@dataclass(frozen=True)
class Line:
    kind: str
    energy_wh: int
    price_micro_per_kwh: int | None
    amount_nano: int
    account: str


@dataclass(frozen=True)
class Bill:
    """The position columns by name of one point, and the lines that they sum up."""

    columns: tuple[int, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Facts:
    """What a contract computes a point's bill from; `area_columns` are certified, `columns` are the claimed ones."""

    import_wh: int
    export_wh: int
    trade_price: int
    prices: dict[str, int]  # of the point in the slot
    area_prices: dict[str, int]
    terms: dict[str, Item]
    share_ppm: int
    agreed: tuple[Agreed, ...]
    area_columns: tuple[int, ...]
    columns: tuple[int, ...]

    def price(self, name: str) -> int:
        return self.prices[name + UNIT]

    def area_price(self, name: str) -> int:
        return self.area_prices[name + UNIT]


@dataclass(frozen=True)
class Exchange:
    """What the sellers of a community get together, and what the buyers pay."""

    sellers_nano: int
    buyers_nano: int


class DoesNotFollowError(Exception):
    """The claimed columns are not those of the contract's arithmetic."""


@dataclass(frozen=True)
class Contract:
    position_columns: int
    area_columns: int
    takes_orders: bool
    check_rules: Callable[[Rules], None]  # MalformedError where the contract refuses them
    bill: Callable[[Facts], Bill]  # DoesNotFollowError
    takes_agreements: bool = False
    matching: Callable[[Sequence[BookRow], Rules], list[Pair]] | None = None  # of a contract that trades in pairs
    ranks_by_arrival: bool = False
    asks_orders: bool = False  # fills and book rows say what was wanted
    buyers_price: Callable[[Sequence[BookRow]], int | None] | None = None  # of a gate that has one beside its trades
    has_fees: bool = False  # fills, trades and positions have fees, and fills and book rows a place
    asks_arrival: bool = False  # fills and book rows say when the order came


def _require_prices(rules: Rules, names: str) -> None:
    if set(rules.prices) != {name + UNIT for name in names.split()}:
        raise MalformedError("the rules do not have the contract's prices")
    for price in rules.prices.values():
        as_price(price)


def _supplier_only(facts: Facts, import_wh: int, export_wh: int) -> int:
    per_import = facts.price("residual_price") + facts.price("network_residual") + facts.price("levy")
    return import_wh * per_import - export_wh * facts.price("feed_in_price")


def _owed(kind: str, energy_wh: int, price: int, account: str) -> Line:
    return Line(kind, energy_wh, price, energy_wh * price, account)


def _due(kind: str, energy_wh: int, price: int, account: str) -> Line:
    return Line(kind, energy_wh, price, -energy_wh * price, account)


def _auction_rules(rules: Rules) -> None:
    _require_prices(
        rules,
        "feed_in_price levy network_residual network_traded residual_price shortfall_price surplus_price",
    )
    terms = as_map(rules.terms, f"rationing reference_price{UNIT}")
    as_word(terms["rationing"], "pro_rata")
    as_price(terms["reference_price" + UNIT])
    feed_in, network_residual, network_traded, residual, shortfall, surplus = (
        rules.prices[name + UNIT]
        for name in "feed_in_price network_residual network_traded residual_price shortfall_price surplus_price".split()
    )
    if surplus > min(shortfall, feed_in) or residual + network_residual > shortfall + network_traded:
        raise MalformedError("prices by which two who trade with one another earn")


def auction_terms(rules: Rules) -> Terms:
    """Of an auction's rules, which have been checked."""
    reference, k_ppm = rules.terms.get("reference_price" + UNIT), rules.terms.get("price_k_ppm")
    by_time = rules.terms["rationing"] == "time"
    return Terms(None if reference is None else as_int(reference), None if k_ppm is None else as_int(k_ppm), by_time)


def _split_auction_rules(rules: Rules) -> None:
    terms = as_map(rules.terms, "rationing", f"price_k_ppm reference_price{UNIT}")
    as_word(terms["rationing"], "pro_rata time")
    if len(terms) != 2:
        raise MalformedError("not one rule of the price")
    as_int(terms.get("price_k_ppm", 0), 0, PPM)
    reference = terms.get("reference_price" + UNIT, 0)
    _auction_rules(replace(rules, terms={"rationing": "pro_rata", "reference_price" + UNIT: reference}))


def _split_paired_rules(rules: Rules) -> None:
    as_int(as_map(rules.terms, "price_k_ppm")["price_k_ppm"], 0, PPM)
    _paired_rules(replace(rules, terms={}))


def _auction_bill(facts: Facts) -> Bill:
    bought, sold, _, _ = facts.columns  # claim 8: the sums of the fills
    traded = min(facts.import_wh, bought)
    lines = (
        _owed("trade_buy", bought, facts.trade_price, "clearing"),
        _due("trade_sell", sold, facts.trade_price, "clearing"),
        _owed("residual_import", max(facts.import_wh - bought, 0), facts.price("residual_price"), "supplier"),
        _due("surplus", max(bought - facts.import_wh, 0), facts.price("surplus_price"), "balance"),
        _due("residual_export", max(facts.export_wh - sold, 0), facts.price("feed_in_price"), "offtaker"),
        _owed("shortfall", max(sold - facts.export_wh, 0), facts.price("shortfall_price"), "balance"),
        _owed("network_traded", traded, facts.price("network_traded"), "network"),
        _owed("network_residual", facts.import_wh - traded, facts.price("network_residual"), "network"),
        _owed("levy", facts.import_wh, facts.price("levy"), "levy"),
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((bought, sold, pays, _supplier_only(facts, facts.import_wh, facts.export_wh)), lines)


def _paired_rules(rules: Rules) -> None:
    as_map(rules.terms, "")
    auction: dict[str, Item] = {"rationing": "pro_rata", "reference_price" + UNIT: 0}
    _auction_rules(replace(rules, terms=auction))


_RULES = "pay_as_bid pay_as_offer"


def _placed_rules(rules: Rules) -> None:
    as_word(as_map(rules.terms, "grid_places price_rule")["price_rule"], _RULES)
    read_places(rules.terms)
    _paired_rules(replace(rules, terms={}))


def _percent_rules(rules: Rules) -> None:
    as_map(rules.terms, "grid_places")
    read_places(rules.terms, percent=True)
    _paired_rules(replace(rules, terms={}))


def _placed_bill(facts: Facts) -> Bill:
    *traded, fee_nano, _, _ = facts.columns
    paired = _paired_bill(replace(facts, columns=(*traded, 0, 0)))
    fees = Line("grid_fee", traded[0], None, fee_nano, "network")
    pays = paired.columns[-2] + fee_nano
    return Bill((*traded, fee_nano, pays, paired.columns[-1]), (*paired.lines[:2], fees, *paired.lines[2:]))


def _conditional_rules(rules: Rules) -> None:
    as_word(as_map(rules.terms, "price_rule")["price_rule"], "pay_as_bid pay_as_offer")
    _paired_rules(replace(rules, terms={}))


def _paired_bill(facts: Facts) -> Bill:
    bought, sold, bought_nano, sold_nano, _, _ = facts.columns  # claim 8: the sums of the fills and their amounts
    auction = _auction_bill(replace(facts, columns=(bought, sold, 0, 0), trade_price=0))
    lines = (
        Line("trade_buy", bought, None, bought_nano, "clearing"),
        Line("trade_sell", sold, None, -sold_nano, "clearing"),
        *auction.lines[2:],
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((bought, sold, bought_nano, sold_nano, pays, auction.columns[-1]), lines)


def _reduced_bill(facts: Facts) -> Bill:
    bought, sold, bought_nano, sold_nano, surplus_nano, _, _ = facts.columns
    paired = _paired_bill(replace(facts, columns=(bought, sold, bought_nano, sold_nano, 0, 0)))
    if surplus_nano < 0 or surplus_nano != bought * facts.trade_price - bought_nano:
        raise DoesNotFollowError("the surplus is not what buyers pay and sellers do not get")
    surplus = Line("auction_surplus", bought, None, surplus_nano, "auction_surplus")
    lines = (*paired.lines[:2], surplus, *paired.lines[2:])
    pays = sum(line.amount_nano for line in lines)
    return Bill((bought, sold, bought_nano, sold_nano, surplus_nano, pays, paired.columns[-1]), lines)


def _community_rules(rules: Rules, feed_in_min: int) -> None:
    _require_prices(rules, "feed_in_price levy network_residual network_traded residual_price")
    if not feed_in_min <= rules.prices["feed_in_price" + UNIT] <= rules.prices["residual_price" + UNIT]:
        raise MalformedError(f"the rules do not have {feed_in_min} <= feed_in_price <= residual_price")
    as_map(rules.terms, "")


def _mid_market_exchange(surplus: int, deficit: int, feed_in: int, residual: int) -> Exchange:
    m = min(surplus, deficit)
    transfer = m * (feed_in + residual) // 2
    return Exchange(transfer + (surplus - m) * feed_in, transfer + (deficit - m) * residual)


def _ratio_exchange(surplus: int, deficit: int, feed_in: int, residual: int) -> Exchange:
    if surplus >= deficit:
        return Exchange(surplus * feed_in, deficit * feed_in)
    price = Fraction(feed_in * residual) / ((residual - feed_in) * Fraction(surplus, deficit) + feed_in)
    sellers = floor(surplus * price)
    return Exchange(sellers, sellers + (deficit - surplus) * residual)


def _require_share(share: int, total: int, weight: int, weights: int) -> None:
    """`share` is what a split of `total` by largest remainder may give to `weight` of the sum `weights`."""
    if weight == 0:
        if share != 0:
            raise DoesNotFollowError("a share without a weight")
        return
    floor, remainder = divmod(total * weight, weights)
    if share != floor and not (remainder and share == floor + 1):
        raise DoesNotFollowError("a share is not that of a split by largest remainder")


def _community_bill(facts: Facts, rule: Callable[[int, int, int, int], Exchange]) -> Bill:
    bought, sold, community, _, _ = facts.columns
    surplus, deficit = facts.area_columns
    e, d = max(facts.export_wh - facts.import_wh, 0), max(facts.import_wh - facts.export_wh, 0)
    if e > surplus or d > deficit:
        raise DoesNotFollowError("the point's surplus or deficit is more than the area's")
    feed_in, residual = facts.area_price("feed_in_price"), facts.area_price("residual_price")
    m = min(surplus, deficit)
    exchange = rule(surplus, deficit, feed_in, residual)
    _require_share(sold, m, e, surplus)
    _require_share(bought, m, d, deficit)
    if d:
        _require_share(community, exchange.buyers_nano, d, deficit)
    else:
        _require_share(-community, exchange.sellers_nano, e, surplus)
    lines = (
        Line("community_buy", d, None, community if d else 0, "community"),
        Line("community_sell", e, None, community if e else 0, "community"),
        *_charges(facts, bought),
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((bought, sold, community, pays, _supplier_only(facts, facts.import_wh, facts.export_wh)), lines)


def _bill_sharing_bill(facts: Facts) -> Bill:
    bought, sold, deficit, surplus, lacked, over, paid, earned, _, _ = facts.columns
    _, all_deficit, all_surplus, *money, all_lacked, all_over, cost, cost_nano, income, income_nano = facts.area_columns
    feed_in, residual = facts.area_price("feed_in_price"), facts.area_price("residual_price")
    e, d = max(facts.export_wh - facts.import_wh, 0), max(facts.import_wh - facts.export_wh, 0)
    if (deficit, surplus) != (d, e):
        raise DoesNotFollowError("the point's surplus or deficit is not that of its energies")
    if e > all_surplus or d > all_deficit or not 0 <= lacked <= all_lacked or not 0 <= over <= all_over:
        raise DoesNotFollowError("the point's surplus or deficit is more than the area's")
    if min(facts.area_columns) < 0:
        raise DoesNotFollowError("a sum of the area is negative")
    imported, exported = max(all_deficit - all_surplus, 0), max(all_surplus - all_deficit, 0)
    if tuple(money) != (*divmod(imported * residual, NANO), *divmod(exported * feed_in, NANO)):
        raise DoesNotFollowError("what the area's import costs or its export earns does not follow")
    m = min(all_surplus, all_deficit)
    _require_share(sold, m, e, all_surplus)
    _require_share(bought, m, d, all_deficit)
    _require_share(paid, cost * NANO + cost_nano, lacked, all_lacked)
    _require_share(earned, income * NANO + income_nano, over, all_over)
    lines = (
        Line("community_buy", lacked, None, paid, "community"),
        Line("community_sell", over, None, -earned, "community"),
        *_charges(facts, bought),
    )
    pays = sum(line.amount_nano for line in lines)
    kept = (bought, sold, deficit, surplus, lacked, over, paid, earned)
    return Bill((*kept, pays, _supplier_only(facts, facts.import_wh, facts.export_wh)), lines)


def _charges(facts: Facts, bought: int) -> tuple[Line, ...]:
    """Network and levy of an import, of which `bought` Wh are the community's own."""
    return (
        _owed("network_traded", bought, facts.price("network_traded"), "network"),
        _owed("network_residual", facts.import_wh - bought, facts.price("network_residual"), "network"),
        _owed("levy", facts.import_wh, facts.price("levy"), "levy"),
    )


def _sharing_rules(rules: Rules) -> None:
    _require_prices(rules, "feed_in_price levy network_residual network_traded residual_price")
    terms = as_map(rules.terms, f"method trade_price{UNIT}", "settle_residual")
    as_word(terms["method"], "static static_reallocated dynamic priority")
    as_price(terms["trade_price" + UNIT])
    as_bool(terms.get("settle_residual", True))


def _check_given(facts: Facts) -> None:
    """What is given to the point, by the method of the area's terms."""
    given, method = facts.columns[0], facts.terms["method"]
    production, consumption, shared, keys = facts.area_columns
    if not 0 <= given <= min(facts.import_wh, shared):
        raise DoesNotFollowError("more is given to the point than it takes, or than is shared")
    if method in ("static", "static_reallocated"):
        pool = production * min(keys, PPM) // PPM
        if shared > pool:
            raise DoesNotFollowError("more is shared than the keys give")
        least, rest = divmod(pool * facts.share_ppm, keys) if keys else (0, 0)
        most = facts.import_wh if method == "static_reallocated" and facts.share_ppm else least + (rest > 0)
        if not min(facts.import_wh, least) <= given <= most:
            raise DoesNotFollowError("the point is given more or less than its share")
        return
    if shared != min(production, consumption):
        raise DoesNotFollowError("not all is shared that can be")
    if method == "dynamic" or shared == consumption:
        _require_share(given, shared, facts.import_wh, consumption)


def _sharing_bill(facts: Facts) -> Bill:
    bought, sold, _, _ = facts.columns
    production, consumption, shared, keys = facts.area_columns
    if facts.import_wh > consumption or facts.export_wh > production or facts.share_ppm > keys:
        raise DoesNotFollowError("the point's energies or key are more than the area's")
    if not 0 <= shared <= min(production, consumption):
        raise DoesNotFollowError("more is shared than there is")
    _check_given(facts)
    _require_share(sold, shared, facts.export_wh, production)
    settles_rest = facts.terms.get("settle_residual", True)
    import_wh, export_wh = (facts.import_wh, facts.export_wh) if settles_rest else (bought, sold)
    trade_price = as_price(facts.terms["trade_price" + UNIT])
    lines = (
        _owed("trade_buy", bought, trade_price, "clearing"),
        _due("trade_sell", sold, trade_price, "clearing"),
        _owed("residual_import", import_wh - bought, facts.price("residual_price"), "supplier"),
        _due("residual_export", export_wh - sold, facts.price("feed_in_price"), "offtaker"),
        _owed("network_traded", bought, facts.price("network_traded"), "network"),
        _owed("network_residual", import_wh - bought, facts.price("network_residual"), "network"),
        _owed("levy", import_wh, facts.price("levy"), "levy"),
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((bought, sold, pays, _supplier_only(facts, import_wh, export_wh)), lines)


def _agreed_rules(rules: Rules) -> None:
    _require_prices(rules, "feed_in_price levy network_residual network_traded residual_price")
    as_map(rules.terms, "")


def _agreed_bill(facts: Facts) -> Bill:
    bought, sold, bought_nano, sold_nano, differed, difference, _, _ = facts.columns
    if not (0 <= bought <= facts.import_wh and 0 <= sold <= facts.export_wh):
        raise DoesNotFollowError("more is traded by agreement than was metered")
    trades = [one for one in facts.agreed if not one.is_difference]
    for sells, wh, nano in ((False, bought, bought_nano), (True, sold, sold_nano)):
        own = [one for one in trades if one.sells == sells]
        if not may_trade(own, facts.export_wh if sells else facts.import_wh, facts.export_wh, wh, nano):
            raise DoesNotFollowError("what is traded is not what was agreed")
    if not may_differ((one for one in facts.agreed if one.is_difference), facts.export_wh, differed, difference):
        raise DoesNotFollowError("the differences are not what was agreed")
    rest = facts.import_wh - bought
    lines = (
        Line("agreement_buy", bought, None, bought_nano, "clearing"),
        Line("agreement_sell", sold, None, -sold_nano, "clearing"),
        Line("agreement_difference", differed, None, difference, "clearing"),
        _owed("residual_import", rest, facts.price("residual_price"), "supplier"),
        _due("residual_export", facts.export_wh - sold, facts.price("feed_in_price"), "offtaker"),
        *_charges(facts, bought),
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((*facts.columns[:6], pays, _supplier_only(facts, facts.import_wh, facts.export_wh)), lines)


def _scheduled_bill(facts: Facts) -> Bill:
    bought, sold, bought_nano, sold_nano, differed, difference, _, _ = facts.columns
    if min(bought, sold) < 0:
        raise DoesNotFollowError("a negative energy is scheduled")
    for sells, wh, nano in ((False, bought, bought_nano), (True, sold, sold_nano)):
        own = [one for one in facts.agreed if one.sells == sells and not one.is_difference]
        if not may_schedule(own, facts.export_wh, wh, nano):
            raise DoesNotFollowError("what is scheduled is not what was agreed")
    if not may_differ((one for one in facts.agreed if one.is_difference), facts.export_wh, differed, difference):
        raise DoesNotFollowError("the differences are not what was agreed")
    auction = _auction_bill(replace(facts, columns=(bought, sold, 0, 0), trade_price=0))
    lines = (
        Line("schedule_buy", bought, None, bought_nano, "clearing"),
        Line("schedule_sell", sold, None, -sold_nano, "clearing"),
        Line("schedule_difference", differed, None, difference, "clearing"),
        *auction.lines[2:],
    )
    pays = sum(line.amount_nano for line in lines)
    return Bill((*facts.columns[:6], pays, auction.columns[-1]), lines)


def _between_limits(meet: Callable[[Sequence[BookRow]], list[Pair]]) -> Contract:
    def matching(book: Sequence[BookRow], rules: Rules) -> list[Pair]:
        return between_limits(book, meet(book), as_int(rules.terms["price_k_ppm"]))

    return Contract(6, 0, True, _split_paired_rules, _paired_bill, matching=matching)


CONTRACTS = {
    "p2p_call_auction/1": Contract(4, 0, True, _auction_rules, _auction_bill),
    "pay_as_bid/1": Contract(6, 0, True, _paired_rules, _paired_bill, matching=lambda book, _: pay_as_bid(book)),
    "continuous_double_auction/1": Contract(
        6, 0, True, _paired_rules, _paired_bill, matching=lambda book, _: as_they_come(book), ranks_by_arrival=True
    ),
    "conditional_bid/1": Contract(
        6,
        0,
        True,
        _conditional_rules,
        _paired_bill,
        matching=lambda book, rules: by_choice(book, as_word(rules.terms["price_rule"], "pay_as_bid pay_as_offer")),
        asks_orders=True,
    ),
    "trade_reduction/1": Contract(
        7,
        0,
        True,
        _paired_rules,
        _reduced_bill,
        matching=lambda book, _: reduce(book).pairs,
        buyers_price=lambda book: reduce(book).buyers_price,
    ),
    "grid_fee_path/1": Contract(
        7,
        0,
        True,
        _placed_rules,
        _placed_bill,
        matching=lambda book, rules: up_the_grid(
            book, read_places(rules.terms), as_word(rules.terms["price_rule"], _RULES)
        ),
        has_fees=True,
    ),
    "p2p_call_auction/2": Contract(4, 0, True, _split_auction_rules, _auction_bill, asks_arrival=True),
    "pay_as_bid/2": _between_limits(pay_as_bid),
    "continuous_double_auction/2": replace(_between_limits(as_they_come), ranks_by_arrival=True),
    "grid_fee_path/2": Contract(
        7,
        0,
        True,
        _percent_rules,
        _placed_bill,
        matching=lambda book, rules: up_the_grid(book, read_places(rules.terms, percent=True), "pay_as_offer"),
        has_fees=True,
    ),
    "mid_market_rate/1": Contract(
        5,
        2,
        False,
        lambda rules: _community_rules(rules, 0),
        lambda facts: _community_bill(facts, _mid_market_exchange),
    ),
    "supply_demand_ratio/1": Contract(
        5,
        2,
        False,
        lambda rules: _community_rules(rules, 1),
        lambda facts: _community_bill(facts, _ratio_exchange),
    ),
    "bill_sharing/1": Contract(10, 13, False, lambda rules: _community_rules(rules, 0), _bill_sharing_bill),
    "sharing_keys/1": Contract(4, 4, False, _sharing_rules, _sharing_bill),
    "bilateral_agreements/1": Contract(8, 0, False, _agreed_rules, _agreed_bill, takes_agreements=True),
    "schedules_and_deviations/1": Contract(8, 0, False, _paired_rules, _scheduled_bill, takes_agreements=True),
}
