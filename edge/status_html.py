"""The status page for a person who stands before the gateway: the facts of ``edge.status`` in English or Chinese, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from edge.nodes import ANSWERED

LANGUAGES: Final = ("en", "zh")
REFRESH_S: Final = 30
_WORDS: Final = {
    "title": ("Gateway", "网关"),
    "all_well": ("All is well", "一切正常"),
    "alarms": ("Somebody must look at this", "需要处理"),
    "clock": ("Clock", "时钟"),
    "synced": ("synchronised", "已同步"),
    "holdover": ("holds over", "守时"),
    "unsynced": ("not synchronised", "未同步"),
    "simulated": ("simulated time", "模拟时间"),
    "offset": ("off by", "偏差"),
    "now": ("Time", "时间"),
    "outbox": ("Waiting to be delivered", "待发送"),
    "batches": ("batches", "批"),
    "oldest": ("oldest", "最早"),
    "last_boundary": ("Sampled last", "最近采样"),
    "acknowledged": ("Acknowledged up to", "已确认至"),
    "nodes": ("Nodes", "节点"),
    "asked": ("in use", "使用中"),
    "answered": ("answered", "已应答"),
    "brokers": ("Brokers", "MQTT 服务器"),
    "signer": ("Key", "密钥"),
    "version": ("Program", "程序版本"),
    "profiles": ("Profiles", "电表配置文件"),
    "line": ("Line", "线路"),
    "requests": ("requests", "次请求"),
    "meter": ("Meter", "电表"),
    "number": ("No.", "编号"),
    "profile": ("Profile", "配置文件"),
    "read": ("Read last (UTC)", "最近读数 (UTC)"),
    "ms": ("Offset, ms", "偏移 毫秒"),
    "failures": ("Failures in a row", "连续失败"),
    "refused": ("Refused by the ledger", "账本未采用"),
    "reason": ("Reason", "原因"),
    "suspect": ("suspect", "可疑"),
    "never": ("not yet", "尚无"),
}
"""Code -> the words in each of LANGUAGES."""
_STYLE: Final = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:12px;max-width:1080px;color:#1c2733;background:#fff}"
    "h1{font-size:1.3em;margin:.2em 0}h2{font-size:1.05em;margin:1.2em 0 .3em}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:.4em 0}dt{color:#55636f}dd{margin:0;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:3px 8px;border-bottom:1px solid #d8dee4;vertical-align:top}"
    "th{color:#55636f;font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#a3150f;font-weight:600}.well{color:#14663a}"
    ".wide{overflow-x:auto}ul{margin:.3em 0;padding-left:1.2em}nav{float:right}"
    "@media (prefers-color-scheme:dark){body{background:#12181e;color:#dfe6ec}th,dt{color:#9fb0bd}th,td{border-color:#2c3742}.bad{color:#ff8a80}.well{color:#7bd3a0}a{color:#8ab4f8}}"
)


def render(told: dict[str, Any], language: str) -> str:
    """The page of the facts ``told`` in one of LANGUAGES."""
    column = LANGUAGES.index(language)

    def word(code: str) -> str:
        return _WORDS[code][column]

    other = LANGUAGES[1 - column]
    title = f"{word('title')} {told['gateway']}"
    return "".join(
        (
            f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f'<meta http-equiv="refresh" content="{REFRESH_S}"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>',
            f'<nav><a href="/?lang={other}">{"中文" if other == "zh" else "English"}</a></nav>',
            f"<h1>{escape(title)}</h1><p>{escape(told['chain'])}</p>",
            _alarms(told["alarms"], word("alarms"), word("all_well")),
            _overview(told, column),
            "".join(_line(line, column) for line in told["lines"]),
            f"<h2>{word('profiles')}</h2>",
            _list([f"{row['profile']} {row['digest'][:16]}" for row in told["profiles"]["versions"]]),
            "</body></html>\n",
        )
    )


def _alarms(alarms: Sequence[str], head: str, well: str) -> str:
    if not alarms:
        return f'<p class="well">{well}</p>'
    return f'<h2 class="bad">{head}</h2>' + _list(alarms)


def _overview(told: dict[str, Any], column: int) -> str:
    def word(code: str) -> str:
        return _WORDS[code][column]

    clock, outbox = told["clock"], told["outbox"]
    is_bad = "bad" if clock["state"] == "unsynced" else ""
    state = f'<span class="{is_bad}">{word(clock["state"])}</span>, {word("offset")} {clock["offset_ms"]} ms'
    waiting = f"{outbox['batches']} {word('batches')} ({outbox['fill_percent']} %)"
    if outbox["oldest_boundary_s"] is not None:
        waiting += f", {word('oldest')} {_moment(outbox['oldest_boundary_s'], '')}"
    nodes = []
    for node in told["nodes"]:
        last = word("answered") if node["last"] == ANSWERED else node["last"]
        nodes.append(" · ".join(filter(None, (node["url"], word("asked") if node["is_asked"] else "", last))))
    rows = [
        (word("now"), escape(_moment(told["time_s"], ""))),
        (word("clock"), state),
        (word("outbox"), escape(waiting)),
        (word("last_boundary"), escape(_moment(outbox["last_boundary_s"], word("never")))),
        (word("acknowledged"), escape(_moment(outbox["acknowledged_s"], word("never")))),
        (word("nodes"), "<br>".join(map(escape, nodes))),
        (word("signer"), escape(told["signer"])),
        (word("version"), escape(told["version"])),
    ]
    if told["brokers"]:
        brokers = [f"{row['broker']} · {row['last']}" for row in told["brokers"]]
        rows.append((word("brokers"), "<br>".join(map(escape, brokers))))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _line(line: dict[str, Any], column: int) -> str:
    def word(code: str) -> str:
        return _WORDS[code][column]

    head = f"{word('line')} {line['line']} · {line['place']} · {line['requests']} {word('requests')}"
    codes = ("number", "meter", "profile", "read", "ms", "failures", "refused", "reason")
    columns = "".join(f"<th>{word(code)}</th>" for code in codes)
    rows = "".join(_meter(meter, word("never"), word("suspect")) for meter in line["meters"])
    return f'<h2>{escape(head)}</h2><div class="wide"><table><tr>{columns}</tr>{rows}</table></div>'


def _meter(meter: dict[str, Any], never: str, suspect: str) -> str:
    bad = ' class="bad"' if meter["failures"] or meter["refused"] or meter["is_suspect"] else ""
    reason = " ".join(filter(None, (suspect if meter["is_suspect"] else "", meter["reason"], meter["detail"])))
    offset = "" if meter["offset_ms"] is None else str(meter["offset_ms"])
    cells = (
        f'<td class="n">{meter["number"]}</td><td{bad}>{escape(meter["meter"])}</td>',
        f"<td>{escape(meter['profile'])} {escape(meter['profile_digest'])}</td>",
        f'<td>{_moment(meter["last_boundary_s"], never)}</td><td class="n">{offset}</td>',
        f'<td class="n">{meter["failures"]}</td><td class="n">{meter["refused"]}</td><td>{escape(reason)}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _moment(time_s: int | None, never: str) -> str:
    return never if time_s is None else f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S}"
