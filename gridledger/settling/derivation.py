"""One bill line, step by step: from registers to energy, from energy and price to the amount, in integers, in two languages.

Everything comes out of the line's evidence bundle; nothing is looked up. Each step is recomputed and compared: the contract of
this program gives the same line, or the derivation says where it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from gridcore.errors import EncodingError, UsageError
from gridcore.quality import FLAG_INTERPOLATED, SUBSTITUTED_WORD
from gridevidence.view import BundleView, PartView, PositionView, TermView
from ledger.contract import LineLike
from ledger.one_group import one_group
from settlement.catalogue import CATALOGUE
from settlement.contract_kit_1 import CLEARING_ACCOUNT

LANGUAGES: Final = ("en", "zh_CN")
Text = Mapping[str, str]
"""A text by language."""


class Step(NamedTuple):
    """One step. what: in words; formula: the numbers, names of them in words; result with its unit; holds: what is recomputed gives the same."""

    what: Text
    formula: Text
    result: int
    unit: str
    holds: bool


class Derivation(NamedTuple):
    """A line and its steps, in their order. ``pays_nano``: what all lines of the point come to in the slot."""

    line_kind: str
    title: Text
    contract: str
    run: str
    steps: Sequence[Step]
    amount_nano: int
    pays_nano: int
    not_checked: Sequence[Text]

    @property
    def holds(self) -> bool:
        """Whether every step gives what the ledger says."""
        return all(step.holds for step in self.steps)


def derive_line(view: BundleView, line_kind: str) -> Derivation:
    """The derivation of one kind of line of a bundle. UsageError where the point has no such line; EncodingError for an unknown contract."""
    entry = CATALOGUE.get(view.run.contract)
    if entry is None:
        raise EncodingError(
            f"the contract {view.run.contract!r} is not in this build; it has {', '.join(sorted(CATALOGUE))}"
        )
    term = view.term(line_kind)
    if term is None:
        kinds = [one.kind for one in view.position.terms if one.energy_wh]
        raise UsageError(
            f"--line {line_kind}: the point has no such line in this slot; it has {', '.join(kinds) or 'none'}"
        )
    words = entry.vocabulary
    recomputed = _recompute(view, line_kind)
    steps = [
        *_energies(view),
        *_trades(view),
        *_agreements(view),
        _line_energy(view.position, term, words.line_kinds[line_kind].energy, recomputed),
        *_price(view, term, words.prices),
        _amount(view, term, recomputed),
        _sum(view.position, view.currency),
    ]
    return Derivation(
        line_kind=line_kind,
        title=words.line_kinds[line_kind].title,
        contract=view.run.contract,
        run=view.run.run,
        steps=steps,
        amount_nano=term.amount_nano,
        pays_nano=view.position.pays_nano,
        not_checked=words.not_checked,
    )


def _energies(view: BundleView) -> Iterator[Step]:
    """From the registers at both ends; of an energy that no register tells there is nothing to add up."""
    spans, position = view.position.spans, view.position
    for one in view.approvals:
        when = {"start": ("start", "起点"), "end": ("end", "终点")}[one.when]
        signer, reason = one.transaction.signer, one.reason
        what = ("Substituted register", "替代") if one.quality == SUBSTITUTED_WORD else ("Register", "")
        yield Step(
            {
                "en": f"{what[0]} at the {when[0]}, for which {signer} answers: {reason!r}",
                "zh_CN": f"{when[1]}{what[1]}示数，由 {signer} 负责：{reason!r}",
            },
            numbers(f"{one.import_wh}, {one.export_wh}"),
            one.import_wh,
            "Wh",
            holds=True,
        )
    for span in spans:
        register = {"import": ("import", "用电"), "export": ("export", "上网")}[span.register]
        rolled = f" + {span.modulus_wh}" if span.modulus_wh else ""
        part = _part_words(position.part)
        yield Step(
            {
                "en": f"Register of meter {span.meter}, {register[0]}{part['en']}",
                "zh_CN": f"电表 {span.meter} 示数，{register[1]}{part['zh_CN']}",
            },
            numbers(f"({span.end_wh} − {span.start_wh}{rolled}) × {span.ratio}"),
            span.energy_wh,
            "Wh",
            holds=True,
        )
    totals = (
        ("import", position.import_wh, "Import of the slot", "时段用电量"),
        ("export", position.export_wh, "Export of the slot", "时段上网电量"),
    )
    for name, energy_wh, english, chinese in totals:
        own = [span.energy_wh for span in spans if span.register == name]
        given = _given_words(view)
        yield Step(
            {
                "en": english + ("" if own else f" ({given['en']})"),
                "zh_CN": chinese + ("" if own else f"（{given['zh_CN']}）"),
            },
            numbers(" + ".join(map(str, own)) or str(energy_wh)),
            energy_wh,
            "Wh",
            holds=not own or sum(own) == energy_wh,
        )


def _part_words(part: PartView | None) -> Text:
    """When a meter was put up or taken down inside the slot, with a register that no reading tells."""
    if part is None:
        return {"en": "", "zh_CN": ""}
    at = datetime.fromtimestamp(part.stated_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if part.is_put_up:
        return {"en": f", from {at} on, when it was put up", "zh_CN": f"，自 {at} 装表起"}
    return {"en": f", until {at}, when it was taken down", "zh_CN": f"，至 {at} 拆表止"}


def _given_words(view: BundleView) -> Text:
    """Where an energy comes from that follows from no register."""
    if view.clock == "imported":
        return {"en": "imported from a file", "zh_CN": "由文件导入"}
    if view.position.quality & FLAG_INTERPOLATED:
        return {
            "en": "estimated: the slot's part of what the registers around the gap have counted",
            "zh_CN": "估算：缺口两端示数之差中本时段的份额",
        }
    return {"en": "estimated: no registers bind all of it", "zh_CN": "估算：两端示数尚不齐全"}


def _trades(view: BundleView) -> Iterator[Step]:
    """What the party's orders got, where the contract trades by orders."""
    position = view.position
    for side, english, chinese, total_wh in (
        ("buy", "Bought by orders", "订单购入", position.bought_wh),
        ("sell", "Sold by orders", "订单售出", position.sold_wh),
    ):
        filled = [order.filled_wh for order in view.orders if order.side == side]
        if filled:
            # A party with several points has its fills dealt to them: one point gets no more than all.
            yield Step(
                {"en": english, "zh_CN": chinese},
                numbers(" + ".join(map(str, filled))),
                total_wh,
                "Wh",
                holds=total_wh <= sum(filled),
            )
            yield from _trade_amounts(view, side)


def _trade_amounts(view: BundleView, side: str) -> Iterator[Step]:
    """What the party's trades of one side come to, where they have prices of their own."""
    orders = [order for order in view.orders if order.side == side and order.amount_nano is not None]
    trades = [trade for order in orders for trade in order.trades]
    if not trades:
        return
    formula = " + ".join(f"{trade.energy_wh} × {trade.price_micro_per_kwh}" for trade in trades)
    amount_nano = sum(order.amount_nano or 0 for order in orders)
    holds = amount_nano == sum(trade.energy_wh * trade.price_micro_per_kwh for trade in trades)
    what = {"en": "What the party's trades come to: energy × price", "zh_CN": "本方各笔成交：电量 × 电价"}
    yield Step(what, numbers(formula), amount_nano, f"1e-9 {view.currency}", holds=holds)
    fees = [(trade.energy_wh, trade.fee_micro_per_kwh or 0) for trade in trades]
    if side == "buy" and any(fee for _, fee in fees):
        formula = " + ".join(f"{energy_wh} × {fee}" for energy_wh, fee in fees)
        fee_nano = sum(energy_wh * fee for energy_wh, fee in fees)
        what = {"en": "The grid's fees on their way: energy × fee", "zh_CN": "各笔成交途经电网的费用：电量 × 费用"}
        yield Step(what, numbers(formula), fee_nano, f"1e-9 {view.currency}", holds=True)


def _agreements(view: BundleView) -> Iterator[Step]:
    """What was agreed for the slot, and at which price."""
    for agreed in view.agreements:
        side = ("sells", "售电") if agreed.is_seller else ("buys", "购电")
        price = ("strike less reference price", "合约价减参考价") if agreed.is_difference else ("price", "电价")
        wanted = (f"{agreed.quantity_wh} Wh",) * 2
        if agreed.share_ppm is not None:
            wanted = f"{agreed.share_ppm} ppm of what the seller exports", f"卖方上网电量的 {agreed.share_ppm} ppm"
        english, chinese = (f"{named} {text}" for named, text in zip(side, wanted, strict=True))
        yield Step(
            {
                "en": f"Agreement {agreed.name}: {english}, {price[0]}",
                "zh_CN": f"协议 {agreed.name}：{chinese}，{price[1]}",
            },
            numbers(str(agreed.price_micro_per_kwh)),
            agreed.price_micro_per_kwh,
            f"1e-6 {view.currency}/kWh",
            holds=True,
        )


def _line_energy(position: PositionView, term: TermView, words: Text, recomputed: LineLike) -> Step:
    energies = (position.import_wh, position.export_wh, position.bought_wh, position.sold_wh)
    formula = {
        "en": "import {}, export {}, bought {}, sold {}".format(*energies),
        "zh_CN": "用电 {}，上网 {}，购入 {}，售出 {}".format(*energies),
    }
    return Step(words, formula, term.energy_wh, "Wh", holds=int(recomputed.energy_wh[0]) == term.energy_wh)


def _price(view: BundleView, term: TermView, words: Mapping[str, Text]) -> Iterator[Step]:
    """Where the price stands: among the rules, or what the gate came to."""
    if term.price_micro_per_kwh is None:
        return
    names = [name for name, price in view.run.prices if name == term.price]
    if names:
        what = {language: f"{words[names[0]][language]} ({view.run.rules})" for language in LANGUAGES}
    else:
        what = {"en": "Price of the gate", "zh_CN": "关闸出清价"}
    price = term.price_micro_per_kwh
    formula = names[0] if names else f"{view.run.area}/{view.run.slot_start_s}"
    unit = f"1e-6 {view.currency}/kWh"
    expected = dict(view.run.prices).get(names[0]) if names else view.run.price_micro_per_kwh
    yield Step(what, numbers(formula), price, unit, holds=price == expected)


def _amount(view: BundleView, term: TermView, recomputed: LineLike) -> Step:
    if term.price_micro_per_kwh is None:
        what, text, is_product = _unpriced_words(view, term), "", True
    else:
        what = {"en": "Amount: energy × price", "zh_CN": "金额：电量 × 电价"}
        sign = "" if term.sign > 0 else "− "
        text = f"{sign}{term.energy_wh} × {term.price_micro_per_kwh}"
        is_product = term.sign * term.energy_wh * term.price_micro_per_kwh == term.amount_nano
    holds = is_product and int(recomputed.amount_nano[0]) == term.amount_nano
    return Step(what, numbers(text or str(term.amount_nano)), term.amount_nano, f"1e-9 {view.currency}", holds=holds)


def _unpriced_words(view: BundleView, term: TermView) -> Text:
    """Where an amount comes from that is no product with one price."""
    if view.agreements:
        return {"en": "Amount: what these agreements come to", "zh_CN": "金额：上述协议的结算额"}
    is_traded = term.account == CLEARING_ACCOUNT
    of_what = (
        ("what its party's trades come to", "本方成交额") if is_traded else ("a sum that is shared out", "分摊总额")
    )
    return {"en": f"Amount: the point's part of {of_what[0]}", "zh_CN": f"金额：{of_what[1]}中本计量点的部分"}


def _sum(position: PositionView, currency: str) -> Step:
    amounts = [term.amount_nano for term in position.terms if term.energy_wh]
    what = {"en": "All lines of the point in the slot", "zh_CN": "本计量点本时段全部明细合计"}
    text = " + ".join(f"({amount})" if amount < 0 else str(amount) for amount in amounts)
    return Step(what, numbers(text), position.pays_nano, f"1e-9 {currency}", holds=sum(amounts) == position.pays_nano)


def numbers(formula: str) -> Text:
    """A formula that has no words."""
    return dict.fromkeys(LANGUAGES, formula)


def bracketed(number: int) -> str:
    """A number of a formula."""
    return f"({number})" if number < 0 else str(number)


def sum_formula(values: Iterable[int]) -> str:
    """The formula of a sum; 0 of nothing."""
    return " + ".join(map(bracketed, values)) or "0"


def _recompute(view: BundleView, line_kind: str) -> LineLike:
    """The line as the contract of this program has it, out of what the run keeps of the point."""
    entry = CATALOGUE[view.run.contract]
    kept = {name: np.array([value], dtype=np.int64) for name, value in view.position.columns}
    energies = (view.position.import_wh, view.position.export_wh, view.position.bought_wh, view.position.sold_wh)
    rows = one_group(dict(view.run.prices), *(np.array([energy], dtype=np.int64) for energy in energies))
    lines = entry.contract.lines(
        rows,
        {name: kept[name] for name in entry.contract.position_columns},
        trade_prices_micro_per_kwh=[view.run.price_micro_per_kwh],
        terms=[dict(view.run.terms)],
    )
    return next(line for line in lines if line.kind == line_kind)
