"""The page out of its figures."""

from __future__ import annotations

from html import escape
from typing import Final

from gridcore.report.markup import (
    ZH_ZONES,
    Cell,
    StackedBar,
    Text,
    bars,
    facts,
    kilo,
    money,
    number,
    page,
    paragraph,
    say,
    section,
    table,
    tiles,
    word,
)
from gridledger.settling.dataset import UnusualPower
from gridledger.settling.report.components import components_section, uncharged_section
from gridledger.settling.report.figures import ROWS_MAX, DocumentFigures, Figures, KindFigures

_NANO_PER_MICRO: Final = 1_000
_RULES: Final = {
    ("spike", "import"): Text("import far above its days before", "用电量远高于前几日"),
    ("spike", "export"): Text("export far above its days before", "上网电量远高于前几日"),
    ("zero_run", "import"): Text("nothing for long, at a point that takes", "用电计量点长时间为零"),
    ("zero_run", "export"): Text("nothing for long, at a point that feeds in", "上网计量点长时间为零"),
    ("new_direction", "import"): Text("takes, and never did in its days before", "前几日从未用电，现有用电"),
    ("new_direction", "export"): Text("feeds in, and never did in its days before", "前几日从未上网，现有上网"),
}
"""Why an energy is marked, by rule and side."""


def report_page(figures: Figures) -> str:
    """The whole file ``report.html``."""
    sections = (
        _figures(figures),
        _energy(figures),
        _documents(figures),
        _kinds(figures),
        _exceptions(figures),
        uncharged_section(figures),
        _marked(figures),
    )
    more = (components_section(figures), _method(figures), _inputs(figures), _checking(figures))
    return page(
        Text("Settlement report", "结算报告"),
        Text("IMPORTED", "导入数据"),
        (*sections, *more),
        is_zh=figures.timezone in ZH_ZONES,
    )


def _figures(figures: Figures) -> str:
    invoiced = sum(document.gross for document in figures.documents)
    covered = 1000 * figures.shared_wh // figures.import_wh if figures.import_wh else 0
    items = (
        (kilo(figures.shared_wh) + " kWh", Text("shared inside the community", "社区内共享电量")),
        (f"{covered // 10}.{covered % 10} %", Text("of all import came from members", "的用电量来自社区成员")),
        (
            f"{money(invoiced, figures.quantum_nano)} {figures.currency}",
            Text("owed by members in all, credits taken off", "成员应付合计（已减应收）"),
        ),
        (str(figures.missing), Text("intervals without a full reading", "个时段缺少完整读数")),
    )
    times = f"{figures.first_slot} – {figures.last_slot_end} ({figures.timezone})"
    counts = Text(
        f"{times}: {figures.slots:,} slots, {figures.points:,} points, {figures.parties:,} parties, {figures.readings:,} readings",
        f"{times}：{figures.slots:,} 个时段，{figures.points:,} 个计量点，{figures.parties:,} 户，{figures.readings:,} 条读数",
    )
    unusual = "" if figures.unusual is None else paragraph(_unusual(figures.unusual))
    return f'<p class="soft">{say(counts)}</p>{unusual}{tiles(items)}'


def _unusual(unusual: UnusualPower) -> Text:
    others = f"（另有 {unusual.others} 个）" if unusual.others else " "
    return Text(
        unusual.words,
        f"points.csv 未给出 {unusual.point}{others}的 limit_kw：其最高时段平均功率为 {unusual.power_w // 1_000:,} kW"
        f"（{unusual.file} 第 {unusual.row} 行）；数值的单位是 {unusual.unit} 吗？",
    )


def _energy(figures: Figures) -> str:
    keys = (
        ("part", Text("taken from members", "来自社区成员")),
        ("whole", Text("taken from the supplier", "来自售电方")),
        ("mark", Text("fed in by members, shared energy included", "成员上网电量（含共享）")),
    )
    legend = "".join(f'<span class="item"><i class="key {name}"></i>{say(title)}</span>' for name, title in keys)
    drawn = [
        StackedBar(bar.name, *(wh // 1000 for wh in (bar.import_wh, bar.shared_wh, bar.export_wh)))
        for bar in figures.bars
    ]
    return section(Text("Energy, kWh", "电量（kWh）"), bars(drawn, "kWh"), f'<p class="soft keys">{legend}</p>')


def _documents(figures: Figures) -> str:
    heads = (
        (Text("Party", "用户"), False),
        (Text("Month", "月份"), False),
        (Text("Document", "单据"), False),
        (Text("Import, kWh", "用电量"), True),
        (Text("Export, kWh", "上网电量"), True),
        (Text("Shared, kWh", "共享电量"), True),
        (Text("Net", "净额"), True),
        (Text("Tax", "税额"), True),
        (Text(f"Owed, {figures.currency}", f"应付（{figures.currency}）"), True),
    )
    shown = [_document(document, figures) for document in figures.documents[:ROWS_MAX]]
    left = len(figures.documents) - len(shown)
    more = Text(f"{left:,} more in invoices.csv.", f"其余 {left:,} 行见 invoices.csv。")
    note = Text(
        "A negative amount is paid to the party. A line is rounded once, and the tax once on their sum. What a correction changes is a "
        "document of its own; with it, a month comes to what its last run says.",
        "负数表示付给用户。每个账单行只舍入一次，税额按合计只计一次。更正的差额单独成单，与原账单合计即为最后一次结算的结果。",
    )
    return section(
        Text("Each party's month", "各户月账"), table(heads, shown), paragraph(more) if left else "", paragraph(note)
    )


def _document(document: DocumentFigures, figures: Figures) -> list[Cell]:
    is_invoice = document.run == "initial"
    title = Text("invoice", "账单") if is_invoice else Text(f"of {document.run}", f"更正（{document.run}）")
    energies = (document.import_wh, document.export_wh, document.shared_wh)
    amounts = (document.net, document.tax, document.gross)
    return [
        word(document.party),
        word(document.month),
        Cell(say(title)),
        *(number(kilo(wh) if is_invoice else "") for wh in energies),
        *(number(money(amount, figures.quantum_nano)) for amount in amounts),
    ]


def _kinds(figures: Figures) -> str:
    heads = (
        (Text("Line", "账单行"), False),
        (Text("Account", "对方账户"), False),
        (Text("Energy, kWh", "电量"), True),
        (Text(f"Owed by parties, {figures.currency}", f"用户应付（{figures.currency}）"), True),
    )
    return section(
        Text("What it is made of", "费用构成"), table(heads, [_kind(kind, figures) for kind in figures.kinds])
    )


def _kind(kind: KindFigures, figures: Figures) -> list[Cell]:
    words = figures.vocabulary.line_kinds.get(kind.line_kind)
    title = word(kind.line_kind) if words is None else Cell(say(Text(words.title["en"], words.title["zh_CN"])))
    account = figures.vocabulary.accounts.get(kind.account)
    receiver = word(kind.account) if account is None else Cell(say(Text(account["en"], account["zh_CN"])))
    energy_kwh = kilo(kind.energy_wh) if kind.energy_wh else "–"  # charges by the day, by power, as a share of others
    return [title, receiver, number(energy_kwh), number(money(kind.amount, figures.quantum_nano))]


def _exceptions(figures: Figures) -> str:
    if not figures.exceptions:
        text = Text("Every interval of every point has a reading.", "所有计量点的每个时段都有读数。")
        return section(Text("Exceptions", "异常"), paragraph(text))
    heads = (
        (Text("Point", "计量点"), False),
        (Text("Party", "用户"), False),
        (Text("Missing", "缺失"), True),
        (Text("Estimated", "估计"), True),
        (Text("Suspect", "可疑"), True),
        (Text("Settled in them, kWh", "其中已结算电量"), True),
    )
    rows = [
        [
            word(point.point),
            word(point.party),
            *(number(f"{count:,}") for count in point[2:5]),
            number(kilo(point.energy_wh)),
        ]
        for point in figures.exceptions[:ROWS_MAX]
    ]
    what = Text(
        "Missing intervals are settled as they stand above. When newer readings come, put them into the folder and run "
        "gridledger settle files DIR --onto OUT: it posts the differences and makes credit notes.",
        "缺失时段按上表结算。取得新的读数后，放入文件夹并运行 gridledger settle files DIR --onto OUT：系统只记差额并生成更正单。",
    )
    return section(Text("Exceptions", "异常"), table(heads, rows), paragraph(what))


def _marked(figures: Figures) -> str:
    if not figures.marked:
        return ""
    heads = (
        (Text("Point", "计量点"), False),
        (Text("From", "起始"), False),
        (Text("Slots", "时段数"), True),
        (Text("Why", "原因"), False),
        (Text("Measured, kWh", "实测电量"), True),
        (Text("Usual, kWh", "惯常电量"), True),
    )
    rows = [
        [
            word(row.point),
            word(start),
            number(f"{row.slots:,}"),
            Cell(say(_RULES[row.rule, row.side])),
            number(kilo(row.energy_wh)),
            number(kilo(row.usual_wh)),
        ]
        for start, row in figures.marked[:ROWS_MAX]
    ]
    what = Text(
        "These were measured and are settled as they are: somebody should look at them. Those with the most doubtful energy come first; "
        "validation.csv has all.",
        "以上均为实测值并已按原值结算，但需人工核查。可疑电量最大者在前，全部见 validation.csv。",
    )
    return section(Text("Doubtful energies", "可疑电量"), table(heads, rows), paragraph(what))


def _method(figures: Figures) -> str:
    prices = [(_price_words(key, figures), _price(price, figures)) for key, price in figures.prices.items()]
    before = figures.prices
    for day, later in figures.later_prices:
        changed = [key for key, price in later.items() if price != before[key]]
        prices += [(_words_from(_price_words(key, figures), day), _price(later[key], figures)) for key in changed]
        before = later
    pairs = [
        (Text("Contract", "合约"), f"<code>{escape(figures.contract)}</code>"),
        (Text("Its code (SM3)", "合约代码摘要（SM3）"), f"<code>{escape(figures.contract_pin)}</code>"),
        *((Text(key, key), escape(str(value))) for key, value in figures.terms.items()),
        *prices,
        (Text("Missing intervals", "缺失时段"), f"<code>{escape(figures.estimate)}</code>"),
        (Text("Tax", "税率"), _rate(figures.tax_ppm)),
        *((_words_from(Text("Tax", "税率"), day), _rate(tax_ppm)) for day, tax_ppm in figures.later_rates),
        (Text("Rounding", "舍入"), f"<code>{escape(figures.rounding)}</code>"),
    ]
    if figures.series:
        varying = ", ".join(say(_price_words(key, figures)) for key in figures.series)
        pairs.append((Text("Prices that vary (prices.csv)", "分时变动的价格（prices.csv）"), varying))
    return section(Text("Method", "方法"), facts(pairs))


def _rate(tax_ppm: int) -> str:
    return f"{tax_ppm // 10_000}.{tax_ppm % 10_000:04}".rstrip("0").rstrip(".") + " %"


def _price(price_micro_per_kwh: int, figures: Figures) -> str:
    return f"{money(price_micro_per_kwh * _NANO_PER_MICRO, 1)} {escape(figures.currency)}/kWh"


def _words_from(words: Text, day: str) -> Text:
    return Text(f"{words.en}, from {day} on", f"{words.zh}（自 {day} 起）")


def _price_words(key: str, figures: Figures) -> Text:
    words = figures.vocabulary.prices.get(key)
    return Text(key, key) if words is None else Text(words["en"], words["zh_CN"])


def _inputs(figures: Figures) -> str:
    heads = (
        (Text("File", "文件"), False),
        (Text("Rows", "行数"), True),
        (Text("SM3 of its bytes", "文件摘要（SM3）"), False),
    )
    rows = [
        [word(name), number(f"{count:,}" if count else ""), Cell(f"<code>{escape(sm3)}</code>")]
        for name, count, sm3 in figures.inputs
    ]
    return section(Text("What was read", "输入文件"), table(heads, rows))


def _checking(figures: Figures) -> str:
    what = Text(
        "Every line of a slot stands on the ledger in ledger/. Its bundle is checked without the ledger and without us, on any machine with Python:",
        "每个时段的账单行都记在 ledger/ 的账本上。任何装有 Python 的机器都可以脱离账本和我们独立核验其证据包：",
    )
    not_checked = Text(
        "The data were imported: no meter signed these values. What is proved is how they were settled, and that nobody changed them since.",
        "数据为导入数据：没有电表为这些数值签名。能证明的是结算过程，以及此后无人改动。",
    )
    root = Text("results_root (the digest of all lines and postings)", "results_root（全部账单行与分录的摘要）")
    return section(
        Text("Check it", "如何核验"),
        paragraph(what),
        "<pre>python -I -S verify.py sample.evd --trust trust.json</pre>",
        facts([(root, f"<code>{escape(figures.results_root)}</code>")]),
        paragraph(not_checked),
    )
