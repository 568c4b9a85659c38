"""Time series: their rows, the stores that keep them, and the projection that fills a store from a node (docs/timeseries.md)."""
