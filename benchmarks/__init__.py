"""Benchmarks, one module a topic; ``gridledger.bench`` says what a module offers and ``gridledger bench list`` finds them."""
