"""The slow, obvious references of settlement: plain Python over lists, one row after another, whole numbers and fractions."""
