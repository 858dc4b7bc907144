# Every target that runs something sets .venv up first; `make setup GPU=1` (and GPU=1 on the others)
# installs the CUDA builds. PYTHON=python3.12 chooses the interpreter .venv is made from.

.DEFAULT_GOAL := help
SHELL := /bin/bash
KIND  := $(if $(filter 1,$(GPU)),gpu,cpu)
# An environment that was set up for GPUs stays one, also when GPU=1 is left out later.
ifneq ($(wildcard .venv/.installed-gpu),)
KIND  := gpu
endif
MINUTES ?= 30
GPUS    ?= 1
DEVICE  ?= cuda
STAMP := .venv/.installed-$(KIND)
BIN   := .venv/bin

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv and install everything (GPU=1: the CUDA builds)

$(STAMP): setup.py docker/setup_env.sh docker/torchvision_hook.py
	PYTHON="$(PYTHON)" docker/setup_env.sh $(KIND)

quickstart: setup  ## cold start, RL under PTST and evaluation of a tiny model, without a GPU
	$(BIN)/vr1 run configs/quickstart.yaml

test: setup  ## the main paths with real Ray, vLLM and DeepSpeed; the other unit tests are in make check
	$(BIN)/pytest tests/as_on_gpu -m "not gpu and not slow"
	$(BIN)/pytest tests/unit -m "slow and not gpu" -n 2 --dist loadfile
	$(BIN)/pytest tests/integration -m "not gpu"

test-long: setup  ## slower paths: a whole recipe, more as on a GPU, engines that come and go, groups for broadcasts, SIGTERM, bridging, benchmarks, serving
	$(BIN)/pytest tests/long -m "not gpu"
	$(BIN)/pytest tests/as_on_gpu -m "slow and not gpu"

test-extra: setup  ## by hand, an hour: a Ray job, a large report, colocation, benchmarks during RL, what test-faults does part by part
	$(BIN)/pytest tests/extra -m "not gpu"

test-faults: setup  ## kill -9 of every part of real runs, on a local cluster of several nodes
	$(BIN)/pytest tests/faults -m "not gpu"

chaos: setup  ## random kills and scale commands for MINUTES (default 30), then the same run undisturbed, compared
	$(BIN)/python -m tests.faults.chaos --minutes $(MINUTES)

gpu-check: setup  ## ten minutes on a GPU: what runs there, what fails and why; PARTS=parity,sync GPUS=2 (DEVICE=cpu rehearses)
	$(BIN)/python -m examples.gpu_check --parts "$(PARTS)" --gpus $(GPUS) --device $(DEVICE)

check: setup  ## lint, types, import floors, unit tests, side by side on two cores
	+@$(MAKE) --no-print-directory -j2 --output-sync=target lint types floors unit

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy over the package
	$(BIN)/mypy

floors: setup  ## import-linter: who may import whom
	$(BIN)/lint-imports

unit: setup  ## the quick unit tests
	$(BIN)/pytest tests/unit -m "not slow and not gpu" -n 2 --dist loadfile

format: setup  ## rewrite the files as ruff wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove build outputs and caches; keeps .venv and runs/
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: help setup quickstart test test-long test-extra test-faults chaos gpu-check check lint types floors unit format clean
