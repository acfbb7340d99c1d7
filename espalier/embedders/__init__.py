"""Models that make texts vectors, one file each."""
