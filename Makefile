# make run: the studio on http://127.0.0.1:8501.  make test: the whole suite.  The first call sets everything up.
PORT ?= 8501
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run setup test lint clean
.DEFAULT_GOAL := run

run: setup
	@$(BIN)/streamlit run app.py --server.port $(PORT)

setup: $(VENV)/.installed

test: $(VENV)/.installed-dev
	@$(BIN)/pytest

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Distillation Studio needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Install a newer one, or name it: make run PYTHON=python3.12" % v[:2])'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing what requirements.txt lists; the first time this takes a few minutes …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
