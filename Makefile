PYTHON ?= python3
SCALE ?= paper
BIN := .venv/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
LAUNCH := $(if $(LAUNCHER),hydra/launcher=$(LAUNCHER))
FIGURES := $(sort $(basename $(notdir $(wildcard conf/experiment/*.yaml))))

.PHONY: help test test-slow test-slurm mutants lint docs bench figures report clean $(FIGURES)

help:
	@echo "make demo | test | test-slow | test-slurm | mutants | lint | docs | bench | figures | report | <figure>, with SCALE=paper|laptop|smoke, LAUNCHER=joblib|slurm|...; figures: $(FIGURES)"

$(FIGURES): %: .venv/ready
	@$(BIN)/python -m alsuite experiment=$* scale=$(SCALE) $(LAUNCH)

figures: .venv/ready
	@trap 'exit 130' INT; for stem in $(FIGURES); do $(BIN)/python -m alsuite experiment=$$stem scale=$(SCALE) $(LAUNCH) || missing="$$missing $$stem"; done; \
	[ -z "$$missing" ] || { echo "not drawn, for the reasons above:$$missing"; exit 1; }

report: .venv/ready
	@$(BIN)/python -m alsuite.report

test: .venv/ready
	@$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/ready
	@$(BIN)/python -m pytest -m slow $(TESTS)

test-slurm: .venv/ready
	@$(BIN)/python -m pytest -n0 -rs --durations=5 tests/command/test_slurm.py

mutants: .venv/ready
	@$(BIN)/python scripts/mutants.py

lint: .venv/ready
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/pyright

docs: .venv/docs
	@$(BIN)/python scripts/docs.py

bench: .venv/bench
	@$(BIN)/python scripts/bench

.venv/docs: .venv/ready
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]" && touch $@

.venv/bench: .venv/ready
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]" && touch $@

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "alsuite needs Python 3.11 to 3.13: make PYTHON=python3.12 ..."; exit 1; }
	@echo "installing into .venv (about 7 GB with torch's CUDA build; once)"
	@$(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]" && touch $@

clean:
	rm -rf .venv build dist *.egg-info
