"""Recipes of several stages, each a command of espalier, run in order and skipped where nothing changed."""
