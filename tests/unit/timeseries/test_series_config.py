"""The table [series]: what it takes, and the one line for what it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gridcore.config import decode_config, secret_references
from gridcore.errors import UsageError
from gridseries.config import SeriesConfig
from gridseries.stores import open_series

INFLUXDB = 'kind = "influxdb"\nurl = "http://127.0.0.1:8086"\norg = "o"\nbucket = "b"\ntoken = "file:token"\n'


@dataclass(frozen=True)
class Whole:
    series: SeriesConfig = field(default_factory=lambda: SeriesConfig(path=Path("never")))


def load(text: str, folder: Path) -> SeriesConfig:
    return decode_config(f"[series]\n{text}".encode(), Whole, folder / "serve.toml").series


async def test_paths_count_from_the_file_and_the_store_is_opened(tmp_path: Path) -> None:
    config = load('path = "series.sqlite"', tmp_path)
    assert (config.kind, config.path) == ("embedded", tmp_path / "series.sqlite")
    store = open_series(config)
    assert store.kind == "embedded"
    await store.close()


async def test_the_token_is_a_reference_and_read_when_the_store_is_opened(tmp_path: Path) -> None:
    config = load(INFLUXDB, tmp_path)
    assert list(secret_references(config)) == [f"file:{tmp_path}/token"]
    with pytest.raises(UsageError, match="token: cannot be read"):
        open_series(config)
    (tmp_path / "token").write_text("s e c r e t\x07")
    (tmp_path / "token").chmod(0o600)
    with pytest.raises(
        UsageError, match="token: is no token of InfluxDB; put the token there, and nothing else"
    ) as error:
        open_series(config)
    assert "s e c r e t" not in str(error.value)
    (tmp_path / "token").write_text("secret\n")
    store = open_series(config)
    assert store.kind == "influxdb"
    await store.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "series: path is missing; kind = 'embedded' takes path"),
        ('kind = "sqlite"\npath = "x"', "series.kind = 'sqlite' is not allowed"),
        ('path = "x"\nbucket = "b"', "series: bucket belongs to kind = 'influxdb'; kind = 'embedded' takes path"),
        (INFLUXDB.replace('bucket = "b"\n', ""), "bucket is missing; kind = 'influxdb' takes url, org, bucket, token"),
        (INFLUXDB.replace("file:token", "hunter2"), "series.token a secret is given by reference"),
        (INFLUXDB.replace("http://127", "127"), "write http://HOST:PORT or https://HOST:PORT"),
        (
            INFLUXDB.replace("127.0.0.1", "me:hunter2@h"),
            "series: url: write http://HOST:PORT or https://HOST:PORT, the token under",
        ),
        (INFLUXDB.replace(":8086", ":x"), "write http://HOST:PORT"),
        ('path = "x"\nsize_mib_max = 0', "series.size_mib_max = 0"),
        ('pth = "x"', "did you mean 'path'"),
    ],
)
def test_what_cannot_be_used_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        load(text, tmp_path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)
