"""Random Keras programs: the text of a user's module, and params to train it with.

Knows how the parts of a program fit together. Must not know who trains it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.oracle.program_parts.callbacks import draw_callbacks
from tests.oracle.program_parts.data import Inputs, Targets, draw_inputs, draw_targets, load_text
from tests.oracle.program_parts.definitions import DEFINITIONS
from tests.oracle.program_parts.draw import Draw, Knob
from tests.oracle.program_parts.layers import draw_layers
from tests.oracle.program_parts.settings import draw_losses, draw_metrics, draw_optimizer

__all__ = ["SEED", "Point", "Program", "make_program"]

SEED = 15
"""With it every feature is in ten of the first 500 programs at least, on both backends; a test holds that."""

_HEADER = """import functools

import keras
import numpy as np
import pandas as pd
import scipy.sparse
"""


@dataclass(frozen=True)
class Point:
    """What one trial is made of."""

    params: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Program:
    """A user's module, with the points of its space that are trained."""

    number: int
    source: str
    space: Mapping[str, tuple[Any, ...]]
    points: tuple[Point, ...]
    features: frozenset[str]
    epochs: int
    batch_size: int | str
    has_callbacks: bool
    half: bool  # computes in half precision
    scores: bool  # a fresh model with an epoch's weights scores what the epoch reported
    pauses: bool  # all of its state can be in a checkpoint

    @property
    def module(self) -> str:
        """The name that it is imported by."""
        return f"oracle_user_{self.number}"


def make_program(seed: int, number: int, backend: str) -> Program:
    """The program of this number. The same arguments make the same program."""
    whole = Draw(seed, number, backend)
    text, size = _compose(whole)
    chance = random.Random(f"params {seed} {number}")
    used = [index for index, knob in enumerate(whole.knobs) if f'"{knob.name}"' in text or knob.name == size]
    varied = [index for index in used if len({repr(value) for value in whole.knobs[index].values}) > 1]
    chosen = chance.sample(varied, min(len(varied), chance.choice([1, 2, 2, 3])))
    draw = Draw(seed, number, backend, frozenset(chosen))
    source, batch_size = _compose(draw)
    knobs = [draw.knobs[index] for index in sorted(chosen)]
    return Program(
        number=number,
        source=source,
        space={knob.name: knob.values for knob in knobs},
        points=_points(chance, knobs, number),
        features=frozenset(draw.features | {f"param: {knob.name.rpartition('_')[0]}" for knob in knobs}),
        epochs=chance.choice([2, 3, 3, 4]),
        batch_size=batch_size,
        has_callbacks="def callbacks(" in source,
        half="float16" in source,
        scores=not {"AtBegin", "Midway", "Largest", "Drift", "Fading"} & set(draw.needs)
        and "SwapEMA" not in source
        and not ("enable_lora" in source and "_regularizer" in source),  # saved merged, without what was penalized
        pauses="Drift" not in draw.needs and "Fading" not in draw.needs,
    )


def _points(chance: random.Random, knobs: list[Knob], number: int) -> tuple[Point, ...]:
    """One, one or two that differ from it in one param each, and often its params again with another seed."""
    base = {knob.name: knob.value for knob in knobs}
    changed = []
    for knob in chance.sample(knobs, min(len(knobs), chance.choice([1, 1, 1, 2]))):
        others = [value for value in knob.values if repr(value) != repr(knob.value)]
        changed.append(base | {knob.name: chance.choice(others)})
    again = [base] if not changed or chance.random() < 0.6 else []
    return tuple(Point(params, 100 * number + index) for index, params in enumerate([base, *changed, *again]))


def _compose(draw: Draw) -> tuple[str, int | str]:
    """The module's text, and the batch size or the param that holds it."""
    inputs, targets = draw_inputs(draw), draw_targets(draw)
    load = load_text(draw, inputs, targets)
    layers = draw_layers(draw)
    policy = _policy(draw) if "ctivity" not in "".join(layers) else []  # Keras adds such a loss in its own precision
    optimizer = draw_optimizer(draw)
    model = _model(draw, inputs, targets, layers)
    is_random = any(word in line for line in [*inputs.front, *layers] for word in _RANDOM)
    compiled = _compile(draw, targets, is_random)
    callbacks = draw_callbacks(
        draw, averages="use_ema" in optimizer[0], schedule="schedules." in optimizer[0] or "OwnRate" in optimizer[0]
    )
    after = _after(draw)
    before = _globals(draw)
    changed = _replaced(draw) if draw.happens(0.1) else []
    if draw.happens(0.05, "low-rank layer"):
        changed += [
            "for layer in model.layers:",
            "    if type(layer) is keras.layers.Dense and layer.built and layer.kernel_constraint is None:",
            f"        layer.enable_lora({draw.knob('rank', 1, 2)})",
            "        break",
        ]
    build = [*policy, *before, *inputs.before, *model, *changed, *optimizer, *compiled, *after, "return model"]
    size = draw.knob("batch_size", 16, 24, 32)
    batch_size: int | str = size[8:-2] if size.startswith("params") else int(size)
    texts = [DEFINITIONS[name] for name in DEFINITIONS if name in draw.needs]
    if targets.names:
        texts.append(f"\nNAMES = {targets.names!r}\n")
    header = _HEADER + ("import tensorflow as tf\n" if draw.backend == "tensorflow" else "")
    parts = [header, *texts, load]
    parts.append("\n\ndef build(params):\n" + "".join(f"    {line}\n" for line in build))
    if callbacks:
        parts.append(f"\n\ndef callbacks(params):\n    return [{', '.join(callbacks)}]\n")
    return "\n".join(parts).replace("\n\n\n\n", "\n\n\n"), batch_size


def _policy(draw: Draw) -> list[str]:
    if draw.happens(0.06, "policy mixed_bfloat16"):
        return ['keras.config.set_dtype_policy("mixed_bfloat16")']
    if draw.happens(0.05, "policy by param"):
        return [f"keras.config.set_dtype_policy({draw.knob('policy', 'float32', 'mixed_bfloat16')})"]
    if draw.happens(0.04, "policy mixed_float16"):
        return ['keras.config.set_dtype_policy("mixed_float16")']
    return []


def _globals(draw: Draw) -> list[str]:
    """What the builder sets beyond its model."""
    lines = []
    if "FACTOR" in draw.needs:
        lines.append(f"FACTOR[0] = {draw.knob('global_factor', 0.5, 1.0, 2.0)}")
    if "TABLE" in draw.needs:
        lines.append(f"TABLE['keep'] = {draw.knob('keep', 0.9, 0.7)}")
    if "Scale" in draw.needs and draw.happens(0.25, "attribute of a class"):
        lines.append(f"Scale.shift = {draw.knob('shift', 0.0, 0.3)}")
    return lines


def _heads(targets: Targets) -> list[str]:
    heads = []
    for index, head in enumerate(targets.heads):
        units, _, activation = head.partition(", ")
        name = f', name="{targets.names[index]}"' if targets.names else ""
        chosen = f', activation="{activation}"' if activation else ""
        heads.append(f'keras.layers.Dense({units}{chosen}, dtype="float32"{name})')
    return heads


def _outputs(targets: Targets) -> str:
    if targets.names:
        return "lambda made: dict(zip(NAMES, made))"
    return "tuple" if len(targets.heads) > 1 else "lambda made: made[0]"


_STYLES = (
    "sequential",
    "functional",
    "functional",
    "nested",
    "operations",
    "operations",
    "shared",
    "residual",
    "subclassed",
    "described",
    "own class",
)


def _model(draw: Draw, inputs: Inputs, targets: Targets, layers: list[str]) -> list[str]:
    """Lines that give `model` its value."""
    several = " (" in inputs.shape or "{" in inputs.x or inputs.x[:1] == "["
    style = draw.one_of(_STYLES)
    if style == "sequential" and (several or len(targets.heads) > 1):
        style = "functional"
    if style in ("subclassed", "described") and inputs.needs_input and not several:
        style = "own class"
    draw.note(f"model: {style}")
    heads = _heads(targets)
    if style == "sequential":
        begin = [f"keras.Input({inputs.shape}, dtype={inputs.dtype!r}{_sparse(inputs)})"]
        if not inputs.needs_input and draw.happens(0.6, "model: without a shape"):
            begin = []
        return [f"model = keras.Sequential([{', '.join([*begin, *inputs.front, *layers, *heads])}])"]
    if style in ("subclassed", "described"):
        front = [f"{draw.need('Join')}()"] if several else inputs.front
        kind = draw.need("Held" if style == "subclassed" else "Described")
        return [
            f"model = {kind}([{', '.join(front)}], [{', '.join(layers)}], [{', '.join(heads)}], {_outputs(targets)})"
        ]
    lines = _inputs(inputs, several)
    lines += _body(draw, style, layers)
    lines.append(f"outputs = ({_outputs(targets)})([{', '.join(f'{head}(x)' for head in heads)}])")
    return [*lines, *_class(draw, style)]


def _sparse(inputs: Inputs) -> str:
    return ", sparse=True" if "scipy" in inputs.x else ""


def _inputs(inputs: Inputs, several: bool) -> list[str]:
    if several:
        shapes = inputs.shape.split(" ")
        each = [f"keras.Input({shape})" for shape in shapes]
        if inputs.names:
            begin = f"inputs = {{'{inputs.names[0]}': {each[0]}, '{inputs.names[1]}': {each[1]}}}"
        else:
            begin = f"inputs = [{', '.join(each)}]" if inputs.x[0] == "[" else f"inputs = ({', '.join(each)})"
        return [begin, "x = keras.layers.Concatenate()(keras.tree.flatten(inputs))"]
    lines = [f"inputs = keras.Input({inputs.shape}, dtype={inputs.dtype!r}{_sparse(inputs)})", "x = inputs"]
    return lines + [f"x = {layer}(x)" for layer in inputs.front]


def _body(draw: Draw, style: str, layers: list[str]) -> list[str]:
    lines = [f"x = {layer}(x)" for layer in layers]
    if style == "nested":
        frozen = draw.knob("inner_trainable", True, False) if draw.happens(0.4, "nested model frozen") else "True"
        return [
            f"inner = keras.Sequential([{', '.join(layers)}])",
            *([f"inner.trainable = {frozen}"] if frozen != "True" else []),
            "x = inner(x)",
        ]
    if style == "shared":
        return [
            f"twice = keras.layers.Dense(6, activation={draw.knob('activation', 'relu', 'tanh')})",
            f"x = keras.layers.Add()([twice(x), twice(keras.layers.Rescaling({draw.knob('scale', 0.5, 2.0)})(x))])",
            *lines,
        ]
    if style == "operations":
        return [*lines, *_operations(draw)]
    if style == "residual":
        return ["kept = keras.layers.Dense(4)(x)", *lines, "x = keras.layers.Concatenate()([x, kept])"]
    return lines


def _operations(draw: Draw) -> list[str]:
    """Keras operations as steps of a functional model, with constants in them."""
    kind = draw.one_of(["number", "where", "array", "large array"])
    draw.note(f"operations: {kind}")
    return {
        "number": lambda: [f"x = x * {draw.knob('times', 0.5, 1.5)} + 0.1"],
        "where": lambda: [f"x = keras.ops.where(x > {draw.knob('threshold', 0.0, 0.3)}, x, 0.1 * x)"],
        "array": lambda: [
            "x = keras.layers.Dense(4)(x)",
            f"x = x * np.array({draw.knob('array', [0.5, 1.0, 1.5, 2.0], [2.0, 1.5, 1.0, 0.5])}, 'float32')",
        ],
        "large array": lambda: [
            "x = keras.layers.Dense(8)(x)",
            f"x = keras.ops.matmul(x, np.random.default_rng({draw.knob('array_seed', 1, 2)}).normal(0, 0.1, (8, 200))"
            ".astype('float32'))",
        ],
    }[kind]()


def _replaced(draw: Draw) -> list[str]:
    """A method of an object of Keras's is another."""
    kind = draw.one_of(["call", "compute_loss"])
    draw.note(f"method replaced: {kind}")
    if kind == "call":
        return [
            "for layer in model.layers:",
            "    if type(layer) is keras.layers.Dense:",
            f"        layer.call = lambda z, own=layer.call, k={draw.knob('factor', 0.5, 1.5)}, **named: own(z) * k",
        ]
    return [
        f"model.compute_loss = lambda *given, own=model.compute_loss, k={draw.knob('factor', 0.5, 1.5)}, **named: "
        "own(*given, **named) * k"
    ]


def _class(draw: Draw, style: str) -> list[str]:
    """The lines that make a functional model of `inputs` and `outputs`."""
    if style != "own class":
        return ["model = keras.Model(inputs, outputs)"]
    kinds = ["OwnLoss", "OwnStep", "OwnMetrics", "OwnTape", "Two"]
    if draw.backend == "jax":
        kinds = kinds[:3]
    kind = draw.one_of(kinds)
    draw.note(f"own class: {kind}")
    lines = [f"model = {draw.need(kind)}(inputs, outputs)"]
    if kind in ("OwnLoss", "OwnTape"):
        lines.append(f"model.strength = {draw.knob('strength', 0.5, 0.1, 1.0)}")
    if kind == "OwnStep":
        lines.append(f"model.extra = {draw.knob('extra', 1.0, 3.0)}")
    return lines


_RANDOM = ("ropout", "Noise", "Random")
"""What draws random numbers in a step. XLA draws others."""


def _compile(draw: Draw, targets: Targets, is_random: bool) -> list[str]:
    arguments = ["optimizer", *draw_losses(draw, targets), *draw_metrics(draw, targets)]
    if "Two" in draw.needs:
        other = f"keras.optimizers.Adam({draw.knob('other_rate', 0.01, 0.002)})"
        arguments.append(f"other={other}")
    if draw.happens(0.05, "steps_per_execution"):
        arguments.append(f"steps_per_execution={draw.knob('steps_per_execution', 2, 3)}")
    if draw.happens(0.04, "run_eagerly"):
        arguments.append(f"run_eagerly={draw.knob('run_eagerly', True, False)}")
    elif draw.happens(0.1) and not is_random:
        draw.note("jit_compile")
        arguments.append(f"jit_compile={draw.knob('jit_compile', True, False)}")
    line = f"model.compile({', '.join(arguments)})"
    return [line, line] if draw.happens(0.04, "compiled twice") and "Two" not in draw.needs else [line]


def _after(draw: Draw) -> list[str]:
    """What is set after `compile`."""
    choices = {
        "layer frozen": lambda: [f"model.layers[1].trainable = {draw.knob('trainable', True, False)}"],
        "rate": lambda: [
            "if isinstance(model.optimizer.learning_rate, keras.Variable):",
            f"    model.optimizer.learning_rate = {draw.knob('rate', 0.002, 0.008)}",
        ],
        "iterations": lambda: [
            "if isinstance(model.optimizer.iterations, keras.Variable):",  # not where gradients are accumulated
            f"    model.optimizer.iterations.assign({draw.knob('iterations', 0, 5, 50)})",
        ],
        "weights": lambda: [
            "for variable in model.trainable_variables[:1]:",
            f"    variable.assign(variable * {draw.knob('factor', 0.5, 1.5)})",
        ],
        "dropout rate": lambda: [
            "for layer in model.layers:",
            "    if isinstance(layer, keras.layers.Dropout):",
            f"        layer.rate = {draw.knob('rate', 0.1, 0.6)}",
        ],
        "attribute": lambda: [
            "for layer in model.layers:",
            "    if isinstance(getattr(layer, 'factor', None), float):",
            f"        layer.factor = {draw.knob('factor', 0.3, 0.7)}",
        ],
        "activation": lambda: [
            "for layer in model.layers[:-1]:",
            "    if isinstance(layer, keras.layers.Dense):",
            f"        layer.activation = keras.activations.get({draw.knob('activation', 'relu', 'tanh')})",
        ],
        "optimizer attribute": lambda: [f"model.optimizer.clipnorm = {draw.knob('clipnorm', 0.05, 1.0)}"],
        "momentum of statistics": lambda: [
            "for layer in model.layers:",
            "    if isinstance(layer, keras.layers.BatchNormalization):",
            f"        layer.momentum = {draw.knob('momentum', 0.5, 0.9)}",
        ],
    }
    if not draw.happens(0.4):
        return []
    name = draw.one_of(sorted(choices))
    draw.note(f"after compile: {name}")
    return choices[name]()
