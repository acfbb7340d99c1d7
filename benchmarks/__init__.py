"""Races against TRL on the same rows, each side in its own process; `python -m benchmarks.race` runs them."""
