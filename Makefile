# Engineers' words. For everybody else: ./khata demo and ./khata test.

BIN  := .venv/bin
CODE := src/khata
LOCK := uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help check style types ladder architecture test bench drills pictures lock

help:  ## what can be made
	@sed -n 's/^\([a-z][a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

check: $(BIN)/ruff  ## style, types, ladder and architecture tests, and how long they took
	@start=$$(date +%s); status=0; \
	$(MAKE) --no-print-directory --keep-going style types ladder architecture || status=1; \
	[ $$status = 0 ] && verdict=passed || verdict=failed; \
	echo "check $$verdict in $$(( $$(date +%s) - start )) s"; exit $$status

style: $(BIN)/ruff  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/mypy  ## mypy, strict
	$(BIN)/mypy $(CODE) tests/architecture

ladder: $(BIN)/lint-imports  ## import-linter: imports go down only
	$(BIN)/lint-imports --no-logo

architecture: $(BIN)/pytest  ## tests of the shape of the house
	$(BIN)/python -m pytest tests/architecture

test:  ## everything, checks included
	./khata test

bench: $(BIN)/pytest  ## table of speeds and ratios, measured in one run; beside PySAM where requirements-bench.txt is installed
	$(BIN)/python -m tests.bench

drills: $(BIN)/pytest  ## more kills of loads, deliveries, cut-overs and rollbacks, and more fuzzing, than the tests have time for
	KHATA_TEST_KILLS=40 $(BIN)/python -m pytest -n0 tests/migration/test_move_drill.py tests/metering/test_receive_drill.py
	KHATA_TEST_FUZZ_SECONDS=300 $(BIN)/python -m pytest -n0 src/khata/formats/tests/test_fuzz.py

pictures: $(BIN)/pytest  ## the README's pictures, of the pages as they are (needs Chromium)
	KHATA_PICTURES=1 $(BIN)/python -m pytest -n0 tests/browser/test_pictures.py

lock:  ## make requirements*.txt anew from requirements*.in (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs the program uv. Next step: pip install uv" >&2; exit 1; }
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(LOCK) --output-file requirements-bench.txt requirements-bench.in

$(BIN)/%:
	@echo "$@ is not there. Next step: run ./khata test once; it installs the engineers' packages." >&2; exit 1
