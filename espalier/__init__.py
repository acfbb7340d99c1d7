"""Espalier: build data, tune, align, judge, measure and serve open language models on one set of rails."""

__version__ = "0.1.0"
