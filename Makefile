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

# pyenv has shims for versions that it will not run here, so this asks each candidate its version.
$(READY): requirements.lock setup.py
	@set -e; \
	for candidate in python3.10 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.10*/bin/python python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.10 was not found; TFX 1.16 needs it. Install it (pyenv install 3.10) and run make again." >&2; \
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
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --extra dev --output-file requirements.lock setup.py

clean: ## Remove the environment; runs/ and data/ stay.
	rm -rf $(VENV)
