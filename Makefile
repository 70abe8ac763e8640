# The two commands: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
LEARN := .venv-learn
DEMO := .demo

.PHONY: demo test test-learn lint types contracts check clean

$(VENV)/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "hepar needs Python 3.11 or newer with venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet -e ".[dev]"
	touch $@

$(LEARN)/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "hepar needs Python 3.11 or newer with venv"; exit 1; }
	$(PYTHON) -m venv $(LEARN)
	$(LEARN)/bin/python -m pip install --quiet --upgrade pip
	$(LEARN)/bin/python -m pip install --quiet -e ".[dev,learn]"
	touch $@

demo: $(VENV)/ready  ## a virtual four-phase HCC study as DICOM, analysed
	$(VENV)/bin/hepar simulate -o $(DEMO)/study --overwrite
	$(VENV)/bin/hepar analyze $(DEMO)/study -o $(DEMO)/result --overwrite
	@echo "The report: $(DEMO)/result/report.html"

test: $(VENV)/ready  ## every test that needs no torch
	$(VENV)/bin/python -m pytest --ignore=tests/learn

test-learn: $(LEARN)/ready  ## the tests of training; installs torch
	$(LEARN)/bin/python -m pytest tests/learn

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/ready
	$(VENV)/bin/mypy

contracts: $(VENV)/ready
	$(VENV)/bin/lint-imports

check: lint types contracts test  ## what to run before a commit

clean:
	rm -rf $(VENV) $(LEARN) $(DEMO)
