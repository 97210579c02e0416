# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
NAME ?= *
PIP = $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt

.PHONY: run test lint docs results

$(VENV)/run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/test: $(VENV)/run
	$(PIP) --editable '.[dev]'
	touch $@

run: $(VENV)/run  ## install, and run the main job
	$(VENV)/bin/nica-bench run --scenario gauss-2of10 --conditions 3

test: $(VENV)/test  ## install, and run the tests
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses 2 $(PYTEST_ARGS)

lint: $(VENV)/test  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(VENV)/test  ## the site in build/docs; a warning or a dead link is an error
	$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs build/docs

results: $(VENV)/run  ## make published results again: all, or NAME=gauss
	$(VENV)/bin/nica-bench publish $(dir $(wildcard results/$(NAME)/sweep.toml))
