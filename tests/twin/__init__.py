"""The slow twin: docs/spec as a short program of dicts, whole numbers and fractions. The readable specification, and the
oracle of every simulation: same genesis, same blocks, same codes and the same state root at every height as ``ledger.state``,
or one of both is wrong.

It is written against docs/spec alone and shares with the ledger only CBOR, SM3 and the shape of a tree. It takes every value
apart for every use and hashes every leaf for every root: nothing here is fast, everything here is meant to be plain.

Read in this order: ``forms`` (bytes and forms), ``registry`` (dated entries), ``twin`` (a block and its transactions),
``metering``, ``market``, ``settlement`` (what moves the state), ``contracts`` (the markets), ``headers``.

    twin = Twin(genesis)
    codes = twin.apply_block(height=1, time_s=now, transactions=[wire, ...], is_signed=is_valid_signature)
    root = twin.state_root()
"""
