"""Released contracts: one folder ``<name>_<version>`` each, never edited after release (``settlement.pin``)."""
