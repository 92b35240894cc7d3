# make demo    installs what running needs into .venv, fetches a base, then takes the support desk from its rows to a signed release
# make quick   installs into .venv, then runs the tests that need no training and no model: for whoever changes things
# make test    installs into .venv, then runs every test; build machines call exactly this
# make check   lint, types, format

PYTHON ?= python3
TESTS ?= tests
# As many test processes as cores, four at most: each loads torch and takes up to 3 GB.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))')
QUICK := tests/architecture $(addprefix tests/unit/,artifacts context detect pages pipeline process recipe registry scoring stats store text trust)
BIN := .venv/bin
DESK := examples/support-desk
BASE := smollm2-135m-instruct

# On Linux without a GPU the wheels of the ordinary index bring gigabytes of CUDA libraries along.
# Where pip is told of a folder of wheels, that folder decides.
ifeq ($(shell uname -s),Linux)
ifeq ($(shell command -v nvidia-smi)$(PIP_FIND_LINKS),)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif
endif

.PHONY: demo quick test check format
.DELETE_ON_ERROR:

# Status 5: nothing gives the base here (no index, no room). Any other failure to get it is a failure of the demo.
demo: .venv/.running
	@$(BIN)/tunesmith init --key $(DESK)/release.pem --if-missing
	@recipe=recipe.yaml; \
	$(BIN)/tunesmith base get $(BASE) || { code=$$?; [ $$code -eq 5 ] || exit $$code; recipe=recipe-pebble.yaml; \
	  echo "$(BASE) cannot be fetched here: the demo takes the small base that comes with the package; its order numbers are invented" >&2; }; \
	$(BIN)/tunesmith run $(DESK)/$$recipe

quick: .venv/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(wildcard $(QUICK))

# Files stay whole, so that what a file's fixtures make is made once.
test: .venv/.installed
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations 20 $(TESTS)

check: .venv/.installed
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit("tunesmith needs Python 3.11 or later; give another with make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	touch $@

# The exact pin comes first and alone, so that what follows finds torch in place; pyproject.toml keeps a range.
.venv/.torch: .venv/.made
	$(BIN)/python -m pip install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	touch $@

.venv/.running: pyproject.toml .venv/.torch
	@began=$$(date +%s); $(BIN)/python -m pip install --quiet --editable . && \
	  echo "installed in $$(($$(date +%s) - began)) s after torch; .venv holds $$(du -sm .venv | cut -f1) MB"
	@touch $@

.venv/.installed: pyproject.toml .venv/.torch
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
