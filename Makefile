# Each target sets up .venv by itself; `make help` lists them.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev

# The demonstration: a simulated cohort with few labels, and what pretraining does for it.
# After changing these, remove demo/: a study refuses to go on with other settings.
DEMO_SIMULATE ?= --n-samples 500 --n-genes 1000 --n-modules 10 --share-modules 0.3 --unlabelled 0.5 --seed 1
DEMO_STUDY ?= --label label --group patient --points 4 --repeats 5 --seed 1

PYTEST_ARGS ?=
# Run by hand: those that make tables of docs/methods, since they train for hours (pretext.py for a day).
BY_HAND := $(addprefix benchmarks/,pretext.py adaptation.py adaptation_choice.py sequences.py sequence_pretraining.py sequence_throughput.py motifs.py)
BENCHMARKS := $(filter-out benchmarks/machine.py $(BY_HAND),$(sort $(wildcard benchmarks/*.py)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint docs bench

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: demo/cohort.h5ad ## simulate a cohort, study it, say where the report is (at most 4 minutes; goes on where it stopped)
	$(VENV)/bin/oligolearn study demo/cohort.h5ad $(DEMO_STUDY) --out demo/study
	@echo "Report: $$PWD/demo/study/report.html"

# Order-only: a new installation is no reason for a new cohort.
demo/cohort.h5ad: | $(CORE)
	@mkdir -p demo
	$(VENV)/bin/oligolearn simulate $@ $(DEMO_SIMULATE)

test: $(DEV) ## run all tests, the slow ones too (choose with PYTEST_ARGS="-k swav")
	PATH="$$PWD/$(VENV)/bin:$$PATH" $(PY) -m pytest --numprocesses auto --dist worksteal $(PYTEST_ARGS)

lint: $(DEV) ## check style (ruff), formatting (ruff) and types (mypy)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(DEV) ## build the documentation into docs/_build/html; a warning is an error
	rm -rf docs/_build docs/api/generated
	$(PY) -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Documentation: $$PWD/docs/_build/html/index.html"

bench: $(DEV) ## run every script of benchmarks/ and print its figures
	@for script in $(BENCHMARKS); do echo "== $$script"; $(PY) "$$script" || exit 1; done

# pip comes last to the stamp, so an installation that failed is tried again.
$(CORE): pyproject.toml constraints.txt
	$(create_venv)
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt
	$(create_venv)
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,docs,notebook,distributed,search,postgres,sequences,motifs]'
	$(PY) -m oligolearn.kmers
	$(PY) -m oligolearn.explain
	@touch $(CORE) $@

# A .venv that works is kept; one without pip (left by an attempt without the venv module) is made anew.
define create_venv
@$(PY) -m pip --version >/dev/null 2>&1 && exit 0; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "oligolearn needs Python 3.11 or newer, '$(PYTHON)' is: $$($(PYTHON) --version 2>&1);" \
       "name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
  echo "'$(PYTHON)' cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV)
endef
