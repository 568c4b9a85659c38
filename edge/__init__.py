"""The gateway agent: sample, decode, sign, queue, submit. Reads meters by firmware profile; knows no settlement."""
