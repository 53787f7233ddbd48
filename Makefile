# Every target makes what it needs: a .venv from the pinned versions in .ci/, then runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install
# Many tests wait for processes, so more of them than processors.
WORKERS ?= 4
KILLS ?= 30
SEED ?= 1

.PHONY: help demo test check format bench kills sdk clients soak explore clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/'

demo: $(VENV)/.run ## watch a client survive a hostile gateway, with a verdict
	$(BIN)/lastseen demo

test: $(VENV)/.dev $(VENV)/.polynode-sdk ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## rewrite the code in our format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## messages per second, as ratios to named peers in the same run
	$(BIN)/python tests/benchmarks/core.py
	$(BIN)/python tests/benchmarks/settlements.py
	$(BIN)/python tests/benchmarks/streams.py
	$(BIN)/python tests/benchmarks/explore.py
	$(BIN)/python tests/benchmarks/world.py

kills: $(VENV)/.dev ## kill a client thirty times and judge what its state file holds; a minute
	$(BIN)/python tests/helpers/thirty_kills.py --kills $(KILLS) --seed $(SEED)

sdk: $(VENV)/.dev $(VENV)/.polynode-sdk ## run the vendor's polynode package against our gateway
	$(BIN)/python -m pytest tests/end_to_end/test_polynode_sdk.py

clients: $(VENV)/.dev ## play the suite against every client that comes with it; half an hour
	$(BIN)/python -m lastseen_conformance.samples --quiet

clients-%: $(VENV)/.dev # one of them: clients-python, clients-node, clients-go, clients-asyncio
	$(BIN)/python -m lastseen_conformance.samples $*

soak: $(VENV)/.dev ## long random sweeps that the test run keeps short
	LASTSEEN_SOAK=1 $(BIN)/python -m pytest tests -m soak -q

explore: $(VENV)/.dev ## look at every state of the small scopes; some minutes
	for dialect in oddspapi polymarket-us polynode; do \
		$(BIN)/lastseen explore --dialect $$dialect --scope small || exit 1; done

clean: ## remove what the other targets made
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: .ci/lock-run.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) -r .ci/lock-run.txt
	$(PIP) --no-deps -e .
	@# Where Python may not write bytecode, each of a suite's hundreds of starts would compile ours.
	$(BIN)/python -m compileall -q protocol simulator conformance
	@touch $@

$(VENV)/.dev: .ci/lock-dev.txt $(VENV)/.run
	$(PIP) -r .ci/lock-dev.txt
	@touch $@

# An environment of its own: a foreign client must not choose our versions. Without it its tests are
# skipped, and say so.
$(VENV)/.polynode-sdk: .ci/lock-polynode-sdk.txt | $(VENV)/bin/python
	@$(BIN)/python -m venv $(VENV)/polynode-sdk && \
	$(VENV)/polynode-sdk/bin/python -m pip --quiet --disable-pip-version-check install \
		-r .ci/lock-polynode-sdk.txt && touch $@ || \
	{ rm -rf $(VENV)/polynode-sdk; echo "skipped: the polynode package cannot be installed"; }
