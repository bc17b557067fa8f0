"""KerasTuner's `build_model(hp)` as a search space and as a study's model builder, unchanged and without KerasTuner.

A space is data, and a `build_model` is code that asks for values as it goes. So it is run, with values chosen to make
it ask for more, until it asks for nothing new. KerasTuner does so too, but learns in the course of a search what hides
behind a plain `if`; our samplers want the whole space before the first trial.
"""

from __future__ import annotations

import inspect
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from bandstand_spaces.hyperparameters import Condition, Declaration, HyperParameters, param_name
from bandstand_spaces.parameter_tree import sample_params
from bandstand_spaces.parameters import Categorical, Float, Int, Parameter
from bandstand_spaces.values import Value

__all__ = ["KerasTunerBuilder", "parameters_from_keras_tuner", "takes_hp"]

_Path: TypeAlias = tuple[tuple[str, Value], ...]  # (param, choice) from the top down

_FEW = 8
"""Of an `Int` with so many values at most, each is tried: they may be counts of layers."""
_QUIET_BUILDS = 10
"""Random builds in a row that bring up nothing new before the search for hyperparameters ends."""


class KerasTunerBuilder:
    """Makes a model builder `build(params)` from a KerasTuner `build_model(hp)`.

    A study does this itself if the first parameter of its model builder is called `hp`.

    Attributes:
        defaulted: Hyperparameters that took their default because params had no value for them, by name.

    Example:
        >>> from bandstand_spaces import KerasTunerBuilder
        >>> build = KerasTunerBuilder(lambda hp: hp.Int("units", 16, 128) * 2)
        >>> build({"units": 32}), build({})
        (64, 32)
        >>> build.defaulted
        {'units': 16}
    """

    def __init__(self, build_model: Callable[[Any], Any]) -> None:
        """This does not call `build_model` yet."""
        self._build_model = build_model
        self.defaulted: dict[str, Value] = {}

    def __call__(self, params: Mapping[str, Value]) -> Any:
        """The model that `build_model` makes with an `hp` that gives `params`. Its errors are raised as they are."""
        hp = HyperParameters(params)
        try:
            return self._build_model(hp)
        finally:
            self.defaulted |= hp.defaulted


def takes_hp(function: Callable[..., Any]) -> bool:
    """Whether `function` is written for KerasTuner: its first parameter is called `hp`."""
    try:
        return next(iter(inspect.signature(function).parameters), "") == "hp"
    except (TypeError, ValueError):  # a callable without a signature
        return False


def parameters_from_keras_tuner(build_model: Callable[[Any], Any], *, max_builds: int) -> dict[str, Parameter]:
    """The parameters that `build_model` asks for; see `SearchSpace.from_keras_tuner`."""
    if not callable(build_model):
        raise ValueError(
            f"build_model must be a function of hp; got {build_model!r}; for a HyperModel pass its method build"
        )
    exploration = _Exploration(build_model, max_builds)
    exploration.run()
    return exploration.parameters()


class _Exploration:
    """Builds models until they declare nothing new."""

    def __init__(self, build_model: Callable[[Any], Any], max_builds: int) -> None:
        self._build_model = build_model
        self._builds_left = max_builds
        self._found: dict[tuple[str, tuple[Condition, ...]], Declaration] = {}
        self._varied: set[tuple[str, tuple[Condition, ...]]] = set()
        # What may decide which code runs comes first, real numbers last.
        self._deciding: deque[dict[str, Value]] = deque()
        self._others: deque[dict[str, Value]] = deque()
        self._entered: set[tuple[Condition, ...]] = set()  # scopes that were open once, or will be
        self._tried: set[str] = set()

    def run(self) -> None:
        error = self._build({})
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in ("keras", "tensorflow"):
            raise ValueError(
                f"build_model needs packages that train models; {error.name} is not installed: "
                'pip install "bandstand[workers]"'
            ) from error
        if error is not None:
            raise ValueError(
                f"build_model must work with the defaults of its hyperparameters; it raised {type(error).__name__}: "
                f"{' '.join(str(error).split())}; correct it"
            ) from error
        import numpy as np

        random = np.random.default_rng(0)
        quiet = 0
        while self._found and quiet < _QUIET_BUILDS:
            queue = self._deciding or self._others
            params = queue.popleft() if queue else sample_params(self.parameters(), random)
            is_random, known = not queue, len(self._found)
            if repr(sorted(params.items())) not in self._tried:
                if self._builds_left <= 0:
                    self._warn()
                    return
                self._build(params)
            quiet = 0 if len(self._found) > known or not is_random else quiet + 1

    def parameters(self) -> dict[str, Parameter]:
        return _Tree(list(self._found.values())).parameters()

    def _warn(self) -> None:
        warnings.warn(
            "build_model may have more hyperparameters than were found within max_builds; in training these keep their "
            "defaults; raise max_builds to search further",
            stacklevel=5,
        )

    def _build(self, params: dict[str, Value]) -> Exception | None:
        """Build once, and plan the builds that may bring up more. What raises has shown what it declared before."""
        self._tried.add(repr(sorted(params.items())))
        self._builds_left -= 1
        hp = HyperParameters(params)
        failure = None
        try:
            self._build_model(hp)
        except Exception as error:  # noqa: BLE001  # a user's builder may raise anything
            failure = error
        for declaration in hp.declarations:
            key = declaration.name, declaration.conditions
            first = self._found.setdefault(key, declaration)
            if declaration.is_active and key not in self._varied:
                self._varied.add(key)
                self._plan(params, first, hp.values[declaration.name])
        self._entered.update(hp.active_scopes)
        for scope in hp.inactive_scopes:
            if scope not in self._entered:
                self._entered.add(scope)
                opening = {param_name(condition.parent): condition.values[0] for condition in scope if condition.values}
                self._deciding.append(params | opening)
        return failure

    def _plan(self, params: dict[str, Value], declaration: Declaration, value: Value) -> None:
        parameter = _parameter_of(declaration)
        queue = self._others if isinstance(parameter, Float) else self._deciding
        for other in _telling_values(parameter, declaration.is_number):
            if other != value:
                queue.append(params | {param_name(declaration.name): other})


def _telling_values(parameter: Parameter, is_number: bool) -> tuple[Value, ...]:
    """Values that may make a builder ask for more: all choices, all of few integers, else the ends, the upper first."""
    if isinstance(parameter, Categorical):  # of numbers it holds the powers between two ends
        return (parameter.choices[-1], parameter.choices[0]) if is_number else parameter.grid()
    if isinstance(parameter, Int) and parameter.size <= _FEW:
        return parameter.grid()
    return parameter.high, parameter.low


def _parameter_of(declaration: Declaration) -> Parameter:
    try:
        return declaration.make()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{declaration.name}: {error}") from error


class _Tree:
    """Declarations as the tree of a space.

    A branch can say "where this parameter has this one choice", once for each name. What a declaration's conditions ask
    for beyond that is left to `hp`: the parameter is drawn more often than it is used.
    """

    def __init__(self, declarations: list[Declaration]) -> None:
        self._declarations: dict[str, list[Declaration]] = {}
        self._parameters: dict[str, Parameter] = {}
        for declaration in declarations:
            self._add(param_name(declaration.name), declaration)
        self._paths: dict[str, _Path | None] = {}

    def parameters(self) -> dict[str, Parameter]:
        if not self._parameters:
            raise ValueError(
                "build_model must ask hp for at least one hyperparameter; got none; call hp.Int or another"
            )
        return self._below(())

    def _add(self, name: str, declaration: Declaration) -> None:
        parameter = _parameter_of(declaration)
        first = self._declarations.setdefault(name, [declaration])[0]
        if first.name != declaration.name:
            raise ValueError(
                f"names of hyperparameters must differ in letters, digits and underscores; got {first.name!r} and "
                f"{declaration.name!r}; rename one"
            )
        if self._parameters.setdefault(name, parameter) != parameter:
            raise ValueError(
                f"a name must have one range in the whole space; got {declaration.name!r} with two ranges; rename "
                "one, or use hp.name_scope"
            )
        if first is not declaration:
            self._declarations[name].append(declaration)

    def _below(self, path: _Path) -> dict[str, Parameter]:
        """The parameters whose place is right under `path`."""
        here: dict[str, Parameter] = {}
        for name, parameter in self._parameters.items():
            if self._path_of(name) != path:
                continue
            if isinstance(parameter, Categorical):
                branches = {choice: self._below((*path, (name, choice))) for choice in parameter.choices}
                parameter = Categorical(parameter.choices, branches=branches)
            here[name] = parameter
        return here

    def _path_of(self, name: str) -> _Path | None:
        """Where `name` hangs: below what holds whenever it is active; None if it never is."""
        if name not in self._paths:
            self._paths[name] = ()  # for a parameter that different builds declare above and below another one
            paths = [path for path in map(self._longest_path, self._declarations[name]) if path is not None]
            self._paths[name] = tuple(_common_start(paths)) if paths else None
        return self._paths[name]

    def _longest_path(self, declaration: Declaration) -> _Path | None:
        longest: _Path = ()
        for condition in declaration.conditions:
            parent = param_name(condition.parent)
            path = self._path_of(parent)
            parameter = self._parameters[parent]
            values = [value for value in condition.values if parameter.contains(value)]
            if path is None or not values:
                return None
            if isinstance(parameter, Categorical) and len(values) == 1:
                choice = next(choice for choice in parameter.choices if choice == values[0])
                path = (*path, (parent, choice))
            longest = max(longest, path, key=len)
        return longest


def _common_start(paths: list[_Path]) -> Iterator[tuple[str, Value]]:
    for steps in zip(*paths, strict=False):
        if any(step != steps[0] for step in steps):
            return
        yield steps[0]
