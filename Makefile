# Everything a developer or a visitor runs. Each target makes .venv by itself.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PATHS := service search_spaces workers tests

.PHONY: help demo test test-slow check format bench bench-peers clean

help:
	@echo "make demo      tune a small model on real digits, compare with random search, write a report"
	@echo "make test      the tests that take seconds each, minutes in all"
	@echo "make test-slow those that take minutes: whole studies, killed processes"
	@echo "make check     ruff, mypy --strict, import-linter, what a wheel holds"
	@echo "make bench     quick benchmarks: ratios, not timed tests"
	@echo "make bench-peers  all benchmarks, against Optuna, Ray Tune and KerasTuner; takes hours"
	@echo "make format    let ruff rewrite the code"
	@echo "make clean     remove the virtual environments and caches"

demo: $(VENV)/.run
	@$(BIN)/bandstand demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.dev
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	rm -rf build/wheel && $(BIN)/python -m hatchling build -t wheel -d build/wheel
	$(BIN)/check-wheel-contents build/wheel

format: $(VENV)/.dev
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

# Makes .venv-peers, which holds what the peers need beside .venv.
bench-peers: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks --peers

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build

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
TRAINER := bandstand_workers.fleet.trainer, bandstand_workers.training.training, sklearn.datasets
OTHERS := bandstand_workers.runner, bandstand_workers.coordinator.coordinator, bandstand.commands.cli, bandstand.running.run, bandstand.running.live, bandstand.report, optuna, scipy.stats, \
  plotly.graph_objects, ray.dashboard.agent, ray.dashboard.modules.reporter.reporter_agent

$(VENV)/.run: pyproject.toml constraints.txt
	$(call install,.)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	@touch $@ $(VENV)/.run
