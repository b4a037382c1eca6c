# Sekisho. `make` alone lists what there is to do.
#
# Everything a developer, a tester or a passer-by needs is a target here; continuous integration runs `make test`
# and nothing else. A fresh machine needs python3 (3.11 or later), make and a package index.

SHELL := /bin/sh
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Some machines forbid Python to keep what it compiled; a start would then compile a thousand modules each time, which
# takes longer than the start itself. What is kept lies in .venv and __pycache__, both ours.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# Two workers: the suite is written for a two-core machine. `make test WORKERS=0` runs it in one process.
WORKERS ?= 2
# What to test: `make test T=tests/consent` or `make test T="tests/kit -k hallway"`.
T ?=
# Where the demo listens: `make demo PORT=8081`. The environment's PORT, which means something else, is not asked.
PORT := 8080

.PHONY: help install demo test test-long check system openapi bench clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1mmake %-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Install everything into .venv (instant when nothing changed)

demo: $(STAMP) ## Serve the fictional city of Minato-hama on http://localhost:8080
	@exec $(VENV)/bin/sekisho demo --port $(PORT)

test: check system ## Everything that checks the project, but for the long runs
	@started=$$(date +%s); $(call tests,-m "not long") && \
	echo "make test: all checks passed; the tests took $$(( $$(date +%s) - started )) s"

test-long: check system ## The same with 200 kills, full contract tests and the other long runs
	@$(call tests,) && echo "make test-long: all checks passed"

# What they wrote is removed, also after an interrupt.
tests = scratch=$$(sh tests/support/scratch.sh); trap 'rm -rf "$$scratch"' EXIT; trap 'exit 130' INT TERM; \
	TMPDIR="$$scratch" $(PY) -m pytest $(1) -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(T)

# The types take longest and one core: the rest is done beside them.
check: $(STAMP) ## Formatting, lint, types and import contracts
	@echo "mypy --strict"; $(VENV)/bin/mypy & types=$$!; trap 'kill $$types 2>/dev/null || true' EXIT; \
	echo "ruff format"; $(VENV)/bin/ruff format --check --quiet .; \
	echo "ruff check"; $(VENV)/bin/ruff check --quiet .; \
	echo "import contracts"; PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache; \
	wait $$types

system: ## Install what the tests want from the system (Chromium, a Japanese font), where that is allowed
	@sh tests/support/system.sh

openapi: $(STAMP) ## Write openapi/*.json and the README's table of settings from the code
	@$(PY) -m portal.documents openapi README.md

bench: $(STAMP) ## Measure ours beside npm oidc-provider and PyPI pymerkle, and print the ratios
	@sh tests/support/system.sh bench
	@$(PY) -m tests.bench $(T)

clean: ## Remove .venv and every cache; data directories are left alone
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/bench/peers/node_modules tests/peers/node_modules

# uv is pinned and hashed in bootstrap.lock and does the same work as pip in a tenth of the time. Where it can't
# (an index that only pip's configuration knows, a platform without a wheel of it), pip does it, with the same
# hashes. `uv pip sync` removes what the lock lacks, so the lock names uv and pip themselves.
$(STAMP): requirements-dev.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Sekisho needs Python 3.11 or later; '$(PYTHON)' is not. Name one: make install PYTHON=python3.12" >&2; exit 1; }
	@test -x $(PY) || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing the system's venv module"; apt-get update -q >/dev/null && apt-get install -qy python3-venv >/dev/null; \
	    $(PYTHON) -m venv $(VENV); \
	  else echo "'$(PYTHON) -m venv' failed: install your system's venv module (Debian: python3-venv)" >&2; exit 1; fi; }; }
	@echo "installing the pinned packages"
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r bootstrap.lock || true
	@if [ -x $(VENV)/bin/uv ] && $(VENV)/bin/uv pip sync -q --system-certs --python $(PY) --require-hashes requirements-dev.lock; \
	then :; else \
	  echo "uv could not; pip does it (about two minutes)"; \
	  $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock; fi
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@$(PY) -c 'import portal.__main__, portal.app, portal.city.seed, portal.server, portal.walk.main, alembic.command'
	@touch $@
	@echo "installed into $(VENV)"
