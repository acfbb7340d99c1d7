"""Measuring a model on rows, comparing models, and the report."""
