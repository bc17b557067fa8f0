"""Cycle ends as one model: the average of their weights, and an ensemble in one file that Keras alone can load."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand import stored_files
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoints import BestWeights, Checkpoint
from bandstand_workers.training.loaded_study import LoadedStudy
from bandstand_workers.training.trial_models import model_state

CODE = """
import keras
import numpy as np


def load():
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, (260, 6)).astype("float32")
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 10).astype("int32")
    return {"train": (x[:200], y[:200]), "validation": (x[200:230], y[200:230]), "test": (x[230:], y[230:])}


def own_loss(true, predicted):  # a plain function: Keras does not find it by its name
    return keras.losses.sparse_categorical_crossentropy(true, predicted)


def build(params):
    keras.utils.set_random_seed(params.get("seed", 0))
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(params.get("l2", 0.0))),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(params["rate"]), loss=own_loss, metrics=["accuracy"])
    return model
"""
PARAMS = {"rate": 0.05}


@pytest.fixture
def user_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "combined_user.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "combined_user", raising=False)
    import combined_user  # type: ignore[import-not-found]

    return combined_user


@pytest.fixture
def training(user_code: Any) -> LoadedStudy:
    return LoadedStudy(
        StudySpec.model_validate(
            {
                "name": "combined",
                "model": "combined_user:build",
                "data": "combined_user:load",
                "space": {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
                "sampler": "lr-restarts",
                "sampler_options": {"parameter": "rate", "result": "average"},
                "max_epochs": 8,
                "budget": {"epochs": 8},
            }
        )
    )


def trained(user_code: Any, folder: Path, cycles: int, **params: Any) -> tuple[list[Any], list[str]]:
    """The models at the ends of so many cycles of one training, and their checkpoints."""
    data = user_code.load()
    model = user_code.build(PARAMS | params)
    models, uris = [], []
    for cycle in range(1, cycles + 1):
        model.fit(*data["train"], epochs=2, verbose=0)
        uris.append(str(folder / f"cycle-{cycle}.checkpoint"))
        state = model_state.capture(model, 2 * cycle, [], BestWeights())
        stored_files.write(checkpoints.encode(state, uris[-1]), uris[-1])
        models.append(user_code.build(PARAMS | params))
        models[-1].set_weights(model.get_weights())
    return models, uris


def loaded(uri: str) -> Any:
    return keras.models.load_model(uri, compile=False)


def test_an_average_has_the_mean_of_the_trained_weights(training: LoadedStudy, user_code: Any, tmp_path: Path) -> None:
    models, uris = trained(user_code, tmp_path, 3)
    average = loaded(training.combine(uris, PARAMS, "average", str(tmp_path / "average")))
    for index, weight in enumerate(average.trainable_weights):
        expected = np.mean([model.trainable_weights[index].numpy() for model in models], axis=0)
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5, atol=1e-6)
        assert np.abs(expected - models[-1].trainable_weights[index].numpy()).max() > 1e-4


def test_an_average_has_the_statistics_of_its_own_weights(
    training: LoadedStudy, user_code: Any, tmp_path: Path
) -> None:
    models, uris = trained(user_code, tmp_path, 3)
    average = loaded(training.combine(uris, PARAMS, "average", str(tmp_path / "average")))
    hidden, norm = average.layers[0], average.layers[1]
    before = np.maximum(user_code.load()["train"][0] @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
    np.testing.assert_allclose(norm.moving_mean.numpy(), before.mean(axis=0), rtol=1e-3, atol=1e-3)
    # The mean over batches of their variances lacks what lies between the batches: 1 part in 32, and luck.
    np.testing.assert_allclose(norm.moving_variance.numpy(), before.var(axis=0), rtol=0.1, atol=1e-3)
    assert norm.momentum == user_code.build(PARAMS).layers[1].momentum
    averaged = np.mean([model.layers[1].moving_mean.numpy() for model in models], axis=0)
    assert np.abs(averaged - before.mean(axis=0)).max() > 0.05, "the plain mean of statistics would not do"


def test_frozen_batch_normalization_keeps_its_statistics(user_code: Any) -> None:
    from bandstand_workers.training.trial_models.combined_models import renew_statistics

    model = user_code.build(PARAMS)
    model.layers[1].trainable = False
    renew_statistics(model, user_code.load()["train"][0], [np.arange(100), np.arange(100, 200)])
    assert np.allclose(model.layers[1].moving_mean.numpy(), 0)


def test_an_average_of_counters_is_the_last_one(user_code: Any) -> None:
    from bandstand_workers.training.trial_models.combined_models import set_average

    class Counts(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
        def build(self, shape: Any) -> None:
            self.seen = self.add_weight(shape=(), dtype="int32", trainable=False, initializer="zeros")

        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((2,)), Counts(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    states = []
    for value in (3, 8):
        model.set_weights([np.array(value), np.full((2, 1), value), np.full((1,), value)])
        states.append(model_state.capture(model, 1, [], BestWeights()))
    set_average(model, states)
    assert [weight.tolist() for weight in model.get_weights()] == [8, [[5.5], [5.5]], [5.5]]


def test_an_ensemble_is_one_file_that_predicts_the_mean_without_bandstand(
    training: LoadedStudy, user_code: Any, tmp_path: Path
) -> None:
    models, uris = trained(user_code, tmp_path, 3)
    uri = training.combine(uris, PARAMS, "ensemble", str(tmp_path / "ensemble"))
    assert uri.endswith(".keras")
    x = user_code.load()["test"][0]
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, keras, numpy as np\n"
        f"model = keras.models.load_model({uri!r}, compile=False)\n"
        "np.save('predicted.npy', model.predict(np.load('x.npy'), verbose=0))\n"
        "assert not any(name in sys.modules for name in ('bandstand', 'bandstand_workers', 'bandstand_spaces'))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env={"PATH": "", "HOME": str(tmp_path)})
    expected = np.mean([model.predict(x, verbose=0) for model in models], axis=0)
    np.testing.assert_allclose(np.load(tmp_path / "predicted.npy"), expected, rtol=1e-4, atol=1e-5)


def test_an_ensemble_is_scored_as_one_model_is(training: LoadedStudy, user_code: Any, tmp_path: Path) -> None:
    params = {"l2": 0.1}
    models, uris = trained(user_code, tmp_path, 3, **params)
    uri = training.combine(uris, PARAMS | params, "ensemble", str(tmp_path / "ensemble"))
    scores = training.evaluate(uri, PARAMS | params, "validation", 3)
    x, y = user_code.load()["validation"]
    predicted = np.mean([model.predict(x, verbose=0) for model in models], axis=0)
    penalty = np.mean([0.1 * (model.layers[0].kernel.numpy() ** 2).sum() for model in models])
    assert scores["accuracy"] == pytest.approx((predicted.argmax(axis=1) == y).mean())
    assert scores["loss"] == pytest.approx(-np.log(predicted[np.arange(len(y)), y]).mean() + penalty, rel=1e-3)


def test_an_ensemble_of_one_state_scores_as_the_model_itself(
    training: LoadedStudy, user_code: Any, tmp_path: Path
) -> None:
    models, uris = trained(user_code, tmp_path, 1, l2=0.1)
    ensemble = training.combine(uris * 2, PARAMS | {"l2": 0.1}, "ensemble", str(tmp_path / "ensemble"))
    models[0].save(tmp_path / "one.keras")
    one = training.evaluate(str(tmp_path / "one.keras"), PARAMS | {"l2": 0.1}, "validation")
    assert training.evaluate(ensemble, PARAMS | {"l2": 0.1}, "validation", 2) == pytest.approx(one, rel=1e-4)


def test_several_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    from bandstand_workers.training.trial_models.combined_models import make_ensemble, members_of

    def build() -> Any:
        inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
        both = keras.layers.Concatenate()(list(inputs.values()))
        outputs = {name: keras.layers.Dense(1, name=name)(both) for name in ("up", "down")}
        model = keras.Model(inputs, outputs)
        model.compile("sgd", loss={"up": "mse", "down": "mae"}, metrics={"up": ["mae"]})
        return model

    members = [build(), build()]
    x = {name: np.random.default_rng(0).random((5, 2)).astype("float64") for name in ("left", "right")}
    ensemble = make_ensemble(members, x)
    assert members_of(ensemble) == members
    ensemble.save(tmp_path / "ensemble.keras")
    predicted = loaded(str(tmp_path / "ensemble.keras")).predict(x, verbose=0)
    for name in ("up", "down"):
        mean = (members[0].predict(x, verbose=0)[name] + members[1].predict(x, verbose=0)[name]) / 2
        np.testing.assert_allclose(predicted[name], mean, rtol=1e-5)
    truth = {name: np.zeros((5, 1)) for name in ("up", "down")}
    assert "up_mae" in ensemble.evaluate(x, truth, verbose=0, return_dict=True)


def test_a_model_with_a_test_step_of_its_own_makes_no_ensemble() -> None:
    from bandstand_workers.training.trial_models.combined_models import make_ensemble

    class Own(keras.Sequential):  # type: ignore[misc]  # keras has no types
        def test_step(self, data: Any) -> Any:
            return {}

    with pytest.raises(ValueError, match="test_step of its own cannot be part of an ensemble; use result average"):
        make_ensemble([Own([keras.Input((2,)), keras.layers.Dense(1)])], np.zeros((3, 2)))


def test_states_of_another_shape_are_refused(training: LoadedStudy, user_code: Any, tmp_path: Path) -> None:
    uri = str(tmp_path / "other.checkpoint")
    other = Checkpoint(epoch=2, variables=[np.zeros((3, 3))], optimizer=[], callbacks=[], best=BestWeights())
    stored_files.write(checkpoints.encode(other, uri), uri)
    with pytest.raises(ValueError, match="of the same shape"):
        training.combine([uri, uri], PARAMS, "average", str(tmp_path / "average"))
