"""Ways to train few parameters, one file each."""
