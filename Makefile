# The targets a contributor needs; each makes .venv first if it is not there.
PYTHON ?= python3
WORKERS ?= 2
EXTRAS ?= dev,export,minilm,optimizers,peers,postgres,quant,retrieval,serve
BIN := .venv/bin

.PHONY: quickstart test test-slow lint types docs clean

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Espalier needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

quickstart: .venv/.installed  ## a world, a model tuned and aligned in it; or yours, on your rows: DATA=... MODEL=...
ifneq ($(DATA)$(MODEL),)
	@$(if $(and $(DATA),$(MODEL)),:,echo 'Give both: make quickstart DATA=rows.jsonl MODEL=FOLDER_OR_ID' >&2; exit 2)
	$(BIN)/espalier run recipes/own.toml data='$(DATA)' model='$(MODEL)'
else
	$(BIN)/espalier run recipes/quickstart.toml
	@if [ -t 1 ] && [ -z "$$CI" ] && [ -n "$$DISPLAY$$WAYLAND_DISPLAY$(filter Darwin,$(shell uname))" ]; then \
	  $(BIN)/python -m webbrowser -t 'file://$(CURDIR)/runs/quickstart/answers.html' >/dev/null; fi
endif

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
