# `make` alone prints this help. Every target sets up what it needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOPIC ?= What should a thinking machine be allowed to decide?
TURNS ?= 6

.PHONY: help install run test check format docs bench soak hostile mutation matrix clean

help: ## Print this help
	@echo "dipeo: persons converse on any large language model"
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "dipeo needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(STAMP) ## Build .venv with dipeo and all that its development needs

run: $(STAMP) ## Let three persons converse (on the simulator; LIVE=1 uses the services whose keys are set)
	@$(BIN)/dipeo converse prompts/ada.md prompts/boole.md prompts/curie.md \
		--topic "$(TOPIC)" --turns $(TURNS) --on $(if $(LIVE),auto,simulator)

test: $(STAMP) ## Run all tests
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## Format, lint, types, layer contracts, dependencies, sizes: what CI runs besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry dipeo
	$(BIN)/python -m pytest -q tests/architecture

format: $(STAMP) ## Format the code and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## Build the documentation into site/
	$(BIN)/zensical build --clean --strict

bench: $(STAMP) ## Compare calls with bare aiohttp and the official SDK, and measure the layer alone
	$(BIN)/python -m benchmarks.call_path $(ARGS)
	$(BIN)/python -m benchmarks.layer
	$(BIN)/python -m benchmarks.thousand

soak: $(STAMP) ## Make 250,000 mixed calls, see whether all is given back and memory stays, then be hostile (some minutes)
	$(BIN)/python -m benchmarks.soak $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m benchmarks.hostile)

hostile: $(STAMP) ## Read 1,000,000 answers that went wrong: each must end as an answer or as our error (some minutes)
	$(BIN)/python -m benchmarks.hostile $(ARGS)

mutation: $(STAMP) ## Break the pool, the retries and the streams in small ways: do the tests notice? (some minutes)
	$(BIN)/python -m benchmarks.mutation $(ARGS)

matrix: ## Run the tests of other people's packages against the oldest versions that are allowed (some minutes)
	.ci/matrix

clean: ## Remove what the other targets made
	rm -rf $(VENV) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache .import_linter_cache
