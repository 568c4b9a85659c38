"""The leaves of the state, one file a family: key, record, load and save (docs/spec/state.md, "Leaves").

No other code writes a leaf's key or reads the map that a leaf holds. ``families`` lists them all.
"""
