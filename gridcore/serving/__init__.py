"""What every server of ours does the same way: sockets and shutdown, ports, metrics, errors as problems."""
