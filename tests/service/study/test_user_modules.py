"""Modules of users' own beside ours: who wins a name, what is said where theirs cannot, and scripts without a guard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from bandstand.errors import InputError
from bandstand.running.child_death import end_of_log, ending_of
from bandstand.running.workers_process import workers_environment
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_check import check_modules, clash_notes
from bandstand.study.users_code.needed_modules import needed_modules
from bandstand.study.users_code.user_modules import CodePlace, find_clash, find_clashes, find_hidden_folder, find_module


def write(folder: Path, **files: str) -> Path:
    """A project; `a__b` is b.py in the package a."""
    for name, content in files.items():
        path = folder / Path(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != folder:
            (path.parent / "__init__.py").touch()
        path.write_text(content)
    return folder


def served(folder: Path, code: str, path: str = "") -> Any:
    """What `code` leaves in `found` in a fresh process that serves the modules of a folder."""
    script = (
        f"import json, sys\n{path}\nfrom bandstand.study.users_code.user_modules import *\n"
        f"serve_modules([{str(folder)!r}])\n"
        f"{code}\nprint(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spec_of(model: str) -> StudySpec:
    space = {"x": {"type": "int", "low": 0, "high": 3}}
    settings = {"name": "a", "data": model, "max_epochs": 3, "budget": {"epochs": 9}, "space": space}
    return StudySpec.model_validate(settings | {"model": model})


@pytest.mark.parametrize("name", ["service", "workers", "search_spaces", "study", "store", "test", "utils", "models"])
def test_a_users_module_may_have_any_name_that_nobody_here_needs(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name: "OWN = 1"})
    assert served(tmp_path, f"import {name}\nfound = {name}.OWN") == 1
    assert find_clash(name, [str(tmp_path)]) is None


@pytest.mark.parametrize("name", ["random", "json", "asyncio", "socket", "ray", "keras", "numpy", "yaml", "requests"])
def test_a_users_module_never_takes_the_place_of_one_that_libraries_import(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name: "raise RuntimeError('the user\\'s own was imported')"})
    code = f"import importlib.util\nfound = importlib.util.find_spec({name!r}).origin"
    assert not str(served(tmp_path, code)).startswith(str(tmp_path))
    told = find_clash(name, [str(tmp_path)])
    assert told is not None
    assert told.startswith(f"{tmp_path / name}.py has the name of ")
    assert told.endswith(": rename it")


def test_what_bandstand_stands_on_is_all_that_it_requires_and_what_that_requires() -> None:
    needed = needed_modules()
    assert {"bandstand", "ray", "keras", "tensorflow", "optuna", "skopt", "numpy", "yaml", "google"} <= needed
    assert not {"pytest", "ruff", "hypothesis", "schemathesis"} & needed


def test_an_installed_module_that_nobody_here_needs_does_not_hide_the_users(tmp_path: Path) -> None:
    installed = write(tmp_path / "installed", helpers="WHOSE = 'installed'", plots="WHOSE = 'installed'")
    project = write(tmp_path / "project", helpers="WHOSE = 'own'")
    path = f"sys.path.insert(0, {str(installed)!r})"
    code = "import helpers, plots\nfound = [helpers.WHOSE, plots.WHOSE]"
    assert served(project, code, path) == ["own", "installed"]


def test_a_folder_that_is_no_package_does_not_hide_one(tmp_path: Path) -> None:
    installed = write(tmp_path / "installed", wandb="WHOSE = 'installed'")
    project = tmp_path / "project"
    (project / "wandb").mkdir(parents=True)
    (project / "parts").mkdir()
    (project / "parts" / "one.py").write_text("PART = 1")
    path = f"sys.path.insert(0, {str(installed)!r})"
    code = "import wandb, parts.one\nfound = [wandb.WHOSE, parts.one.PART]"
    assert served(project, code, path) == ["installed", 1]


def test_modules_of_packages_are_found_when_they_are_wanted_and_relative_imports_work(tmp_path: Path) -> None:
    write(
        tmp_path,
        nets__dense="from .sizes import SIZE\ndef size():\n    from nets import late\n    return SIZE + late.X",
    )
    write(tmp_path, nets__sizes="SIZE = 3", nets__late="X = 4")
    assert served(tmp_path, "from nets.dense import size\nfound = size()") == 7


def test_processes_that_the_users_code_starts_find_the_users_modules(tmp_path: Path) -> None:
    write(tmp_path, own="def double(x):\n    return 2 * x", random="raise RuntimeError")
    code = (
        "import multiprocessing, own\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool:\n    found = pool.map(own.double, [1, 2])"
    )
    script = tmp_path / "run.py"  # a script: the child of a `-c` has no main to import
    script.write_text(
        "import json, sys\nif __name__ == '__main__':\n    sys.path.pop(0)\n"
        "    from bandstand.study.users_code.user_modules import serve_modules\n"
        f"    serve_modules([{str(tmp_path)!r}])\n"
        + "".join(f"    {line}\n" for line in code.splitlines())
        + "    print(json.dumps(found))\n"
    )
    done = subprocess.run([sys.executable, "-P", str(script)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[2, 4]\n", 0), done.stderr


def test_a_script_that_starts_a_study_at_its_top_is_imported_up_to_there(tmp_path: Path) -> None:
    above = "from bandstand import run_study\ndef build(params):\n    return 5\n"
    write(tmp_path, tune=f"{above}try:\n    run_study({{}})\nexcept Exception:\n    pass\nBELOW = 1\n")
    write(tmp_path, other="import tune\nAFTER = tune.build(0)")
    code = "import other, tune\nfound = [other.AFTER, tune.build({}), hasattr(tune, 'BELOW')]"
    assert served(tmp_path, code) == [5, 5, False]


def test_a_study_is_started_where_no_script_is_being_imported() -> None:
    from bandstand import run_study

    with pytest.raises(InputError):
        run_study({"name": "nothing else"})


def test_a_module_of_the_study_whose_name_is_anothers_is_refused(tmp_path: Path) -> None:
    write(tmp_path, random="def build(params): ...", ray__nets="def build(params): ...")
    cases = (("random:build", "a module of Python's standard library"), ("ray.nets:build", "an installed package"))
    for model, whose in cases:
        with pytest.raises(InputError, match=rf"must be importable; '{model}' is not: .* has the name of {whose}"):
            check_modules(spec_of(model), [str(tmp_path)])


def test_an_old_name_of_bandstands_own_modules_is_refused_with_the_new_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"write 'bandstand_workers\.models\.digits_mlp:build'"):
        check_modules(spec_of("workers.models.digits_mlp:build"), [str(tmp_path)])
    write(tmp_path, workers__models="def build(params): ...")
    check_modules(spec_of("workers.models:build"), [str(tmp_path)])
    with pytest.raises(InputError, match=r"there is no module 'workers\.parts'"):
        check_modules(spec_of("workers.parts:build"), [str(tmp_path)])


def test_what_the_code_imports_and_does_not_get_is_noted_however_deep(tmp_path: Path) -> None:
    write(tmp_path, train="def build(params):\n    from nets import deep", nets__deep="import random, numpy, own")
    write(tmp_path, random="", own="import ray", ray="", unused="import json", json="")
    notes = clash_notes(spec_of("train:build"), [str(tmp_path)])
    assert [note.split(" has the name of ")[0] for note in notes] == [
        str(tmp_path / "random.py"), str(tmp_path / "ray.py"),
    ]  # fmt: skip
    assert find_clashes("unused", [str(tmp_path)]) == [
        f"{tmp_path / 'json.py'} has the name of a module of Python's standard library: rename it"
    ]


def test_a_module_is_looked_for_where_an_import_finds_it(tmp_path: Path) -> None:
    write(tmp_path, utils="", random="")
    folders = [str(tmp_path)]
    found = {name: find_module(name, folders) for name in ("utils", "random", "sys", "numpy", "nowhere")}
    assert found["nowhere"] is None
    assert found["sys"] is not None
    origins = {name: str(spec.origin) for name, spec in found.items() if spec is not None}
    assert origins["utils"] == str(tmp_path / "utils.py")
    assert not origins["random"].startswith(str(tmp_path))
    assert "site-packages" in origins["numpy"]


def test_workers_get_the_path_of_their_caller_without_the_users_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    monkeypatch.chdir(tmp_path)
    place = CodePlace(folders=(str(tmp_path / "project"),), current_folder=str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["project", "tools", ".", "/opt/parts", ""]))
    assert workers_environment(place)["PYTHONPATH"] == os.pathsep.join([str(tmp_path / "tools"), "/opt/parts"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "PYTHONPATH" not in workers_environment(place)


def test_a_study_that_a_thread_of_the_script_starts_is_not_started_either(tmp_path: Path) -> None:
    above = "from concurrent.futures import ThreadPoolExecutor\nfrom bandstand import run_study\nBUILD = 1\n"
    threads = "with ThreadPoolExecutor(1) as pool:\n    list(pool.map(run_study, [{}]))\n"
    write(tmp_path, tune=f"{above}{threads}BELOW = 1\n")
    assert served(tmp_path, "import tune\nfound = [tune.BUILD, hasattr(tune, 'BELOW')]") == [1, False]


def test_processes_that_run_a_studys_code_start_no_study_nor_do_their_children(tmp_path: Path) -> None:
    code = (
        "import subprocess\nfrom bandstand.study.users_code.user_modules import CodePlace\nCodePlace().enter()\n"
        "child = 'from bandstand import run_study; run_study({})'\n"
        "found = subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stderr"
    )
    assert "run_study must not be called in a process that trains a study" in served(tmp_path, code)


def test_a_folder_of_modules_that_libraries_need_is_not_taken_by_a_users_file(tmp_path: Path) -> None:
    write(tmp_path, google="OWN = 1", train="from google import OWN")
    assert served(tmp_path, "import google.protobuf\nfound = 1") == 1
    assert find_clashes("train", [str(tmp_path)])[0].startswith(
        f"{tmp_path / 'google.py'} has the name of an installed"
    )


def test_a_package_that_only_a_finder_of_its_own_knows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, edited__train="def build(params): ...")

    class Hook:
        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> object:
            return PathFinder.find_spec(name, [str(tmp_path)]) if name == "edited" else None

    with pytest.raises(InputError, match="there is no module"):
        check_modules(spec_of("edited.train:build"), [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook])
    check_modules(spec_of("edited.train:build"), [])


def test_the_end_of_a_log_is_told_in_a_line_whatever_became_of_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert end_of_log(log) == f"its log {log} cannot be read (No such file or directory)"
    log.touch()
    assert end_of_log(log) == f"its log is empty; the log is {log}"
    log.write_bytes(b"one\n\ntwo\xff\n three \nfour\n")
    assert end_of_log(log) == f"its log ends with 'two� | three | four'; the log is {log}"
    log.write_text("\x1b[33m(raylet)\x1b[0m A worker died " + "or was killed " * 100)
    assert "ends with '(raylet) A worker died or was killed" in end_of_log(log)
    assert len(end_of_log(log)) < 250 + len(str(log))
    assert [ending_of(code) for code in (0, 3, -9)] == [
        "ended with code 0",
        "ended with code 3",
        "was killed by SIGKILL",
    ]


def test_a_folder_that_a_package_hides_is_told(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "helpers.py").touch()
    told = find_hidden_folder("test.helpers", [str(tmp_path)])
    assert told is not None
    assert told.startswith(f"the folder {tmp_path / 'test'} has the name of the package at ")
    assert told.endswith(": put an __init__.py into it, or rename it")
    (tmp_path / "test" / "__init__.py").touch()
    assert find_hidden_folder("test.helpers", [str(tmp_path)]) is None
    assert served(tmp_path, "import test.helpers\nfound = test.helpers.__file__") == str(tmp_path / "test/helpers.py")
