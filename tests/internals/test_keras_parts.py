"""Canaries for Keras's private parts: each fails on the day on which Keras changes what one of ours stands on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.building import metrics_built
from bandstand_workers.programs.suitability import reason_for_fit
from tests.internals.processes import told_by

BUILT = """
    import json
    import keras
    import numpy as np
    from bandstand.study.context import Context
    from bandstand.study.study_spec import study_spec_from
    from bandstand_workers.programs.building import metrics_built
    from bandstand_workers.training.trial_models.model_source import ModelSource


    def build(params, context=None):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile("adam", loss="mse", metrics=["mae"], weighted_metrics=["mse"])
        return model


    x = np.ones((8, 3), np.float32)
    spec = study_spec_from({
        "name": "canary", "model": "train:build", "data": "train:load", "max_epochs": 1, "batch_size": 4,
        "space": {"rate": {"type": "float", "low": 0.1, "high": 1.0}}, "budget": {"trials": 1},
        "objective": {"metric": "val_loss", "direction": "minimize"},
    }, "a canary")
    source = ModelSource(spec, build, {name: (x, x[:, :1]) for name in ("train", "validation")})
    made = source.model_for(0, {"rate": 0.1}, 1, [], Context(seed=1), restores=False)
    model = build({})
    before = len(model.metrics_variables)
    said = metrics_built(model, (x, x[:, :1]))
    print(json.dumps({
        "reason": made.reason, "compiled": made.lent is not None,
        "said": said, "made": len(model.metrics_variables) - before,
    }))
"""

NUMBERS = """
    import json
    import random
    import keras
    import numpy as np


    def numbers():
        layer = keras.layers.Dense(2)
        layer.build((None, 2))
        dropout = keras.layers.Dropout(0.5)
        return {
            "name": layer.name,
            "weights": keras.ops.convert_to_numpy(layer.kernel).tolist(),
            "dropout": keras.ops.convert_to_numpy(dropout(np.ones((3, 3), np.float32), training=True)).tolist(),
            "keras": keras.ops.convert_to_numpy(keras.random.normal((3,))).tolist(),
            "numpy": np.random.random(),
            "python": random.random(),
        }

"""
FRESH = """
    keras.utils.set_random_seed(7)
    print(json.dumps(numbers()))
"""
AFTER_OTHERS = """
    from bandstand_workers.keras_session import begin_trial

    keras.utils.set_random_seed(3)
    numbers(), numbers()
    begin_trial(7)
    print(json.dumps(numbers()))
"""

EPOCH_HOOKS = [
    keras.callbacks.EarlyStopping,
    keras.callbacks.ReduceLROnPlateau,
    lambda: keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    lambda: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    lambda: keras.callbacks.ModelCheckpoint("best.keras", save_freq="epoch"),
    keras.callbacks.Callback,
]
BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def compiled_model(**settings: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", **{"loss": "mse"} | settings)
    return model


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_plain_model_is_built_from_shapes_alone_and_trained_by_compiled_epochs(backend: str) -> None:
    told = told_by(BUILT, backend)
    assert told["said"] and told["made"] > 0, (
        f"Keras {keras.__version__} no longer builds metrics by _symbolic_build(data_batch=): see how its trainers do "
        "it before their first step, and have keras_parts.build_symbolically do the same"
    )
    assert (told["reason"], told["compiled"]) == (None, True), (
        f"on {backend} every model is left to fit: {told['reason']}"
    )


def test_a_model_is_built_for_the_shapes_of_the_batch_that_was_given() -> None:
    model = compiled_model(metrics=["mae"])
    assert metrics_built(model, (np.ones((2, 3)), np.ones((2, 1))))
    assert not metrics_built(compiled_model(), (np.ones((2, 5)), np.ones((2, 1))))
    assert float(model.evaluate(np.ones((2, 3)), np.ones((2, 1)), verbose=0, return_dict=True)["mae"]) >= 0


@pytest.mark.parametrize("make", EPOCH_HOOKS)
def test_a_callback_without_hooks_for_batches_is_seen_to_have_none(make: Any) -> None:
    reason = reason_for_fit(compiled_model(), [make()])
    assert reason is None, (
        f"a callback that acts on epochs is taken for one that acts on batches ({reason}), so that fit trains every "
        "model with callbacks: compare how Keras defines the hooks of keras.callbacks.Callback with suitability._is_own"
    )


@pytest.mark.parametrize("hook", BATCH_HOOKS)
def test_a_callback_with_a_hook_for_batches_is_seen_whether_its_class_or_the_object_has_it(hook: str) -> None:
    of_class = type("OfClass", (keras.callbacks.Callback,), {hook: lambda self, batch, logs=None: None})
    of_object = keras.callbacks.LambdaCallback(**{hook: lambda batch, logs: None})
    of_parent = type("OfParent", (of_class,), {})
    for callback in (of_class(), of_object, of_parent()):
        assert reason_for_fit(compiled_model(), [callback]) == (
            f"the callback {type(callback).__name__} acts on batches"
        ), f"{hook} of a {type(callback).__name__} would never be called: compiled epochs call no hook for batches"


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_trial_after_others_has_the_names_and_random_numbers_of_a_fresh_process(backend: str) -> None:
    fresh, later = told_by(NUMBERS + FRESH, backend), told_by(NUMBERS + AFTER_OTHERS, backend)
    assert later == fresh, (
        f"after begin_trial Keras {keras.__version__} names layers or draws otherwise than after set_random_seed in a "
        "fresh process: compare keras_parts.set_seed_and_forget_names with set_random_seed and clear_session"
    )


def test_what_a_model_was_compiled_with_are_the_users_own_objects() -> None:
    def own_loss(y: Any, prediction: Any) -> Any:
        return keras.ops.mean(keras.ops.square(y - prediction), axis=-1)

    metric = keras.metrics.MeanAbsoluteError()
    given = keras_parts.compiled_with(compiled_model(loss=own_loss, loss_weights=[2.0], metrics=[metric]))
    assert given["loss"] is own_loss
    assert (given["loss_weights"], given["metrics"], given["weighted_metrics"]) == ([2.0], [metric], None)


def test_layers_that_a_users_layer_holds_are_among_all_layers() -> None:
    class Nest(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.BatchNormalization()
            self.several = [keras.layers.Dense(3), keras.Sequential([keras.layers.Dropout(0.1)])]

        def call(self, x: Any) -> Any:
            return self.several[1](self.several[0](self.inner(x)))

    nest = Nest()
    model = keras.Sequential([keras.Input((3,)), nest])
    found = {id(layer) for layer in keras_parts.all_layers(model)}
    dropout = nest.several[1].layers[0]
    wanted = {type(layer).__name__ for layer in (nest, nest.inner, *nest.several, dropout) if id(layer) not in found}
    assert wanted == set(), f"_flatten_layers leaves out {wanted}: an average would keep their old statistics"
    assert id(model) not in found


@pytest.mark.parametrize("make", EPOCH_HOOKS)
def test_a_callback_holds_its_model_in_model_and_nowhere_else(make: Any) -> None:
    callback, model = make(), compiled_model()
    before = set(vars(callback))
    callback.set_model(model)
    links = {name for name, value in vars(callback).items() if value is model}
    assert callback.model is model
    assert links == {"_model"}, (
        f"Keras {keras.__version__} keeps a callback's model in {sorted(links)}: a checkpoint of its state must leave "
        "these out, or it holds the whole model"
    )
    assert set(vars(callback)) == before


def test_the_state_of_a_layers_random_numbers_has_the_name_that_checkpoints_know_it_by() -> None:
    layer = keras.layers.Dropout(0.5)
    names = {variable.name for variable in layer.variables if variable not in layer.weights}
    assert names == {"seed_generator_state"}, "model_state takes a variable of another name for a weight"
