# `make demo` runs the main job end to end on made-up volumes, `make test` runs the tests.
# Both install what they need into .venv first. Python 3.10 or later: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check install clean

demo: $(INSTALLED)
	$(BIN)/pseudolabelcl demo

test: check
	$(BIN)/python -m pytest

# what must hold before a test is worth running: style, formatting, types
check: $(INSTALLED)
	$(BIN)/ruff check PseudoLabelCLLib Testing
	$(BIN)/ruff format --check PseudoLabelCLLib Testing
	$(BIN)/mypy

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or later is needed; call: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
