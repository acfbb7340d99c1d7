"""Scorers that order what a retriever found, one file each."""
