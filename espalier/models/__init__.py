"""Torch models: loading, heads, roles, precision."""
