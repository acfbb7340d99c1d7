"""Ways to find the documents a query asks for, one file each."""
