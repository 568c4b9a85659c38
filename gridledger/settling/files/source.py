"""The bytes of one file as text in whole lines, and the digest of what was read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gridcore.sm3 import Hasher
from gridledger.settling.files.fault import FilesError, fault

CHUNK_BYTES: Final = 4 * 1024 * 1024
_WORKBOOK: Final = b"PK\x03\x04"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class Source:
    """A file that is read once, from its beginning to its end."""

    def __init__(self, path: Path, name: str, encoding: str, digest: Hasher) -> None:
        """``name``: as errors call it; ``encoding``: of Python's names."""
        self._path = path
        self._name = name
        self._encoding = encoding
        self._digest = digest
        self._lines = 0

    def digest(self) -> bytes:
        """SM3 of the bytes that were read."""
        return self._digest.digest()

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces of whole lines, each ended by a line feed, in UTF-8 without a byte order mark."""
        rest = b""
        is_first = True
        with self._path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                self._digest.update(data)
                if is_first:
                    data = self._without_mark(data)
                    is_first = False
                data = rest + data
                cut = data.rfind(b"\n") + 1
                if not cut and len(data) > CHUNK_BYTES:
                    raise fault(self._name, "holds no line break", "end each row with one")
                rest = data[cut:]
                if cut:
                    yield self._utf8(data[:cut])
        if rest:
            yield self._utf8(rest + b"\n")

    def _without_mark(self, data: bytes) -> bytes:
        if data.startswith(_UTF16_MARKS) or b"\0" in data[:64]:
            raise fault(self._name, "is UTF-16, or no text", "save it as CSV in UTF-8")
        if data.startswith(_WORKBOOK):
            raise fault(self._name, "is a workbook or an archive", "save the sheet as CSV in UTF-8")
        return data.removeprefix(_UTF8_MARK)

    def _utf8(self, data: bytes) -> bytes:
        if (place := data.find(b"\0")) >= 0:
            raise self._fault_at(data, place, "holds a zero byte")
        try:
            text = data.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise self._fault_at(data, error.start, f"is {_guessed(data, self._encoding)}") from None
        self._lines += data.count(b"\n")
        return data if self._encoding == "utf-8" else text.encode()

    def _fault_at(self, data: bytes, place: int, what: str) -> FilesError:
        row = self._lines + data.count(b"\n", 0, place) + 1
        return fault(self._name, what, "save it as CSV in UTF-8", row=row)


def _guessed(data: bytes, encoding: str) -> str:
    """What bytes that are not in the encoding may be, in words."""
    words = f"not {encoding.upper()}"
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return words
    has_chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    return f"{words} (it reads as GBK)" if has_chinese else words
