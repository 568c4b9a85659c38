"""Several organisations: blocks are decided by CometBFT, applied by the same state machine, certified with SM2."""
