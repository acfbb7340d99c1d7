"""A user's documents: read, cut into passages with exact offsets, and kept in one file that can be searched."""
