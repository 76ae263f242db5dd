# make demo       set everything up and run the whole loop on a synthetic liver project
# make test       set everything up and run all checks and tests
# make up         serve on this machine, without demo data
# make loop-real  the loop on real images: over an hour of two cores; goes on where it was
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: setup check test demo up loop-real clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	python3 -m venv $(VENV)
	$(PY) -m pip install --upgrade --quiet pip
	$(PY) -m pip install --quiet --editable '.[worker,dev]'
	touch $@

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: check
	$(VENV)/bin/pytest

up: setup
	$(VENV)/bin/cisterna up

demo: setup
	$(PY) -m bench.demo

loop-real: setup
	$(PY) -m bench.loop_real

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
