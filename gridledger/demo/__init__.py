"""The demonstration: a simulated feeder, real processes and sockets, and a ledger whose every bill line can be checked.

``scene`` lays out keys, genesis and ports; ``instruments`` and ``devices`` put meters on sockets and behind a broker; ``pages``
is the way to the browser; ``processes`` keeps the others alive; ``day`` moves the clock in lock-step and trades; ``results``
writes the files of INTERFACE and their root; ``summary`` says what happened; ``run`` is the whole of it.
"""
