# `make run` takes the sample, or your data/, through the whole loop; `make test` runs the tests.
# Both need Python 3.11, 3.12 or 3.13, git and make; they fetch everything else.

PYTHON ?= python3
# Behind a company proxy the certificates are those of the machine.
export UV_SYSTEM_CERTS ?= true
VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/uv/bin/uv

.PHONY: install run test test-slow lint types repro ui lock deps resolve clean

install: $(VENV)/.installed  ## the packages alone

run: $(VENV)/.installed  ## the whole loop: validate, split, augment, train, evaluate, publish, promote
	$(BIN)/visionloop run

test: $(VENV)/.installed  ## every fast test, and the sample of slow ones that CI runs
	$(BIN)/python -m pytest -q -n auto --dist loadfile --max-worker-restart 0 -m "not slow or ci"

test-slow: $(VENV)/.installed  ## every test
	$(BIN)/python -m pytest -q -n auto --dist loadfile --max-worker-restart 0

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --diff .

types: $(VENV)/.installed
	$(BIN)/mypy

repro: $(VENV)/.installed  ## the stages alone, by DVC, without Prefect or promotion
	$(BIN)/visionloop data sample
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro

ui: $(VENV)/.installed
	$(BIN)/visionloop ui

lock: $(UV)  ## resolve the requirements anew
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/runtime.txt
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev pyproject.toml -o requirements/dev.txt
	$(UV) pip compile -q --no-deps --generate-hashes --no-header requirements/sample.in -o requirements/sample.txt

deps: $(VENV)/.installed  ## write into dvc.yaml which code each stage imports
	$(BIN)/python -m tests.contract.dvc_deps

resolve: $(UV)  ## whether today's newest versions still go together, on every Python that is supported
	for version in 3.11 3.12 3.13; do $(UV) pip compile -q --universal --python-version $$version pyproject.toml -o /dev/null || exit 1; done

$(VENV)/.installed: requirements/dev.txt pyproject.toml | $(UV)
	$(UV) pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	$(UV) pip install -q --python $(BIN)/python --no-build-isolation --no-deps -e .
	touch $@

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Visionloop needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install -q --disable-pip-version-check uv

clean:  ## remove what can be built again; data/ and mlflow/store/ stay
	rm -rf $(VENV) outputs .visionloop .prefect
