"""Transaction kinds, one file each: what an admitted transaction does to the state (docs/spec/state.md, "Transactions").

``table`` names them all. What a kind says and how it is signed stands in ``gridcore.transactions``.
"""
