"""What a random program compiles its model with, as text: optimizer, losses, metrics.

Knows Keras's optimizers, losses and metrics. Must not know layers.
"""

from __future__ import annotations

from tests.oracle.program_parts.data import Targets
from tests.oracle.program_parts.draw import Draw

__all__ = ["draw_losses", "draw_metrics", "draw_optimizer"]

_OPTIMIZERS = {
    "SGD": (0.01, ("momentum", 0.0, 0.5, 0.9)), "Adam": (0.005, ("beta_1", 0.9, 0.5)),
    "AdamW": (0.005, ("beta_2", 0.999, 0.9)), "RMSprop": (0.003, ("rho", 0.9, 0.5)),
    "Adagrad": (0.02, ("initial_accumulator_value", 0.1, 0.5)), "Adadelta": (0.2, ("rho", 0.95, 0.8)),
    "Adamax": (0.005, ("beta_1", 0.9, 0.5)), "Nadam": (0.003, ("beta_1", 0.9, 0.5)),
    "Ftrl": (0.02, ("l2_regularization_strength", 0.0, 0.01)), "Lion": (0.001, ("beta_1", 0.9, 0.5)),
    "Adafactor": (0.01, ("relative_step", True, False)), "Lamb": (0.003, ("beta_1", 0.9, 0.5)),
    "Muon": (0.003, ("nesterov", True, False)),
}  # fmt: skip
"""Name -> a learning rate that suits it, and an option of its own with its values."""


def _rate(draw: Draw, rate: float) -> str:
    kind = draw.one_of(["number"] * 7 + ["ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay", "own schedule"])
    if kind == "number":
        return draw.knob("learning_rate", rate, rate / 2, rate * 2)
    draw.note(f"learning rate: {kind}")
    if kind == "own schedule":
        return f"{draw.need('OwnRate')}({draw.knob('learning_rate', rate, rate / 2)})"
    options = {
        "ExponentialDecay": f"{rate}, 4, {draw.knob('decay', 0.9, 0.6)}",
        "CosineDecay": f"{rate}, {draw.knob('decay_steps', 8, 20)}",
        "PiecewiseConstantDecay": f"[{draw.knob('boundary', 4, 8)}], [{rate}, {rate / 4}]",
    }[kind]
    return f"keras.optimizers.schedules.{kind}({options})"


def _shared_options(draw: Draw) -> list[str]:
    options = []
    clip = draw.one_of(["none"] * 5 + ["clipnorm", "global_clipnorm", "clipvalue"])
    if clip != "none":
        draw.note(f"optimizer: {clip}")
        options.append(f"{clip}={draw.knob(clip, 0.05, 0.5)}")
    if draw.happens(0.14, "optimizer: weight_decay"):
        options.append(f"weight_decay={draw.knob('weight_decay', 0.01, 0.1)}")
    if draw.happens(0.12, "optimizer: use_ema"):
        frequency = draw.one_of(["None", draw.knob("frequency", 3, 5)])
        options.append(f"use_ema=True, ema_momentum={draw.knob('ema_momentum', 0.9, 0.5)}, "
                       f"ema_overwrite_frequency={frequency}")  # fmt: skip
    elif draw.happens(0.09, "optimizer: gradient accumulation"):
        options.append(f"gradient_accumulation_steps={draw.knob('accumulation', 2, 3)}")
    if draw.happens(0.06, "optimizer: loss_scale_factor"):
        options.append(f"loss_scale_factor={draw.knob('loss_scale_factor', 1.0, 8.0)}")
    return options


def _with_options(draw: Draw, name: str) -> str:
    rate, (own, *values) = _OPTIMIZERS[name]
    options = _shared_options(draw)
    if draw.happens(0.5):
        options.append(f"{own}={draw.knob(own, *values)}")
    return f"keras.optimizers.{name}({', '.join([_rate(draw, rate), *options])})"


def draw_optimizer(draw: Draw) -> list[str]:
    """Lines that give `optimizer` its value."""
    kind = draw.one_of(["Adam", "SGD", "AdamW", "RMSprop", *_OPTIMIZERS, "text", "own", "by param"])
    draw.note(f"optimizer: {kind}")
    if kind == "text":
        return [f"optimizer = {draw.knob('optimizer', 'adam', 'sgd', 'rmsprop')}"]
    if kind == "own":
        return [f"optimizer = {draw.need('Plain')}({draw.knob('learning_rate', 0.01, 0.02)}, "
                f"{draw.knob('damping', 1.0, 0.5)})"]  # fmt: skip
    if kind == "by param":
        name = draw.knob("optimizer", "SGD", "Adam", "RMSprop")
        return [f"optimizer = getattr(keras.optimizers, {name})({draw.knob('learning_rate', 0.005, 0.002)})"]
    lines = [f"optimizer = {_with_options(draw, kind)}"]
    if draw.happens(0.09, "optimizer: exclude_from_weight_decay"):
        names, decay = draw.knob("excluded", ["bias"], ["kernel"], ["nothing"]), draw.knob("decay", 0.5, 0.2)
        lines = [
            f"optimizer = keras.optimizers.{kind}({_OPTIMIZERS[kind][0]}, weight_decay={decay})",
            f"optimizer.exclude_from_weight_decay(var_names={names})",
        ]
    if draw.happens(0.07, "optimizer: LossScaleOptimizer"):
        lines.append(f"optimizer = keras.optimizers.LossScaleOptimizer(optimizer, "
                     f"initial_scale={draw.knob('initial_scale', 2.0**8, 2.0**12)}, "
                     f"dynamic_growth_steps={draw.knob('growth', 2, 50)})")  # fmt: skip
    return lines


def _loss(draw: Draw, task: str) -> str:
    own = ["own class", "own closure"] + (["own with state"] if draw.backend == "tensorflow" else [])
    kinds = {
        "regression": ["'mse'", "'mae'", "Huber", "LogCosh", "partial", "lambda", "own function", *own],
        "binary": ["'binary_crossentropy'", "smoothed", "focal", "'hinge'", "'hinge'", *own],
        "classes": ["'sparse_categorical_crossentropy'", "sparse", *own[::2]],
    }[task]  # fmt: skip
    kind = draw.one_of(kinds)
    draw.note(f"loss: {kind.strip(chr(39))}")
    if kind.startswith("'"):
        return kind
    share = draw.knob("share", 0.3, 0.6, 1.0)
    if kind == "own class":
        return f"{draw.need('Weighted')}({share})"
    if kind == "own with state":
        return f"{draw.need('Fading')}({draw.knob('pace', 0.9, 0.99)})"
    if kind == "own closure":
        return f"{draw.need('stretched')}({share})"
    if kind == "partial":
        return f"functools.partial({draw.need('tilted')}, share={share})"
    if kind == "own function":
        return draw.need("tilted")
    smoothing = draw.knob("smoothing", 0.0, 0.1, 0.3)
    reduction = draw.one_of(["", f", reduction={draw.knob('reduction', 'sum_over_batch_size', 'mean')}"])
    return {
        "Huber": f"keras.losses.Huber(delta={share}{reduction})",
        "LogCosh": "keras.losses.LogCosh()",
        "lambda": f"lambda y, p, k={share}: keras.ops.mean(keras.ops.square(y - p), axis=-1) * k",
        "smoothed": f"keras.losses.BinaryCrossentropy(label_smoothing={smoothing}{reduction})",
        "focal": f"keras.losses.BinaryFocalCrossentropy(gamma={draw.knob('gamma', 1.0, 2.0)}{reduction})",
        "sparse": f"keras.losses.SparseCategoricalCrossentropy(from_logits=False{reduction})",
    }[kind]


def draw_losses(draw: Draw, targets: Targets) -> list[str]:
    """Arguments of `compile`."""
    losses = [_loss(draw, task) for task in targets.tasks]
    if len(losses) == 1:
        return [f"loss={losses[0]}"]
    weights = [draw.knob("loss_weight", 1.0, 0.2, 3.0) for _ in losses]
    weighted = draw.happens(0.6, "loss weights")
    if targets.names:
        arguments = ["loss=dict(zip(NAMES, [" + ", ".join(losses) + "]))"]
        return arguments + (["loss_weights=dict(zip(NAMES, [" + ", ".join(weights) + "]))"] if weighted else [])
    return [f"loss=[{', '.join(losses)}]"] + ([f"loss_weights=[{', '.join(weights)}]"] if weighted else [])


def _metric(draw: Draw, task: str) -> str:
    own = ["own class", "own memory", "own closure"]
    kinds = {
        "regression": ["'mae'", "'mse'", "keras.metrics.MeanSquaredError()", "keras.metrics.R2Score()", "huber", *own],
        "binary": [
            "'accuracy'",
            "keras.metrics.AUC()",
            "keras.metrics.BinaryAccuracy()",
            "precision",
            "precision",
            *own,
        ],
        "classes": ["'accuracy'", "keras.metrics.SparseTopKCategoricalAccuracy(2)", "top", *own],
    }[task]
    kind = draw.one_of(kinds)
    draw.note(f"metric: {kind.strip(chr(39)).removeprefix('keras.metrics.')}")
    if kind == "own class":
        return f"{draw.need('Mean')}({draw.knob('factor', 1.0, 2.0)})"
    if kind == "own memory":
        return f"{draw.need('Largest')}()"
    if kind == "own closure":
        return f"{draw.need('off_by')}({draw.knob('off', 0.0, 0.5)})"
    return {
        "precision": f"keras.metrics.Precision(thresholds={draw.knob('threshold', 0.4, 0.55)})",
        "huber": f"keras.metrics.MeanMetricWrapper(keras.losses.huber, delta={draw.knob('delta', 0.5, 2.0)})",
        "top": f"keras.metrics.SparseTopKCategoricalAccuracy(k={draw.knob('k', 1, 2)})",
    }.get(kind, kind)


def draw_metrics(draw: Draw, targets: Targets) -> list[str]:
    """Arguments of `compile`."""
    lists = []
    for task in targets.tasks:
        metrics = [_metric(draw, task) for _ in range(draw.one_of([0, 1, 1, 2]))]
        if draw.happens(0.1, "metrics: two of a class"):
            metrics += ["keras.metrics.MeanAbsoluteError()"] * 2 if task == "regression" else []
        lists.append(f"[{', '.join(metrics)}]")
    name = "weighted_metrics" if draw.happens(0.15, "weighted metrics") else "metrics"
    if len(lists) == 1:
        return [f"{name}={lists[0]}"] if lists[0] != "[]" else []
    if targets.names:
        return [f"{name}=dict(zip(NAMES, [{', '.join(lists)}]))"]
    return [f"{name}=[{', '.join(lists)}]"]
