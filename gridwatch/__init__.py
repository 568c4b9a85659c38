"""Risk monitoring: rules over blocks, readings and node metrics. Empty in this release; the place is kept by the architecture."""
