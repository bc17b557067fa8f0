"""How a study's functions are called: each with what it asks for, and what they give is checked.

Knows params and contexts. Must not know when a function is called, nor what is done with what it gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any

import keras

from bandstand.study.context import Context, asks_for_context
from bandstand_spaces.keras_tuner import KerasTunerBuilder, takes_hp
from bandstand_workers.training.user_code.loading import load_function

__all__ = ["Builder", "CallbackMaker", "EndedError", "call", "ending_nothing"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_WAY_OUT = "return keras callbacks in a list, [] for none"


class EndedError(RuntimeError):
    """A user's function would have ended the process, as `sys.exit` does."""


@contextmanager
def ending_nothing() -> Iterator[None]:
    """Run the user's code inside: what would end the process or its thread is an error of that code.

    Raises:
        EndedError: it raised SystemExit, KeyboardInterrupt or GeneratorExit.
        Exception: whatever else it raises.
    """
    try:
        yield
    except SystemExit as error:
        code = "" if error.code is None else f" ({error.code})"
        raise EndedError(f"it ends the process{code}; leave sys.exit out").with_traceback(
            error.__traceback__
        ) from error
    except (KeyboardInterrupt, GeneratorExit) as error:
        raise EndedError(
            f"it raises {type(error).__name__}, which would end the process; raise another error"
        ).with_traceback(error.__traceback__) from error


def call(function: Callable[..., Any], *arguments: Any, context: Context, **named: Any) -> Any:
    """Call a user's function, with the context if it asks for one.

    Raises:
        EndedError: it raised SystemExit, KeyboardInterrupt or GeneratorExit.
        Exception: whatever else it raises.
    """
    if asks_for_context(function):
        if context.folder is not None:
            with suppress(OSError):  # whoever writes there is told, and whoever does not need not know
                context.folder.mkdir(parents=True, exist_ok=True)
        named["context"] = context
    with ending_nothing():
        return function(*arguments, **named)


class Builder:
    """The study's model builder: `build(params)`, `build(params, context)`, or KerasTuner's `build_model(hp)`."""

    def __init__(self, reference: str):
        """Import it.

        Raises:
            InputError: as `load_function`.
        """
        self._function = load_function("model", reference)
        self._defaulted: dict[str, Any] = {}

    @property
    def defaulted(self) -> Mapping[str, Any]:
        """Hyperparameters that a KerasTuner builder asked for beyond the space, with their defaults."""
        return self._defaulted

    def __call__(self, params: dict[str, Any], context: Context) -> Any:
        """The model for `params`; raises what the user's function raises."""
        if not takes_hp(self._function):
            return call(self._function, params, context=context)
        build = KerasTunerBuilder(lambda hp: call(self._function, hp, context=context))
        try:
            return build(params)
        finally:
            self._defaulted |= build.defaulted


class CallbackMaker:
    """One of the study's callbacks functions: it may take params, a context, both or neither."""

    def __init__(self, reference: str):
        """Import it.

        Raises:
            InputError: as `load_function`, or it is a callback and no function.
        """
        self.reference: str = reference
        self._function = load_function("callbacks", reference)
        self._takes_params = _takes_params(self._function)

    def make(self, params: Mapping[str, Any], context: Context) -> list[Any]:
        """Fresh callbacks for a trial; raises what the user's function raises.

        Raises:
            TypeError: what it gives is no callback.
        """
        arguments: list[Any] = []
        named: dict[str, Any] = {}
        if self._takes_params == "by position":
            arguments = [copy(params)]
        elif self._takes_params == "by name":
            named = {"params": copy(params)}
        made = call(self._function, *arguments, context=context, **named)
        one = isinstance(made, keras.callbacks.Callback | type) or not isinstance(made, Iterable)
        callbacks = [made] if one else list(made)
        for callback in callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                raise TypeError(f"callbacks must be Keras callbacks; {self.reference!r} gave {_described(callback)}")
        return callbacks


def _described(value: Any) -> str:
    if isinstance(value, type) and issubclass(value, keras.callbacks.Callback):
        return f"the class {value.__name__}: make one, {value.__name__}(...)"
    if value is None:
        return f"None: {_WAY_OUT}"
    return f"{value.__name__ if isinstance(value, type) else type(value).__name__}: {_WAY_OUT}"


def _takes_params(function: Callable[..., Any]) -> str | None:
    """How a callbacks function takes params: by position, by name, or not at all (None)."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a callable without a signature
        return None
    for name, parameter in parameters.items():
        wanted = parameter.default is parameter.empty or name == "params"
        if name != "context" and parameter.kind in _POSITIONAL and wanted:
            return "by position" if name == next(iter(parameters)) else "by name"
    params = parameters.get("params")
    return "by name" if params is not None and params.kind is inspect.Parameter.KEYWORD_ONLY else None
