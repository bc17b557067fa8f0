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

from bandstand.report.figures import REPORTS
from bandstand.simulation import CURVES
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.strategies.policies.restart_options import RestartOptions
from bandstand.strategies.policies.tune_populations import TunePB2, TunePBT
from bandstand.strategies.samplers.tpe import TPEOptions
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


def test_the_readme_lists_every_sampler_pruner_and_strategy_with_its_summary() -> None:
    readme = (ROOT / "README.md").read_text()
    for registry in (SAMPLERS, PRUNERS, STRATEGIES):
        for name, entry in registry.items():
            assert re.search(rf"^\| `{name}` \| {re.escape(entry.summary)} \|", readme, re.MULTILINE), name


def test_the_readme_lists_every_option_of_the_parzen_estimator() -> None:
    options = ", ".join(f"`{name}`" for name in TPEOptions.model_fields)
    assert f"| `tpe` | {SAMPLERS['tpe'].summary} | {options} |" in (ROOT / "README.md").read_text()


def test_the_readme_lists_every_kind_of_curves_with_its_summary() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, kind in CURVES.items():
        assert f"| `{name}` | {kind.summary} |" in readme, name


def test_the_readme_lists_what_ray_tune_decides_with_its_options() -> None:
    readme = (ROOT / "README.md").read_text()
    for policy in (TunePBT, TunePB2):
        options = ", ".join(f"`{name}`" for name in policy.options.model_fields)
        assert f"| `{policy.name}` | {policy.summary} | {options} |" in readme


def test_the_readme_lists_every_option_of_learning_rate_restarts() -> None:
    section = (ROOT / "README.md").read_text().split("### Learning-rate restarts as a search")[1].split("\n### ")[0]
    table = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(RestartOptions.model_fields)


def test_the_readme_lists_every_figure_of_a_report() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, report in REPORTS.items():
        assert f"| `{name}` | {report.title} | {report.needs} |" in readme, name


def test_the_readme_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = (ROOT / "README.md").read_text().split("### What it is built on")[1].split("\n## ")[0]
    for requirement in project["dependencies"]:
        name = re.split(r"[><=]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}", table), name


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


def test_the_models_and_studies_of_the_readme_work_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from bandstand.study.study_spec import StudySpec, study_spec_from

    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(# train.py\n.*?)```", readme, re.DOTALL)
    study = re.search(r"```toml\n(name = .*?)```", readme, re.DOTALL)
    script = re.search(r"```python\n(# tune.py\n.*?)    result =", readme, re.DOTALL)
    assert code is not None
    assert study is not None
    assert script is not None
    data = "x = y = x_val = y_val = x_test = y_test = None\n"
    (tmp_path / "train.py").write_text(data + code.group(1))
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = study_spec_from(tomllib.loads(study.group(1)), "README")
    module = importlib.import_module("train")
    model = module.build({"units": 16, "learning_rate": 0.01})
    history = model.fit(np.zeros((4, 64)), np.zeros(4), validation_split=0.5, verbose=0).history
    assert spec.objective.metric in history
    names = {"__name__": "__main__"}
    exec(script.group(1), names)
    made = names["study"]
    assert isinstance(made, StudySpec)
    assert (made.model, made.space) == (spec.model, spec.space)
    sys.modules.pop("train")
