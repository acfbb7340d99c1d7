"""Synthesis: new rows made from rows, by templates or by a language model; one method a file."""
