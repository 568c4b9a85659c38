"""The stores of time series behind ``gridcore.timeseries``, and the projection that fills them from a node (docs/timeseries.md)."""

from __future__ import annotations

from gridcore.errors import broken
from gridcore.timeseries import TimeSeries
from gridledger.timeseries.config import SeriesConfig


def open_series(config: SeriesConfig) -> TimeSeries:
    """Return the configured store. It is reached by its methods, not here: a store that is away comes back by itself.

    UsageError (SecretError) for a token that cannot be read, or a folder that does not exist.
    """
    if config.kind == "embedded":
        from gridledger.timeseries.embedded import EmbeddedSeries

        return EmbeddedSeries(config.path or broken("an embedded store has a path"), config.size_mib_max)
    from gridledger.timeseries.influx import InfluxSeries

    return InfluxSeries.of(config)
