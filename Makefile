# The two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
PYTEST_ARGS ?=

.PHONY: demo test lint fix test-slow conformance bench check-readme clean help
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -U "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) install -e ".[generate,nudenet]" scikit-image
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) install -e ".[all]" --group dev
	@touch $@

demo: $(VENV)/.demo ## set up and show the main job: generate, refuse, verify, recover, judge, prove
	$(BIN)/signet demo --out demo-out --photo "$$($(BIN)/python -c 'import skimage, pathlib; print(pathlib.Path(skimage.__file__).parent / "data" / "astronaut.png")')"

test: $(VENV)/.dev ## set up and pass the tests
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

conformance: $(VENV)/.dev ## what others' programs say about our files; needs chromium, npm and exiftool (Debian)
	npm ci --ignore-scripts --no-audit --no-fund --prefix tests/conformance/browser
	$(PIP) install --group conformance
	SIGNET_CONFORMANCE=required $(BIN)/python -m pytest -n 0 tests/conformance

lint: $(VENV)/.dev ## style, types, docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/interrogate -q guard detectors gateway service.py

fix: $(VENV)/.dev ## format and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check-readme: $(VENV)/.dev ## run every command of the README
	$(BIN)/python -m tests.readme.run_commands

bench: $(VENV)/.dev ## time budgets and ratios against named peers
	$(BIN)/python -m benchmarks.prompt_latency --image
	$(BIN)/python -m benchmarks.provenance_speed
	$(BIN)/python -m benchmarks.credential_fuzz
	$(BIN)/python -m benchmarks.watermark_speed

clean: ## remove what the targets made, keys and ledgers of demos included
	rm -rf $(VENV) demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
