"""What users import: these names, each as quick as it can be."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PUBLIC = {
    "bandstand": {
        "BandstandError", "Budget", "Categorical", "Client", "Context", "DataFacts", "Float", "InputError", "Int",
        "InternalError", "Objective", "PassingError", "RemoteComparison", "RemoteStudy", "Resources", "SearchSpace",
        "ServiceError", "StudyFailedError", "StudyResult", "StudySpec", "UserError", "run_study",
    },
    "bandstand_workers": {"LR_SCHEDULES", "CycleSchedule", "RandomRestarts", "TableSchedule", "WarmRestarts"},
    "bandstand_spaces": {
        "SEARCH_SPACES", "Categorical", "FlatParameter", "Float", "Int", "KerasTunerBuilder", "Parameter",
        "SearchSpace", "Value",
    },
}  # fmt: skip
ALSO_PUBLIC = {"bandstand.learning_rates": {"Cycle", "Reset"}}
"""Modules that are plain mathematics, and are imported as such."""
HEAVY = {"jax", "keras", "pandas", "ray", "sklearn", "tensorflow", "torch"}
LIGHT = [f"import {package}" for package in sorted(PUBLIC)] + [
    f"from {package} import {name}" for package in ("bandstand", "bandstand_spaces") for name in sorted(PUBLIC[package])
]


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_the_public_names_of_a_package_are_these(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert set(dir(module)) >= PUBLIC[package]


def test_the_names_of_a_package_are_one_and_the_same_wherever_they_are_imported_from() -> None:
    import bandstand
    import bandstand_spaces
    import bandstand_workers
    from bandstand.study.study_spec import StudySpec
    from bandstand_workers.learning_rates import LR_SCHEDULES

    assert bandstand.StudySpec is StudySpec
    assert bandstand.SearchSpace is bandstand_spaces.SearchSpace
    assert bandstand_workers.LR_SCHEDULES is LR_SCHEDULES


@pytest.mark.parametrize("package", sorted(PUBLIC))
def test_a_wrong_name_is_refused_as_python_does(package: str) -> None:
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'StudySpecs'$"):
        _ = importlib.import_module(package).StudySpecs
    with pytest.raises(ImportError, match=f"cannot import name 'StudySpecs' from '{package}'"):
        exec(f"from {package} import StudySpecs")


@pytest.mark.parametrize("line", LIGHT)
def test_a_fresh_process_gets_a_name_without_keras_ray_or_pandas(line: str) -> None:
    script = f"import sys\n{line}\nheavy = {HEAVY!r} & set(sys.modules)\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_learning_rate_schedule_brings_keras() -> None:
    """So that the test above would notice: these modules are there to be found."""
    script = "import sys\nfrom bandstand_workers import TableSchedule\nassert 'keras' in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], env={"TF_CPP_MIN_LOG_LEVEL": "3"}).returncode == 0


@pytest.mark.parametrize("path", ["README.md", "deploy/README.md", "service/bandstand/api/pages/templates/front.html"])
def test_what_users_are_told_to_import_is_public(path: str) -> None:
    told = re.findall(r"^(?:<pre>)?from (bandstand[\w.]*) import ([\w, ]+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert told or path == "deploy/README.md"
    for module, names in told:
        assert set(names.split(", ")) <= (PUBLIC | ALSO_PUBLIC)[module], (module, names)
