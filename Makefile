# `make demo` runs the main job end to end on synthetic volumes, `make test` runs the tests.
# Both install what they need into .venv first. Python 3.10 or later: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-fast test-all coverage check pytest install package wheel texts slicer slicer-test slicer-tour clean

demo: $(INSTALLED)
	$(BIN)/pseudolabelcl demo

# the slowest tests, too: whole loops with kills, the self-test with a real worker, more full disks
test-all: CHOSEN :=
test-all: test

CHOSEN ?= -m "not long"
export CHOSEN

# style and types are checked while the tests run: either can fail, and both are told
test: $(INSTALLED)
	@$(MAKE) --no-print-directory -j2 check pytest

# a test process for every core, so a thread for every process; files stay whole; a thread that waits
# lets go of its core (PseudoLabelCLLib/process/process_tree.py, short_waits)
pytest: $(INSTALLED)
	OMP_NUM_THREADS=1 GOMP_SPINCOUNT=1000 KMP_BLOCKTIME=0 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --durations=40 --durations-min=3 $(CHOSEN)

# under a minute on two cores, for every day: what needs neither PyTorch nor a worker, nor Qt
FAST := domain messages storage process/test_exit_codes.py process/test_process_tree.py
test-fast: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses auto -m "not slow and not long" --ignore-glob="*/test_dicom_*" $(FAST:%=Testing/backend/%) Testing/gui/test_words.py

# how much of what needs neither PyTorch nor Qt its own tests go through; less than so many per cent is an error
LEAST_COVERED := 93
COVERED := domain messages storage curation
coverage: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses auto --dist loadfile $(COVERED:%=--cov=PseudoLabelCLLib/%) --cov-branch --cov-report=term:skip-covered --cov-fail-under=$(LEAST_COVERED) -m "not long" $(COVERED:%=Testing/backend/%)

# style, formatting, types
check: $(INSTALLED)
	$(BIN)/ruff check PseudoLabelCL PseudoLabelCLLib Testing
	$(BIN)/ruff format --check PseudoLabelCL PseudoLabelCLLib Testing
	$(BIN)/mypy

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or later is needed; call: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

# make package writes build/PseudoLabelCL-VERSION.zip, which is unpacked and dragged onto Slicer's window
package:
	$(PYTHON) Testing/packaging/make_package.py build

# make wheel writes build/pseudolabelcl-VERSION-py3-none-any.whl, the command line without the panel
wheel:
	rm -rf build/lib build/bdist.*
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir build .

# make texts writes build/PseudoLabelCL_en-US.ts, all texts for a translator, and the same for each language
# of Resources/Translations with what is translated already
texts:
	$(PYTHON) Testing/packaging/collect_texts.py build/PseudoLabelCL_en-US.ts
	@for file in Resources/Translations/*.ts; do $(PYTHON) Testing/packaging/collect_texts.py "build/$${file##*/}" "$$file"; done

# make slicer SLICER=/path/to/Slicer starts the application with the module on its path
slicer:
	@test -n "$(SLICER)" || { echo "Say where 3D Slicer is: make slicer SLICER=/path/to/Slicer"; exit 1; }
	"$(SLICER)" --additional-module-paths "$(CURDIR)/PseudoLabelCL"

# make slicer-test SLICER=... [PYTHON_WITH_TORCH=...] runs the whole loop in the application, without a
# window to click in and without a network; its last line says whether it went well
slicer-test:
	@test -n "$(SLICER)" || { echo "Say where 3D Slicer is: make slicer-test SLICER=/path/to/Slicer"; exit 1; }
	"$(SLICER)" --no-splash --no-main-window --additional-module-paths "$(CURDIR)/PseudoLabelCL" --python-script "$(CURDIR)/Testing/slicer/run_self_test.py" $(PYTHON_WITH_TORCH)

# make slicer-tour SLICER=... [PYTHON_WITH_TORCH=...] [PICTURES=FOLDER] goes through the whole loop in the
# application with a real mouse: needs xdotool and an X display; its last line says PASSED or FAILED
slicer-tour: $(INSTALLED)
	@test -n "$(SLICER)" || { echo "Say where 3D Slicer is: make slicer-tour SLICER=/path/to/Slicer"; exit 1; }
	$(BIN)/python Testing/slicer/tour.py "$(SLICER)" $(if $(PYTHON_WITH_TORCH),--python "$(PYTHON_WITH_TORCH)") $(if $(PICTURES),--pictures "$(PICTURES)")

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
