"""What orders transactions into blocks: one process (embedded), or several organisations (cometbft)."""
