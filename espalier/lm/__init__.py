"""Language models that answer: on this machine, behind a server, scripted for tests."""
