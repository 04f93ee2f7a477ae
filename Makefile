# K2. `make` alone prints this help; every target does the set-up that it needs.

SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# More for pytest, such as: make test ARGS="-n 0 -k wire_format -x"
ARGS ?=
# Measured 86; raised as more is reached, never lowered.
COVERAGE_FLOOR ?= 85

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
QUICK := not slow and not chaos

##@ Start here

.PHONY: help
help: ## Print this help
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make <target>" } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: setup ## See it work: simulated trades to Gold for 45 s, then a summary
	@$(BIN)/k2 up --feed simulate --for 45s

.PHONY: setup
setup: java .venv/.synced .venv/.jars ## Get everything K2 needs: Python packages and jars

##@ Test

.PHONY: test
test: setup ## All tests that take no long time
	@$(PYTEST) -m "$(QUICK)" $(ARGS)

.PHONY: test-unit
test-unit: setup ## Unit tests
	@$(PYTEST) -m "unit and $(QUICK)" $(ARGS)

.PHONY: test-integration
test-integration: setup ## Tests with real Kafka, registry, Spark and the command line
	@$(PYTEST) -m "(integration or e2e) and $(QUICK)" $(ARGS)

.PHONY: test-long
test-long: setup ## The slow and chaos tests, one at a time
	@$(PYTEST) -n 0 --timeout 1800 -m "slow or chaos" $(ARGS)

.PHONY: test-wheel
test-wheel: setup ## The built wheel in an environment of its own, outside the checkout
	@$(PYTEST) -n 0 tests/e2e/test_wheel.py $(ARGS)

.PHONY: prove
prove: setup ## Two million simulated trades through everything, each table held to what was sent
	@SIMULATED_RECORDS=$${SIMULATED_RECORDS:-2000000} $(PYTEST) -n 0 --timeout 7200 \
	  tests/e2e/test_simulated.py $(ARGS)

.PHONY: test-all
test-all: setup ## All tests
	@$(MAKE) test
	@$(MAKE) test-long

.PHONY: coverage
coverage: setup ## Unit and integration tests with branch coverage and its floor; report in reports/
	@$(PYTEST) -m "$(QUICK)" --cov=k2 --cov-branch --cov-fail-under=$(COVERAGE_FLOOR) \
	  --cov-report=term:skip-covered --cov-report=xml:reports/coverage.xml \
	  --cov-report=html:reports/coverage $(ARGS)

.PHONY: mutants
mutants: setup ## Plant defects in the rules, one at a time: do the tests notice?
	@PATH="$$PATH:.make/uv/bin" uv run --locked --group mutation python -m tests.mutation $(ARGS)

##@ Change code

.PHONY: check
check: lint types structure ## What CI checks without running K2: style, types, imports, docs

.PHONY: lint
lint: .venv/.synced ## Style: ruff and black
	@$(BIN)/ruff check .
	@$(BIN)/black --check --quiet . || { echo "black: run 'make format'." >&2; exit 1; }

.PHONY: types
types: .venv/.synced ## Types: mypy, strict
	@$(BIN)/mypy

.PHONY: structure
structure: .venv/.synced ## Import direction, names and lengths of modules, freshness of documents
	@$(PYTEST) -n 0 -q tests/unit/test_architecture.py tests/unit/test_docs.py \
	  tests/unit/test_documented_commands.py

.PHONY: format
format: .venv/.synced ## Format the code and sort its imports
	@$(BIN)/ruff check --fix --quiet --exit-zero .
	@$(BIN)/black --quiet .

.PHONY: docs
docs: .venv/.synced ## Write docs/reference anew from the definitions
	@$(BIN)/python docs/generate.py

.PHONY: site
site: .venv/.synced ## Build the documents as a site in site/, links and anchors checked
	@PATH="$$PATH:.make/uv/bin" NO_MKDOCS_2_WARNING=1 UV_PROJECT_ENVIRONMENT=.make/site \
	  uv run --quiet --locked --only-group docs \
	  mkdocs build --strict

.PHONY: hooks
hooks: .venv/.synced ## Run the pre-commit hooks on every commit from now on
	@$(BIN)/pre-commit install

##@ Measure

.PHONY: bench
bench: setup ## K2 beside stock Spark and a loader without Spark, and K2 as a service; NAMES in ARGS
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: setup ## Regression guard: the ratios in minutes, failing beyond twice the recorded ones
	@$(BIN)/python -m benchmarks --quick $(ARGS)

##@ Clean up

.PHONY: clean
clean: ## Remove caches, reports and builds; your tables and the virtual environment stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov reports \
	  dist site spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: clean-env
clean-env: clean ## Also remove the virtual environment
	@rm -rf .venv .make

.PHONY: clean-home
clean-home: ## Stop K2 and remove K2_HOME (.k2): all tables, checkpoints and logs
	@tools/clean-home

# Set-up. The stamps lie in the environment, so that they go with it.

.PHONY: java
java:
	@tools/setup java

.venv/.synced: pyproject.toml uv.lock
	@tools/setup python
	@touch $@

.venv/.jars: .venv/.synced src/k2/jvm/jars.toml
	@for group in spark kafka registry; do $(BIN)/k2 jars --group $$group >/dev/null || exit; done
	@touch $@
