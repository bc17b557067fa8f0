"""The fingerprint of a study's code changes with what trains, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.code_print import code_print
from bandstand.trials.code_fingerprint import changed_parts

PROJECT = {
    "train.py": '''
"""A project."""
import argparse
import numpy as np
from layers import blocks
from layers.consts import *
import reading as r
import plots
from bandstand import run_study

parser = argparse.ArgumentParser()
parser.add_argument("--size", default=3)
args = parser.parse_args()
np.random.seed(1)
print("loaded")

def load():
    return r.read("a.csv")

class Net:
    """A model."""
    def call(self, x):
        return x * WIDTH

def build(params, deep=False):
    """Builds."""
    import activations
    model = Net() if deep else blocks.dense(args.size)
    return activations.wrap(model)

def unused():
    return plots.draw()

if __name__ == "__main__":
    run_study({"name": "a", "budget": {"trials": 3}})
''',
    "reading.py": "def read(file):\n    return clean(file)\n\ndef clean(x):\n    return x\n\ndef write(x):\n    pass\n",
    "layers/__init__.py": "",
    "layers/blocks.py": "from .parts import size\n\ndef dense(n):\n    return size(n)\n\ndef wide(n): return 2*n\n",
    "layers/parts.py": "FACTOR = 2\n\ndef size(n):\n    return n * FACTOR\n",
    "layers/consts.py": "WIDTH = 8\nHEIGHT = 9\n",
    "activations.py": "try:\n    import fast\nexcept ImportError:\n    fast = None\n\ndef wrap(x):\n    return x\n",
    "plots.py": "def draw():\n    return 1\n",
}


def write(folder: Path, **changed: str) -> None:
    for name, text in PROJECT.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(changed.get(name, text))


def printed(folder: Path, **settings: Any) -> Any:
    spec = StudySpec.model_validate(
        {"name": "x", "model": "train:build", "data": "train:load", "max_epochs": 1, "budget": {"trials": 1},
         "space": {"units": {"type": "int", "low": 1, "high": 9}}} | settings
    )  # fmt: skip
    return code_print(spec, [str(folder)])


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("train.py", "deep=False", "deep=True", ["train.py: build"]),
        ("train.py", "return x * WIDTH", "return x", ["train.py: Net"]),
        ("train.py", "seed(1)", "seed(2)", ["train.py: statements at the top"]),
        ("train.py", "default=3", "default=4", ["train.py: statements at the top"]),
        ("train.py", "from layers import blocks", "import other as blocks", ["train.py: blocks"]),
        ("reading.py", "    return x", "    return x + 1", ["reading.py: clean"]),
        ("layers/blocks.py", "return size(n)", "return size(n + 1)", ["layers/blocks.py: dense"]),
        ("layers/parts.py", "FACTOR = 2", "FACTOR = 3", ["layers/parts.py: FACTOR"]),
        ("layers/consts.py", "WIDTH = 8", "WIDTH = 16", ["layers/consts.py: WIDTH"]),
        ("layers/__init__.py", "", "import keras\nkeras.config.set_floatx('float16')\n",
         ["layers/__init__.py: keras", "layers/__init__.py: statements at the top"]),
        ("activations.py", "return x", "return -x", ["activations.py: wrap"]),
    ],
    ids=["def", "class", "statement", "argument", "import", "helper", "package", "constant", "star", "init", "inner"],
)  # fmt: skip
def test_a_change_of_what_trains_is_found_and_named(
    tmp_path: Path, file: str, old: str, new: str, parts: list[str]
) -> None:
    write(tmp_path)
    before = printed(tmp_path)
    assert old in PROJECT[file]
    text = new if not old else PROJECT[file].replace(old, new)
    write(tmp_path, **{file: text})
    found = changed_parts(before, printed(tmp_path))
    assert set(parts) <= set(found)
    assert not [part for part in found if part.split(":")[0] != file and file != "train.py"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("train.py", '"trials": 3', '"trials": 300'),
        ("train.py", '"""Builds."""', '"""Builds a model."""'),
        ("train.py", "def load():", "# the data\n\n\ndef load():"),
        ("train.py", "return plots.draw()", "return 2"),
        ("train.py", 'print("loaded")', 'print("ready")'),
        ("train.py", "import argparse", "import argparse, os"),
        ("reading.py", "    pass", "    return x"),
        ("layers/blocks.py", "2*n", "3*n"),
        ("layers/consts.py", "HEIGHT = 9", "HEIGHT = 10"),
        ("plots.py", "return 1", "return 2"),
    ],
    ids=["main", "docstring", "layout", "unused", "print", "import", "helper", "package", "star", "module"],
)
def test_a_change_of_what_does_not_train_is_none(tmp_path: Path, file: str, old: str, new: str) -> None:
    write(tmp_path)
    before = printed(tmp_path)
    assert old in PROJECT[file]
    write(tmp_path, **{file: PROJECT[file].replace(old, new)})
    assert changed_parts(before, printed(tmp_path)) == []


def test_the_same_project_in_another_folder_has_the_same_fingerprint(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    assert printed(tmp_path / "first") == printed(tmp_path / "second")


def test_a_script_is_read_up_to_the_line_that_starts_the_study(tmp_path: Path) -> None:
    source = "def load():\n    return 1\n\ndef build(params):\n    return 2\n\n"
    source += "result = run_study(budget={budget})\nplot(result)\n"
    (tmp_path / "train.py").write_text(source.format(budget=3))
    before = printed(tmp_path)
    assert set(before.parts) == {"train.py: build", "train.py: load"}
    (tmp_path / "train.py").write_text(source.format(budget=9))
    assert printed(tmp_path) == before


def test_callbacks_belong_to_the_code(tmp_path: Path) -> None:
    write(tmp_path)
    assert "plots.py: draw" in printed(tmp_path, callbacks=["plots:draw"]).parts


def test_what_cannot_be_read_has_no_part_and_what_comes_along_has_none(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def build(:")
    assert printed(tmp_path, data="bandstand_workers.datasets.digits:load").parts == {}


def test_fingerprints_of_two_versions_of_python_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path)
    first = printed(tmp_path)
    other = type(first)(python="3.99", parts=dict.fromkeys(first.parts, "000000000000"))
    assert changed_parts(first, other) == []


EFFECTS = {
    "train.py": """
import effects
import tables
from registry import BUILDERS, register
TABLE = {}
LIST = [1, 2]
for name in ("a", "b"):
    TABLE[name] = 1
last = LIST.pop()
_ = np.random.set_state(1)
print(seeded(4))
start = lambda: run_study({})
if __name__ != "__main__":
    LIMIT = 1
else:
    LIMIT = 2

@register("small")
def build_small(params):
    return 1

def load():
    return LIMIT

def build(params):
    return BUILDERS[params["kind"]](params)
""",
    "effects.py": "import random\n\nrandom.seed(1)\n",
    "tables.py": "import deeper\n",
    "deeper.py": "import os\n\nos.environ['TF_DETERMINISTIC_OPS'] = '1'\n",
    "registry.py": "BUILDERS = {}\n\ndef register(name):\n    return lambda made: BUILDERS.setdefault(name, made)\n",
}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("train.py", "TABLE[name] = 1", "TABLE[name] = 2"),
        ("train.py", "LIST.pop()", "LIST.pop(0)"),
        ("train.py", "set_state(1)", "set_state(2)"),
        ("train.py", "seeded(4)", "seeded(5)"),
        ("train.py", "LIMIT = 1", "LIMIT = 3"),
        ("train.py", "    return 1", "    return 2"),
        ("effects.py", "seed(1)", "seed(2)"),
        ("deeper.py", "'1'", "'0'"),
    ],
    ids=["loop", "method", "setter", "print", "guard", "registered", "import", "import of an import"],
)
def test_what_an_import_does_belongs_to_the_code(tmp_path: Path, file: str, old: str, new: str) -> None:
    def write_all(**changed: str) -> None:
        for name, text in EFFECTS.items():
            (tmp_path / name).write_text(changed.get(name, text))

    write_all()
    before = printed(tmp_path)
    assert old in EFFECTS[file]
    write_all(**{file: EFFECTS[file].replace(old, new, 1)})
    assert changed_parts(before, printed(tmp_path)) != []
