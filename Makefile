# make demo, make test and make lint set up everything they need; nothing has to be installed before.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := packages/core packages/schedulers packages/backbones packages/samplers \
            packages/datasets packages/loggers packages/metrics apps/cli
SOURCES := $(PACKAGES:%=%/src)
EDITABLE := $(PACKAGES:%=-e %)
READY := $(VENV)/ready
STAMP := $(VENV)/installed

.PHONY: demo test lint bench docs install format clean

install: $(STAMP)

$(READY): constraints.txt $(PACKAGES:%=%/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(EDITABLE)
	touch $@

$(STAMP): $(READY) pyproject.toml
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(EDITABLE) --group dev
	touch $@

demo: $(READY)
	$(BIN)/diffx demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES) $(wildcard examples/plugins/*/src) docs/_site

bench: $(STAMP)
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html (its search needs a server: python -m http.server --directory site)"

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
