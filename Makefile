# Everything a user or a contributor runs. The environment is .venv, made on first use.
#   PYTHON=python3.12        another interpreter (3.11 or 3.12)
#   TORCH_INDEX=URL          take torch from another package index (the default may bring GPU builds)
PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
JOBS ?= auto
BASE ?= main

.PHONY: help demo test test-slow check format speed bench bench-compare clean

help:
	@echo "make demo       set up, train the routers on Two Moons, run one on every target, write the report"
	@echo "make test       set up, run every test but the slow ones"
	@echo "make test-slow  the slow ones"
	@echo "make check      format, lint, types"
	@echo "make bench      every tracked benchmark once, at one parameter set; results in .asv/results"
	@echo "make bench-compare BASE=main"
	@echo "                this tree beside a commit, in turns; fails where a figure of stored weights is worse"
	@echo "make speed      routers, training and twins beside PennyLane, JAX and Aer, as ratios"

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "got Python %d.%d; expected 3.11 or 3.12; pass PYTHON=python3.12" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url $(TORCH_INDEX) torch)
	$(PIP) -e .
	touch $@

$(VENV)/targets: $(VENV)/base
	$(PIP) -e '.[ibm,braket,cirq]'
	touch $@

$(VENV)/dev: $(VENV)/targets
	$(PIP) -e '.[mitigation,bench,dev]'
	touch $@

$(VENV)/peers: $(VENV)/dev
	$(PIP) -e '.[peers]'
	touch $@

demo: $(VENV)/targets
	$(BIN)/qmoe run quick

test: $(VENV)/dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow"

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m slow

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

speed: $(VENV)/peers
	$(BIN)/python -m benchmarks.figures.speed
	$(BIN)/python -m benchmarks.figures.twin
	$(BIN)/python -m benchmarks.figures.noise

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.bench

bench-compare: $(VENV)/dev
	$(BIN)/python -m benchmarks.gate $(BASE)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
