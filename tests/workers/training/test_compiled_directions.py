"""A direction that was told from a metric's name is checked against the metric that was compiled."""

import keras
import numpy as np
import pytest

from bandstand.errors import InputError
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training.compiled_directions import _DOWN, _UP, compiled_direction
from bandstand_workers.training.contexts import Contexts
from bandstand_workers.training.study_check import check_study

X, Y = np.zeros((4, 3), "float32"), np.zeros((4, 1), "float32")
DATA = {"train": (X, Y), "validation": (X, Y)}


class TurnedAround(keras.metrics.MeanSquaredError):
    """A user's own, which may mean the opposite of what it is derived from."""

    def result(self):
        return -super().result()


def own_accuracy(y_true, y_pred):
    return keras.ops.mean(y_true - y_pred)


def model_with(*metrics):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid", name="out")(inputs))
    model.compile(optimizer="sgd", loss="mse", metrics=list(metrics))
    return model


def two_outputs():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(1, activation="sigmoid", name=name)(inputs) for name in ("left", "right")}
    model = keras.Model(inputs, outputs)
    metrics = {"left": [keras.metrics.AUC(name="auc")], "right": [keras.metrics.AUC(name="auc"), "mae"]}
    model.compile(optimizer="sgd", loss="mse", metrics=metrics)
    return model


def check(model, metric, data=None, **objective):
    settings = {
        "name": "s", "model": "a:b", "data": "a:c", "space": "digits_mlp", "max_epochs": 9, "budget": {"epochs": 9},
    }  # fmt: skip
    spec = StudySpec.model_validate(settings | {"objective": {"metric": metric, **objective}})
    data = data or DATA
    check_study(spec, lambda params, context: model, data, lambda params, context: [], Contexts(spec, data))


def test_a_told_direction_that_the_compiled_metric_contradicts_is_refused_with_the_way_out():
    model = model_with(keras.metrics.MeanSquaredError(name="accuracy"))
    with pytest.raises(InputError) as refused:
        check(model, "val_accuracy")
    assert str(refused.value) == (
        "objective.direction must be set if the metric's name is misleading; 'val_accuracy' sounds as if higher is "
        'better, but it is a Keras MeanSquaredError, for which lower is better: set direction = "minimize"'
    )


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_given_direction_is_taken_whatever_was_compiled(direction):
    check(model_with(keras.metrics.MeanSquaredError(name="accuracy")), "val_accuracy", direction=direction)


def test_a_loss_that_is_compiled_under_the_name_of_an_accuracy_is_refused():
    wrapped = keras.metrics.MeanMetricWrapper(keras.losses.huber, "f1")
    for loss in (keras.losses.MeanSquaredError(name="accuracy"), wrapped):
        with pytest.raises(InputError, match="where lower is better"):
            check(model_with(loss), f"val_{loss.name}")


@pytest.mark.parametrize(
    ("metrics", "metric"),
    [
        (["accuracy"], "val_accuracy"),
        (["mse"], "val_mse"),
        (["accuracy"], "val_loss"),
        ([TurnedAround(name="accuracy")], "val_accuracy"),
        ([own_accuracy], "val_own_accuracy"),
    ],
)
def test_what_agrees_or_is_a_users_own_is_taken_by_its_name(metrics, metric):
    check(model_with(*metrics), metric)


@pytest.mark.parametrize(
    ("metric", "found"),
    [("val_left_auc", "maximize"), ("val_right_auc", "maximize"), ("right_mae", "minimize"), ("val_left_loss", None)],
)
def test_the_metrics_of_several_outputs_are_found_by_their_full_names(metric, found):
    model, y = two_outputs(), {"left": Y, "right": Y}
    data = {"train": (X, y), "validation": (X, y)}
    check(model, metric, data)
    told = compiled_direction(model, metric)
    assert (told and told[0]) == found


def test_every_metric_of_keras_that_has_a_direction_is_known():
    """Fails when Keras adds one, so that somebody says which way it is better."""
    without = {"Mean", "MeanMetricWrapper", "Metric", "Sum"}
    theirs = {name for name in dir(keras.metrics) if isinstance(getattr(keras.metrics, name), type)}
    assert theirs - without == set(_UP) | set(_DOWN)
