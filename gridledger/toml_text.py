"""Tables as TOML: what ``config show`` prints and ``genesis new`` writes."""

from __future__ import annotations

import json
from datetime import date
from typing import cast


def toml_lines(table: dict[str, object], prefix: str = "") -> list[str]:
    """Return ``table`` as lines of TOML (integers, booleans, days, text, arrays, tables); loading them gives ``table`` again."""
    lines = [f"{_key(key)} = {_inline(value)}" for key, value in table.items() if not _is_section(value)]
    for key, value in table.items():
        if not _is_section(value):
            continue
        name = f"{prefix}{_key(key)}"
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *toml_lines(value, f"{name}.")]
        else:
            for item in cast("list[dict[str, object]]", value):
                lines += ["", f"[[{name}]]", *toml_lines(item, f"{name}.")]
    return lines


def _is_section(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(key: str) -> str:
    return key if key and key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _text(key)


def _inline(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return str(value) if isinstance(value, int | date) else _text(str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON's escapes are all TOML's too
