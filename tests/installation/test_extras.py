"""Each extra is held apart: what needs one says so in one line, and what does not need it works without."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import util
from pathlib import Path

import pytest

from bandstand.errors import MissingExtraError
from bandstand.extras import EXTRAS, missing_packages, require, require_module
from bandstand.store.store import Store
from deploy.releasing.packages import distributions_of
from tests.installation.hiding import modules_hidden_beside, run_commands, run_python
from tests.service.client.servers import LoopbackServer

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MOST_PACKAGES = 55
NEED_THE_SERVER = (
    "bandstand.api",
    "bandstand.commands.work.serving",
    "bandstand.commands.work.prompt_requests",
)
NEEDS_THE_DASHBOARD = ("bandstand.optuna_dashboard.dashboard_process",)
NEED_JAX = tuple(
    ".".join(path.relative_to(ROOT / "workers").with_suffix("").parts)
    for path in (ROOT / "workers").rglob("*.py")
    if re.search(r"^(?:import|from) jax\b", path.read_text(), re.MULTILINE)
)


def names_of(extra: str) -> tuple[set[str], set[str]]:
    """The packages that pyproject.toml has for an extra, and the other extras that it includes."""
    packages, included = set(), set()
    for requirement in DECLARED[extra]:
        if found := re.fullmatch(r"bandstand\[([\w,]+)\]", requirement):
            included |= set(found[1].split(","))
        elif ";" not in requirement:
            packages.add(re.split(r"[\[><=]", requirement)[0])
    return packages, included


def modules_of(package: str, *left_out: str) -> list[str]:
    """All modules of a package of ours, but those left out and what is below them."""
    folder = next(ROOT.glob(f"*/{package}"))
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        name = ".".join(parts).removesuffix(".__init__")
        skipped = any(name == each or name.startswith(f"{each}.") for each in left_out)
        if not skipped and "migrations" not in parts and parts[-1] != "__main__":
            found.append(name)
    return found


def importing(*modules: str) -> str:
    return f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\n"


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_table_of_extras_has_what_the_project_declares(extra: str) -> None:
    packages, _ = names_of(extra)
    assert set(EXTRAS[extra].packages) == packages


def test_the_table_leaves_out_only_extras_that_bring_no_module_of_their_own() -> None:
    assert set(DECLARED) - set(EXTRAS) == {"all", "dev", "gpu"}
    assert names_of("all")[1] == set(EXTRAS) - {"dashboard"}  # which workers and server include
    assert "bandstand[all]" in DECLARED["dev"]


@pytest.mark.parametrize("extra", ["jax", "gpu", "tensorboard"])
def test_an_extra_that_is_for_training_brings_what_trains(extra: str) -> None:
    assert "workers" in names_of(extra)[1]


def test_the_base_package_brings_few_packages() -> None:
    assert len(distributions_of()) <= MOST_PACKAGES


def test_every_package_of_an_extra_has_the_module_that_is_looked_for() -> None:
    packages = {package for extra in EXTRAS.values() for package in extra.packages}
    assert missing_packages(sorted(packages)) == []
    assert missing_packages(["no-such-package"]) == ["no-such-package"]


def test_looking_for_a_package_does_not_import_it() -> None:
    done = run_python(
        "from bandstand.extras import EXTRAS, missing_packages\n"
        "names = [name for extra in EXTRAS.values() for name in extra.packages]\n"
        "assert not missing_packages(names)\n"
        "assert not {name.replace('-', '_') for name in names} & set(sys.modules)\n",
        "dev",
    )
    assert done.returncode == 0, done.stderr


def test_a_message_names_three_missing_packages_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as one:
        require("workers", "this")
    assert str(one.value) == (
        'this needs packages that train models; ray is not installed: pip install "bandstand[workers]"'
    )
    for name in ("tensorflow", "keras", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="tensorflow, keras, ray and 1 more are not installed"):
        require("workers", "this")
    assert isinstance(one.value, ImportError)


def test_a_module_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    require_module("tensorflow.no_such_module", "train.py")
    require_module("no_such_module", "train.py")
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(
        MissingExtraError, match=r'^train.py needs .*optuna-dashboard is not .*"bandstand\[dashboard\]"$'
    ):
        require_module("optuna_dashboard.wsgi", "train.py")


def test_the_base_package_imports_nothing_of_any_extra() -> None:
    ours = [*modules_of("bandstand_spaces"), *modules_of("bandstand", *NEED_THE_SERVER, *NEEDS_THE_DASHBOARD)]
    assert len(ours) > 200
    done = run_python(importing(*ours, "bandstand_workers", "bandstand_workers.models", "bandstand_workers.datasets"))
    assert done.returncode == 0, done.stderr


def test_the_server_imports_nothing_of_the_workers() -> None:
    done = run_python(importing(*modules_of("bandstand")), "server")
    assert done.returncode == 0, done.stderr


def test_the_workers_import_nothing_of_the_server_nor_of_jax() -> None:
    ours = modules_of("bandstand_workers", *NEED_JAX)
    done = run_python(importing(*modules_of("bandstand", *NEED_THE_SERVER), *ours), "workers")
    assert done.returncode == 0, done.stderr


def test_without_an_extra_another_ones_modules_are_hidden() -> None:
    """What the tests above stand on."""
    assert {"ray", "tensorflow", "fastapi", "optuna_dashboard", "jax", "pytest"} <= set(modules_hidden_beside())
    assert "numpy" not in modules_hidden_beside()
    assert "ray" not in modules_hidden_beside("workers")
    assert run_python("import fastapi", "workers").returncode != 0
    assert util.find_spec("fastapi") is not None


def test_the_commands_of_the_base_package_work_without_any_extra(
    finished: str, server: LoopbackServer, store: Store, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(store.accounts.create_token("base", "submitter", days=1).text)
    there = ["--url", server.url, "--token-file", str(token)]
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "sent by the base package"\nmodel = "bandstand_workers.models.digits_mlp:build"\n'
        'data = "bandstand_workers.datasets.digits:load"\nmax_epochs = 3\nobjective = "val_accuracy"\n'
        "[budget]\nepochs = 9\n[space]\nunits = {type = 'int', low = 1, high = 9}\n"
    )
    written = {suffix: tmp_path / f"written{suffix}" for suffix in (".html", ".md", ".csv")}
    figure, simulated = tmp_path / "figure.html", tmp_path / "simulated.html"
    commands = [
        ["--help"],
        ["list"],
        ["show", finished],
        ["best", finished],
        ["report", finished, "-o", str(written[".html"])],
        ["report", finished, "-o", str(written[".md"])],
        ["export", finished, "-o", str(written[".csv"])],
        ["figure", finished, "history", "-o", str(figure)],
        ["simulate", str(study), "-w", "2", "--out", str(simulated)],
        ["submit", str(study), *there],
        ["list", *there],
        ["watch", finished, *there],
        ["login", server.url, "--token-file", str(token)],
        ["logout"],
    ]
    for command, said in zip(commands, run_commands(commands), strict=True):
        assert said.code == 0, (command, said)
    for path in (*written.values(), figure, simulated):
        assert path.stat().st_size > 0


WITHOUT = [
    (["run", "digits_mlp"], "`bandstand run`", "workers"),
    (["compare", "digits_mlp"], "`bandstand compare`", "workers"),
    (["demo"], "`bandstand demo`", "workers"),
    (["replay", "mine"], "`bandstand replay`", "workers"),
    (["serve"], "`bandstand serve`", "server"),
    (["dashboard"], "`bandstand dashboard`", "dashboard"),
    (["export", "mine", "-o", "mine.parquet"], "a .parquet file", "parquet"),
    (["figure", "mine", "history", "-o", "mine.svg"], "a .svg file", "images"),
]


def test_a_command_that_needs_an_extra_says_so_in_one_line_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "home"))
    (tmp_path / "train.py").write_text("import keras\n\nstudy = {}\n")
    asked = [*WITHOUT, (["submit", "train.py:study", "--url", "http://127.0.0.1:9"], "train.py", "workers")]
    for (command, who, extra), said in zip(asked, run_commands([each for each, _, _ in asked]), strict=True):
        assert (said.code, said.out) == (2, ""), (command, said)
        assert said.err.startswith(f"bandstand: {who} needs packages that {EXTRAS[extra].purpose}; "), command
        assert f'installed: pip install "bandstand[{extra}]"' in said.err
        assert said.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"train.py"}


def test_a_server_that_runs_studies_needs_what_trains_and_another_one_does_not() -> None:
    said, other = run_commands([["serve"], ["serve", "--no-dispatch", "--host", "0.0.0.0"]], "server")
    assert said.code == 2
    assert said.err.endswith('pip install "bandstand[workers]", or give --no-dispatch, which only answers requests\n')
    assert "--tls-certificate" in other.err  # it has come past the extras
    assert "pip install" not in other.err


def test_python_code_that_needs_an_extra_is_told_so() -> None:
    done = run_python(
        "import os\n"
        "from bandstand import SearchSpace, run_study\n"
        "from bandstand.errors import MissingExtraError\n"
        "import bandstand_workers\n"
        "def build(hp):\n    import keras\n"
        "for ask in (lambda: run_study({}), lambda: bandstand_workers.WarmRestarts,\n"
        "            lambda: SearchSpace.from_keras_tuner(build)):\n"
        "    try:\n        ask()\n"
        "    except ValueError as error:\n        print(error)\n"
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    names = ("run_study", "bandstand_workers.WarmRestarts", "build_model")
    assert [line.split(" needs packages that train models; ")[0] for line in told] == list(names)
    assert all(line.endswith('installed: pip install "bandstand[workers]"') for line in told)


def test_keras_on_jax_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "home"))
    (said,) = run_commands([["run", "digits_mlp"]], "workers")
    assert said.code == 2
    assert said.err.startswith("bandstand: KERAS_BACKEND=jax needs packages that train with JAX; jax is not installed")
    assert not (tmp_path / "home").exists()


def test_the_process_of_workers_says_what_it_needs() -> None:
    done = run_python("sys.argv[1:] = []\nfrom bandstand_workers.__main__ import main\nsys.exit(main())")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("`python -m bandstand_workers` needs packages that train models; ")
