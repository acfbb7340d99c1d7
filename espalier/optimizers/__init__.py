"""Optimizers with torch's contract, one file each."""
