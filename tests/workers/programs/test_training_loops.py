"""Which loop trains a model, and what both loops owe to callbacks, deadlines and the user's settings."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand.errors import InputError
from bandstand.search.protocol import Assignment, Measurement, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from bandstand_workers.messages import Outcome
from bandstand_workers.programs.xla_choice import MeasuredProgram
from bandstand_workers.training import callbacks, loaded_study
from bandstand_workers.training.loaded_study import LoadedStudy

CODE = """
import keras
import numpy as np

SEEN = []


def load():
    rng = np.random.default_rng(0)
    x = rng.random((500, 8), dtype="float32")
    return {"train": (x[:400], x[:400, :1]), "validation": (x[400:], x[400:, :1])}


def load_datasets(batched=True, repeated=False):
    import tensorflow as tf

    sets = {name: tf.data.Dataset.from_tensor_slices(split) for name, split in load().items()}
    if batched:
        sets = {name: dataset.batch(32) for name, dataset in sets.items()}
    return {name: dataset.repeat() for name, dataset in sets.items()} if repeated else sets


def load_examples():
    return load_datasets(batched=False)


def load_without_end():
    return load_datasets(repeated=True)


def build(params):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse", run_eagerly=params.get("eager", False))
    SEEN.append(model.layers[0].compute_dtype)
    return model


class Unsymbolic(keras.Model):
    # Nothing of it can be described, built ahead or shared: it learns its shape from its first batch.
    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(1)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        raise NotImplementedError


def build_unsymbolic(params):
    model = Unsymbolic()
    model.compile("adam", loss="mse", metrics=["mae"])
    return model


def build_that_breaks_in_a_loop(params):
    model = build(params)
    model.train_step = None
    return model


class Hooks(keras.callbacks.Callback):
    pass


def noting(name):
    return lambda self, *arguments, **named: SEEN.append(name)


for name in ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end"):
    setattr(Hooks, name, noting(name))


class OnBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        SEEN.append("batch")


def hooks():
    return Hooks()


def on_batches():
    return OnBatches()


def saves():
    return keras.callbacks.ModelCheckpoint("unused.keras", save_best_only=True, monitor="absent", mode="min")
"""


class Listener:
    """Lets a training go on to `until`, with a little time for each answer."""

    def __init__(self, until: int, pause: Callable[[], None] = lambda: None):
        self.until = until
        self.pause = pause
        self.reported: list[Measurement] = []

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict:
        self.pause()
        self.reported.append(measurement)
        last = measurement.epoch >= self.until or bool(measurement.ended)
        return Verdict(action=Action.STOP if last else Action.CONTINUE, until_epoch=self.until)

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        assert not error


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib

    (tmp_path / "loops_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "loops_user", raising=False)
    return importlib.import_module("loops_user")


def training_with(**settings: Any) -> LoadedStudy:
    spec = {
        "name": "loops",
        "model": "loops_user:build",
        "data": "loops_user:load",
        "space": {"unused": {"type": "float", "low": 0.0, "high": 1.0}},
        "objective": {"metric": "val_loss", "direction": "minimize"},
        "sampler": "random",
        "pruner": "none",
        "max_epochs": 4,
        "budget": {"trials": 1},
    }
    return LoadedStudy(StudySpec.model_validate(spec | settings))


def train(
    training: LoadedStudy, folder: Path, until: int = 2, number: int = 0, **options: Any
) -> tuple[Outcome, Listener]:
    params = options.pop("params", {})
    listener = Listener(until, options.pop("pause", lambda: None))
    assignment = Assignment(trial=number, attempt=1, params=params, seed=number, from_epoch=0, until_epoch=until)
    outcome = training.run(assignment, listener, folder=str(folder), resume_uri=None, **options)
    assert outcome.failure is None, outcome.failure
    return outcome, listener


def test_both_loops_call_the_hooks_of_an_epoch_in_the_same_order(module: Any, tmp_path: Path) -> None:
    seen = []
    for trainer in ("fit", "compiled"):
        training = training_with(trainer=trainer, callbacks=["loops_user:hooks"])
        module.SEEN.clear()
        train(training, tmp_path)
        seen.append(list(module.SEEN))
    in_fit, in_ours = seen
    assert in_ours == in_fit
    assert in_fit.count("on_epoch_end") == 2


@pytest.mark.parametrize(
    ("settings", "params", "reason"),
    [
        ({"callbacks": ["loops_user:on_batches"]}, {}, "the callback OnBatches acts on batches"),
        ({}, {"eager": True}, "the model is compiled with run_eagerly"),
    ],
)
def test_where_a_compiled_epoch_cannot_be_fit_trains_and_says_why(
    settings: dict[str, Any], params: dict[str, Any], reason: str, module: Any, tmp_path: Path
) -> None:
    outcome, listener = train(training_with(**settings), tmp_path, params=params)
    assert outcome.reason_for_fit is not None and reason in outcome.reason_for_fit
    assert len(listener.reported) == 2


def test_a_model_of_the_users_own_class_without_a_shape_trains_by_programs_too(module: Any, tmp_path: Path) -> None:
    curves = []
    for trainer in ("compiled", "fit"):
        outcome, listener = train(training_with(trainer=trainer, model="loops_user:build_unsymbolic"), tmp_path)
        assert outcome.reason_for_fit is None
        curves.append([measurement.metrics["val_loss"] for measurement in listener.reported])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_what_raises_in_both_loops_is_the_trials_failure(module: Any, tmp_path: Path) -> None:
    training = training_with(model="loops_user:build_that_breaks_in_a_loop")
    assignment = Assignment(trial=0, attempt=1, params={}, seed=0, from_epoch=0, until_epoch=1)
    outcome = training.run(assignment, Listener(1), folder=str(tmp_path), resume_uri=None)
    assert outcome.failure is not None
    assert outcome.failure.kind == "exception"
    assert outcome.failure.message.startswith("TypeError")  # fit's own word, which is the user's to read
    assert training.programs == 0


@pytest.mark.parametrize("loader", ["load_datasets", "load_examples"])
def test_a_tf_data_set_is_the_arrays_it_holds(loader: str, module: Any, tmp_path: Path) -> None:
    curves = []
    for data in ("load", loader):
        _, listener = train(training_with(data=f"loops_user:{data}"), tmp_path)
        curves.append([dict(measurement.metrics) for measurement in listener.reported])
    assert curves[0] == curves[1]


def test_a_tf_data_set_without_end_is_refused(module: Any) -> None:
    with pytest.raises(InputError, match=r"data's split train must end; .* leave repeat\(\) out"):
        training_with(data="loops_user:load_without_end")


def test_compiled_where_it_cannot_be_is_refused_before_the_first_trial(module: Any) -> None:
    with pytest.raises(InputError, match=r"trainer = 'compiled' must be possible; the callback OnBatches acts"):
        training_with(trainer="compiled", callbacks=["loops_user:on_batches"]).check()
    training_with(trainer="auto", callbacks=["loops_user:on_batches"]).check()


def test_a_checkpoint_callback_that_saves_by_the_epoch_does_not_need_fit(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the callback saves
    outcome, _ = train(training_with(callbacks=["loops_user:saves"]), tmp_path)
    assert outcome.reason_for_fit is None


@pytest.mark.parametrize("trainer", ["fit", "compiled"])
def test_the_precision_that_the_users_module_sets_holds_for_every_trial(
    trainer: str, module: Any, tmp_path: Path
) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        training = training_with(trainer=trainer)
        module.SEEN.clear()
        for number in range(12):
            train(training, tmp_path, until=1, number=number)
        assert set(module.SEEN) == {"bfloat16"}
    finally:
        keras.config.set_dtype_policy(before)


class Clock:
    """Time that passes where a test says so, and so does not depend on how busy the machine is."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def passes(self) -> None:
        self.now += 0.05


@pytest.mark.parametrize("trainer", ["fit", "compiled"])
def test_nothing_is_reported_after_the_deadline(
    trainer: str, module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    for part in (loaded_study, callbacks):
        monkeypatch.setattr(part, "time", clock)
    training = training_with(trainer=trainer, max_epochs=10_000)
    _, listener = train(training, tmp_path, until=10_000, number=1, seconds_left=1.0, pause=clock.passes)
    assert clock.now <= 101.1, "it went on after the deadline"
    assert 3 < len(listener.reported) < 25
    assert listener.reported[-1].ended == "budget"


class Timed:
    """A program that takes so long for a step."""

    steps = 10

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.calls = 0

    def begin_epoch(self) -> None:
        pass

    def train(self, order: Any, first_step: int, last_step: int) -> dict[str, float]:
        self.calls += 1
        time.sleep(self.seconds)
        return {}

    def validate(self) -> dict[str, float]:
        return {"seconds": self.seconds}


@pytest.mark.parametrize(("other_seconds", "chosen"), [(0.002, True), (0.08, False)])
def test_xla_is_tried_when_it_may_repay_and_kept_only_where_it_is_faster(other_seconds: float, chosen: bool) -> None:
    plain, other = Timed(0.02), Timed(other_seconds)
    program = MeasuredProgram(plain, lambda: other, after_seconds=0.1)
    order = np.arange(10)
    for _ in range(3):
        program.train(order, 0, 10)
    assert other.calls == 0, "it was tried before training had taken as long as compiling may"
    for _ in range(12):
        program.train(order, 0, 10)
    assert program.uses_other is chosen
    assert program.validate() == {"seconds": other_seconds if chosen else 0.02}
    assert other.calls == (15 - plain.calls)
    assert (other.calls > 5) is chosen


def test_a_program_compiled_by_xla_trains_alike(module: Any) -> None:
    import tensorflow as tf

    from bandstand_workers.programs.tensorflow_program import TensorFlowProgram

    data = module.load()
    train_data, validation = (tuple(tf.constant(part) for part in data[split]) for split in ("train", "validation"))
    logs = []
    for xla in (False, True):
        keras.utils.set_random_seed(1)
        model = module.build({})
        program = TensorFlowProgram(
            model, train_data, validation, batch_size=64, validation_batch_size=64, xla=xla
        )  # the last batch is shorter
        program.begin_epoch()
        first = program.train(np.random.default_rng(0).permutation(400), 0, program.steps)
        logs.append({"loss": first["loss"], "val_loss": program.validate()["loss"]})
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


def test_what_traces_leave_behind_is_let_go(module: Any, tmp_path: Path) -> None:
    from tensorflow.python.framework import ops

    from bandstand_spaces import SEARCH_SPACES

    def left_behind() -> int:
        return sum(name.startswith("CustomGradient-") for name in ops.gradient_registry.list())

    space = SEARCH_SPACES["digits_mlp"]
    training = training_with(
        model="bandstand_workers.models.digits_mlp:build", data="bandstand_workers.datasets.digits:load"
    )
    counts = []
    for number in range(20):
        train(training, tmp_path, until=1, number=number, params=space.sample(np.random.default_rng(number)))
        counts.append(left_behind())
    assert max(counts) > 1, "traces leave nothing behind any more, so this need not be"
    assert min(counts[10:]) == 0
    assert training.programs <= 20
