# Run `make` to list the targets. Everything is installed into .venv, and nothing needs root.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.10 python3,$(shell command -v $(name) 2>/dev/null)))
FLAVOR ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
BIN := .venv/bin
# The number of processes that `make test` uses; its tests spend more time waiting than computing.
WORKERS ?= 2
READY := .venv/ready-$(FLAVOR)

.DEFAULT_GOAL := help
.PHONY: help setup train demo test test-all tests-only chaos check tensorboard screenshots clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(READY)  ## install everything into .venv (about 0.9 GB to download on the CPU, 3 GB with a GPU)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3 on the PATH: install Python 3.10 or 3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) --version), but Python 3.10 or 3.11 is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; install it with: sudo apt install python3-venv"; exit 1; }
	@echo "installing into .venv: about $(if $(filter gpu,$(FLAVOR)),3,0.9) GB to download, 2.5 GB on disk; this takes some minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --upgrade pip
	@$(BIN)/python -m pip install -qq -c constraints.txt -e '.[$(FLAVOR),dev]'
	@$(BIN)/python -m robotini_ray.simulator.server.warm_up
	@touch $@

train: $(READY)  ## train a race car on this machine for about ten minutes; run it again to resume
	@$(BIN)/python -m robotini_ray.launch train $(ARGS)

demo: $(READY)  ## let six cars race, and show them on a web page
	@$(BIN)/python -m robotini_ray.launch demo $(ARGS)

check: $(READY)  ## run ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

tests-only: $(READY)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(ARGS)

test: check tests-only  ## run ruff, mypy and the tests (under ten minutes)

test-all: $(READY)  ## run the slower tests
	@$(BIN)/python -m pytest -q -m slow $(ARGS)

chaos: $(READY)  ## train for a minute under random faults and check the result
	@$(BIN)/python -m pytest -q -s -m chaos $(ARGS)

tensorboard: $(READY)  ## show the curves of all runs on http://127.0.0.1:6006
	@$(BIN)/tensorboard --logdir runs --host 127.0.0.1 --port 6006

screenshots: $(READY)  ## train for some minutes and take the README's pictures of the monitor (needs Chromium)
	@$(BIN)/python tests/monitor/screenshots.py

clean:  ## remove .venv (the runs are kept)
	rm -rf .venv
