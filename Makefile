# Glassbox. `make run` starts the page; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check lint format chromium demo-model demo-eval bench-fusion bench-engine bench-timing bench-evidence bench-page hostile examples attack load churn ending try-space lock audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: $(VENV)/run.stamp ## install what the program needs and start the page on 127.0.0.1:7860
	$(BIN)/python app.py

test: $(VENV)/dev.stamp $(VENV)/js.stamp chromium ## run every test, the browser's included
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: lint test ## format, lint, types and tests: what must be green at every commit

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo-model: $(VENV)/run.stamp ## train the shipped model from nothing (it says how long that takes)
	$(BIN)/python -m pipelines.demo.train

demo-eval: $(VENV)/run.stamp ## measure the shipped model on fresh scenes
	$(BIN)/python -m pipelines.demo.evaluate

bench-fusion: $(VENV)/run.stamp ## measure early fusion beside its peers (about 6 minutes)
	$(BIN)/python -m benchmarks.fusion

bench-engine: $(VENV)/run.stamp ## measure the engine beside transformers' generate
	$(BIN)/python -m benchmarks.engine

bench-timing: $(VENV)/run.stamp ## hold the timing against a stopwatch, and on a GPU against torch.profiler
	$(BIN)/python -m benchmarks.timing

bench-evidence: $(VENV)/run.stamp ## measure where the shipped model looks and what it holds true
	$(BIN)/python -m benchmarks.evidence

bench-page: $(VENV)/dev.stamp chromium ## measure the page: its start, its stream, a click meanwhile
	$(BIN)/python -m benchmarks.page_start
	$(BIN)/python -m benchmarks.page_stream

hostile: $(VENV)/dev.stamp ## feed the program thousands of broken files, and bombs (about 5 minutes)
	$(BIN)/python -m tests.hostile.files

attack: $(VENV)/dev.stamp ## send a page thousands of requests made to do harm (about 3 minutes)
	$(BIN)/python -m tests.hostile.requests

load: $(VENV)/dev.stamp ## let 32 visitors in for LOAD_MINUTES (10)
	$(BIN)/python -m tests.hostile.visitors

churn: $(VENV)/dev.stamp ## ask 5,000 short questions, a fifth of them left in the middle
	$(BIN)/python -m tests.hostile.visitors --questions 5000

ending: $(VENV)/dev.stamp ## end a page in the middle of 32 answers
	$(BIN)/python -m tests.hostile.endings

examples: $(VENV)/run.stamp ## draw the example pictures and clips anew
	$(BIN)/python -m pipelines.demo.examples

try-space: $(VENV)/dev.stamp ## install and start a Space of KIND (cpu, gpu) in an empty environment, and ask it (minutes)
	$(BIN)/python -m tests.try_space $(or $(KIND),cpu)

lock: $(VENV)/dev.stamp ## pin what the program needs, with hashes, in requirements.lock
	$(BIN)/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet --output-file requirements.lock

audit: $(VENV)/dev.stamp ## look for known advisories; offline in ADVISORIES=FILE, an export of OSV
	$(BIN)/python -m tests.audit $(if $(ADVISORIES),--advisories "$(ADVISORIES)")

clean: ## remove the virtual environment and what was built
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# the example for JavaScript is run where there is npm
$(VENV)/js.stamp: $(VENV)/run.stamp
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(VENV)/js @gradio/client@2.7.0; fi
	@touch $@

chromium:
	@.ci/chromium

$(VENV)/run.stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Glassbox needs Python 3.11 or newer: install it, or make PYTHON=python3.12 run" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import platform, sys; sys.exit("PyTorch has no build for Macs with an Intel processor: use Linux, or a Mac with Apple silicon and a Python built for it" if (sys.platform, platform.machine()) == ("darwin", "x86_64") else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@
