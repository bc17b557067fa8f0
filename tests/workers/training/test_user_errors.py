"""What is wrong with a user's code is told in one line, with the line of the code and what was probably meant."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand.errors import InputError
from bandstand.search.search import Search
from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import serve_modules, served_folders
from bandstand_workers.training.loaded_study import LoadedStudy
from bandstand_workers.training.user_code.calling import CallbackMaker
from bandstand_workers.training.user_code.errors import essential_line, missing_param, place_of
from bandstand_workers.training.user_code.loading import UnansweredError, answer_no_questions, load_function
from tests.workers.local_link import LocalLink

CODE = """
import keras
import numpy as np

ACTIVATIONS = {"relu": "relu"}


def load():
    draw = np.random.default_rng(3)
    x = draw.random((40, 4), dtype="float32")
    y = np.arange(40) % 2
    return {"train": (x[:20], y[:20]), "validation": (x[20:], y[20:])}


def build(params, inputs=4):
    model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(params["units"]), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def build_with_another_name(params):
    settings = params
    return build(settings | {"units": settings["unit"]})


def build_with_another_table(params):
    return ACTIVATIONS["units_"]


def build_of_one_optimizer(params):
    params["momentum"]
    return build(params)


def build_of_another_shape(params):
    return build(params, inputs=7)


def build_by_names(params):
    return build({**params})


def build_of_a_branch(params):
    if params["units"] > 100:
        raise ValueError(params["depth"])
    return build(params)


def build_from_a_copy(params):
    return build(dict(params, name="x"))


def build_that_raises_somewhere(params):
    if params["units"] % 3 == 0:
        raise ValueError("a multiple of three")
    if params["units"] % 3 == 1:
        raise ValueError("one more")
    raise ValueError("two more")


def build_too_large(params):
    raise MemoryError("too large")


def load_and_exit():
    raise SystemExit("no data today")


def no_callbacks():
    pass


def early_by(params):
    return keras.callbacks.EarlyStopping(patience=params.get("pa" + "tience", 3))


def early_with_params(params):
    return keras.callbacks.EarlyStopping(patience=params["patience"])


def board():
    return keras.callbacks.TensorBoard("{folder}/board")


early = keras.callbacks.EarlyStopping()


def build_and_raise(params):
    raise {0: KeyboardInterrupt, 1: GeneratorExit}[params["units"] % 2]


class Raises(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch, logs=None):
        raise self.error


def raise_exit():
    return Raises(SystemExit(3))


def raise_interrupt():
    return Raises(KeyboardInterrupt())


def raise_generator_exit():
    return Raises(GeneratorExit())
"""


ONE_MORE = {"units": {"type": "int", "low": 1, "high": 9}, "pat" + "ience": {"type": "int", "low": 1, "high": 9}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    serve_modules([str(tmp_path)])
    (tmp_path / "errors_user.py").write_text(textwrap.dedent(CODE))
    sys.modules.pop("errors_user", None)
    yield tmp_path
    served_folders().remove(str(tmp_path))
    sys.path[:] = before


def training(model: str = "build", **settings: Any) -> LoadedStudy:
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "errors",
                "model": f"errors_user:{model}",
                "data": "errors_user:load",
                "space": {
                    "units": {"type": "int", "low": 1, "high": 9},
                    "optimizer": {
                        "type": "categorical",
                        "choices": ["sgd", "adam"],
                        "when": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 1.0}}},
                    },
                },
                "sampler": "random",
                "pruner": "none",
                "max_epochs": 1,
                "budget": {"trials": 8},
            }
            | settings
        )
    )


def refusal(training: LoadedStudy) -> str:
    with pytest.raises(InputError) as refused:
        training.check()
    return str(refused.value)


def line_of(text: str) -> int:
    return 1 + next(number for number, line in enumerate(textwrap.dedent(CODE).splitlines()) if text in line)


def test_a_builder_that_asks_for_what_the_space_has_not_is_refused_with_line_and_name(folder: Path) -> None:
    line = line_of('settings["unit"]')
    assert refusal(training("build_with_another_name")) == (
        f"model must ask for parameters of the space; errors_user.py:{line} asks for 'unit', which the "
        "space does not have: did you mean 'units'?"
    )


def test_a_key_error_of_another_table_is_told_as_what_it_is(folder: Path) -> None:
    line = line_of('ACTIVATIONS["units_"]')
    said = refusal(training("build_with_another_table"))
    assert f"raised KeyError: 'units_' (errors_user.py:{line}) for each of 12 that were tried" in said


def test_a_parameter_that_is_not_active_fails_the_trial_and_says_so(folder: Path, tmp_path: Path) -> None:
    study = training("build_of_one_optimizer")
    study.check()
    messages = []
    search = Search(study.spec)
    while (assignment := search.next()) is not None:
        outcome = study.run(assignment, LocalLink(search, assignment), folder=str(tmp_path / "t"), resume_uri=None)
        if assignment.params["optimizer"] == "adam":
            assert outcome.failure is not None
            messages.append(outcome.failure.message)
            search.fail(assignment.trial, assignment.attempt, outcome.failure.kind, outcome.failure.message)
        else:
            assert outcome.failure is None, outcome
            search.finish(assignment.trial, assignment.attempt)
    assert messages, "no trial drew adam"
    line = line_of('params["momentum"]')
    for message in messages:
        assert message.startswith(f"KeyError: errors_user.py:{line} asks for 'momentum', which is in the space but not")
        assert "optimizer = 'adam': use params.get('momentum')" in message


def test_errors_that_differ_from_params_to_params_are_left_to_the_trials(folder: Path) -> None:
    training("build_that_raises_somewhere").check()


def test_a_model_that_is_too_large_is_left_to_the_trials(folder: Path) -> None:
    training("build_too_large").check()


def test_a_model_that_does_not_fit_the_data_is_told_by_the_line_that_says_why(folder: Path) -> None:
    said = refusal(training("build_of_another_shape"))
    assert said.startswith("model and data must fit together; a batch of x (2, 4), y (2,) raised ValueError: Input 0")
    assert "expected axis -1 of input shape to have value 7" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("callbacks", "says"),
    [
        (
            "no_callbacks",
            "callbacks must work for the params of a trial; 'errors_user:no_callbacks' raised TypeError",
        ),
        ("early_with_params", "callbacks must ask for parameters of the space; errors_user.py:"),
    ],
)
def test_callbacks_that_cannot_be_made_are_refused(callbacks: str, says: str, folder: Path) -> None:
    assert refusal(training(callbacks=[f"errors_user:{callbacks}"])).startswith(says)


def test_a_tensorboard_without_its_package_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    said = refusal(training(callbacks=["errors_user:board"]))
    assert said.startswith("the callback TensorBoard needs packages that write TensorBoard's files; tensorboard is not")
    assert said.endswith('pip install "bandstand[tensorboard]"')


def test_a_callback_in_place_of_a_function_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="'early' is not a function but an object of type EarlyStopping, which all"):
        training(callbacks=["errors_user:early"])


def test_a_loader_that_exits_is_refused_and_ends_no_trainer(folder: Path) -> None:
    with pytest.raises(InputError, match=r"'errors_user:load_and_exit' raised EndedError: .*\(no data today\)"):
        training(data="errors_user:load_and_exit")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import sys\nsys.exit('give a FILE')",
            "it ends the process when it is imported (ends.py:2), by SystemExit: give",
        ),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--out', required=True)\np.parse_args([])",
            "(ends.py:4), by SystemExit: pytest: error: the following arguments are required: --out",
        ),
        ("import json\njson.loads('{')", "JSONDecodeError: Expecting property name enclosed in double quotes"),
        ("\n\nx = unknown", "NameError: name 'unknown' is not defined (ends.py:3): fix the module"),
        ("def f(:\n", "SyntaxError: "),
    ],
)
def test_an_import_that_does_not_end_well_is_told_with_its_line(source: str, says: str, folder: Path) -> None:
    (folder / "ends.py").write_text(source.replace("ArgumentParser()", "ArgumentParser('pytest')"))
    sys.modules.pop("ends", None)
    with pytest.raises(InputError) as refused:
        load_function("model", "ends:build")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nobody_is_asked_for_input_where_a_study_trains(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", input)
    monkeypatch.setattr(sys, "breakpointhook", sys.breakpointhook)
    answer_no_questions()
    (folder / "asks.py").write_text("rows = input('How many? ')\n")
    with pytest.raises(InputError, match=r"UnansweredError: input\(\) is called .* \(asks.py:1\): put what a script"):
        load_function("model", "asks:build")
    with pytest.raises(UnansweredError):
        breakpoint()  # noqa: T100


def key_error(function: Any, *arguments: Any) -> KeyError:
    with pytest.raises(KeyError) as raised:
        function(*arguments)
    error = raised.value
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    return error


def test_the_params_are_known_in_code_without_a_source() -> None:
    names: dict[str, Any] = {}
    source = "OTHER = {'a': 1}\ndef ask(params):\n    p = params\n    return p['unit']\n"
    source += "def ask_other(params):\n    return OTHER['unit']\n"
    source += "def inner(params):\n    return [params['unit'] for _ in '1']\n"
    exec(source, names)
    params = {"units": 3}
    said = "asks for 'unit', which the space does not have: did you mean 'units'?"
    for name in ("ask", "inner"):
        assert said in str(missing_param(key_error(names[name], dict(params)), params, ["units"])), name
    assert missing_param(key_error(names["ask_other"], params), params, ["units"]) is None


def test_the_line_of_an_error_is_the_innermost_of_the_users_own(folder: Path) -> None:
    (folder / "own.py").write_text("import json\n\ndef read():\n    return json.loads('{')\n")
    own = importlib.import_module("own")
    with pytest.raises(ValueError) as raised:
        own.read()
    raised.value.__traceback__ = raised.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert place_of(raised.value) == "own.py:4"


def test_the_line_of_a_message_that_says_why_is_found() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError) as raised:
        model(np.zeros((2, 4), "float32"))
    assert "expected axis -1 of input shape to have value 3" in essential_line(raised.value)
    assert essential_line(ValueError("")) == "no message"


def test_a_callbacks_function_may_be_a_generator(folder: Path) -> None:
    (folder / "makes.py").write_text(
        "import keras\ndef each(*, params, context):\n    yield keras.callbacks.TerminateOnNaN()\n"
    )
    made = CallbackMaker("makes:each").make({"units": 1}, Context(seed=1))
    assert [type(callback).__name__ for callback in made] == ["TerminateOnNaN"]


def test_a_parameter_that_nobody_reads_is_told(folder: Path) -> None:
    name = "wid" + "ht"  # in no source, such as this one
    study = training(space={each: {"type": "int", "low": 1, "high": 9} for each in ("units", name)})
    study.check()
    (remark,) = [each for each in study.inputs().remarks if "reads" in each]
    assert remark == (
        f"no code reads the parameter {name!r}, so its value has no effect; use it in the builder or remove it from "
        "the space"
    )


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("build_by_names", {"space": {"units": ONE_MORE["units"], "bredth": ONE_MORE["units"]}}),
        ("build_from_a_copy", {"space": {"units": ONE_MORE["units"], "bredth": ONE_MORE["units"]}}),
        ("build_of_a_branch", {"space": {"units": ONE_MORE["units"], "depth": ONE_MORE["units"]}}),
        ("build", {"space": ONE_MORE, "callbacks": ["errors_user:early_by"]}),
        ("build", {"space": {"units": ONE_MORE["units"], "bulk": ONE_MORE["units"]}, "batch_size": "bulk"}),
    ],
)
def test_a_parameter_that_somebody_may_read_is_not_told(model: str, settings: dict[str, Any], folder: Path) -> None:
    study = training(model, **settings)
    study.check()
    assert not [each for each in study.inputs().remarks if "reads" in each]


@pytest.mark.parametrize("trainer", ["auto", "fit"])
@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ("raise_exit", "it ends the process (3); leave sys.exit out"),
        ("raise_interrupt", "it raises KeyboardInterrupt, which would end the process; raise another error"),
        ("raise_generator_exit", "it raises GeneratorExit, which would end the process; raise another error"),
    ],
)
def test_a_callback_that_would_end_the_process_fails_its_trial(
    folder: Path, tmp_path: Path, trainer: str, callbacks: str, message: str
) -> None:
    study = training(callbacks=[f"errors_user:{callbacks}"], trainer=trainer)
    search = Search(study.spec)
    search.begin()
    assignment = search.next()
    assert assignment is not None
    outcome = study.run(assignment, LocalLink(search, assignment), folder=str(tmp_path / "t"), resume_uri=None)
    assert outcome.failure is not None
    assert outcome.failure.kind == "exception"
    assert message in outcome.failure.message
    assert f"errors_user.py:{line_of('raise self.error')}" in outcome.failure.message


def test_a_builder_that_would_end_the_process_is_refused(folder: Path) -> None:
    assert "which would end the process; raise another error" in refusal(training("build_and_raise"))
