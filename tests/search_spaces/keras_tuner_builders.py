"""Builders as KerasTuner's documentation writes them, but for the layers: each returns the values that it was given."""

from typing import Any


def build_getting_started(hp: Any) -> dict[str, Any]:
    given = {"units": hp.Int("units", min_value=32, max_value=512, step=32)}
    given["activation"] = hp.Choice("activation", ["relu", "tanh"])
    if hp.Boolean("dropout"):
        given["rate"] = hp.Float("rate", 0, 0.5, step=0.1, default=0.2)
    given["learning_rate"] = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    return given


def build_layers(hp: Any) -> dict[str, Any]:
    given = {}
    for i in range(hp.Int("num_layers", 1, 3)):
        given[f"units_{i}"] = hp.Int(f"units_{i}", min_value=32, max_value=512, step=32)
    return given


def build_layers_in_scopes(hp: Any) -> dict[str, Any]:
    given = {"layers": hp.Int("num_layers", 1, 20, default=2)}
    for i in range(20):
        with hp.conditional_scope("num_layers", list(range(i + 1, 21))):
            given[f"units_{i}"] = hp.Int(f"units_{i}", 2, 32, step=2, sampling="log")
    return given


def build_one_of_two_models(hp: Any) -> dict[str, Any]:
    given = {"model_type": hp.Choice("model_type", ["mlp", "cnn"])}
    with hp.conditional_scope("model_type", ["mlp"]):
        if given["model_type"] == "mlp":
            given["units"] = hp.Int("units", 16, 64, step=16)
            given["norm"] = hp.Boolean("norm", default=True)
            with hp.conditional_scope("norm", [True]):
                given["momentum"] = hp.Float("momentum", 0.8, 0.99)
    with hp.conditional_scope("model_type", ["cnn"]):
        if given["model_type"] == "cnn":
            with hp.name_scope("conv"):
                given["filters"] = hp.Choice("filters", [8, 16], ordered=True)
                given["read"] = (hp.get("filters"), hp["filters"], "filters" in hp, "units" in hp)
    given["pool"] = hp.Choice("pool", ["max", "avg"], parent_name="model_type", parent_values=["cnn"])
    given["seed"] = hp.Fixed("seed", 7)
    given["batch"] = hp.Int("batch", 2, 100, sampling="log")
    given["values"] = dict(hp.values)
    return given


def build_one_of_three_optimizers(hp: Any) -> dict[str, Any]:
    given = {"optimizer": hp.Choice("optimizer", ["sgd", "rmsprop", "adam"])}
    given["momentum"] = hp.Float("momentum", 0, 0.9, parent_name="optimizer", parent_values=["sgd", "rmsprop"])
    for name in ("rmsprop", "adam"):
        with hp.conditional_scope("optimizer", name):
            given[f"{name} epsilon"] = hp.Float("epsilon", 1e-8, 1e-2, step=10, sampling="log")
    return given


BUILDERS = [
    build_getting_started,
    build_layers,
    build_layers_in_scopes,
    build_one_of_two_models,
    build_one_of_three_optimizers,
]
