# make run: the studio on http://127.0.0.1:8501.  make test: the whole suite.  The first call sets everything up.
PORT ?= 8501
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run setup setup-dev test lint audit image mutants docs drawing compare clean
.DEFAULT_GOAL := run

run: setup
	@exec $(BIN)/python -m studio serve --port $(PORT)

setup: $(BIN)/pip
	@$(call install,requirements.txt)

test: setup-dev
	@$(BIN)/python -m pytest

lint: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Known holes in what the studio stands on; where the list of them cannot be reached, that is said, and no hole is claimed absent.
audit: setup
	@$(PYTHON) -m venv .audit && .audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@.audit/bin/python tests/audit.py $(VENV)/lib/python*/site-packages

# The image of docs/deploy.md, and whether it answers.
image:
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/image.py

# The parts of README.md, CONTRIBUTING.md and docs/ that come from code and data.
docs: setup-dev drawing
	@$(BIN)/python -m tests.docs

# Which package imports which, as a drawing in docs/imports.md.
drawing: setup-dev
	@$(BIN)/python -m tests.bench.imports

# Faults on purpose, one at a time, in a copy: each must be noticed by a test. `make mutants ONLY=losses` tries a part.
mutants: setup-dev
	@$(BIN)/python -m tests.mutants --only "$(ONLY)"

# Our losses and attributions beside those of others, which are installed without what they need into a folder of their
# own.
compare: setup-dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .compare \
		torchdistill==1.1.5 textbrewer==0.2.1.post1 trl==1.16.0 captum==0.9.0
	@PYTHONPATH=.compare $(BIN)/python -m pytest tests/distill/test_losses_of_others.py tests/distill/test_token_losses.py \
		tests/evaluate/test_attributions.py

setup-dev: setup
	@$(call install,requirements-dev.txt)

clean:
	rm -rf $(VENV)

# Install only when the file's content changed: what was installed last is kept beside it in $(VENV).
define install
cmp -s $(1) $(VENV)/installed-$(1) || { \
	echo "Installing what $(1) lists; the first time this takes a few minutes …" && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(1) && \
	cp $(1) $(VENV)/installed-$(1); }
endef

# pip is what a half-made environment lacks.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "Distillation Studio needs Python 3.11 or newer, and there is no $(PYTHON) here. Install one, or name it: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Distillation Studio needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Install a newer one, or name it: make run PYTHON=python3.12" % v[:2])'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { echo "$(VENV) could not be made; the reason stands above. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
