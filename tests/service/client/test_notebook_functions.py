"""Functions of a notebook: packed with what they use, named by what they are, loaded where they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandstand.errors import InputError
from bandstand.study.study_spec import study_spec_from
from bandstand.submissions import CodeArchive
from tests.service.client.notebooks import IMPORTS, pack_cells, run_cells, run_plainly

BUILD = """
import json
import numpy as np

WIDTH = 3
NAMES = {"one", "two", "three", "four", "five"}
TABLE = np.arange(4.0)


class Layer:
    scale = 2

    def apply(self, x):
        return self.scale * x


def helper(x):
    return Layer().apply(x) * WIDTH


def build(params):
    return json.dumps([helper(params["rate"]), sorted(NAMES), TABLE.sum().item(), "a" in {"a", "b", "c"}])


def load():
    return {"train": helper(1)}


def stop_early():
    return "a callback"
"""
PACK = "packed = pack_study(spec_of(build, load, callbacks=(stop_early,)))"


def refusal_of(call: str) -> str:
    """A cell that prints why a call is refused."""
    return (
        "from bandstand.errors import InputError\n"
        f"try:\n    {call}(spec_of(build, load))\nexcept InputError as error:\n    print('said', error)"
    )


def unpacked(packed, folder: Path) -> Path:
    folder.mkdir()
    CodeArchive(bytes.fromhex(packed["code"])).unpack(folder)
    return folder


def test_functions_of_a_notebook_work_in_a_plain_process_that_has_only_the_archive(tmp_path):
    packed = pack_cells([BUILD, PACK], tmp_path)
    folder = unpacked(packed, tmp_path / "job")
    model, data, callback = packed["model"], packed["data"], packed["callbacks"][0]
    module, name = model.split(":")
    assert name == "build"
    assert module.startswith("bandstand_notebook_")
    assert data == f"{module}:load"
    assert callback == f"{module}:stop_early"
    script = f"import {module} as n; print(n.build({{'rate': 0.5}}), n.load(), n.stop_early())"
    said = run_plainly(script, folder)
    assert said == '[3.0, ["five", "four", "one", "three", "two"], 6.0, true] {\'train\': 6} a callback'
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [f"{module}.pkl", f"{module}.py"]


def test_the_same_cells_have_the_same_name_in_another_process(tmp_path):
    names = {pack_cells([BUILD, PACK], tmp_path, PYTHONHASHSEED=seed)["model"] for seed in ("1", "2", "3")}
    assert len(names) == 1
    moved = pack_cells(["x = 1\n\n\n" + BUILD.replace("WIDTH = 3", "WIDTH = 3  # of the layer"), PACK], tmp_path)
    assert {moved["model"]} == names


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WIDTH = 3", "WIDTH = 4"),
        ("scale = 2", "scale = 3"),
        ("return self.scale * x", "return self.scale + x"),
        ("* WIDTH", "+ WIDTH"),
        ('"five"}', '"six"}'),
        ("arange(4.0)", "arange(5.0)"),
        ('{"a", "b", "c"}', '{"a", "b", "d"}'),
        ('return "a callback"', 'return "another"'),
    ],
)
def test_a_change_of_anything_that_they_use_changes_the_name(before, after, tmp_path):
    assert before in BUILD
    first = pack_cells([BUILD, PACK], tmp_path)
    assert pack_cells([BUILD.replace(before, after), PACK], tmp_path)["model"] != first["model"]


def test_a_study_keeps_the_function_it_was_given_when_the_cell_is_run_again_with_another(tmp_path):
    again = "def build(params):\n    return 'later'"
    packed = pack_cells([BUILD, "spec = spec_of(build, load)", again, "packed = pack_study(spec)"], tmp_path)
    module = packed["model"].split(":")[0]
    said = run_plainly(f"import {module} as n; print(n.build({{'rate': 0.5}}))", unpacked(packed, tmp_path / "job"))
    assert said.startswith("[3.0")


def test_modules_beside_the_notebook_go_along_as_files_and_count(tmp_path):
    (tmp_path / "layers.py").write_text("import deeper\n\ndef double(x):\n    return deeper.FACTOR * x\n")
    (tmp_path / "deeper.py").write_text("FACTOR = 2\n")
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "work.ipynb").write_text("{}")
    cells = ["import layers\ndef build(params):\n    return layers.double(params['rate'])\nload = build",
             "packed = pack_study(spec_of(build, load))"]  # fmt: skip
    packed = pack_cells(cells, tmp_path)
    folder = unpacked(packed, tmp_path / "job")
    module = packed["model"].split(":")[0]
    assert run_plainly(f"import {module} as n; print(n.build({{'rate': 0.5}}))", folder) == "1.0"
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files == {"layers.py", "deeper.py", f"{module}.py", f"{module}.pkl"}
    (tmp_path / "deeper.py").write_text("FACTOR = 3\n")
    assert pack_cells(cells, tmp_path)["model"] != packed["model"]


def test_a_module_that_is_imported_inside_a_function_goes_along_too(tmp_path):
    (tmp_path / "layers.py").write_text("def double(x):\n    return 2 * x\n")
    cells = ["def build(params):\n    from layers import double\n    return double(params['rate'])\nload = build",
             "packed = pack_study(spec_of(build, load))"]  # fmt: skip
    packed = pack_cells(cells, tmp_path)
    module = packed["model"].split(":")[0]
    script = f"import {module} as n; print(n.build({{'rate': 0.5}}))"
    assert run_plainly(script, unpacked(packed, tmp_path / "job")) == "1.0"


def test_another_python_is_told_in_one_line(tmp_path):
    packed = pack_cells([BUILD, PACK], tmp_path)
    folder = unpacked(packed, tmp_path / "job")
    module = packed["model"].split(":")[0]
    script = (
        "import sys\nsys.version_info = (3, 99, 0, 'final', 0)\n"
        f"try:\n    import {module}\nexcept ImportError as error:\n    print(error)"
    )
    said = run_plainly(script, folder)
    assert "need the Python that they were written with, 3." in said
    assert "this is 3.99: use the same one" in said
    assert "\n" not in said


def test_methods_and_functions_made_by_functions_travel(tmp_path):
    cells = [
        "class Hyper:\n    def __init__(self, n):\n        self.n = n\n"
        "    def build(self, hp):\n        return self.n\n"
        "def make(n):\n    def load():\n        return n\n    return load",
        "packed = pack_study(spec_of(Hyper(7).build, make(8)))",
    ]
    packed = pack_cells(cells, tmp_path)
    module = packed["model"].split(":")[0]
    script = f"import {module} as n; print(n.build(None), n.load())"
    assert run_plainly(script, unpacked(packed, tmp_path / "job")) == "7 8"
    other = pack_cells([cells[0], cells[1].replace("(8)", "(9)")], tmp_path)
    assert other["model"] != packed["model"]


def test_what_cannot_be_pickled_is_named(tmp_path):
    lock = "import threading\nlock = threading.Lock()\n"
    cells = [lock + "def build(params):\n    return lock\nload = build", refusal_of("pack_study")]
    done = run_cells([IMPORTS, *cells], tmp_path)
    assert (
        "said a function that is in no module may use only what can be pickled; 'lock', of type lock, cannot be"
        in done.stdout
    )
    assert len(done.stdout.splitlines()) == 1


def test_what_is_too_large_is_named(tmp_path):
    big = "import numpy as np\nimages = np.random.rand(7_000_000)\n"
    cells = [big + "def build(params):\n    return images\nload = build", refusal_of("pack_study")]
    done = run_cells([IMPORTS, *cells], tmp_path)
    assert "at most 50 MB together; got 56 MB, of which 'images' has 56 MB: load it inside the function" in done.stdout


def test_functions_that_no_module_holds_are_refused_where_a_study_comes_as_text(tmp_path):
    settings = {"name": "x", "model": "__main__:build", "data": "a:b", "space": {}, "max_epochs": 1}
    with pytest.raises(InputError, match="model must be in a module if the study is read from text; got '__main__:bu"):
        study_spec_from(settings, "the request")


def test_a_cluster_that_is_joined_directly_refuses_them_with_the_way_out(tmp_path, store):
    functions = "def build(params):\n    return 1\nload = build"
    cells = [functions, "from bandstand import run_study", refusal_of("run_study")]
    environment = {"RAY_ADDRESS": "ray-head:6379", "BANDSTAND_DATABASE_URL": store.database.url}
    done = run_cells([IMPORTS, *cells], tmp_path, **environment)
    assert "said model must be in a module if RAY_ADDRESS names a cluster; 'build' is in none" in done.stdout


MODULE = """
import functools

class Trainer:
    def __init__(self, width, extras=()):
        self.width = width
        self.extras = set(extras)

    def build(self, params):
        return [self.width, params["rate"], sorted(self.extras)]

    __call__ = build


def build(params, width=1):
    return [width, params["rate"], []]


def make(width):
    def inner(params):
        return [width, params["rate"], []]
    return inner
"""


@pytest.mark.parametrize(
    ("model", "other"),
    [
        ("functools.partial(own.build, width=3)", "functools.partial(own.build, width=4)"),
        ("own.Trainer(3, 'abc').build", "own.Trainer(3, 'abd').build"),
        ("own.Trainer(3, 'abc')", "own.Trainer(4, 'abc')"),
        ("own.make(3)", "own.make(4)"),
        ("lambda params: [3, params['rate'], []]", "lambda params: [4, params['rate'], []]"),
        ("functools.partial(own.make(3))", "functools.partial(own.make(4))"),
    ],
)
def test_what_a_module_does_not_hold_under_a_name_is_known_by_what_it_is(model, other, tmp_path):
    (tmp_path / "own.py").write_text(MODULE)
    start = "import functools, own\ndef load():\n    return 1"
    cells = [start, "packed = pack_study(spec_of({}, load))"]

    def packed_as(model, seed):
        return pack_cells([cells[0], cells[1].format(model)], tmp_path, PYTHONHASHSEED=seed)

    first = packed_as(model, "1")
    assert first["model"].startswith("bandstand_notebook_")
    assert {packed_as(model, seed)["model"] for seed in ("2", "3")} == {first["model"]}
    assert packed_as(other, "1")["model"] != first["model"]
    module, name = first["model"].split(":")
    script = f"import {module} as n; print(n.{name}({{'rate': 0.5}})[:2])"
    assert run_plainly(script, unpacked(first, tmp_path / "job")) == "[3, 0.5]"


def test_the_environment_of_this_process_does_not_travel(tmp_path):
    cell = (
        "from os import environ\nimport os\ndef build(params):\n    return environ.get('HOME'), environ is os.environ\n"
        "load = build"
    )
    cells = [cell, "packed = pack_study(spec_of(build, load))"]
    packed = pack_cells(cells, tmp_path, BANDSTAND_TEST_SECRET="hunter2hunter2")
    folder = unpacked(packed, tmp_path / "job")
    assert all(b"hunter2hunter2" not in file.read_bytes() for file in folder.iterdir() if file.is_file())
    module = packed["model"].split(":")[0]
    assert run_plainly(f"import {module} as n; print(n.build({{}})[1])", folder) == "True"
    assert pack_cells(cells, tmp_path, BANDSTAND_TEST_SECRET="another")["model"] == packed["model"]


@pytest.mark.parametrize(
    ("cell", "culprit"),
    [
        ("class Own:\n    def __init__(self):\n        self.lock = threading.Lock()\n    def build(self, params): ...\n"
         "build = Own().build", "'Own.lock', of type lock"),
        ("build = functools.partial(print, threading.Lock())", "'argument 1', of type lock"),
        ("def make(lock):\n    def build(params):\n        return lock\n    return build\n"
         "build = make(threading.Lock())", "'lock', of type lock"),
    ],
)  # fmt: skip
def test_what_cannot_be_pickled_is_named_wherever_it_is_held(cell, culprit, tmp_path):
    cells = [f"import functools, threading\n{cell}\ndef load():\n    return 1", refusal_of("pack_study")]
    done = run_cells([IMPORTS, *cells], tmp_path)
    assert culprit in done.stdout, done.stdout + done.stderr


def test_a_model_in_place_of_a_builder_is_refused(tmp_path):
    class Sequential:
        def fit(self): ...

        def __call__(self): ...

    settings = {"name": "x", "model": Sequential(), "data": "a:b", "space": {}, "max_epochs": 1}
    with pytest.raises(InputError, match=r"model must be a function or its name as module:function, .*got Sequential"):
        study_spec_from(settings, "the study")
