"""The consortium's machine under faults: N nodes in one process, on a virtual clock, network and disk that one seed decides.

The engine here is a small Tendermint (``rounds``); what it drives through ABCI are the real machine and the real files of a
consortium node. ``run.simulate`` runs one seed; docs/consensus-testing.md says which fault is tested where.
"""
