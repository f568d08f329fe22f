# Everything goes through .venv; `make help` lists the targets.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The tests of a file share expensive fixtures, so a file stays with one worker. The files that take
# longest come first in the alphabet. A worker that dies in a test that hangs is not started again,
# as the next one would run that test again.
TWO_AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast coverage lint docs lock benchmark clean

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Build .venv from requirements.lock (once).

# Python 3.11 to 3.13 bring the newer stack, whose wheels need glibc 2.38; Python 3.10 brings the older.
# pyenv has shims for versions that it will not run here, so this asks each candidate its version.
NEWER := import os, sys; \
  glibc = tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))); \
  sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and glibc >= (2, 38)))
OLDER := import sys; sys.exit(sys.version_info[:2] != (3, 10))
COMPILES := import os, shutil, sys, sysconfig; \
  header = os.path.join(sysconfig.get_path("include"), "Python.h"); \
  sys.exit(not (shutil.which("g++") and os.path.exists(header)))
PYTHONS := python3.13 python3.12 python3.11 python3.10 python3 \
  $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.1[0-3]*/bin/python)

$(READY): requirements.lock setup.py
	@set -e; \
	for stack in '$(NEWER)' '$(OLDER)'; do \
	  for candidate in $(or $(PYTHON),$(PYTHONS)); do \
	    if "$$candidate" -c "$$stack" 2>/dev/null; then python=$$candidate; break 2; fi; \
	  done; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No Python for TFX was found: install 3.11, 3.12 or 3.13 on a system with glibc 2.38 or newer (Debian 13," \
	    "Ubuntu 24.04), or 3.10 anywhere (pyenv install 3.10), and run make again." >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c '$(COMPILES)'; then \
	  echo "TFX needs pyfarmhash, which is compiled here: install g++ and Python's headers (apt install g++" \
	    "python3-dev), and run make again." >&2; \
	  exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python cannot make an environment: install python3-venv, and run make again." >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version) (about two minutes, once)"; \
	"$$python" -m venv --clear $(VENV); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[0-9.]*' requirements.lock)"; \
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode requirements.lock; \
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .; \
	touch $@

run: $(READY) ## Bring in digits; train, evaluate and push a classifier of them.
	@$(BIN)/retrain ingest digits --output data/digits --if-missing
	@$(BIN)/retrain run --config configs/digits.yaml

test: $(READY) ## Run every test.
	@$(BIN)/python -m pytest $(TWO_AT_ONCE)

test-fast: $(READY) ## Run the quick tests, those that run no pipeline.
	@$(BIN)/python -m pytest $(TWO_AT_ONCE) -m "not slow"

coverage: $(READY) ## Run the quick tests and list the lines that they leave out.
	@$(BIN)/python -m pytest $(TWO_AT_ONCE) -m "not slow" --cov --cov-report=term-missing:skip-covered

lint: $(READY) ## Check style, types and the import arrows.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(READY) ## Generate docs/config.md from the config's models.
	@$(BIN)/python -m pipeline.config.reference > docs/config.md

benchmark: $(READY) ## Compare with a plain TFX pipeline and a bare loop on data/cifar10.
	@$(BIN)/python -m benchmarks.compare

lock: $(READY) ## Resolve setup.py's dependencies into requirements.lock.
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --extra dev --output-file requirements.lock setup.py

clean: ## Remove the environment; runs/ and data/ stay.
	rm -rf $(VENV)
