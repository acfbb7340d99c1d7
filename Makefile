# The targets a contributor needs; each makes .venv first if it is not there.
PYTHON ?= python3
WORKERS ?= 2
EXTRAS ?= dev,peers,quant,retrieval
BIN := .venv/bin

.PHONY: quickstart test test-slow lint types docs clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Espalier needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

quickstart: .venv/.installed  ## train a small model, on your own rows with DATA=... MODEL=...
	DATA='$(DATA)' MODEL='$(MODEL)' $(BIN)/python examples/quickstart.py

test: .venv/.installed  ## a few minutes; prints the slowest ten
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test-slow: .venv/.installed
	$(BIN)/python -m pytest -m 'slow or gpu'

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.installed
	$(BIN)/mypy

docs: .venv/.installed
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
