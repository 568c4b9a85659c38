"""Pages and public API. Empty in this release; the place is kept by the architecture."""
