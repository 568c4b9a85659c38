"""The demonstration: a simulated feeder, real processes and sockets, and a ledger whose every bill line can be checked.

``scene`` lays out keys, genesis and configuration; ``processes`` keeps node and agents alive; ``day`` moves the clock in
lock-step and trades; ``results`` writes the files of INTERFACE and their root; ``summary`` says what happened.
"""
