"""`espalier evaluate`."""
