# The commands of the project. Each makes the environment in .venv first if it is missing or older
# than requirements.txt, and can be run again at any time.
#
#   make quickstart       train the three stages, evaluate, say where the table and the plot are
#   make test             the fast tests               make test-slow   the others
#   make lint             ruff and mypy                make clean       remove .venv and caches
#   make language-model   train the shipped language model anew (longer than the quickstart)
#
# Variables: WORKDIR=runs/other  CONFIG=configs/other.py  PYTHON=/path/to/python3.12
#            PYTEST_ARGS="tests/models -k resampler"

WORKDIR ?= runs/quickstart
LANGUAGE_MODEL_WORKDIR ?= runs/language_model
CONFIG ?= configs/quickstart.py
PYTEST_ARGS ?=
# Two worker processes; each file's tests stay together, so that they share compiled functions.
PYTEST_WORKERS ?= 2
# The first of these that runs, is 3.11 to 3.13, and can make environments, is the one used.
PYTHON ?= python3.12 python3.11 python3.13 python3

VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# A stage that reads another's checkpoint must not start beside it, whatever -j says.
.NOTPARALLEL:
.PHONY: help quickstart environment test test-slow lint language-model clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

environment: $(INSTALLED)

$(INSTALLED): requirements.txt setup.py
	@if ! $(RUN) -m pip --version >/dev/null 2>&1 || ! $(RUN) -c '$(SUITABLE)' 2>/dev/null; then \
	  found=; for python in $(PYTHON); do \
	    if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "error: no Python 3.11 to 3.13 with venv among: $(PYTHON). Install one (on Debian" \
	      "and Ubuntu: python3.12 and python3.12-venv), or name it:" \
	      "make quickstart PYTHON=/path/to/python3.12" >&2; \
	    exit 3; \
	  fi; \
	  echo "Making $(VENV) with $$found ($$("$$found" --version))"; \
	  "$$found" -m venv --clear $(VENV) || exit 3; \
	fi
	@echo "Installing the pinned packages into $(VENV): 3.5 GB on disk, a few minutes the first time"
	$(RUN) -m pip install --disable-pip-version-check --progress-bar off -r requirements.txt
	$(RUN) -m pip install --disable-pip-version-check --quiet \
	  --no-deps --no-build-isolation --use-pep517 -e .
	@touch $@

quickstart: $(INSTALLED)
	$(RUN) -m flamingo_jax.train --config=$(CONFIG):contrastive --workdir=$(WORKDIR)
	$(RUN) -m flamingo_jax.train --config=$(CONFIG):language_model --workdir=$(WORKDIR)
	$(RUN) -m flamingo_jax.train --config=$(CONFIG):flamingo --workdir=$(WORKDIR)
	$(RUN) -m flamingo_jax.evaluate --config=$(CONFIG):flamingo --workdir=$(WORKDIR)
	@echo
	@echo "Table:   $(WORKDIR)/table.md"
	@echo "Plot:    $(WORKDIR)/shots.png"
	@echo "Results: $(WORKDIR)/results.jsonl"
	@echo "Curves:  $(VENV)/bin/tensorboard --logdir $(WORKDIR)"

test: $(INSTALLED)
	$(RUN) -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

test-slow: $(INSTALLED)
	$(RUN) -m pytest -m slow $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m mypy

# Trains the language model that the quickstart's second stage starts from, then writes its
# checkpoint into the package.
language-model: $(INSTALLED)
	$(RUN) -m flamingo_jax.train --config=$(CONFIG):language_model_pretraining \
	  --workdir=$(LANGUAGE_MODEL_WORKDIR)
	$(RUN) -m flamingo_jax.export_pretrained --workdir=$(LANGUAGE_MODEL_WORKDIR)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
