"""The data of a random program: what `load` returns, and the layers that make numbers of it.

Knows kinds of data. Must not know models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.oracle.program_parts.draw import Draw

__all__ = ["Inputs", "Targets", "draw_inputs", "draw_targets", "load_text"]


@dataclass
class Inputs:
    """What x is made of, as text."""

    x: str  # of `raw`, an array of shape (rows, 8)
    shape: str = "(8,)"  # of an input; several for a structure
    dtype: str = "float32"
    names: tuple[str, ...] = ()  # of a structure's parts
    before: list[str] = field(default_factory=list)  # lines of `build`
    front: list[str] = field(default_factory=list)  # layers from an input to an array of floats, shape (batch, d)
    needs_input: bool = False  # only with a shape that is told beforehand


@dataclass
class Targets:
    """What y is made of, as text."""

    y: str
    heads: list[str]  # units and activation of each output
    tasks: list[str]  # of each output: regression, binary, classes
    names: tuple[str, ...] = ()  # of a dict's outputs
    weight: str = ""


_AS_FLOATS = "keras.layers.Rescaling(1.0)"


def _array(draw: Draw) -> Inputs:
    return Inputs("raw")


def _doubles(draw: Draw) -> Inputs:
    return Inputs('raw.astype("float64")')


def _frame(draw: Draw) -> Inputs:
    return Inputs('pd.DataFrame(raw, columns=list("abcdefgh"))')


def _mixed_frame(draw: Draw) -> Inputs:
    return Inputs('pd.DataFrame(raw, columns=list("abcdefgh")).assign(a=lambda d: (d.a > 0).astype("int64"))')


def _sparse(draw: Draw) -> Inputs:
    return Inputs("scipy.sparse.csr_matrix(raw * (raw > 0.3))", front=["keras.layers.Dense(6)"], needs_input=True)


def _flags(draw: Draw) -> Inputs:
    return Inputs("raw > 0", dtype="bool", front=["keras.layers.Rescaling(1.0)"])


def _normalized(draw: Draw) -> Inputs:
    rows = draw.knob("adapted_rows", 20, 40, 80)
    before = ["adapted = keras.layers.Normalization()", f'adapted.adapt(load()["train"][0][:{rows}] * 3 + 1)']
    return Inputs("raw", before=before, front=["adapted"])


def _given_normalization(draw: Draw) -> Inputs:
    layer = (
        f"keras.layers.Normalization(mean={draw.knob('mean', 0.0, 0.5)}, variance={draw.knob('variance', 1.0, 4.0)})"
    )
    return Inputs("raw", front=[layer], needs_input=True)


def _discretized(draw: Draw) -> Inputs:
    rows, bins = draw.knob("adapted_rows", 20, 40, 80), draw.knob("bins", 4, 4, 6)
    before = [f"adapted = keras.layers.Discretization(num_bins={bins})", f'adapted.adapt(load()["train"][0][:{rows}])']
    return Inputs("raw", before=before, front=["adapted", "keras.layers.Rescaling(0.25)"])


def _given_bins(draw: Draw) -> Inputs:
    bounds = draw.knob("bounds", [-0.5, 0.5], [-1.0, 0.2])
    return Inputs("raw", front=[f"keras.layers.Discretization(bin_boundaries={bounds})", "keras.layers.Rescaling(0.5)"])


def _rescaled(draw: Draw) -> Inputs:
    return Inputs("raw * 50", front=[f"keras.layers.Rescaling({draw.knob('scale', 0.02, 0.01)}, offset=0.1)"])


def _categories(draw: Draw) -> Inputs:
    mode = draw.knob("mode", "multi_hot", "count")
    layer = f"keras.layers.CategoryEncoding(num_tokens=6, output_mode={mode})"
    return Inputs("np.clip(raw * 2 + 3, 0, 5).astype('int64')", dtype="int64", front=[layer], needs_input=True)


def _embedded(draw: Draw) -> Inputs:
    options = draw.one_of(["", f", embeddings_regularizer=keras.regularizers.L2({draw.knob('l2', 1e-3, 1e-2)})"])
    masked = f", mask_zero={draw.knob('mask', True, False)}" if draw.happens(0.4) else ""
    front = [f"keras.layers.Embedding(6, 3{options}{masked})", draw.one_of(["keras.layers.GlobalAveragePooling1D()",
             "keras.layers.GRU(4)"])]  # fmt: skip
    return Inputs("np.clip(raw * 2 + 3, 0, 5).astype('int32')", dtype="int32", front=front)


def _pictures(draw: Draw) -> Inputs:
    change = draw.one_of(
        [
            'keras.layers.RandomFlip("horizontal", seed=3)',
            f"keras.layers.RandomContrast({draw.knob('contrast', 0.1, 0.5)})",
            f"keras.layers.RandomBrightness({draw.knob('brightness', 0.1, 0.4)}, value_range=(0, 1))",
            f"keras.layers.RandomTranslation({draw.knob('shift', 0.1, 0.4)}, 0.1)",
            "keras.layers.CenterCrop(2, 2)",
            "keras.layers.ZeroPadding2D(1)",
        ]
    )
    front = ["keras.layers.Rescaling(1 / 255)", change, "keras.layers.Conv2D(4, 2)", "keras.layers.Flatten()"]
    x = "np.clip(np.repeat(raw, 2, axis=1) * 60 + 128, 0, 255).reshape(-1, 4, 4, 1).astype('uint8')"
    return Inputs(x, shape="(4, 4, 1)", dtype="uint8", front=front, needs_input=True)


def _sequence(draw: Draw) -> Inputs:
    kind = draw.one_of(["LSTM", "GRU", "SimpleRNN"])
    options = f"dropout={draw.knob('rnn_dropout', 0.0, 0.2, 0.4)}, recurrent_dropout=0.1" if draw.happens(0.4) else ""
    layer = f"keras.layers.{kind}(4, {options})"
    if draw.happens(0.3):
        layer = f"keras.layers.Bidirectional({layer})"
    return Inputs("raw.reshape(-1, 4, 2)", shape="(4, 2)", front=[layer])


def _words(draw: Draw) -> Inputs:
    rows, mode = draw.knob("adapted_rows", 4, 20, 80), draw.knob("mode", "multi_hot", "count", "tf_idf")
    before = [
        f"adapted = keras.layers.StringLookup(output_mode={mode}, max_tokens=8, pad_to_max_tokens=True)",
        f'adapted.adapt(load()["train"][0][:{rows}])',
    ]
    words = "np.array(['ant', 'bee', 'cat', 'dog', 'eel', 'fox'])[np.clip(raw[:, :3] * 2 + 3, 0, 5).astype(int)]"
    return Inputs(
        f"{words}.astype(object)",
        shape="(3,)",
        dtype="string",
        before=before,
        front=["adapted", _AS_FLOATS],
        needs_input=True,
    )


def _given_words(draw: Draw) -> Inputs:
    words = draw.knob("vocabulary", ["ant", "bee", "cat"], ["fox", "eel", "dog"])
    front = [f"keras.layers.StringLookup(vocabulary={words}, output_mode='multi_hot')", _AS_FLOATS]
    data = "np.array(['ant', 'bee', 'cat', 'dog', 'eel', 'fox'])[np.clip(raw[:, :3] * 2 + 3, 0, 5).astype(int)]"
    return Inputs(f"{data}.astype(object)", shape="(3,)", dtype="string", front=front, needs_input=True)


def _texts(draw: Draw) -> Inputs:
    rows, mode = draw.knob("adapted_rows", 4, 20, 80), draw.knob("mode", "multi_hot", "count", "tf_idf")
    before = [
        f"adapted = keras.layers.TextVectorization(max_tokens=8, output_mode={mode}, pad_to_max_tokens=True)",
        f'adapted.adapt(load()["train"][0][:{rows}])',
    ]
    words = "np.array(['ant', 'bee', 'cat', 'dog', 'eel', 'fox'])[np.clip(raw * 2 + 3, 0, 5).astype(int)]"
    texts = f"np.array([' '.join(row) for row in {words}]).astype(object)"
    return Inputs(texts, shape="()", dtype="string", before=before, front=["adapted", _AS_FLOATS], needs_input=True)


def _integers(draw: Draw) -> Inputs:
    rows = draw.knob("adapted_rows", 4, 20, 80)
    before = [
        "adapted = keras.layers.IntegerLookup(output_mode='multi_hot', max_tokens=8, pad_to_max_tokens=True)",
        f'adapted.adapt(load()["train"][0][:{rows}])',
    ]
    x = "(np.clip(raw * 2 + 3, 0, 5).astype('int64') * 7)"
    return Inputs(x, dtype="int64", before=before, front=["adapted", _AS_FLOATS], needs_input=True)


def _hashed(draw: Draw) -> Inputs:
    front = [f"keras.layers.Hashing(num_bins=6, salt={draw.knob('salt', 1, 2)}, output_mode='multi_hot')", _AS_FLOATS]
    x = "np.clip(raw * 2 + 3, 0, 5).astype('int64')"
    return Inputs(x, dtype="int64", front=front, needs_input=True)


def _dict(draw: Draw) -> Inputs:
    return Inputs('{"a": raw[:, :5], "b": raw[:, 5:]}', shape="(5,) (3,)", names=("a", "b"))


def _list(draw: Draw) -> Inputs:
    return Inputs("[raw[:, :5], raw[:, 5:]]", shape="(5,) (3,)")


def _tuple(draw: Draw) -> Inputs:
    return Inputs("(raw[:, :5], pd.DataFrame(raw[:, 5:]))", shape="(5,) (3,)")


_INPUTS: dict[str, tuple[Callable[[Draw], Inputs], int]] = {
    "array": (_array, 10), "float64": (_doubles, 2), "pandas frame": (_frame, 3),
    "pandas mixed frame": (_mixed_frame, 2),
    "scipy sparse": (_sparse, 2), "bool": (_flags, 3), "Normalization adapted": (_normalized, 4),
    "Normalization given": (_given_normalization, 2), "Discretization adapted": (_discretized, 3),
    "Discretization given": (_given_bins, 3), "Rescaling": (_rescaled, 3), "CategoryEncoding": (_categories, 2),
    "Embedding": (_embedded, 3), "uint8 pictures": (_pictures, 3), "sequences": (_sequence, 3),
    "StringLookup adapted": (_words, 4), "StringLookup given": (_given_words, 4),
    "TextVectorization adapted": (_texts, 3),
    "IntegerLookup adapted": (_integers, 3), "Hashing": (_hashed, 3), "dict of inputs": (_dict, 3),
    "list of inputs": (_list, 3), "tuple of inputs": (_tuple, 3),
}  # fmt: skip
"""Feature -> how it is drawn, and how often in proportion."""
_ONLY_TENSORFLOW = (
    "StringLookup adapted", "StringLookup given", "TextVectorization adapted", "IntegerLookup adapted", "Hashing",
    "scipy sparse",  # trains on JAX too, but each batch is compiled anew
)  # fmt: skip


def draw_inputs(draw: Draw) -> Inputs:
    """What x is."""
    names = [name for name, (_, share) in _INPUTS.items() for _ in range(share)]
    if draw.backend == "jax":
        names = [name for name in names if name not in _ONLY_TENSORFLOW]
    name = draw.one_of(names)
    draw.note(f"x: {name}")
    return _INPUTS[name][0](draw)


def draw_targets(draw: Draw) -> Targets:
    """What y is, with weights or without."""
    kind = draw.one_of(["regression"] * 3 + ["binary"] * 3 + ["classes"] * 3 + ["tuple of outputs", "dict of outputs"])
    draw.note(f"y: {kind}")
    if kind == "tuple of outputs":
        targets = Targets("(signal[:, None], kind)", ["1", "3, softmax"], ["regression", "classes"])
    elif kind == "dict of outputs":
        y = '{"far": signal[:, None], "kind": kind}'
        targets = Targets(y, ["1", "3, softmax"], ["regression", "classes"], names=("far", "kind"))
    elif kind == "regression":
        targets = Targets("signal[:, None]", ["1"], [kind])
    elif kind == "binary":
        targets = Targets("(signal > 0).astype('float32')[:, None]", ["1, sigmoid"], [kind])
    else:
        targets = Targets("kind", ["3, softmax"], [kind])
    if len(targets.tasks) == 1:
        _draw_container(draw, targets)
    _draw_weight(draw, targets)
    return targets


def _draw_container(draw: Draw, targets: Targets) -> None:
    if draw.happens(0.1, "y: pandas Series"):
        targets.y = f"pd.Series(({targets.y}).ravel())"
    elif draw.happens(0.06, "y: pandas frame"):
        targets.y = f"pd.DataFrame(({targets.y}).reshape(-1, 1))"
    elif draw.happens(0.06, "y: float64"):
        targets.y = f"({targets.y}).astype('float64')"
    elif targets.tasks != ["classes"] and draw.happens(0.08, "y: one-dimensional"):
        targets.y = f"({targets.y}).ravel()"


def _draw_weight(draw: Draw, targets: Targets) -> None:
    if draw.happens(0.12, "sample weights"):
        targets.weight = draw.one_of(["np.abs(raw[:, 0]) + 0.5", "pd.Series(np.abs(raw[:, 0]) + 0.5)",
                                      "(np.abs(raw[:, 0]) + 0.5).astype('float64')"])  # fmt: skip
    elif targets.names and draw.happens(0.35, "sample weights of each output"):
        targets.weight = '{"far": np.abs(raw[:, 0]) + 0.5, "kind": np.abs(raw[:, 1]) + 0.1}'
    elif draw.happens(0.07, "class weights"):
        targets.weight = 'np.where(kind == 1, 2.0, 0.5).astype("float32")'


def load_text(draw: Draw, inputs: Inputs, targets: Targets) -> str:
    """The text of `load`."""
    rows, held_out = draw.one_of([96, 110, 128]), draw.one_of([40, 50])
    third = ", weights" if targets.weight else ""
    held_third = ", weights" if targets.weight and draw.happens(0.5, "validation weights") else ""
    weights = f"\n        weights = {targets.weight}" if targets.weight else ""
    return f"""
def load():
    rng = np.random.default_rng({draw.one_of(range(100))})
    everything = rng.normal(size=({rows + held_out}, 8)).astype("float32")

    def split(raw):
        signal = (raw[:, 0] - raw[:, 1] * raw[:, 2]).astype("float32")
        kind = np.digitize(signal, [-0.7, 0.7])
        x = {inputs.x}
        y = {targets.y}{weights}
        return x, y{third}

    return {{"train": split(everything[:{rows}]), "validation": split(everything[{rows}:]){
        "" if held_third or not third else "[:2]"
    }}}
"""
