# The commands of this project. Each sets up what it needs; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The locks name everything that is needed. Were pip let to look for more, it would ask for the newest
# `coverage[toml]` as soon as one newer than the locked one is out, and then miss its hash.
LOCKED := --require-hashes --no-deps

.PHONY: help setup run test coverage check format docs bench simulate faults lock clean

help:                ## list the commands
	@awk -F ':.*## *' '/^[a-z]+:.*##/ { printf "make %-8s %s\n", $$1, $$2 }' Makefile

$(VENV)/.run: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "alir needs Python 3.11 or newer; say which with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(LOCKED) -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(PIP) install $(LOCKED) -r requirements-dev.lock
	$(PIP) check
	@touch $@

setup: $(VENV)/.run  ## make .venv with alir in it
run: $(VENV)/.run    ## set up, then run the gateway with its simulator
	@$(BIN)/alir serve

test: $(VENV)/.dev   ## set up, then run every test, the browser's too
	@$(BIN)/python -m tests.browser_setup
	$(BIN)/python -m pytest --durations=25 $(ARGS)

coverage: override ARGS := --cov --cov-report=term:skip-covered $(ARGS)
coverage: test       ## run every test, which takes longer, and list what none of them runs

check: $(VENV)/.dev  ## lint, types, import rules, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.check

format: $(VENV)/.dev ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev   ## make the generated pages anew, and check all of them
	$(BIN)/python -m docs.check --write

bench: $(VENV)/.dev  ## print the speed tables
	$(BIN)/python -m bench $(ARGS)

simulate: $(VENV)/.dev  ## break the gateway's world by seeds, on a virtual clock
	@$(BIN)/python -m simulation $(ARGS)

faults: $(VENV)/.dev  ## kill and break real gateways, and compare the books
	@$(BIN)/python -m faults $(ARGS)

lock:                ## pin the newest versions (needs uv)
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-header -o requirements.lock
	uv pip compile pyproject.toml --group build --group dev --constraint requirements.lock --universal --python-version 3.11 --generate-hashes --no-header -o requirements-dev.lock

clean:               ## remove what the commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
