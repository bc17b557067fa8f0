"""The project keeps its own promises: names, layers, tables, what is installed."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest

from bandstand_spaces import SEARCH_SPACES

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "bandstand_spaces",
    "bandstand",
    "bandstand.client",
    "bandstand.optuna_samplers",
    "bandstand.optuna_storage",
    "bandstand.report.figures",
    "bandstand.simulation",
    "bandstand.strategies",
    "bandstand_workers",
    "bandstand_workers.datasets",
    "bandstand_workers.learning_rates",
    "bandstand_workers.models",
)


def test_no_other_installed_distribution_owns_our_top_level_packages() -> None:
    owners = metadata.packages_distributions()
    for package in ("bandstand", "bandstand_spaces", "bandstand_workers"):
        assert set(owners.get(package, ["bandstand"])) == {"bandstand"}
        assert Path(importlib.import_module(package).__file__ or "").is_relative_to(ROOT)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_exports_sorted_names_that_are_there(package: str) -> None:
    module = importlib.import_module(package)
    names = module.__all__
    constants = [name for name in names if name.isupper()]
    classes = [name for name in names if not name.isupper() and name[0].isupper()]
    functions = [name for name in names if not name[0].isupper()]
    assert names == sorted(constants) + sorted(classes) + sorted(functions)
    for name in names:
        assert getattr(module, name) is not None


def test_every_dependency_has_an_exact_version_without_an_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]:
        name = re.split(r"[\[><=]", requirement)[0]
        if name == "bandstand":  # an extra that includes another one
            continue
        assert re.sub(r"[-_.]+", "-", name).lower() in pinned, name


def test_every_space_has_a_model_and_a_study_file_that_is_valid() -> None:
    from bandstand.study.find_study import built_in_studies, find_study
    from bandstand_workers.models import MODELS

    assert set(SEARCH_SPACES) == set(MODELS) == set(built_in_studies())
    for name in built_in_studies():
        spec = find_study(name).spec
        assert spec.space == SEARCH_SPACES[name]
        assert spec.model == MODELS[name]


def test_the_coordinator_starts_without_keras_and_tensorflow() -> None:
    script = (
        "import sys, bandstand_workers.coordinator.coordinator, bandstand_workers.messages\n"
        "heavy = {'keras', 'tensorflow'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
