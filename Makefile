# One Python, few commands. `make demo` and `make test` set up everything they need.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
DEMO   := demo
STAMP  := $(VENV)/.installed

# The digest of pyproject.toml names the stamp's content: a changed dependency installs again.
# Seeds of `make fuzz` start at FUZZ_START; each kind takes FUZZ_SECONDS.
FUZZ_START   ?= 0
FUZZ_SECONDS ?= 600

.PHONY: setup data demo test test-all fuzz check lint fmt types layers docs golden bench clean

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "xbarc needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint,docs]'
	touch $(STAMP)

setup: $(STAMP)

# Tests of training need torch; without it they skip and say why. One version, so that everybody
# tests the same; TORCH= leaves it out, and any requirement that pip takes may stand there.
TRAIN := $(VENV)/.torch
TORCH ?= torch==2.13.0

$(TRAIN): $(STAMP)
	test -z '$(TORCH)' || $(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	touch $(TRAIN)

# Data packages for the tests marked `data`; without them those tests skip and say why.
data: $(STAMP)
	-$(BIN)/python models/fetch.py

demo: $(STAMP)
	mkdir -p $(DEMO)
	$(BIN)/xbarc compile models/fashion-vgg.onnx --target rram128 \
	    --calibrate models/fashion-calibration-256.npz -o $(DEMO)/fashion-vgg.xbar
	$(BIN)/xbarc check $(DEMO)/fashion-vgg.xbar --data models/fashion-test-1000.npz
	$(BIN)/xbarc verify $(DEMO)/fashion-vgg.xbar
	$(BIN)/xbarc inspect $(DEMO)/fashion-vgg.xbar --layer conv4 --png $(DEMO)/conv4.png
	$(BIN)/xbarc report $(DEMO)/fashion-vgg.xbar --format html -o $(DEMO)/report.html
	@echo "tile map of conv4: $(DEMO)/conv4.png   report: $(DEMO)/report.html"

test: data $(TRAIN)
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m 'not slow'

test-all: data $(TRAIN)
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

fuzz: $(STAMP)
	for kind in $$($(BIN)/python -m tests.fuzz kinds); do \
	    $(BIN)/python -m tests.fuzz $$kind --start $(FUZZ_START) --seconds $(FUZZ_SECONDS) || exit 1; \
	done

check: lint types layers

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell -D - -D docs/words.txt

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(TRAIN)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html
	$(BIN)/python -m sphinx -W -b doctest docs docs/_build/doctest

golden: $(STAMP)
	$(BIN)/python -m pytest -q --update-golden

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) $(DEMO) docs/_build build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
