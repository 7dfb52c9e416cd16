# Everything here does its own set-up: only Python (3.11 or newer) and make are needed.
#
#   make quickstart                 the main job: a world, an index, a table, a dozen answers and one HTML page
#   make test                       every check, the long ones on a seeded sample
#   make test-full                  the stated counts, slow tests and the browser
#
# PYTHON=python3.11                 which Python makes the environment
# VENV=.venv                        where the environment is
# CONSTRAINTS=constraints.txt       exact versions; empty (`make CONSTRAINTS= ...`) takes the newest allowed ones
# JOBS=2                            processes that tests run in; one per core by default
# COUNTS=--counts-only              `test-full` without what `make test` runs in full anyway
# TORCH_INDEX=                      a package index to take torch from, such as one of PyTorch's own (CPU or CUDA)

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
TORCH_INDEX ?=
COUNTS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAIN := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
STAMP := $(VENV)/.rablip-installed
PYTEST := $(BIN)/python -m pytest
CHECKED := rablip configuration hub_cards processing modeling_rablip examples tests setup.py
# Versions of transformers that `make test-versions` runs the suite with, beside the one in constraints.txt.
TRANSFORMERS_VERSIONS ?= 5.17.0 newest
# What a GPU, the network or a long wait is needed for is never part of `make test`.
SAMPLE := not slow and not full and not browser and not gpu and not hub
FULL := not gpu and not hub

# Tests run in a process per core, with a thread each; a file's tests stay together, since they share what they set up.
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
SPREAD := -n $(JOBS) --dist loadfile

export PYTHONUNBUFFERED := 1

.PHONY: help install quickstart test test-full test-versions lint types unit browser tiny clean

help:
	@awk '/^PYTHON/ {exit} {sub(/^# ?/, ""); print}' Makefile

install: $(STAMP)

# torch first and alone, so that an index given for it serves nothing else.
$(STAMP): setup.py pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rablip needs Python 3.11 or newer, this is %s; name another: make PYTHON=python3.11" % sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(CONSTRAIN) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install $(CONSTRAIN) -e ".[all]"
	touch $@

quickstart: install
	$(BIN)/rablip quickstart --out quickstart/page.html

test: lint types unit
	@echo "make test: done. NOT run here: tests marked slow, full or browser (make test-full), gpu and hub (by hand)."

lint: install
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

# mypy does not know that three root folders belong to the package, so it is shown the tree as it is installed.
types: install
	rm -rf build/types && mkdir -p build/types/rablip
	ln -s $(CURDIR)/rablip/* build/types/rablip/
	ln -s $(CURDIR)/configuration $(CURDIR)/processing $(CURDIR)/modeling_rablip build/types/rablip/
	cd build/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p rablip

unit: install
	OMP_NUM_THREADS=1 RABLIP_TEST_LEVEL=sample $(PYTEST) $(SPREAD) -q -m "$(SAMPLE)"

# The stated counts. A browser is installed where that is possible; otherwise its tests are skipped aloud.
test-full: install browser
	OMP_NUM_THREADS=1 RABLIP_TEST_LEVEL=full $(PYTEST) $(SPREAD) -q -m "$(FULL)" $(COUNTS)

browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    apt-get install -qq -y --no-install-recommends chromium >/dev/null; } || \
	  echo "NO BROWSER: no Chromium here and none can be installed; the tests marked browser will be skipped"

test-versions: install
	for version in $(TRANSFORMERS_VERSIONS); do VENV=.venv-transformers-$$version PYTHON=$(PYTHON) \
	  CONSTRAINTS=$(CONSTRAINTS) TORCH_INDEX=$(TORCH_INDEX) sh .ci/test-with-transformers $$version || exit 1; done

# Trains the checkpoint that ships in examples/checkpoints/rablip-tiny: minutes on a GPU, some hours on two cores.
tiny: install
	$(BIN)/rablip train tiny --out examples/checkpoints/rablip-tiny

clean:
	rm -rf build dist quickstart *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
