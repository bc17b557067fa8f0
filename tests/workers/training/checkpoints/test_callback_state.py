"""Of callbacks a checkpoint keeps what differs from a fresh one, as data; what cannot be data is named."""

from __future__ import annotations

import array
import enum
import io
import itertools
import logging
import queue
import random
import threading
from collections import ChainMap, UserDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import keras
import numpy as np
import pandas
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


class Mode(enum.Flag):
    FAST = 1
    QUIET = 2


class Best(NamedTuple):
    loss: float
    epoch: int


class OtherBest(NamedTuple):
    loss: float
    epoch: int


class Loss(float):
    """A number of a class of its own."""


class OwnList(list):  # type: ignore[type-arg]
    """A list of a class of its own."""


class AttributeDict(dict):  # type: ignore[type-arg]
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Unwilling(list):  # type: ignore[type-arg]
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("not to be pickled")


class SimpleTracker:
    """An object that is given what it holds."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows


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
    assert (state.changes, state.arrays, state.obstacle) == ({}, [], None)


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
    assert (state.obstacle, list(state.changes)) == (None, ["counter"])


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


def small_model() -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    model.compile("adam", "mse", metrics=[keras.metrics.MeanAbsoluteError()])
    model.fit(np.zeros((2, 2)), np.zeros((2, 3)), verbose=0)
    return model


def test_links_to_the_model_are_no_state() -> None:
    model, callback = small_model(), OneValue()
    callback.set_model(model)
    callback.value, callback.optimizer, callback.metrics = model, model.optimizer, model.metrics
    callback.layers, callback.kernels = model.layers, [layer.kernel for layer in model.layers[:1]]
    callback.by_name = {layer.name: layer for layer in model.layers}
    callback.rate, callback.seed = model.optimizer.learning_rate, model.layers[1].seed_generator
    begun = BegunCallback(callback)
    model.fit(np.ones((2, 2)), np.ones((2, 3)), verbose=0)
    callback.layers = list(model.layers)
    callback.set_params({"epochs": 3})
    state = begun.state()
    assert (state.changes, state.obstacle) == ({}, None)


LAYER = keras.layers.Dense(1)
CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a layer that is chosen": (lambda: None, lambda callback: setattr(callback, "value", LAYER)),
    "a layer that is added to a list": (list, lambda callback: callback.value.append(LAYER)),
    "an attribute that is deleted": (lambda: 1, lambda callback: delattr(callback, "value")),
    "a second name of an object": (lambda: None, lambda callback: setattr(callback, "value", callback.tracker)),
    "a number of one's own class": (lambda: Loss(9.0), lambda callback: setattr(callback, "value", Loss(0.5))),
    "named tuples in a list": (list, lambda callback: callback.value.append(Best(0.5, 1))),
    "a named tuple where there was none": (lambda: None, lambda callback: setattr(callback, "value", Best(0.5, 1))),
    "a tuple where there was a named one": (lambda: OtherBest(1, 2), lambda c: setattr(c, "value", Best(1, 2))),
    "a time in a named zone": (lambda: None, lambda c: setattr(c, "value", datetime.now(ZoneInfo("Europe/Berlin")))),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_difference_that_is_no_data_is_never_passed_over(what: str) -> None:
    make, change = CHANGES[what]
    callback = OneValue(make())
    callback.tracker = Tracker()
    begun = BegunCallback(callback)
    assert begun.state().obstacle is None
    change(callback)
    assert begun.state().obstacle == "OneValue.value"


IN_PLACE: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a dict that answers as an object": (lambda: AttributeDict(n=0), lambda value: value.update(n=5)),
    "a list of one's own class": (OwnList, lambda value: value.append(5)),
    "a UserDict": (UserDict, lambda value: value.update(n=5)),
    "a ChainMap": (lambda: ChainMap({}), lambda value: value.update(n=5)),
    "a namespace": (lambda: SimpleNamespace(n=0), lambda value: setattr(value, "n", 5)),
    "a namespace in a dict": (lambda: {"a": SimpleNamespace(n=0)}, lambda value: setattr(value["a"], "n", 5)),
    "an object in a namespace": (lambda: SimpleNamespace(of=Tracker()), lambda value: value.of.step()),
    "an array of the standard library": (lambda: array.array("d"), lambda value: value.append(5)),
    "a queue": (queue.Queue, lambda value: value.put(5)),
    "a text being written": (io.StringIO, lambda value: value.write("x")),
    "a record array": (lambda: np.zeros(2, "i4,f4"), lambda value: value["f0"].__setitem__(0, 5)),
    "an array of objects": (lambda: np.zeros(2, object), lambda value: value.__setitem__(0, 5)),
    "a masked array": (lambda: np.ma.zeros(2), lambda value: value.__setitem__(0, 5)),
    "a table": (lambda: pandas.DataFrame({"a": [1.0]}), lambda value: value.loc.__setitem__(0, [5.0])),
    "a variable in a list": (lambda: [keras.Variable(0.0)], lambda value: value[0].assign(5.0)),
    "what cannot be pickled": (Unwilling, lambda value: value.append(5)),
}


@pytest.mark.parametrize("what", IN_PLACE)
def test_what_is_no_data_and_changes_in_place_is_noticed(what: str) -> None:
    make, change = IN_PLACE[what]
    callback = OneValue(make())
    begun = BegunCallback(callback)
    assert begun.state().obstacle is None
    change(callback.value)
    assert begun.state().obstacle == "OneValue.value"


def test_a_table_that_is_only_read_does_not_change() -> None:
    callback = OneValue(pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))
    begun = BegunCallback(callback)
    callback.value.groupby("b")["a"].sum(), callback.value.loc[0], callback.value["a"].describe()
    assert begun.state().obstacle is None


def test_of_what_is_huge_and_no_data_only_the_beginning_is_looked_at() -> None:
    callback = OneValue(SimpleNamespace(n=0, rows=bytearray(1 << 25)))
    begun = BegunCallback(callback)
    callback.value.rows[-1] = 1
    assert begun.state().obstacle is None
    callback.value.n = 5
    assert begun.state().obstacle == "OneValue.value"


ALIASES: dict[str, Callable[[], tuple[Any, Any, Callable[[Any], Any]]]] = {
    "a list": lambda: (rows := [0], rows, lambda value: value.append(1)),
    "a dict in an object's field": lambda: (rows := {}, SimpleTracker(rows), lambda value: value.update(a=1)),
    "a list in an object in a list": lambda: (rows := [0], [SimpleTracker(rows)], lambda value: value.append(1)),
    "an array": lambda: (rows := np.zeros(4), rows, lambda value: value.fill(1)),
    "an array and a view of it": lambda: (rows := np.zeros(4), rows[1:3], lambda value: value.fill(1)),
    "bytes that change": lambda: (rows := bytearray(b"a"), rows, lambda value: value.append(1)),
}


@pytest.mark.parametrize("what", ALIASES)
def test_one_thing_in_two_places_of_a_callback_never_becomes_two(what: str) -> None:
    value, other, change = ALIASES[what]()
    callback = OneValue(value)
    callback.other = other
    begun = BegunCallback(callback)
    assert begun.state().obstacle is None
    change(value)
    assert begun.state().obstacle in ("OneValue.value", "OneValue.other")


def test_parts_of_an_array_that_do_not_overlap_are_data() -> None:
    callback, fresh = OneValue(), OneValue()
    begun = BegunCallback(callback)
    callback.value = np.split(np.arange(4), 2)
    assert [part.tolist() for part in resumed(begun, fresh).value] == [[0, 1], [2, 3]]


def test_a_named_tuple_takes_the_place_of_one_of_its_class() -> None:
    callback, fresh = OneValue(Best(9.0, 0)), OneValue(Best(9.0, 0))
    begun = BegunCallback(callback)
    callback.value = Best(0.5, 3)
    resumed(begun, fresh)
    assert (type(fresh.value), fresh.value) == (Best, Best(0.5, 3))


def test_several_flags_at_once_come_back() -> None:
    callback, fresh = OneValue(Mode.FAST), OneValue(Mode.FAST)
    begun = BegunCallback(callback)
    callback.value = Mode.FAST | Mode.QUIET
    assert resumed(begun, fresh).value is Mode.FAST | Mode.QUIET


def test_fields_of_an_own_object_may_have_the_names_of_keras_s_links() -> None:
    callback, fresh = OneValue(Tracker()), OneValue(Tracker())
    begun = BegunCallback(callback)
    callback.value.params, callback.value.model, callback.value.validation_data = [np.ones(2)], "small", 3
    resumed(begun, fresh)
    assert (fresh.value.params[0].tolist(), fresh.value.model, fresh.value.validation_data) == ([1, 1], "small", 3)


class Raising:
    """Answers whatever is asked by raising."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("no pickle")


class RaisingSlot:
    """Raises where its fields are read."""

    __slots__ = ("inner",)

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class RaisingList(list):  # type: ignore[type-arg]
    __eq__, __repr__, __reduce_ex__ = Raising.__eq__, Raising.__repr__, Raising.__reduce_ex__  # type: ignore[assignment]
    __getattr__ = Raising.__getattr__
    __hash__ = None  # type: ignore[assignment]


def with_an_empty_cell() -> Any:
    try:
        raise ValueError
    except ValueError as error:  # noqa: F841  # the function below asks for it

        def made() -> Any:
            return error  # noqa: F821  # Python forgets it when the block ends

        return made


@pytest.mark.parametrize("make", [Raising, RaisingSlot, RaisingList, with_an_empty_cell])
def test_what_raises_when_it_is_looked_at_is_an_obstacle_and_no_failure(make: Callable[[], Any]) -> None:
    callback = OneValue()
    begun = BegunCallback(callback)
    callback.value = [make()]
    assert begun.state().obstacle == "OneValue.value"
    callback.value = make()
    assert begun.state().obstacle == "OneValue.value"


@pytest.mark.parametrize("make", [RaisingSlot, RaisingList])
def test_what_answers_every_question_by_raising_may_have_changed(make: Callable[[], Any]) -> None:
    callback = OneValue(make())
    assert BegunCallback(callback).state().obstacle == "OneValue.value"


def test_what_raises_only_for_attributes_it_has_not_is_no_state_as_long_as_it_is_the_same() -> None:
    callback = OneValue([Raising(), with_an_empty_cell()])
    begun = BegunCallback(callback)
    assert begun.state().obstacle is None


def test_a_callback_whose_own_fields_cannot_be_read_begins_anew() -> None:
    class Closed(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
        @property
        def __dict__(self) -> Any:
            raise RuntimeError("closed")

    state = BegunCallback(Closed()).state()
    assert (state.obstacle, state.changes) == ("Closed.__dict__", {})


WITH_VARIABLES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "a variable": (lambda: keras.Variable([0.0, 1.0]), lambda v: v.assign([5.0, 6.0]), lambda v: v.numpy().tolist()),
    "a metric": (keras.metrics.Mean, lambda v: v.update_state(5.0), lambda v: float(v.result())),
    "a generator": (
        lambda: keras.random.SeedGenerator(1),
        lambda v: keras.random.uniform((1,), seed=v),
        lambda v: keras.random.uniform((1,), seed=v).numpy().tolist(),
    ),
    "a generator of TensorFlow": (
        lambda: __import__("tensorflow").random.Generator.from_seed(1),
        lambda v: v.uniform((1,)),
        lambda v: v.uniform((1,)).numpy().tolist(),
    ),
}


@pytest.mark.parametrize("what", WITH_VARIABLES)
def test_variables_of_a_callback_s_own_go_on_within_the_fresh_callback_s_own(what: str) -> None:
    make, change, read = WITH_VARIABLES[what]
    model, callback, fresh = small_model(), OneValue(make()), OneValue(make())
    callback.set_model(model), fresh.set_model(model)
    begun, own = BegunCallback(callback), fresh.value
    change(callback.value)
    resumed(begun, fresh)
    assert fresh.value is own
    assert read(fresh.value) == read(callback.value) != read(make())


def test_a_variable_of_another_shape_than_the_fresh_one_s_is_no_data() -> None:
    callback = OneValue(keras.Variable([0.0]))
    begun = BegunCallback(callback)
    callback.value = keras.Variable([0.0, 1.0])
    assert begun.state().obstacle == "OneValue.value"


def test_an_array_of_bits_without_meaning_is_no_data() -> None:
    callback = OneValue()
    begun = BegunCallback(callback)
    callback.value = np.zeros(2, "V8")
    assert begun.state().obstacle == "OneValue.value"


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
        {"value": {"value": {"is": "flag", "of": "0x1"}, "arrays": 0}},
        {"value": {"value": {"is": "named tuple", "of": [1, 2]}, "arrays": 0}},
        {"value": {"value": {"is": "no data", "of": [1]}, "arrays": 0}},
        {"value": {"value": {"is": "tuple", "of": "abc"}, "arrays": 0}},
        {"value": {"value": {"is": "deque", "of": {"is": 1, "of": 2}, "most": 3}, "arrays": 0}},
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


@pytest.mark.parametrize(
    "changes",
    [
        {"value": {"value": [{"is": "bytes", "of": 0}] * 400, "arrays": 0}},
        {
            "value": {"value": {"is": "array", "of": 0}, "arrays": 0},
            "more": {"value": {"is": "array", "of": 0}, "arrays": 0},
        },
        {"value": {"value": {"is": "array", "of": -1}, "arrays": 1}},
        {"value": {"value": {"is": "array", "of": 0}, "arrays": -1}},
    ],
    ids=range(4),
)
def test_each_array_is_used_once_only(changes: dict[str, Any]) -> None:
    state = checkpoints.CallbackState(name="OneValue", changes=changes, arrays=[np.zeros(10, "uint8")])
    with pytest.raises((ValueError, KeyError)):
        put_back(written(state)[0], OneValue())
