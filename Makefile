# make demo       set everything up and run the whole loop on a synthetic liver project
# make test       set everything up and run all checks and tests
# make up         serve on this machine, without demo data
# make page       build the page, where its sources changed
# make openapi    write the API's description anew, from which the page has its types
# make pictures   take the pictures of the page anew: 3 minutes of two cores, Chromium
# make loop-real  the loop on real images: over an hour of two cores; goes on where it was
#
# Measured on real images, and written to docs/results:
# make bench-inference    prediction beside nnUNetv2_predict: 40 minutes of two cores
# make bench-memory       memory of a prediction beside nnUNetv2_predict: 25 minutes
# make bench-step         the training step beside the stock trainer's: 10 minutes
# make bench-sweep-floor  a sweep beside the network's bare forward passes
# make bench-round        a second round beside stock nnU-Net from the same labels: 2 hours
# make bench-curve        quality against seconds of training: 1 hour and more per seed
# make bench-claims       claims beside pools of 10^3 to 10^6 tiles: 10 minutes, no images
# make bench-start        ways of choosing the first tiles: half an hour of one core
# make bench-ranker       ranking 10^4 to 10^6 tiles beside a plain sort: 1 minute, no images
# make bench-page         the page in Chromium: painting, opening, weight: 20 minutes
# make experiment-NAME    strategies compared as experiments/NAME.toml says: smoke takes
#                         minutes, phantom-forest and vnc-forest hours, vnc-nnunet a day
# make bench-partial      tiles for one label each beside complete ones: 1 hour per seed
# make bench-unit         which score finds the missed pixels: 15 minutes per seed
# make forgetting         quick trainings in a row beside a full one: 30 minutes per seed
VENV := .venv
PY := $(VENV)/bin/python

PAGE := $(PY) hatch_build.py

.PHONY: setup page openapi check test demo up loop-real clean
.PHONY: bench-inference bench-memory bench-step bench-sweep-floor bench-claims
.PHONY: bench-round bench-curve bench-page bench-ranker bench-partial bench-unit bench-start forgetting pictures

setup: $(VENV)/.ready page

$(VENV)/.ready: pyproject.toml
	python3 -m venv $(VENV)
	$(PY) -m pip install --upgrade --quiet pip
	$(PY) -m pip install --quiet --editable '.[worker,dev]'
	touch $@

page: $(VENV)/.ready
	$(PAGE)

openapi: $(VENV)/.ready
	$(PY) -m backend.app > frontend/openapi.new
	mv frontend/openapi.new frontend/openapi.json

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PAGE) run check

test: check
	$(VENV)/bin/pytest

up: setup
	$(VENV)/bin/cisterna up

demo: setup
	$(PY) -m bench.demo

loop-real: setup
	$(PY) -m bench.loop_real

bench-inference: setup
	$(PY) -m bench.inference

bench-memory: setup
	$(PY) -m bench.memory

bench-step: setup
	$(PY) -m bench.step

bench-sweep-floor: setup
	$(PY) -m bench.sweep_floor

bench-round: setup
	$(PY) -m bench.round

bench-curve: setup
	$(PY) -m bench.curve

bench-claims: setup
	$(PY) -m bench.claims

bench-ranker: setup
	$(PY) -m bench.ranker

bench-page: setup
	$(PY) -m bench.page

bench-start: setup
	$(PY) -m bench.start

pictures: setup
	$(PY) docs/figures/page.py

experiment-%: setup
	$(PY) -m bench.experiment experiments/$*.toml

forgetting: setup
	$(PY) -m bench.forgetting

bench-partial: setup
	$(PY) -m bench.partial

bench-unit: setup
	$(PY) -m bench.unit

clean:
	rm -rf $(VENV) frontend/node_modules backend/ui .mypy_cache .ruff_cache .pytest_cache .hypothesis
