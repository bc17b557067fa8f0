"""What the sources of a study's modules say for certain is told without importing them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bandstand.errors import InputError
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.source_check import check_source, source_notes

LOAD = "import a_package_that_takes_long\n\ndef load():\n    return {}\n\n"


def checked(folder: Path, source: str, **settings: Any) -> list[str]:
    """The notes; `InputError` where the study is refused."""
    (folder / "train.py").write_text(LOAD + source)
    spec = StudySpec.model_validate(
        {"name": "x", "model": "train:build", "data": "train:load", "max_epochs": 1, "budget": {"trials": 1},
         "space": {"units": {"type": "int", "low": 1, "high": 9}, "rate": {"type": "float", "low": 0, "high": 1}}}
        | settings
    )  # fmt: skip
    check_source(spec, [str(folder)])
    return source_notes(spec, [str(folder)])


def refusal(folder: Path, source: str, **settings: Any) -> str:
    with pytest.raises(InputError) as refused:
        checked(folder, source, **settings)
    return str(refused.value)


def test_a_function_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    said = refusal(tmp_path, "def built(params):\n    return 1\n")
    assert said == "model must name a function; train (train.py) has no 'build', only load, built"


@pytest.mark.parametrize(
    "source",
    [
        "def build(params): ...",
        "class build: ...",
        "build = make()",
        "if True:\n    def build(params): ...",
        "try:\n    from fast import build\nexcept ImportError:\n    build = None",
        "from elsewhere import build",
        "from elsewhere import other as build",
        "from elsewhere import *",
        "with x() as build: ...",
        "def install():\n    global build\n    build = 1\ninstall()",
        "globals()['build'] = 1",
        "def __getattr__(name): ...",
        "first, (build, second) = make()",
        "for build in makers: ...",
        "(build := 3)",
    ],
)
def test_whatever_may_bind_the_name_is_left_to_the_import(source: str, tmp_path: Path) -> None:
    assert checked(tmp_path, source) == []


def test_an_import_is_followed_to_the_users_own_module(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("from .dense import build\n")
    (tmp_path / "nets" / "dense.py").write_text("def build(params):\n    return params['unit']\n")
    assert "dense.py:2 asks for 'unit', which the space does not have: did you mean 'units'?" in refusal(
        tmp_path, "from nets import build\n"
    )
    (tmp_path / "nets" / "dense.py").write_text("def built(params): ...\n")
    assert "nets.dense (dense.py) has no 'build', only built" in refusal(tmp_path, "from nets import build\n")


def test_a_source_that_does_not_parse_is_told_with_its_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, "def build(params:\n    return 1\n")
    assert said.startswith("model must be importable; 'train:build' is not: SyntaxError: ")
    assert "(train.py:6)" in said


@pytest.mark.parametrize(
    "body",
    [
        "return params['unit']",
        "a = 1\n    b = [params['units'], params['unit']]\n    return b",
        "if params['rate'] > 1:\n        a = 1\n    return f(params['unit'])",
        "model = Sequential()\n    model.add(Dense(params['unit'], name=params.get('name')))",
    ],
)
def test_a_parameter_that_any_call_asks_for_in_vain_is_refused(body: str, tmp_path: Path) -> None:
    said = refusal(tmp_path, f"def build(params, context=None):\n    {body}\n")
    assert said.startswith("model must ask for parameters of the space; train.py:")
    assert said.endswith(" asks for 'unit', which the space does not have: did you mean 'units'?")


@pytest.mark.parametrize(
    "body",
    [
        "return params['unit'] if deep else 1",
        "if deep:\n        return params['unit']\n    return 2",
        "if deep:\n        return 1\n    return params['unit']",
        "fill_in(params)\n    return params['unit']",
        "return [params['unit'] for _ in range(n)]",
        "return deep and params['unit']",
    ],
)
def test_one_that_only_some_calls_ask_for_is_told_and_left_to_them(body: str, tmp_path: Path) -> None:
    notes = checked(tmp_path, f"def build(params):\n    {body}\n")
    assert [note.partition(" ")[2] for note in notes] == [
        "asks for 'unit', which the space does not have: did you mean 'units'?"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "params = DEFAULTS | params\n    return params['unit']",
        "params['unit'] = 3\n    return params['unit']",
        "params.update(unit=3)\n    return params['unit']",
        "if 'unit' in params:\n        return params['unit']",
        "try:\n        return params['unit']\n    except KeyError:\n        return 1",
        "with contextlib.suppress(KeyError):\n        return params['unit']",
        "return params.get('unit', 3)",
        "return other['unit']",
        "return map(lambda params: params['unit'], x)",
        "return params[name]",
        "return params['units']",
    ],
)
def test_code_that_may_know_better_is_let_be(body: str, tmp_path: Path) -> None:
    assert checked(tmp_path, f"def build(params):\n    {body}\n") == []


def test_what_a_decorator_or_keras_tuner_gives_is_not_judged(tmp_path: Path) -> None:
    assert checked(tmp_path, "@cached\ndef build(params):\n    return params['unit']\n") == []
    assert checked(tmp_path, "def build(hp):\n    return hp['unit']\n") == []


def test_callbacks_that_need_tensorboard_are_refused_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def build(params): ...\ndef log(context):\n    return [keras.callbacks.TensorBoard('{folder}')]\n"
    monkeypatch.setattr("bandstand.study.users_code.source_check.find_module", lambda *_: None)
    said = refusal(tmp_path, source, callbacks=["train:log"])
    assert said.endswith('tensorboard is not installed: pip install "bandstand[tensorboard]" (train.py:8)')
    sometimes = source.replace("return [", "return [] if quiet else [")
    assert checked(tmp_path, sometimes, callbacks=["train:log"]) == []
    monkeypatch.setattr("bandstand.study.users_code.source_check.find_module", lambda *_: object())
    assert checked(tmp_path, source, callbacks=["train:log"]) == []


def test_modules_of_bandstand_itself_pass() -> None:
    from bandstand.study.find_study import built_in_studies, find_study

    for name in built_in_studies():
        spec = find_study(name).spec
        check_source(spec, [str(Path(__file__).parents[3] / "workers")])
        assert source_notes(spec, [str(Path(__file__).parents[3] / "workers")]) == []


def test_the_check_answers_in_a_second_and_without_keras(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LOAD + "def build(params):\n    return params['unit']\n")
    (tmp_path / "study.toml").write_text(
        'name = "static"\nmodel = "train:build"\ndata = "train:load"\nmax_epochs = 1\nbudget = { trials = 1 }\n'
        '[space]\nunits = { type = "int", low = 1, high = 9 }\n'
    )
    script = (
        "import sys\n"
        "from bandstand.study.users_code.source_check import check_source\n"
        "from bandstand.study.find_study import find_study\n"
        "try:\n    check_source(find_study('study.toml').spec, ['.'])\nexcept ValueError as error:\n    print(error)\n"
        "assert not {'keras', 'tensorflow', 'ray', 'a_package_that_takes_long'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "asks for 'unit'" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
