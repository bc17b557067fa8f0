"""The layers of a random program, as text: each takes an array of floats of shape (batch, d) and gives such a one.

Knows Keras's layers. Must not know models.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.oracle.program_parts.draw import Draw

__all__ = ["draw_layers"]


def _regularizer(draw: Draw, regularized: str) -> str:
    kernels_only = "orthogonal" if regularized == "kernel" else "L2"  # two dimensions, both known
    kind = draw.one_of(["L2", "L2", "L1", "L1L2", "text", "own", kernels_only])
    draw.note(f"regularizer: {kind}")
    strength = draw.knob("strength", 1e-3, 1e-2, 3e-2)
    return {
        "L1L2": f"keras.regularizers.L1L2(1e-3, {strength})",
        "text": draw.knob("regularizer", "l1", "l2"),
        "own": f"{draw.need('OwnL2') if kind == 'own' else ''}({strength})",
        "orthogonal": f"keras.regularizers.OrthogonalRegularizer({strength})",
    }.get(kind, f"keras.regularizers.{kind}({strength})")


def _constraint(draw: Draw) -> str:
    kind = draw.one_of(["MaxNorm", "UnitNorm", "NonNeg", "MinMaxNorm", "own"])
    draw.note(f"constraint: {kind}")
    limit = draw.knob("limit", 0.5, 0.8, 1.5)
    return {
        "UnitNorm": "keras.constraints.UnitNorm()",
        "NonNeg": "keras.constraints.NonNeg()",
        "MinMaxNorm": f"keras.constraints.MinMaxNorm(0.1, {limit}, rate=0.8)",
        "own": f"{draw.need('Clip') if kind == 'own' else ''}({limit})",
    }.get(kind, f"keras.constraints.{kind}({limit})")


def _activation(draw: Draw) -> str:
    kind = draw.one_of(["text"] * 6 + ["function", "closure", "lambda", "layer"])
    if kind != "text":
        draw.note(f"activation: {kind}")
    slope = draw.knob("slope", 0.05, 0.2, 0.4)
    return {
        "function": "keras.activations.silu",
        "closure": f"{draw.need('scaled_relu') if kind == 'closure' else ''}({slope})",
        "lambda": f"lambda z, slope={slope}: keras.ops.tanh(z) + slope * z",
        "layer": f"keras.layers.LeakyReLU(negative_slope={slope})",
    }.get(kind, draw.knob("activation", "relu", "tanh", "elu", "gelu"))


def _dense(draw: Draw) -> str:
    options = [f"activation={_activation(draw)}"]
    if draw.happens(0.3):
        regularized = draw.one_of(["kernel", "bias", "activity", "kernel"])
        options.append(f"{regularized}_regularizer={_regularizer(draw, regularized)}")
    if draw.happens(0.2):
        options.append(f"kernel_constraint={_constraint(draw)}")
    if draw.happens(0.1, "initializer"):
        options.append(f"kernel_initializer=keras.initializers.RandomNormal(stddev={draw.knob('stddev', 0.1, 0.3)})")
    if draw.happens(0.06, "layer built frozen"):
        options.append(f"trainable={draw.knob('trainable', True, False)}")
    if draw.happens(0.06) and "activity" not in "".join(options):
        draw.note("dtype of a layer")
        options.append(f"dtype={draw.knob('dtype', 'float32', 'mixed_bfloat16')}")
    return f"keras.layers.Dense({draw.knob('units', 4, 6, 8)}, {', '.join(options)})"


def _named(name: str, *options: tuple[str, tuple[object, ...]]) -> Callable[[Draw], str]:
    """A layer of Keras's by its name; of each option what its text begins with, and the values."""

    def make(draw: Draw) -> str:
        given = ", ".join(f"{begin}{draw.knob(begin.strip('=') or name, *values)}" for begin, values in options)
        return f"keras.layers.{name}({given})"

    return make


def _spatial_dropout(draw: Draw) -> str:
    rate = draw.knob("rate", 0.2, 0.4)
    return _folded(f"keras.layers.SpatialDropout1D({rate})", "keras.layers.Flatten()")


def _convolution(draw: Draw) -> str:
    layer = draw.one_of(["Conv1D(4, 2)", "SeparableConv1D(4, 2)", "DepthwiseConv1D(2)", "Conv1DTranspose(3, 2)"])
    pool = draw.one_of(["GlobalAveragePooling1D()", "GlobalMaxPooling1D()", "Flatten()"])
    return _folded(f"keras.layers.{layer}", f"keras.layers.{pool}")


def _attention(draw: Draw) -> str:
    return _folded(
        draw.need("SelfAttention") + f"({draw.knob('attention_dropout', 0.0, 0.2)})", "keras.layers.Flatten()"
    )


def _recurrent(draw: Draw) -> str:
    return _folded(f"keras.layers.SimpleRNN({draw.knob('units', 4, 6)}, dropout={draw.knob('rate', 0.1, 0.3)})")


def _distributed(draw: Draw) -> str:
    return _folded(f"keras.layers.TimeDistributed(keras.layers.Dense({draw.knob('units', 2, 4)}))",
                   "keras.layers.Flatten()")  # fmt: skip


def _folded(*layers: str) -> str:
    """Layers for sequences within ones for arrays: one nested model."""
    return f"keras.Sequential([keras.layers.Reshape((-1, 2)), {', '.join(layers)}])"


def _lambda(draw: Draw) -> str:
    return f"keras.layers.Lambda(lambda z, k={draw.knob('factor', 0.5, 1.5, 2.0)}: z * k)"


def _own(name: str, option: str, *values: object) -> Callable[[Draw], str]:
    def make(draw: Draw) -> str:
        return f"{draw.need(name)}({draw.knob(option, *values)})" if option else f"{draw.need(name)}()"

    return make


def _from_global(draw: Draw) -> str:
    draw.need("FACTOR")
    return f"{draw.need('FromGlobal')}()"


def _drawn(draw: Draw) -> str:
    number = "np.random.uniform(0.5, 1.5)"
    kind = draw.one_of(["own", "Keras's", "lambda"])
    return {
        "own": f"{draw.need('Scale') if kind == 'own' else ''}({number})",
        "Keras's": f"keras.layers.Rescaling({number})",
        "lambda": f"keras.layers.Lambda(lambda z, k={number}: z * k)",
    }[kind]


def _drifting(draw: Draw) -> str:
    if draw.backend == "jax":
        return "keras.layers.Rescaling(1.5)"
    return _own("Drift", "pace", 0.02, 0.1)(draw)


_LAYERS: dict[str, tuple[Callable[[Draw], str], int]] = {
    "Dense": (_dense, 22),
    "Dropout": (_named("Dropout", ("", (0.1, 0.3, 0.5, 0.0))), 5),
    "Dropout with seed": (_named("Dropout", ("", (0.2, 0.4)), ("seed=", (1, 2))), 2),
    "SpatialDropout1D": (_spatial_dropout, 2),
    "AlphaDropout": (_named("AlphaDropout", ("", (0.1, 0.3))), 2),
    "GaussianDropout": (_named("GaussianDropout", ("", (0.1, 0.3))), 3),
    "GaussianNoise": (_named("GaussianNoise", ("", (0.05, 0.2))), 2),
    "BatchNormalization": (_named("BatchNormalization", ("momentum=", (0.9, 0.5))), 4),
    "LayerNormalization": (_named("LayerNormalization", ("epsilon=", (1e-3, 0.1))), 2),
    "GroupNormalization": (_named("GroupNormalization", ("groups=", (1, 2))), 2),
    "RMSNormalization": (_named("RMSNormalization"), 2),
    "UnitNormalization": (_named("UnitNormalization"), 2),
    "PReLU": (_named("PReLU"), 2),
    "LeakyReLU": (_named("LeakyReLU", ("negative_slope=", (0.1, 0.3))), 2),
    "Activation": (_named("Activation", ("", ("relu", "tanh", "softplus"))), 2),
    "ActivityRegularization": (_named("ActivityRegularization", ("l2=", (1e-3, 1e-2))), 2),
    "convolution": (_convolution, 2),
    "recurrent": (_recurrent, 2),
    "attention": (_attention, 2),
    "TimeDistributed": (_distributed, 3),
    "SpectralNormalization": (lambda draw: f"keras.layers.SpectralNormalization({_dense(draw)})", 3),
    "Lambda": (_lambda, 2),
    "own layer: Python number": (_own("Scale", "factor", 0.5, 1.5, 1.0), 4),
    "own layer: described": (_own("Told", "factor", 0.5, 1.5), 3),
    "own layer: NumPy draws": (_own("Project", "width", 4, 6), 3),
    "own layer: add_loss": (_own("Penalty", "strength", 0.01, 0.1), 3),
    "own layer: state": (_own("Counting", "pace", 0.01, 0.05), 3),
    "own layer: seed generator": (_own("Noise", "size", 0.05, 0.2), 3),
    "own layer: hidden variable": (_own("Aside", "start", 0.5, 1.5), 2),
    "own layer: global": (_from_global, 3),
    "own layer: state unknown to Keras": (_drifting, 2),
    "number drawn by the builder": (_drawn, 3),
}
"""Feature -> how it is drawn, and how often in proportion."""
_NAMES = [name for name, (_, share) in _LAYERS.items() for _ in range(share)]


def draw_layers(draw: Draw) -> list[str]:
    """Two to four layers."""
    names = [draw.one_of(_NAMES) for _ in range(draw.one_of([1, 2, 2, 3]))]
    layers = ["Dense", *names] if draw.happens(0.8) else [*names, "Dense"]
    for name in layers:
        draw.note(f"layer: {name}")
    return [_LAYERS[name][0](draw) for name in layers]
