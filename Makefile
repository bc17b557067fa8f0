# Everything a developer or a visitor runs. Each target makes .venv by itself.

PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
BIN := $(VENV)/bin
PATHS := service search_spaces workers tests docs deploy

.PHONY: help demo test test-slow test-lowest check docs reference format lock release oracle faults mutants bench bench-peers clean

help:
	@echo "make demo      tune a small model on real digits, compare with random search, write a report"
	@echo "make test      the tests that take seconds each, minutes in all"
	@echo "make test-slow those that take minutes: whole studies, killed processes"
	@echo "make test-lowest  the quick tests with the oldest packages that pyproject.toml allows; makes .venv-lowest"
	@echo "make check     ruff, mypy --strict, import-linter, what a distribution holds and says"
	@echo "make docs      the documentation as a site that opens without a network: build/site/index.html"
	@echo "make reference write docs/reference anew from the code"
	@echo "make oracle    500 random Keras programs a backend, as trials and by plain fit: the numbers must be the same; an hour each"
	@echo "make faults    a storm: kills the processes of real studies and audits what came of them; hours (KILLS=500)"
	@echo "make mutants   changes the decisions of the core, one at a time, and says which no test notices; half an hour"
	@echo "make bench     quick benchmarks: ratios, not timed tests"
	@echo "make bench-peers  all benchmarks, against Optuna, Ray Tune and KerasTuner; takes hours"
	@echo "make format    let ruff rewrite the code"
	@echo "make lock      renew constraints.txt: the newest packages that pyproject.toml allows, exact versions;"
	@echo "               make lock UPGRADE= keeps every version that is there and adds what is missing"
	@echo "make release VERSION=x.y.z  build and check a release, write its bill of materials, commit and tag; uploads nothing;"
	@echo "               make release VERSION=x.y.z ARGUMENTS=--dry-run writes nothing"
	@echo "make clean     remove the virtual environments and caches"

demo: $(VENV)/.run
	@$(BIN)/bandstand demo

# Each process has a home and an embedded PostgreSQL of its own, and takes whole files of tests.
TEST_PROCESSES ?= 4
test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses $(TEST_PROCESSES) --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

test-lowest: $(LOWEST)/.dev
	$(LOWEST)/bin/python -m pytest -m "not slow"

check: $(VENV)/.dev
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	rm -rf build/dist && $(BIN)/python -m hatchling build -d build/dist
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/check-wheel-contents build/dist

# The variable is for the theme's advice to move to its successor, which has no plugins yet.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

reference: $(VENV)/.dev
	$(BIN)/python -m docs.generating

format: $(VENV)/.dev
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)

# For this kind of machine and Python, without the GPU's packages; uv is what installs them.
UPGRADE ?= --upgrade
lock: $(VENV)/.dev
	@cp constraints.txt $(VENV)/lock.txt
	@echo uv | $(BIN)/uv pip compile --quiet $(UPGRADE) --no-header --no-annotate --python $(BIN)/python \
	  --extra dev --output-file $(VENV)/lock.txt pyproject.toml - >/dev/null
	@LC_ALL=C sort $(VENV)/lock.txt > constraints.txt

release: $(VENV)/.dev
	@$(BIN)/python -m deploy.releasing $(VERSION) $(ARGUMENTS)

# Both backends, whatever the first one shows.
oracle: $(VENV)/.dev
	@for backend in tensorflow jax; do \
	  $(BIN)/python -m tests.oracle --backend $$backend || failed=1; done; exit $${failed:-0}

KILLS ?= 500
faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults --kills $(KILLS)

mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutation

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

# Makes .venv-peers, which holds what the peers need beside .venv.
bench-peers: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks --peers

clean:
	rm -rf $(VENV) $(LOWEST) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build

# uv, itself installed by pip, puts the packages in place several times faster; where it cannot, pip alone does it.
define install
	@echo "installing $(1) into $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv 2>/dev/null \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e "$(1)" 2>/dev/null \
	  || { echo "uv cannot reach the packages here; pip takes over, which takes a minute longer" \
	       && $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e "$(1)"; }
	@$(call compile,$(TRAINER)) & $(call compile,$(OTHERS)) & wait
endef

# uv leaves the bytecode out. Until it is there, and always where PYTHONDONTWRITEBYTECODE is set, every process that imports
# TensorFlow compiles it anew, which takes twice as long as the import. Whatever is imported here is compiled for good.
compile = env -u PYTHONDONTWRITEBYTECODE TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -c "import $(1)" >/dev/null 2>&1
TRAINER := bandstand_workers.fleet.trainer, bandstand_workers.training.loaded_study, sklearn.datasets
OTHERS := bandstand_workers.running.runner, bandstand_workers.coordinator.coordinator, bandstand.commands.cli, bandstand.running.run, bandstand.running.live_display, bandstand.report.forms.page, optuna, scipy.stats, \
  plotly.graph_objects, ray.dashboard.agent, ray.dashboard.modules.reporter.reporter_agent

$(VENV)/.run: pyproject.toml constraints.txt
	$(call install,.[workers])
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $@ $(VENV)/.run

# The oldest versions of what pyproject.toml names, with the newest of what these bring along; only uv can find them.
$(LOWEST)/.dev: pyproject.toml | $(VENV)/.dev
	@echo "installing the oldest packages allowed into $(LOWEST) …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[dev]"
	@touch $@
