"""Language models that answer: local, scripted."""
