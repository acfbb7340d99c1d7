"""Judges: language models that say which answer is better, one file each."""
