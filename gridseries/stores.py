"""Opens the store of time series that a process is configured with."""

from __future__ import annotations

from gridcore.errors import broken
from gridseries.config import SeriesConfig
from gridseries.series import TimeSeries


def open_series(config: SeriesConfig) -> TimeSeries:
    """Return the configured store. It is reached by its methods, not here: a store that is away comes back by itself.

    UsageError (SecretError) for a token that cannot be read, or a folder that does not exist.
    """
    if config.kind == "embedded":
        from gridseries.embedded import EmbeddedSeries

        return EmbeddedSeries(config.path or broken("an embedded store has a path"), config.size_mib_max)
    from gridseries.influx import InfluxSeries

    return InfluxSeries.of(config)
