"""Ways to answer from retrieved documents, one file each."""
