# Every target sets up what it needs from python3 >= 3.11 and make alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
LOCKS := requirements/build.txt requirements/main.txt requirements/dev.txt
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo up test check gen bench faults fuzz secrets test-compose lock clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(READY) ## .venv with everything that the locks name
$(READY): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "python3 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo "python3 has no ensurepip: install the package python3-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes $(addprefix -r ,$(LOCKS))
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## the main job, played on an embedded stack of its own
	@$(BIN)/tocsin demo

up: $(READY) ## an embedded stack in the foreground; ARGS='--gateway 127.0.0.1:9000'
	@$(BIN)/tocsin up $(ARGS)

test: $(READY) ## every test but the long faults and the benches
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup -m "not faults" $(ARGS)

faults: $(READY) ## kills, cuts, full disks, wrong clocks; takes minutes
	$(BIN)/pytest -q --timeout 600 tests/faults $(ARGS)

check: $(READY) ## formatting, lint, types, import contracts, protos, generated code, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python protos/generate.py --lint
	$(BIN)/python protos/generate.py --check
	$(BIN)/python -m tests.migrations.lint
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.tls.yml

gen: $(READY) ## regenerates gen/ from the protos
	$(BIN)/python protos/generate.py

bench: $(READY) ## figures as ratios against limits measured in the same run
	$(BIN)/python -m tests.bench $(ARGS)

fuzz: $(READY) ## ten minutes of generated requests against a stack of its own; ARGS=60 for a minute
	$(BIN)/python -m tests.fuzz $(ARGS)

secrets: $(READY) ## ./secrets for docker compose, made once
	@$(BIN)/tocsin secrets secrets

test-compose: $(READY) ## the system tests against docker compose; ARGS=--tls with mutual TLS
	$(BIN)/python -m tests.system.compose $(ARGS)

lock: ## new locks from pyproject.toml; needs uv
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/main.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -c requirements/main.txt -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group build -c requirements/main.txt -o requirements/build.txt

clean: ## removes what the targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
