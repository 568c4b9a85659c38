"""A TPM 2.0 as gateways use it: the commands of TCG's library specification (part 3) that keys and counters need, as bytes."""
