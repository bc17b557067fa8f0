"""The models and data sets that come with Bandstand: they build, they load, and they fit together."""

import os
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from bandstand_spaces import SEARCH_SPACES
from bandstand_workers.datasets import DATASETS
from bandstand_workers.datasets.local_files import find_local
from bandstand_workers.models import MODELS

DATA_OF = {
    "california_mlp": ("california",),
    "digits_mlp": ("digits",),
    "mnist_lenet": ("mnist", "fashion_mnist"),
    "mnist_mlp": ("mnist", "fashion_mnist"),
}
PAIRS = [(model, data) for model, names in DATA_OF.items() for data in names]
SIZES = {
    "california": (12_384, 4_128, 4_128),
    "digits": (1_257, 270, 270),
    "fashion_mnist": (50_000, 10_000, 10_000),
    "mnist": (50_000, 10_000, 10_000),
}


def function_at(reference):
    module, function = reference.split(":")
    return getattr(import_module(module), function)


@cache
def load_real(name):
    if name != "digits" and not os.environ.get("BANDSTAND_DATA"):
        pytest.skip(f"{name} would be downloaded; set BANDSTAND_DATA to a folder that holds it")
    return function_at(DATASETS[name])()


def sampled_params(name, number=3):
    """Params of the space such that each choice of the optimizer, where there is one, comes up."""
    space, rng = SEARCH_SPACES[name], np.random.default_rng(0)
    params = [space.sample(rng) for _ in range(50)]
    first_of_each = {sample.get("optimizer"): sample for sample in reversed(params)}
    return (list(first_of_each.values()) + params)[:number]


@pytest.mark.parametrize(("model", "data"), PAIRS)
def test_a_model_built_from_sampled_params_learns_from_a_batch_of_its_data(model, data):
    x, y = (array[:64] for array in load_real(data)["train"])
    for params in sampled_params(model):
        built = function_at(MODELS[model])(params)
        before = [weight.copy() for weight in built.get_weights()]
        logs = built.train_on_batch(x, y, return_dict=True)
        assert np.isfinite(logs["loss"])
        assert set(logs) == ({"loss", "mae"} if data == "california" else {"loss", "accuracy"})
        assert built.predict_on_batch(x).shape == (64, 1 if data == "california" else 10)
        assert any(not np.array_equal(old, new) for old, new in zip(before, built.get_weights(), strict=True))


@pytest.mark.parametrize(("model", "data"), PAIRS)
def test_every_parameter_but_the_batch_size_changes_the_model(model, data):
    """A builder that forgets a parameter would be tuned over nothing."""
    import keras

    def description(params):
        built = function_at(MODELS[model])(params)
        return built.get_config(), keras.optimizers.serialize(built.optimizer)

    def without_names(config):
        if isinstance(config, dict):
            return {key: without_names(value) for key, value in config.items() if key not in {"name", "build_config"}}
        return [without_names(item) for item in config] if isinstance(config, list | tuple) else config

    del data
    for params in sampled_params(model, 2):
        original = without_names(description(params))
        for name, parameter, _ in SEARCH_SPACES[model].flat():
            if name not in params or name in {"batch_size", "optimizer"}:
                continue
            other = next(v for v in map(parameter.value_at, (0.01, 0.99)) if v != params[name])
            assert without_names(description({**params, name: other})) != original, name


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_has_three_parts_of_the_promised_sizes_and_types(name):
    splits = load_real(name)
    assert list(splits) == ["train", "validation", "test"]
    assert tuple(len(x) for x, _ in splits.values()) == SIZES[name]
    for x, y in splits.values():
        assert len(x) == len(y)
        assert x.dtype == np.float32
        assert y.dtype == (np.float32 if name == "california" else np.int32)
        assert np.isfinite(x).all()


@pytest.mark.parametrize("name", DATASETS)
def test_no_example_of_one_part_is_in_another(name):
    """A few images or districts are doubles in the data themselves; a wrong split would repeat hundreds."""
    splits = load_real(name)
    rows = {part: {row.tobytes() for row in x.reshape(len(x), -1)} for part, (x, _) in splits.items()}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert len(rows[one] & rows[other]) <= 0.001 * len(rows["train"])


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "california"])
def test_every_part_of_an_image_set_holds_every_class_and_pixels_from_zero_to_one(name):
    for x, y in load_real(name).values():
        assert (x.min(), x.max()) == (0.0, 1.0)
        assert sorted(set(y.tolist())) == list(range(10))
        assert np.bincount(y).min() > 0.08 * len(y)


def test_a_data_set_loads_the_same_every_time():
    for (x, y), (again_x, again_y) in zip(
        load_real("digits").values(), function_at(DATASETS["digits"])().values(), strict=True
    ):
        assert np.array_equal(x, again_x)
        assert np.array_equal(y, again_y)


def test_california_is_standardized_by_its_training_part_and_priced_in_100_000_dollars():
    splits = load_real("california")
    x, y = splits["train"]
    assert np.allclose(x.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(x.std(axis=0), 1, atol=1e-4)
    assert not np.allclose(splits["validation"][0].mean(axis=0), 0, atol=1e-4)
    assert y.shape == (12_384, 1)
    assert 0.1 < y.min() < 0.2
    assert y.max() == pytest.approx(5.00001)


def test_local_copies_give_the_split_that_keras_gives(tmp_path, monkeypatch):
    source = find_local("keras/datasets/california_housing.npz")
    if source is None:
        pytest.skip("set BANDSTAND_DATA to a folder that holds keras/datasets/california_housing.npz")
    import keras

    from bandstand_workers.datasets import california

    local = california._load_arrays()
    copy = tmp_path / "copy.npz"
    copy.write_bytes(source[0].read_bytes())
    monkeypatch.setattr("keras.src.datasets.california_housing.get_file", lambda *_, **__: str(copy))
    for ours, theirs in zip(local, keras.datasets.california_housing.load_data(), strict=True):
        assert np.array_equal(ours[0], theirs[0])
        assert np.array_equal(ours[1], theirs[1])


def test_fashion_mnist_is_read_as_keras_reads_it(monkeypatch):
    folder = os.environ.get("BANDSTAND_DATA")
    if not folder or find_local("keras/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz") is None:
        pytest.skip("set BANDSTAND_DATA to a folder that holds keras/datasets/fashion-mnist")
    ours = load_real("fashion_mnist")
    files = Path(folder) / "keras/datasets/fashion-mnist"
    monkeypatch.setattr("keras.src.datasets.fashion_mnist.get_file", lambda name, **_: str(files / name))
    monkeypatch.delenv("BANDSTAND_DATA")
    for mine, theirs in zip(ours.values(), function_at(DATASETS["fashion_mnist"])().values(), strict=True):
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine[1], theirs[1])


def test_a_file_is_local_only_if_all_its_parts_are_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("BANDSTAND_DATA", raising=False)
    assert find_local("a") is None
    monkeypatch.setenv("BANDSTAND_DATA", str(tmp_path))
    (tmp_path / "a").touch()
    assert find_local("a") == (tmp_path / "a",)
    assert find_local("a", "b") is None
