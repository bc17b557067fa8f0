"""Several trials at once in one process: each trains as if it were alone, whoever trains beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bandstand_workers.programs.batched_calls import Together


def in_threads(*works: Any) -> list[Any]:
    """What each of some functions returned, or raised, run at the same time."""
    answers: list[Any] = [None] * len(works)

    def run(index: int, work: Any) -> None:
        try:
            answers[index] = work()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            answers[index] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return answers


class Calls:
    """A function that doubles numbers and notes who came together."""

    def __init__(self, seconds: float = 0.0):
        self.groups: list[tuple[Any, list[Any]]] = []
        self._seconds = seconds

    def __call__(self, kind: Any, requests: list[Any]) -> list[Any]:
        self.groups.append((kind, sorted(requests)))
        time.sleep(self._seconds)
        if "bad" in requests:
            raise ValueError("one of them is bad")
        return [2 * request for request in requests]


def test_members_that_call_in_step_share_every_call() -> None:
    calls = Calls()
    together = Together(calls)
    begin = threading.Barrier(3)

    def member(number: int) -> list[int]:
        with together.member():
            begin.wait()
            return [together.ask("train", number + 10 * epoch) for epoch in range(4)]

    answers = in_threads(*(lambda number=number: member(number) for number in range(3)))
    assert answers == [[2 * (number + 10 * epoch) for epoch in range(4)] for number in range(3)]
    assert calls.groups == [("train", [10 * epoch + number for number in range(3)]) for epoch in range(4)]


def test_one_that_lags_behind_holds_the_others_up_for_a_while_only() -> None:
    calls = Calls()
    together = Together(calls)
    with together.member():  # and never calls
        began = time.monotonic()
        with together.member():
            answers = [together.ask("train", number) for number in range(20)]
    assert answers == [2 * number for number in range(20)]
    assert 0.5 < time.monotonic() - began < 10  # a second for the first, little for the others


def test_whoever_leaves_is_not_waited_for() -> None:
    calls = Calls()
    together = Together(calls)
    with together.member():
        pass
    began = time.monotonic()
    with together.member():
        assert together.ask("train", 1) == 2
    assert time.monotonic() - began < 0.5


def test_calls_of_different_kinds_are_made_apart() -> None:
    calls = Calls(0.05)
    together = Together(calls)
    begin = threading.Barrier(4)

    def member(kind: str, number: int) -> Any:
        with together.member():
            begin.wait()
            return together.ask(kind, number)

    kinds = ["train", "validate", "train", "train"]
    answers = in_threads(*(lambda item=item: member(item[1], item[0]) for item in enumerate(kinds)))
    assert answers == [0, 2, 4, 6]
    assert sorted(calls.groups) == [("train", [0, 2, 3]), ("validate", [1])]


def test_an_error_is_raised_in_every_thread_that_took_part_and_the_next_call_works() -> None:
    calls = Calls()
    together = Together(calls)
    begin = threading.Barrier(2)

    def member(request: str) -> Any:
        with together.member():
            begin.wait()
            return together.ask("train", request)

    answers = in_threads(lambda: member("bad"), lambda: member("good"))
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
    with together.member():
        assert together.ask("train", 4) == 8


@pytest.mark.parametrize("members", [1, 2, 7])
def test_threads_that_come_and_go_all_get_their_own_answers(members: int) -> None:
    together = Together(Calls(0.001))

    def member(number: int) -> bool:
        for turn in range(5):
            with together.member():
                for epoch in range(6):
                    request = 1000 * number + 10 * turn + epoch
                    if together.ask(epoch % 2, request) != 2 * request:
                        return False
            time.sleep(0.001 * (number % 3))
        return True

    assert in_threads(*(lambda number=number: member(number) for number in range(members))) == [True] * members


ON_JAX = """
import json, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from bandstand.trials.events import Action
from bandstand.search.protocol import Assignment, Verdict
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training.loaded_study import LoadedStudy

EPOCHS = 4
meeting = None  # where trials wait for each other after their first epoch

def load():
    rng = np.random.default_rng(0)
    x = rng.random((330, 12), dtype="float32")
    y = (x[:, :3] @ np.array([1, 2, -1])).round().astype("int32") % 3
    return {"train": (x[:230], y[:230]), "validation": (x[230:], y[230:])}


def build(params):
    penalty = keras.regularizers.L2(params["l2"])
    layers = [keras.Input((12,)), keras.layers.Dense(params["units"], "relu", kernel_regularizer=penalty)]
    layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(params["dropout"]), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.AdamW(params["rate"], beta_1=params["beta"], weight_decay=params["decay"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def params_of(number):
    rng = np.random.default_rng([1, number])
    return {"units": 8 + 8 * (number % 2), "l2": float(10 ** rng.uniform(-5, -2)),
            "dropout": float(rng.uniform(0.1, 0.5)), "rate": float(10 ** rng.uniform(-3, -1.5)),
            "beta": float(rng.uniform(0.5, 0.95)),
            "decay": float(10 ** rng.uniform(-3, -1))}


class Link:
    def __init__(self, number):
        self.epochs = []
        self.last = 2 if number % 3 == 0 else EPOCHS  # some leave early

    def report(self, measurement, *, wait):
        if meeting and measurement.epoch == 1:
            meeting.wait(60)
        self.epochs.append(dict(measurement.metrics))
        over = measurement.epoch == self.last
        return Verdict(action=Action.STOP if over else Action.CONTINUE, until_epoch=self.last)

    def checkpointed(self, epoch, uri, error):
        assert not error, error  # there may be one, where a training takes long


def curves(trainer, at_once, numbers, seconds_left=None):
    settings = {"name": "at once", "model": "at_once_user:build", "data": "at_once_user:load", "max_epochs": EPOCHS,
                "space": {"unused": {"type": "float", "low": 0.0, "high": 1.0}}, "sampler": "random", "pruner": "none",
                "objective": {"metric": "val_loss", "direction": "minimize"}, "budget": {"trials": 9},
                "trainer": trainer, "resources": {"trials_at_once": at_once}}
    training = LoadedStudy(StudySpec.model_validate(settings))

    def run(number):
        link = Link(number)
        assignment = Assignment(trial=number, attempt=1, params=params_of(number), seed=number, from_epoch=0,
                                until_epoch=link.last)
        outcome = training.run(assignment, link, folder=folder.name, resume_uri=None,
                               seconds_left=seconds_left)
        assert outcome.failure is None, outcome.failure
        assert not outcome.reason_for_fit, outcome.reason_for_fit
        return link.epochs

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(run, numbers)), training.programs


folder = tempfile.TemporaryDirectory()

if __name__ == "__main__":
    sys.modules["at_once_user"] = sys.modules["__main__"]
    from bandstand_workers.programs.jax_program import JaxFunctions

    run, sizes = JaxFunctions._run, []
    JaxFunctions._run = lambda self, wanted, asked: sizes.append(len(asked)) or run(self, wanted, asked)

    found = [curves("fit", 1, range(4)), curves("auto", 1, range(12)), curves("auto", 4, range(12))]
    four = [1, 5, 7, 11]  # of one architecture and full length
    for seconds_left in (None, 600.0):  # with a deadline an epoch is trained in parts
        meeting = threading.Barrier(4, action=sizes.clear)
        found.append([*curves("auto", 4, four, seconds_left), sum(sizes) / len(sizes)])
    print("> " + json.dumps(found))
"""


@pytest.mark.slow
def test_each_trial_trains_on_jax_as_if_it_were_alone(tmp_path: Path) -> None:
    (tmp_path / "at_once_user.py").write_text(ON_JAX)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "at_once_user.py")],
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line[2:] for line in done.stdout.splitlines() if line.startswith("> ")]
    (fits, _), (alone, programs), (together, programs_together), *meeting = json.loads(line)
    assert programs == programs_together == 2  # one for each number of units: all else is a variable
    assert [len(curve) for curve in together] == [2 if number % 3 == 0 else 4 for number in range(12)]
    for ours, theirs in [*zip(together, alone, strict=True), *zip(alone, fits, strict=False)]:
        for mine, other in zip(ours, theirs, strict=True):
            assert mine == pytest.approx(other, rel=2e-4, abs=2e-4)
    assert len({curve[0]["loss"] for curve in alone}) == 12
    for curves, _, trials_a_call in meeting:
        assert trials_a_call > 2  # of the four that went on together
        for ours, theirs in zip(curves, [alone[number] for number in (1, 5, 7, 11)], strict=True):
            for mine, other in zip(ours, theirs, strict=True):
                assert mine == pytest.approx(other, rel=2e-4, abs=2e-4)


def test_several_at_once_are_refused_where_keras_is_not_on_jax() -> None:
    from bandstand.errors import InputError
    from bandstand.study.find_study import find_study
    from bandstand_workers.training.loaded_study import LoadedStudy

    spec = find_study("digits_mlp").spec
    several = spec.model_copy(update={"resources": spec.resources.model_copy(update={"trials_at_once": 2})})
    with pytest.raises(InputError, match=r"trials_at_once above 1 needs Keras on JAX; trainers have tensorflow: set"):
        LoadedStudy(several)
