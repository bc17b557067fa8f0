"""Of callbacks a checkpoint keeps what differs from a fresh one, as data; what cannot be data is named."""

from __future__ import annotations

import enum
import itertools
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoints import BestWeights, Checkpoint
from bandstand_workers.training.checkpoints.callback_state import BegunCallback, put_back

PLACE = "study-1/trial-00003/epoch-0004-attempt-1.checkpoint"


class Phase(enum.Enum):
    COLD = 1
    WARM = 2


class OtherPhase(enum.Enum):
    WARM = 2


class Tracker:
    """An object of a user's own, as callbacks hold them."""

    def __init__(self) -> None:
        self.best, self.seen = 1.0, [0]

    def step(self) -> None:
        self.best /= 2
        self.seen.append(len(self.seen))


class WithSlots:
    __slots__ = ("count", "missing")

    def __init__(self) -> None:
        self.count = 0


@dataclass(frozen=True)
class Result:
    epoch: int = 0
    loss: float = float("inf")


@dataclass(slots=True)
class Nested:
    result: Result = field(default_factory=Result)
    tracker: Tracker = field(default_factory=Tracker)


NOTHING_YET = Result()


class Everything(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Holds what may be held."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(1)
        self.generator = np.random.default_rng(2)
        self.legacy = np.random.RandomState(3)
        self.tracker = Tracker()
        self.slots = WithSlots()
        self.result = NOTHING_YET
        self.nested = Nested()
        self.phase = Phase.COLD
        self.window: deque[float] = deque(maxlen=2)
        self.schedule = lambda epoch: 0.1 / (epoch + 1)
        self.compare: Any = None
        self.lock = threading.Lock()
        self.log = logging.getLogger("everything")
        self.inner = keras.callbacks.EarlyStopping(patience=7)
        self.variable = np.zeros(3)

    def step(self) -> None:
        """What an epoch does to it."""
        self.tracker.step()
        self.slots.count += 1
        self.result = Result(self.result.epoch + 1, 0.5)
        self.nested.tracker.step()
        self.nested.result = Result(3, 0.25)
        self.phase = Phase.WARM
        self.window.append(self.rng.random())
        self.variable += self.generator.normal(size=3) + self.legacy.normal(size=3)
        self.compare = keras.ops.less
        self.inner.wait, self.inner.best_weights = 5, [np.ones(2), np.zeros((2, 2), "float16")]

    def outlook(self) -> list[Any]:
        """All that must go on, the next draws among it."""
        draws = [self.rng.random(), *self.generator.normal(size=2), *self.legacy.normal(size=2)]
        parts = [self.tracker.best, self.tracker.seen, self.slots.count, self.result, self.nested.result]
        parts += [self.nested.tracker.seen, self.phase, list(self.window), self.window.maxlen, self.variable.tolist()]
        weights = [array.tolist() for array in self.inner.best_weights or []]
        return [*draws, *parts, self.compare, self.inner.wait, self.inner.patience, weights]


def written(*states: Any) -> list[Any]:
    """The states as they come out of a file."""
    checkpoint = Checkpoint(epoch=4, variables=[], optimizer=[], callbacks=list(states), best=BestWeights())
    return checkpoints.decode(checkpoints.encode(checkpoint, PLACE), PLACE).callbacks


def resumed(begun: BegunCallback, fresh: Any) -> Any:
    """A fresh callback with the state of one that has gone on."""
    state = begun.state()
    assert not state.obstacle
    put_back(written(state)[0], fresh)
    return fresh


def test_all_that_a_callback_may_hold_goes_on_where_it_stood() -> None:
    callback = Everything()
    begun = BegunCallback(callback)
    for _ in range(3):
        callback.step()
    again = resumed(begun, Everything())
    assert again.outlook() == callback.outlook()
    callback.step(), again.step()
    assert again.outlook() == callback.outlook()


def test_a_state_does_not_change_with_its_callback() -> None:
    callback = Everything()
    begun = BegunCallback(callback)
    callback.step()
    state, expected = begun.state(), callback.variable.tolist()
    callback.step()
    again = Everything()
    put_back(state, again)
    assert again.variable.tolist() == expected != callback.variable.tolist()


def test_fields_go_into_the_fresh_callback_s_own_objects_but_for_frozen_ones_which_others_may_hold() -> None:
    callback = Everything()
    begun = BegunCallback(callback)
    callback.step()
    fresh = Everything()
    tracker, rng = fresh.tracker, fresh.rng
    resumed(begun, fresh)
    assert (fresh.tracker, fresh.rng) == (tracker, rng)
    assert fresh.result == callback.result == Result(1, 0.5)
    assert NOTHING_YET.epoch == 0


def test_a_callback_that_has_not_changed_has_no_state() -> None:
    callback = Everything()
    begun = BegunCallback(callback)
    callback.tracker, callback.result = callback.tracker, Result()
    state = begun.state()
    assert (state.changes, state.arrays, state.obstacle) == ({}, [], "")


class OneValue(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    def __init__(self, value: Any = None):
        super().__init__()
        self.value = value


def cyclic() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def doubled(depth: int) -> Any:
    structure: Any = (1,)
    for _ in range(depth):
        structure = (structure, structure)
    return structure


def deep(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


SHARED = [1]
NO_DATA: dict[str, Callable[[], Any]] = {
    "a lambda": lambda: lambda: 1,
    "an open file": lambda: Path("/dev/null").open(),  # noqa: SIM115
    "an iterator": lambda: iter([1]),
    "a lock": threading.Lock,
    "a class": lambda: Tracker,
    "an object where there was none": Tracker,
    "an object in a list": lambda: [Tracker()],
    "a list in two places": lambda: [SHARED, SHARED],
    "a list that holds itself": cyclic,
    "a tuple that doubles without end": lambda: doubled(60),
    "a deep list": lambda: deep(400),
    "an array of objects": lambda: np.array([None, "a"], dtype=object),
    "a record array": lambda: np.zeros(2, "i4,f4"),
    "an enumeration where there was none": lambda: Phase.WARM,
    "an enumeration in a list": lambda: [Phase.WARM],
    "a factory of one's own": lambda: __import__("collections").defaultdict(lambda: 3),
    "an exception": lambda: ValueError("no"),
    "a layer among numbers": lambda: [1, keras.layers.Dense(1)],
}


@pytest.mark.parametrize("what", NO_DATA)
def test_what_cannot_be_data_is_named_and_the_whole_callback_begins_anew(what: str) -> None:
    callback = OneValue()
    callback.counter = 0
    begun = BegunCallback(callback)
    callback.counter, callback.value = 5, NO_DATA[what]()
    state = begun.state()
    assert (state.obstacle, state.changes, state.arrays) == ("OneValue.value", {}, [])
    fresh = OneValue()
    put_back(written(state)[0], fresh)
    assert fresh.value is None
    assert not hasattr(fresh, "counter")


@pytest.mark.parametrize("what", [what for what in NO_DATA if what != "an iterator"])
def test_what_is_no_data_and_stays_the_same_is_no_state(what: str) -> None:
    callback = OneValue(NO_DATA[what]())
    begun = BegunCallback(callback)
    callback.counter = 5
    state = begun.state()
    assert (state.obstacle, list(state.changes)) == ("", ["counter"])


def test_an_iterator_goes_on_though_it_stays_the_same_object() -> None:
    callback = OneValue(itertools.count())
    begun = BegunCallback(callback)
    next(callback.value)
    assert begun.state().obstacle == "OneValue.value"


def test_an_object_in_a_list_that_changes_is_noticed_though_it_stays_the_same_object() -> None:
    callback = OneValue([Tracker()])
    begun = BegunCallback(callback)
    callback.value[0].step()
    assert begun.state().obstacle == "OneValue.value"


def test_an_obstacle_within_an_object_is_named_by_its_way() -> None:
    callback = OneValue(Tracker())
    begun = BegunCallback(callback)
    callback.value.best = threading.Lock()
    assert begun.state().obstacle == "OneValue.value.best"


def test_a_member_of_another_enumeration_is_no_data() -> None:
    callback = OneValue(Phase.COLD)
    begun = BegunCallback(callback)
    callback.value = OtherPhase.WARM
    assert begun.state().obstacle == "OneValue.value"


def test_functions_made_by_the_same_code_with_the_same_around_it_are_the_same() -> None:
    def made(factor: float) -> Any:
        return lambda epoch: factor * epoch

    factor = 0.5
    callback = OneValue(made(factor))
    begun = BegunCallback(callback)
    callback.value = made(factor)
    assert not begun.state().obstacle
    callback.value = made(0.25)
    assert begun.state().obstacle == "OneValue.value"


def test_links_to_the_model_are_no_state() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    callback = OneValue()
    begun = BegunCallback(callback)
    callback.set_model(model)
    callback.set_params({"epochs": 3})
    callback.value, callback.optimizer = model, model.optimizer
    callback.layers, callback.kernels = model.layers, [layer.kernel for layer in model.layers]
    callback.by_name = {layer.name: layer for layer in model.layers}
    state = begun.state()
    assert (state.changes, state.obstacle) == ({}, "")


def test_tensors_and_variables_of_the_backend_go_on() -> None:
    import tensorflow as tf

    callback = OneValue(tf.Variable([1.0, 2.0]))
    begun = BegunCallback(callback)
    callback.value.assign_add([1.0, 1.0])
    callback.average = keras.ops.convert_to_tensor(np.array([0.5], "float16"))
    fresh = OneValue(tf.Variable([1.0, 2.0]))
    variable = fresh.value
    resumed(begun, fresh)
    assert fresh.value is variable
    assert variable.numpy().tolist() == [2.0, 3.0]
    assert keras.ops.is_tensor(fresh.average)
    assert (fresh.average.dtype, fresh.average.numpy().tolist()) == ("float16", [0.5])


@pytest.mark.parametrize(
    "changes",
    [
        {"on_epoch_end": {"value": 1, "arrays": 0}},
        {"model": {"value": 1, "arrays": 0}},
        {"_model": {"value": 1, "arrays": 0}},
        {"__class__": {"value": 1, "arrays": 0}},
        {"__dict__": {"value": {"is": "dict", "of": []}, "arrays": 0}},
        {"no name": {"value": 1, "arrays": 0}},
        {"value": {"fields": {"state": {"value": 1, "arrays": 0}}}},
        {"value": {"value": {"is": "array", "of": 3}, "arrays": 0}},
        {"value": {"value": {"is": "function", "of": "os.system"}, "arrays": 0}},
        {"value": {"value": {"is": "enum", "of": "WARM"}, "arrays": 0}},
        {"value": {"value": {"is": "defaultdict", "of": [], "factory": "eval"}, "arrays": 0}},
        {"value": {"value": {"is": "set", "of": [[]]}, "arrays": 0}},
        {"value": {"value": {"is": "surprise", "of": 1}, "arrays": 0}},
        {"value": {"value": {}, "arrays": 0}},
        {"value": 3},
    ],
    ids=str,
)
def test_a_forged_state_is_refused(changes: dict[str, Any]) -> None:
    state = checkpoints.CallbackState(name="OneValue", changes=changes, arrays=[])
    callback = OneValue()
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        put_back(written(state)[0], callback)
    assert callback.value is None
    assert callable(callback.on_epoch_end)
