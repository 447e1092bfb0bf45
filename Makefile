# Two commands are enough: `make run` and `make test`. Both make their environment first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# The three distributions.
PARTS := clients/python service models
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch, looked for as pip is configured here, then in PyTorch's own index.
TORCH := requirements/torch.txt
TORCH_INDEX := https://download.pytorch.org/whl/cpu

# A Python 3.11 to make the environment with; `make PYTHON=/path/to/python3.11 run` names another.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell \
	$(name) -c 'import sys; sys.version_info[:2] == (3, 11) and print("$(name)")' 2>/dev/null)))

PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_ENV := $(VENV)/.run-$(shell cat requirements/run.txt $(TORCH) $(PARTS:=/pyproject.toml) | cksum | cut -d' ' -f1)
DEV_ENV := $(VENV)/.dev-$(shell cat requirements/all.txt $(TORCH) $(PARTS:=/pyproject.toml) | cksum | cut -d' ' -f1)

.PHONY: help environment develop run test check lint format train eval load lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile | expand -t 20

run: $(RUN_ENV)  ## start the service on 127.0.0.1: engines, gateway, models; ARGS="--port 8001"
	@exec $(BIN)/glore up $(ARGS)

environment: $(RUN_ENV)  ## what `make run` needs, without running it

develop: $(DEV_ENV)  ## what training, tables and tests need, without running them

# A live test has both cores for its vLLM servers; the others wait more than they compute.
test: $(DEV_ENV)  ## all tests, those against real vLLM servers included; ARGS="-m 'not live'"
ifdef ARGS
	@unset PYTHONDONTWRITEBYTECODE
	exec $(BIN)/python -m pytest $(ARGS)
else
	@unset PYTHONDONTWRITEBYTECODE  # hundreds of processes start
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not live"
	$(BIN)/python -m pytest -m live
endif

check: lint test  ## lint and test: what has to pass before a commit

lint: $(DEV_ENV)  ## ruff, mypy and the import contracts
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_ENV)  ## ruff format and its safe fixes
	@$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

train: $(DEV_ENV)  ## make all five models: RECIPE=first_light; resumes where it stopped
	@exec $(BIN)/glore train $(or $(RECIPE),first_light) $(ARGS)

eval: $(DEV_ENV)  ## accuracy, tokens and time per strategy of the running service; ARGS="--n 400"
	@exec $(BIN)/glore eval $(ARGS)

load: $(DEV_ENV)  ## what to run before production: PROFILE=steady URL=http://...; without URL on simulated engines; ARGS="--rate 10"
	@exec $(BIN)/python -m loadtest.profiles $(or $(PROFILE),steady) $(if $(URL),--url $(URL)) $(ARGS)

# uv keeps every pin it finds in its output file, unless it is told to upgrade.
lock: | $(BIN)/uv  ## pin what a pyproject.toml newly asks for, with hashes and without addresses; ARGS="--upgrade" renews all pins
	@compile() { $(BIN)/uv pip compile "$$@" --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--override requirements/overrides.txt --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --quiet $(ARGS); }
	all="$(PARTS:=/pyproject.toml) requirements/extra.in"
	locked="--constraint requirements/all.txt"
	compile $$all --all-extras --group pyproject.toml:dev --group pyproject.toml:load --output-file requirements/all.txt
	compile $$all $$locked --extra cpu --extra postgres --extra traces --output-file requirements/run.txt
	compile clients/python/pyproject.toml service/pyproject.toml $$locked --extra postgres --output-file requirements/gateway.txt
	compile requirements/build.in $$locked --output-file requirements/build.txt

$(BIN)/uv:
	@$(MAKE) $(DEV_ENV)

clean:  ## remove the environment and what tools left; the models' cache stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

define install
	@if [ -z "$(PYTHON)" ]; then
		echo "Python 3.11 was not found. Install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2
		exit 1
	fi
	started=$$SECONDS
	echo "Making the environment in $(VENV), once: about 2 GB, a minute or two on a fast network."
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3.11-venv" >&2; exit 1; }
	echo "1/3  $(TORCH)"
	$(PIP) install --no-deps --require-hashes --requirement $(TORCH) 2>/dev/null \
		|| $(PIP) install --no-deps --require-hashes --requirement $(TORCH) --extra-index-url $(TORCH_INDEX)
	echo "2/3  $(1)"
	$(2)
	$(PIP) install --no-deps --require-hashes --requirement $(1) \
		| { grep --line-buffered -E '^ *(Collecting|Building|Installing)' || true; }
	echo "3/3  glore, its models and its client"
	$(PIP) install --quiet --no-deps --no-build-isolation $(PARTS:%=--editable %)
	touch $@
	echo "The environment is ready ($$((SECONDS - started)) s)."
endef

$(RUN_ENV): requirements/run.txt $(TORCH)
	$(call install,$<,:)

# pycosat, which a training package pins, is built from source
$(DEV_ENV): requirements/all.txt $(TORCH)
	$(call install,$<,command -v cc >/dev/null || { echo "A C compiler is needed (on Debian and Ubuntu: apt-get install gcc)." >&2; exit 1; })
	touch $(RUN_ENV)
