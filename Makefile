# Every target creates .venv when it is missing, and reuses it until pyproject.toml, constraints.txt or TORCH change;
# what changed in C++ is compiled again. `make chat` installs the package with its native engine, the others torch too.
# Set-up speaks on stderr, so that stdout is the command's own:   printf 'What is 17 + 25?\n' | make chat

# PyPI's torch for Linux carries CUDA (gigabytes). A CPU build from PyTorch's own index:
#   make dev TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch==2.13.0
PYTHON ?= python3
VENV   ?= .venv

# make chat MODEL=e2b;  make test PYTEST_ARGS="-k tokenizer"
MODEL       ?= pebble
PYTEST_ARGS ?=

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory --no-builtin-rules

# One worker per core, one torch thread per worker: steadier than many threads in one process, and no slower.
# Selecting no test at all (pytest's exit code 5) is no failure.
PYTEST = $(VENV)/bin/python -m pytest -q $(1) $(PYTEST_ARGS) || [ $$? = 5 ]
PAR    := -n auto --dist loadfile --maxprocesses 4

RUN := $(VENV)/.run
DEV := $(VENV)/.dev-$(shell printf '%s' '$(TORCH)' | cksum | cut -d' ' -f1)

.PHONY: help chat dev test test-long check native-asan format docs size clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

chat: $(RUN)  ## talk to pebble in the terminal; one prompt a line when stdin is not a terminal
	@$(VENV)/bin/gemsmith run $(MODEL)

dev: $(DEV)  ## set up .venv for work on gemsmith: torch, and what checks, tests and docs need

test: $(DEV)  ## quick and slow tests: no network, under five minutes on two cores
	@$(call PYTEST,$(PAR) -m "not long")

test-long: $(DEV)  ## the tests marked long: under 35 minutes
	@$(call PYTEST,$(PAR) -m long --durations=10)

check: $(DEV)  ## format, lint, types, import floors, quick tests: under a minute
	@$(VENV)/bin/ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy
	@$(call PYTEST,$(PAR) -m "not slow and not long" --durations=5 --durations-min=2)

native-asan: $(DEV)  ## native tests in a build that checks addresses and undefined behaviour; part of test-long
	@$(call PYTEST,tests/kernels/test_sanitizers.py -m long -rs)

format: $(DEV)  ## rewrite the sources as `make check` wants them
	@$(VENV)/bin/ruff check --quiet --fix-only .
	@$(VENV)/bin/ruff format --quiet .

docs: $(DEV)  ## build docs/_build/html: warnings are errors, nothing is fetched
	@$(VENV)/bin/python -m sphinx -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	@echo docs/_build/html/index.html

size:  ## lines of source per folder
	@git ls-files -co --exclude-standard -- '*.py' '*.cpp' '*.h' '*.hpp' \
	| while read -r f; do if [ -f "$$f" ]; then printf '%s %s\n' "$$(wc -l < "$$f")" "$$(dirname "$$f")"; fi; done \
	| awk '{ n[$$2] += $$1; files[$$2]++; all += $$1 } \
	       END { for (d in n) printf "%7d lines %4d files  %s\n", n[d], files[d], d | "sort -k5"; close("sort -k5"); \
	             printf "%7d lines in all\n", all }'

clean:  ## remove .venv and everything that can be made again
	@rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find gemsmith tests recipes docs bench -name __pycache__ -prune -exec rm -rf {} +

# --- the virtual environment ---------------------------------------------------------------------------------------

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet

$(VENV)/.made:
	@{ command -v $(PYTHON) >/dev/null \
	   && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	   || { echo "gemsmith needs Python 3.11 or newer, and $(PYTHON) is not; name one that is: make PYTHON=python3.12" >&2; exit 1; }; \
	   $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	   || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	   echo "setting up $(VENV) (once) ..." >&2; \
	   $(PYTHON) -m venv $(VENV); touch $@; } >&2

# What compiles the engine stands in .venv and not, as pip would have it, in a folder made anew each time: so the next
# installation finds the same paths, and compiles only what changed. CMake comes from the package index where the system
# has none, and so does Ninja, which uses all cores.
TOOLS = scikit-build-core nanobind \
        $$(command -v cmake >/dev/null || echo cmake) $$(command -v ninja >/dev/null || echo ninja)
NATIVE := CMakeLists.txt $(shell find native -name '*.cpp' -o -name '*.h' -o -name CMakeLists.txt)
PACKAGE = PATH="$(abspath $(VENV))/bin:$$PATH" $(PIP) install -c constraints.txt --no-build-isolation -e
HAS_ENGINE = $(VENV)/bin/python -c 'import sys; from gemsmith import kernels; sys.exit(not kernels.available())'

$(RUN): $(VENV)/.made pyproject.toml constraints.txt $(NATIVE)
	@{ echo "  installing gemsmith, compiling its engine ..."; \
	   $(PIP) install -c constraints.txt $(TOOLS); \
	   $(PACKAGE) .; \
	   $(HAS_ENGINE) || { \
	       echo "  without a C++ compiler (Debian and Ubuntu: apt-get install g++ python3-dev) there is no engine:"; \
	       echo "  installing $(TORCH) to run on instead ..."; \
	       $(PIP) install -c constraints.txt $(TORCH); }; \
	   touch $@; } >&2

$(DEV): $(VENV)/.made pyproject.toml constraints.txt $(NATIVE)
	@{ echo "  installing $(TORCH) ..."; \
	   $(PIP) install -c constraints.txt $(TORCH); \
	   echo "  installing gemsmith, compiling its engine, with what the checks and tests need ..."; \
	   $(PIP) install -c constraints.txt $(TOOLS); \
	   $(PACKAGE) '.[torch,train,dev]'; \
	   rm -f $(VENV)/.dev-*; touch $(RUN) $@; } >&2
