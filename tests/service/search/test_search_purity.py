"""The core imports neither what trains nor what stores; a sampler's package comes when a study with it is made."""

import subprocess
import sys
from pathlib import Path

import pytest

import bandstand.strategies

FOLDER = Path(bandstand.strategies.__file__).parent
FOREIGN = (
    "optuna", "scipy", "skopt", "sklearn", "ray", "keras", "tensorflow", "psycopg", "sqlalchemy", "alembic", "pandas",
    "plotly", "cmaes",
)  # fmt: skip
STRATEGIES = sorted(
    f"bandstand.strategies.{'.'.join(file.relative_to(FOLDER).with_suffix('').parts)}".removesuffix(".__init__")
    for file in FOLDER.rglob("*.py")
    if file != FOLDER / "__init__.py"
)
STUDY = (
    "dict(name='a', model='a:b', data='a:b', max_epochs=3, budget={'epochs': 9}, "
    "space={'x': {'type': 'int', 'low': 0, 'high': 3}}, sampler=%r)"
)


def foreign_modules_after(code):
    """Which of the foreign packages a fresh interpreter has imported after this code."""
    script = f"{code}\nimport sys\nprint(*sorted(set({FOREIGN!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_every_module_of_the_core_imports_nothing_foreign():
    modules = ["bandstand.problem.problem", "bandstand.trials.history", "bandstand.search.search"]
    modules += ["bandstand.store.rows.event_rows", "bandstand.study.study_spec", "bandstand.strategies", *STRATEGIES]
    assert len(modules) > 15
    code = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)"
    assert foreign_modules_after(code) == []


@pytest.mark.parametrize(
    ("sampler", "imported"),
    [("random", []), ("grid", []), ("qmc", []), ("tpe", ["optuna"]), ("gp", ["optuna"]), ("cmaes", ["cmaes"])],
)
def test_a_sampler_s_package_is_imported_when_a_search_with_it_is_made_and_not_before(sampler, imported):
    make_spec = f"from bandstand.study.study_spec import StudySpec\nspec = StudySpec(**{STUDY % sampler})"
    assert foreign_modules_after(make_spec) == []
    make_search = f"{make_spec}\nfrom bandstand.search.search import Search\nsearch = Search(spec)\nsearch.next()"
    assert [
        name for name in foreign_modules_after(make_search) if name in ("optuna", "ray", "keras", "cmaes")
    ] == imported
