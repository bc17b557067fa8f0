"""Checkpoints come back bit by bit, and whatever is wrong with a file, it is refused by name and none of it is run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import BestWeights, CallbackState, Checkpoint, CheckpointError
from bandstand_workers.training.checkpoints.callback_state import BegunCallback, put_back
from bandstand_workers.training.checkpoints.file_format import VERSION, sealed

PLACE = "study-1/trial-00003/epoch-0004-attempt-1.checkpoint"
HEAD = len(b"\x89BANDSTAND CHECKPOINT\r\n\n") + 4 + 32


def make_checkpoint(*arrays: Any, epoch: int = 4, **changes: Any) -> Checkpoint:
    fields: dict[str, Any] = {
        "epoch": epoch,
        "variables": list(arrays) or [np.arange(6, dtype="float32").reshape(2, 3)],
        "optimizer": [np.array(7)],
        "callbacks": [],
        "best": BestWeights(loss=0.5, epoch=2, weights=[np.ones(3, "float32")]),
    }
    return Checkpoint(**fields | changes)


def through_a_file(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoints.decode(checkpoints.encode(checkpoint, PLACE), PLACE)


def assert_same(after: Any, before: Any) -> None:
    assert (after.dtype, after.shape) == (before.dtype, before.shape)
    assert after.tobytes() == before.tobytes()


DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128", ">f4", ">i8", "U5", "S3", "M8[s]"),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
def test_arrays_of_every_type_and_shape_come_back_bit_by_bit(dtype: Any, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    (after,) = through_a_file(make_checkpoint(array)).variables
    assert_same(after, array)


def test_bits_that_are_no_number_and_arrays_that_do_not_lie_in_a_row_come_back() -> None:
    nans = np.array([0x7FC0, 0x7F81, 0xFF80, 0x8000], "uint16").view(ml_dtypes.bfloat16)
    floats = np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324])
    grid = np.arange(24.0).reshape(4, 6)
    arrays = [nans, floats, grid.T, grid[::2, 1::2], np.broadcast_to(np.float32(3), (4, 4)), np.asfortranarray(grid)]
    after = through_a_file(make_checkpoint(*arrays)).variables
    for got, expected in zip(after, arrays, strict=True):
        assert_same(got, expected)


@settings(max_examples=50, deadline=None)
@given(numpy_strategies.arrays(numpy_strategies.scalar_dtypes(), numpy_strategies.array_shapes(min_dims=0, min_side=0)))
def test_any_array_comes_back(array: np.ndarray[Any, Any]) -> None:
    if array.dtype.itemsize:
        assert_same(through_a_file(make_checkpoint(array)).variables[0], array)


def test_a_checkpoint_says_all_that_it_said_before_it_was_written() -> None:
    state = CallbackState(name="Counts", changes={"seen": {"value": {"is": "array", "of": 0}, "arrays": 0}}, arrays=[])
    state.arrays.append(np.arange(3))
    arrays = [np.zeros(2) for _ in range(6)]
    before = make_checkpoint(*arrays, callbacks=[state], random_states=(1, 5), best=BestWeights())
    after = through_a_file(before)
    assert (after.epoch, after.random_states, after.best.loss, after.best.epoch) == (4, (1, 5), math.inf, 0)
    assert (after.callbacks[0].name, after.callbacks[0].changes) == ("Counts", state.changes)
    assert_same(after.callbacks[0].arrays[0], np.arange(3))
    assert after.file == PLACE


# -- plain data -------------------------------------------------------------------------------------------------------


class Holder:
    """Stands for a callback with one attribute."""

    def __init__(self) -> None:
        self.value: Any = "as it begins"


def carried(value: Any) -> Any:
    """A value as a resumed callback has it."""
    holder = Holder()
    begun = BegunCallback(holder)
    holder.value = value
    state = begun.state()
    assert not state.obstacle
    resumed = Holder()
    put_back(through_a_file(make_checkpoint(callbacks=[state])).callbacks[0], resumed)
    return resumed.value


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
    | st.complex_numbers()
    | st.dates()
    | st.datetimes()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers(), st.text()), inner, max_size=4)
        | st.sets(st.integers() | st.text(), max_size=4)
        | st.lists(inner, max_size=4).map(lambda items: deque(items, maxlen=9))
    ),
    max_leaves=12,
)


def are_same(one: Any, other: Any) -> bool:
    """Whether two values are the same, inside as well: NaN is the same as NaN, and a set has no order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(map(repr, one)) == list(map(repr, other)) and are_same([*one.values()], [*other.values()])
    if isinstance(one, deque):
        return one.maxlen == other.maxlen and are_same([*one], [*other])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(are_same, one, other))
    return bool(one == other if isinstance(one, set) else repr(one) == repr(other))


def test_what_counts_as_the_same() -> None:
    assert are_same([math.nan, {0, ""}], [math.nan, {"", 0}])
    assert not are_same([math.nan, {0, ""}], [math.nan, {0}])
    assert not are_same({1: [0.0]}, {1: [-0.0]})
    assert not are_same({1: 2, 3: 4}, {3: 4, 1: 2})
    assert not are_same((1,), [1])


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_plain_value_comes_back_as_it_was(value: Any) -> None:
    after = carried(value)
    assert are_same(after, value), (after, value)


@pytest.mark.parametrize(
    "value",
    [
        10**5000,
        -(2**63),
        -0.0,
        math.inf,
        [1, 2.5, math.nan],
        [math.inf] * 3,
        [2**70] * 3,
        [],
        [True, 1, 1.0, "1"],
        b"",
        bytearray(b"ab"),
        "half of a pair \ud800 and a NUL \x00",
        {1: "a", (2, "b"): [3], None: {True: frozenset({1, 2})}},
        OrderedDict([("b", 1), ("a", 2)]),
        Counter("hello"),
        defaultdict(list, {"a": [1]}),
        defaultdict(None, {1: 2}),
        deque([1, 2], maxlen=2),
        Path("a/b"),
        range(3, 9, 2),
        complex(math.inf, -0.0),
        date(2026, 11, 30),
        datetime(2026, 11, 30, 5, 35, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 10, 25, 2, 30, fold=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_with_a_catch_come_back_as_they_were(value: Any) -> None:
    after = carried(value)
    assert type(after) is type(value)
    assert after == value if type(value) is int else repr(after) == repr(value)
    if isinstance(value, defaultdict):
        assert after.default_factory is value.default_factory
    if isinstance(value, deque):
        assert after.maxlen == value.maxlen


@pytest.mark.parametrize(
    "value",
    [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("word"), np.datetime64("2026-11-30"), np.float64("nan")],
    ids=repr,
)
def test_numpy_s_scalars_come_back_with_their_type(value: Any) -> None:
    after = carried(value)
    assert type(after) is type(value)
    assert repr(after) == repr(value)


def test_arrays_within_plain_values_come_back_and_may_be_written_to() -> None:
    after = carried({"a": [np.arange(3), (np.zeros((2, 0)), np.float16(2))]})
    assert_same(after["a"][0], np.arange(3))
    assert_same(after["a"][1][0], np.zeros((2, 0)))
    after["a"][0][1] = 9
    assert after["a"][0].tolist() == [0, 9, 2]


# -- what is wrong with a file ----------------------------------------------------------------------------------------


def refusal(content: bytes, place: str = PLACE) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        checkpoints.decode(content, place)
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    content = checkpoints.encode(make_checkpoint(np.arange(100.0)), PLACE)
    for part in range(20):
        cut = content[: len(content) * part // 20]
        assert refusal(cut).kind == ("foreign" if len(cut) < 24 else "damaged")
    assert "is empty" in str(refusal(b""))
    assert refusal(content[:-1]).kind == "damaged"
    assert refusal(content + b"\0").kind == "damaged"


def test_a_file_with_one_flipped_bit_is_refused_wherever_it_is() -> None:
    content = checkpoints.encode(make_checkpoint(), PLACE)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        refusal(bytes(flipped))


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_by_name_and_never_loaded(protocol: int, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    content = pickle.dumps(Malicious(trap), protocol=protocol)
    error = refusal(content)
    assert not trap.exists()
    if protocol >= 2:  # as earlier versions wrote them
        assert error.kind == "old form"
        assert "an earlier version of Bandstand wrote" in str(error)
    pickle.loads(content)
    assert trap.exists(), "the trap was none, so this would show nothing"


def test_a_file_of_a_later_version_is_refused_as_made_by_a_newer_bandstand() -> None:
    content = bytearray(checkpoints.encode(make_checkpoint(), PLACE))
    content[24] = VERSION + 1
    error = refusal(bytes(content))
    assert error.kind == "newer"
    assert f"is of version {VERSION + 1}: a newer version of Bandstand wrote it" in str(error)


def test_a_file_of_the_first_version_which_knew_no_other_variables_is_read() -> None:
    content = bytearray(forged(text_with()))
    content[24] = 1
    checkpoint = checkpoints.decode(bytes(content), PLACE)
    assert (checkpoint.epoch, len(checkpoint.variables), checkpoint.others) == (4, 1, {})


def test_variables_beyond_model_and_optimizer_come_back_under_their_paths() -> None:
    others = {"model.second._momentums[0]": np.arange(3.0), "model.top": np.array(7, np.int32)}
    after = through_a_file(make_checkpoint(others=others)).others
    assert list(after) == list(others)
    for path, value in others.items():
        assert_same(after[path], value)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip file", b"\x93NUMPY", b"{}", b"\x89BANDSTAND"])
def test_a_file_of_something_else_is_refused_as_foreign(content: bytes) -> None:
    assert refusal(content).kind == "foreign"


def forged(text: Any, arrays: Any = None, *, raw: str | None = None) -> bytes:
    """A file with a right checksum and whatever content."""
    block = safetensors.numpy.save(
        {"variables/0": np.zeros(2, "float32")} if arrays is None else arrays,
        metadata={"bandstand": json.dumps(text) if raw is None else raw},
    )
    return sealed(block)


def text_with(**changes: Any) -> dict[str, Any]:
    best = {"loss": "0.5", "epoch": 1, "weights": []}
    text = {
        "place": PLACE,
        "epoch": 4,
        "variables": ["variables/0"],
        "random_states": [],
        "optimizer": [],
        "best": best,
    }
    return text | {"callbacks": []} | changes


def best_with(**changes: Any) -> dict[str, Any]:
    return {"loss": "0.5", "epoch": 1, "weights": []} | changes


HUGE = b'{"__metadata__":{"bandstand":"{}"},"a":{"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,8]}}'
"""The header of an array that would take exabytes."""


def test_a_forged_file_that_holds_what_it_should_is_read_so_that_the_forgeries_below_show_something() -> None:
    assert checkpoints.decode(forged(text_with()), PLACE).epoch == 4


@pytest.mark.parametrize(
    "content",
    [
        forged([]),
        forged(None),
        forged({}),
        forged("", raw="no JSON"),
        forged("", raw="[" * 100_000 + "]" * 100_000),
        forged("", raw='{"a":' * 100_000 + "1" + "}" * 100_000),
        forged("", raw="1" * 10_000),
        forged(text_with(variables=["variables/1"])),
        forged(text_with(variables="variables/0")),
        forged(text_with(variables=[["variables/0", "O", [1]]])),
        forged(text_with(variables=[["variables/0", "<U0", [1]]])),
        forged(text_with(variables=[["variables/0", "<f8", [2**60]]])),
        forged(text_with(variables=[["variables/0", "i4,i4", [1]]])),
        forged(text_with(epoch="4")),
        forged(text_with(epoch=-1)),
        forged(text_with(epoch=True)),
        forged(text_with(epoch=10**4000)),
        forged(text_with(callbacks=[{"name": "A", "changes": 3, "arrays": []}])),
        forged(text_with(best={})),
        *(forged(text_with(best=best_with(loss=loss))) for loss in ("nan", "-inf", 0.5, None, "0.5x")),
        *(forged(text_with(best=best_with(epoch=epoch))) for epoch in (5, -1, 1.0)),
        forged(text_with(best=best_with(weights=["variables/0"]))),
        *(forged(text_with(random_states=states)) for states in ([1], [-1], [0, 0], {}, "0", [10**18])),
        *(forged(text_with(others=others)) for others in ([1], 3, {"a": "variables/0"}, {"a": 1}, {"a": None})),
        forged(text_with(variables=["variables/0", "variables/0"])),
        forged(text_with(variables="a"), {"a": np.zeros(2, "float32")}),
        forged(text_with(variables={"variables/0": 1})),
        forged(text_with(variables=[["variables/0", "<f4", [-1, 2]]])),
        forged(text_with(variables=[["variables/0", "<f4", 2]])),
        forged(text_with(variables=[["variables/0", "<f4", [2]], "variables/0"])),
        forged(text_with(callbacks={})),
        forged(text_with(callbacks=[{"name": 3, "changes": {}, "arrays": []}])),
        forged(text_with(callbacks=[{"name": "A", "changes": [["a", 1]], "arrays": []}])),
        forged("", raw='{"epoch": 1, ' + json.dumps(text_with())[1:]),
        forged("", raw=json.dumps(text_with(more=math.nan))),
        sealed(b""),
        sealed(b"\xff" * 8),
        sealed((2**40).to_bytes(8, "little") + b"{}"),
        sealed((2).to_bytes(8, "little") + b"{}"),
        sealed(len(HUGE).to_bytes(8, "little") + HUGE),
    ],
    ids=range(55),
)
def test_a_file_with_a_right_checksum_and_wrong_content_is_refused(content: bytes) -> None:
    error = refusal(content)
    assert error.kind == "damaged"
    assert "a checkpoint must be as it was written" in str(error)


def test_files_of_two_trials_that_were_swapped_are_refused(tmp_path: Path) -> None:
    uris = [str(tmp_path / "study-1" / f"trial-0000{trial}" / "epoch-0004-attempt-1.checkpoint") for trial in (1, 2)]
    keeper = CheckpointKeeper(memory_bytes=0)
    for uri in uris:
        keeper.save(make_checkpoint(), uri, lambda error: None)
    keeper.wait()
    contents = [Path(uri).read_bytes() for uri in uris]
    for uri, content in zip(uris, reversed(contents), strict=True):
        Path(uri).write_bytes(content)
    for uri, other in zip(uris, (2, 1), strict=True):
        with pytest.raises(
            CheckpointError, match=f"is foreign: it was written as 'study-1/trial-0000{other}/"
        ) as caught:
            CheckpointKeeper().load(uri)
        assert uri in str(caught.value)


def test_a_folder_of_checkpoints_may_be_moved_as_a_whole(tmp_path: Path) -> None:
    keeper = CheckpointKeeper()
    keeper.save(make_checkpoint(), str(tmp_path / "here" / PLACE), lambda error: None)
    keeper.wait()
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert CheckpointKeeper().load(str(tmp_path / "there" / PLACE)).epoch == 4


def test_a_folder_in_the_place_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1.checkpoint").mkdir()
    with pytest.raises(CheckpointError, match=r"must be readable; .*1\.checkpoint is not: IsADirectoryError"):
        CheckpointKeeper().load(str(tmp_path / "1.checkpoint"))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pipe_in_the_place_of_a_checkpoint_is_refused_and_nobody_waits_for_what_comes_out(
    scheme: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "1.checkpoint")
    refusals: list[CheckpointError] = []

    def load() -> None:
        try:
            CheckpointKeeper().load(f"{scheme}{tmp_path}/1.checkpoint")
        except CheckpointError as error:
            refusals.append(error)

    reader = threading.Thread(target=load, daemon=True)
    reader.start()
    reader.join(20)
    assert [error.kind for error in refusals] == ["unreadable"]
    assert "it is not a regular file" in str(refusals[0])


def test_the_head_is_as_the_documentation_says() -> None:
    content = checkpoints.encode(make_checkpoint(), PLACE)
    assert content.startswith(b"\x89BANDSTAND CHECKPOINT\r\n\n" + (2).to_bytes(4, "little"))
    assert content[28:60] == hashlib.sha256(content[60:]).digest()
    assert HEAD == 60
    assert sorted(safetensors.numpy.load(content[60:])) == ["best/0", "optimizer/0", "variables/0"]
