"""Selection: which rows, or which of several answers, are worth training on; one method a file."""
