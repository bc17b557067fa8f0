"""Numbers of a model that a trace would bake in, turned into variables, so that one program serves all their values.

Knows which attributes of Keras's classes are read, while tracing, as nothing but numbers. Must not know programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Protocol

import keras

__all__ = ["CONSTANTS", "Slot", "VariableFloat", "find_slots"]

CONSTANTS: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        keras.layers.Dropout: ("rate",),
        keras.layers.SpatialDropout1D: ("rate",),
        keras.layers.SpatialDropout2D: ("rate",),
        keras.optimizers.SGD: ("momentum", "weight_decay"),
        keras.optimizers.RMSprop: ("rho", "weight_decay"),
        keras.optimizers.Adam: ("beta_1", "beta_2", "weight_decay"),
        keras.optimizers.AdamW: ("beta_1", "beta_2", "weight_decay"),
        keras.regularizers.L2: ("l2",),
        keras.regularizers.L1L2: ("l1", "l2"),
    }
)
"""Class -> attributes that may become variables. Each is held against `fit` by a test before it may stand here."""

_NUMBERS_ON_JAX = ((keras.optimizers.RMSprop, "rho"),)
"""Attributes that Keras hands to an operation as they are, without a type: JAX takes those for plain numbers."""


class VariableFloat(float):
    """A number in Python's eyes, such as comparisons and files; a variable's value where a tensor is computed from it.

    Keras asks `momentum != 0` while it builds, and multiplies by `momentum` while it is traced. The answers to such
    questions are part of a model's signature; the value multiplied by is not.
    """

    __slots__ = ("_variable",)
    _variable: _Variable

    def __new__(cls, value: float, variable: _Variable) -> VariableFloat:
        """`value` is the variable's present value."""
        number = super().__new__(cls, value)
        number._variable = variable
        return number

    @property
    def dtype(self) -> str:
        """What Keras's type promotion takes it for."""
        return "float32"

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """The conversion that TensorFlow asks for."""
        return self._variable.read(dtype)

    def __jax_array__(self) -> Any:
        """The conversion that JAX asks for, where it is told a type; where not, it takes the Python number."""
        return self._variable.read(None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are plain numbers."""
        return (float, (float(self),))

    def _beside(self, other: Any) -> Any:
        return self._variable.read(getattr(other, "dtype", None))

    def __add__(self, other: Any) -> Any:
        return self._beside(other) + other

    def __radd__(self, other: Any) -> Any:
        return other + self._beside(other)

    def __sub__(self, other: Any) -> Any:
        return self._beside(other) - other

    def __rsub__(self, other: Any) -> Any:
        return other - self._beside(other)

    def __mul__(self, other: Any) -> Any:
        return self._beside(other) * other

    def __rmul__(self, other: Any) -> Any:
        return other * self._beside(other)

    def __truediv__(self, other: Any) -> Any:
        return self._beside(other) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self._beside(other)

    def __neg__(self) -> Any:
        return -self._beside(None)


class _Variable(Protocol):
    """A number that a traced program reads when it runs."""

    def assign(self, value: float) -> None: ...

    def read(self, dtype: Any) -> Any:
        """A tensor of this type, or of float32."""
        ...


class _TensorFlowVariable:
    """A `tf.Variable`, whose value a graph reads."""

    def __init__(self, value: float):
        import tensorflow as tf

        self.raw = tf.Variable(value, dtype=tf.float32, trainable=False)

    def assign(self, value: float) -> None:
        self.raw.assign(value)

    def read(self, dtype: Any) -> Any:
        import tensorflow as tf

        value = self.raw.read_value()
        return value if dtype is None or dtype == value.dtype else tf.cast(value, dtype)


class _JaxVariable:
    """An argument of the function that is being traced; a plain number at other times."""

    def __init__(self, value: float):
        self.value: Any = value

    def assign(self, value: float) -> None:
        self.value = value

    def read(self, dtype: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(self.value, dtype or "float32")


class Slot:
    """One attribute of one object of a model."""

    def __init__(self, owner: Any, attribute: str):
        self.owner = owner
        self.attribute = attribute
        self.value = float(getattr(owner, attribute))
        self._variable: Any = None

    @property
    def backend_variables(self) -> list[Any]:
        """The backend's own variable that programs read the value from; none on JAX, where it is an argument."""
        raw = getattr(self._variable, "raw", None)
        return [] if raw is None else [raw]

    def make_variable(self) -> None:
        """Have whatever is traced from now on read the value from a variable."""
        on_jax = keras.backend.backend() == "jax"
        self._variable = _JaxVariable(self.value) if on_jax else _TensorFlowVariable(self.value)
        self.set(self.value)

    def set(self, value: float) -> None:
        """Change the value, in the variable and for whoever reads the attribute."""
        self.value = value
        self._variable.assign(value)
        setattr(self.owner, self.attribute, VariableFloat(value, self._variable))

    @contextmanager
    def traced_as(self, argument: Any) -> Iterator[None]:
        """While a JAX function is traced that takes the value as an argument."""
        self._variable.assign(argument)
        try:
            yield
        finally:
            self._variable.assign(self.value)


def find_slots(model: Any) -> list[Slot]:
    """The constants of a compiled model that may become variables, in an order that the architecture determines.

    Zero, one and None stay constants: they decide what is traced. So do the constants of layers that compute in
    another precision than float32, where a product with a float32 variable would be an error or a promotion.
    """
    owners: list[Any] = []
    for layer in model.layers:
        if layer.compute_dtype == "float32":
            owners.append(layer)
            owners.extend(value for value in vars(layer).values() if isinstance(value, keras.regularizers.Regularizer))
    optimizer = model.optimizer
    owners.append(getattr(optimizer, "inner_optimizer", optimizer))
    on_jax = keras.backend.backend() == "jax"
    slots: list[Slot] = []
    for owner in owners:
        for attribute in CONSTANTS.get(type(owner), ()):
            if on_jax and (type(owner), attribute) in _NUMBERS_ON_JAX:
                continue
            value = getattr(owner, attribute, None)
            if isinstance(value, float) and value not in (0.0, 1.0):
                slots.append(Slot(owner, attribute))
    return slots
