"""StudySpec: all there is to know about a study, as frozen and validated data.

Knows what a user may ask for. Must not know how a study is stored, decided or trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from bandstand.errors import InputError
from bandstand.problem.broken_rules import did_you_mean, rule_from
from bandstand.problem.budget import Budget
from bandstand.problem.field_types import Frozen, Positive, Space
from bandstand.problem.objective import Objective
from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES, facts_of, strategy_name
from bandstand.study.references import Reference
from bandstand_spaces import Categorical, Int

__all__ = ["Resources", "StudySpec", "study_spec_from"]

NAME_LIMIT = 100
_DEFAULT_SAMPLER = "umda"
_TYPES = ("int", "str", "float")


def _class_weight_from(value: Any) -> Any:
    if value is None or value == "balanced":
        return value
    try:
        weights = {int(label): float(weight) for label, weight in value.items()}
    except (AttributeError, TypeError, ValueError):
        weights = {}
    if not weights or not all(0 <= weight < float("inf") for weight in weights.values()):
        raise ValueError(
            "must be 'balanced' or a table with a weight for each class number, such as { 0 = 1.0, 1 = 5.0 }; "
            f"got {value!r}"
        )
    return weights


class Resources(Frozen):
    """What one trainer gets, in Ray's units.

    Example:
        >>> Resources(cpus=2, gpus=0.25).gpus
        0.25
    """

    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    """CPU cores of one trainer."""
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """GPUs of one trainer. With a fraction, trainers share a GPU: 0.25 lets four trainers use one."""
    memory_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Memory of one trainer in gigabytes (10^9 bytes). Ray reserves it. A trial that needs more fails, and its trainer
    is replaced."""
    trials_at_once: Annotated[int, Field(ge=1, le=256)] = 1
    """Number of trials that one trainer trains at the same time. More than 1 needs Keras on JAX."""

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(
                f"must be a whole number if it is above 1, because Ray shares single GPUs only; got {value:g}"
            )
        return value


class StudySpec(Frozen):
    """All settings of one study. A spec cannot change, and equal specs describe the same study.

    Raises:
        pydantic.ValidationError: a setting breaks a rule. It is a ValueError, and its message names the setting.

    Example:
        >>> from bandstand import Budget, Float, SearchSpace, StudySpec
        >>> spec = StudySpec(
        ...     name="digits",
        ...     model="train:build",
        ...     data="train:load",
        ...     space=SearchSpace({"learning_rate": Float(1e-4, 1e-1, log=True)}),
        ...     objective="val_accuracy",
        ...     max_epochs=27,
        ...     budget=Budget(epochs=500),
        ... )
        >>> spec.strategy_name
        'umda + asha'
    """

    name: str
    """Name of the study. The database has one study of each name."""
    model: Reference
    """The model builder: `build(params)` returns a compiled `keras.Model`. KerasTuner's `build_model(hp)` works, too.

    A function, or its name as `module:function`.
    """
    data: Reference
    """The data loader: `load()` returns `{"train": (x, y), "validation": (x, y), "test": (x, y)}`.

    A third array of a split holds sample weights. A function, or its name as `module:function`.
    """
    validation_split: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Share of the training data that becomes the validation data, if `load` returns none. The last rows are taken."""
    class_weight: Annotated[Literal["balanced"] | dict[int, float] | None, BeforeValidator(_class_weight_from)] = None
    """Weight of each class in training, as in Keras's `fit`. `balanced` gives all classes the same total weight."""
    space: Space
    """The parameters that are searched."""
    objective: Objective = Objective()
    """The metric that trials are judged by."""
    sampler: str = _DEFAULT_SAMPLER
    """Name of the sampler, which proposes params, or of a whole strategy."""
    sampler_options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it for each study
    """Options of the sampler, by name."""
    pruner: str = ""
    """Name of the pruner, which decides how long a trial trains. Default: `asha`. A whole strategy has none."""
    pruner_options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it for each study
    """Options of the pruner, by name."""
    max_epochs: Positive
    """Number of epochs after which a trial is complete."""
    batch_size: Positive | str = 32
    """Examples per training step: a number, or the name of the parameter that holds it."""
    validation_batch_size: Positive | None = None
    """Examples per validation step. Default: the batch size."""
    budget: Budget = Budget()
    """What the study may spend."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything that is random. The same seed gives the same study. With one worker it repeats exactly."""
    callbacks: tuple[Reference, ...] = ()
    """Functions that make Keras callbacks for a trial: `make()` or `make(params)` returns a callback or a list."""
    trainer: Literal["auto", "fit", "compiled"] = "auto"
    """How an epoch is trained: `compiled` (one program), `fit` (Keras's loop) or `auto` (`fit` only if necessary)."""
    executor: Literal["actors", "tune"] = "actors"
    """What starts the processes that train: Ray actors of Bandstand (`actors`), or Ray Tune (`tune`)."""
    resources: Resources = Resources()
    """What one trainer gets."""
    checkpoint_every: Positive | None = None
    """Number of epochs between checkpoints, in addition to the checkpoints of trials that pause. Default: a checkpoint
    after 30 seconds of training."""
    max_attempts: Positive = 3
    """How many times a trial may begin in all, if its trainers die."""
    epoch_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Longest time in seconds that a trial may train without finishing an epoch. Then its trainer is ended, and the
    attempt counts towards `max_attempts`. Default: 20 times the longest epoch of the run so far, at least 600 s; six
    hours until an epoch has ended."""
    load_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Longest time in seconds that a trainer may take to start, import your code and load the data, and that the check
    of the study may take after that. Default: six hours."""
    avoid_failures: bool | None = True
    """Whether the search learns from trials that ran out of memory, diverged or were too slow. After three of a kind,
    params that are likely to fail in the same way are drawn again. A grid still visits all its points."""
    notes: str = ""
    """Text for people. It appears in reports and changes nothing else."""

    @field_validator("name")
    @classmethod
    def _name_is_printable(cls, name: str) -> str:
        if not name or name != name.strip() or not name.isprintable() or len(name) > NAME_LIMIT:
            raise ValueError(
                f"must be 1 to {NAME_LIMIT} printable characters without spaces at the ends; got {name[:120]!r}"
            )
        return name

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_pruner(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping) and not settings.get("pruner"):
            own = settings.get("sampler", _DEFAULT_SAMPLER) in STRATEGIES
            return {**settings, "pruner": "" if own else "asha"}
        return settings

    @model_validator(mode="after")
    def _parts_fit_together(self) -> StudySpec:
        self._check_batch_size()
        if self.budget.gpu_hours is not None and self.resources.gpus == 0:
            raise ValueError(
                "budget.gpu_hours needs trainers with GPUs; got resources.gpus = 0: set resources.gpus, for example "
                "to 1"
            )
        if self.executor == "tune" and self.resources.trials_at_once > 1:
            raise ValueError(
                "resources.trials_at_once must be 1 with executor tune, whose processes train one trial each; "
                f"got {self.resources.trials_at_once}: leave out one of the two settings"
            )
        if self.sampler in STRATEGIES:
            self._check_policy()
        else:
            _check_option("sampler", self.sampler, {**SAMPLERS, **STRATEGIES})
            _check_option("pruner", self.pruner, PRUNERS)
            SAMPLERS[self.sampler].check(self)
            PRUNERS[self.pruner].check(self)
        if self.budget.is_open and facts_of(self).points is None:
            raise ValueError(
                "budget must limit at least one of epochs, trials, wall_seconds, gpu_hours; got none: "
                "write [budget] epochs = 200"
            )
        return self

    def _check_policy(self) -> None:
        for name, value in (("pruner", self.pruner), ("pruner_options", self.pruner_options)):
            if value:
                raise ValueError(
                    f"{name} must be left out with sampler {self.sampler}, which decides by itself how long each trial "
                    f"trains; got {value!r}"
                )
        self._check_executor()
        STRATEGIES[self.sampler].check(self)

    def _check_executor(self) -> None:
        needed = STRATEGIES[self.sampler].needed_executor
        if needed is not None and self.executor != needed.name:
            raise ValueError(
                f"executor must be {needed.name} with sampler {self.sampler}, {needed.reason}; got {self.executor!r}: "
                f'set executor = "{needed.name}", or sampler = "{needed.instead}"'
            )

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the user's functions for model, data and callbacks."""
        return tuple(reference for _, reference in self.named_references)

    @property
    def named_references(self) -> tuple[tuple[str, str], ...]:
        """The same names, each with its setting."""
        return (("model", self.model), ("data", self.data), *(("callbacks", each) for each in self.callbacks))

    @property
    def strategy_name(self) -> str:
        """Sampler and pruner in one phrase, such as `tpe + asha`; one word where one does it all."""
        return strategy_name(self.sampler, self.pruner)

    def notices(self) -> list[str]:
        """What the user should know before the study begins, though no rule is broken."""
        told = [self.objective.contradiction] if self.objective.contradiction else []
        if isinstance(self.batch_size, str) or all(name != "batch_size" for name, _, _ in self.space.flat()):
            return told
        return [
            *told,
            f"the space has a parameter batch_size, but the study's setting batch_size = {self.batch_size} decides the "
            'batches; write batch_size = "batch_size" to search it',
        ]

    def _check_batch_size(self) -> None:
        if isinstance(self.batch_size, int):
            return
        parameter = self.space.parameters.get(self.batch_size)
        # Of a range its lowest value is enough, and it may be as long as memory.
        values: tuple[object, ...] = (parameter.low,) if isinstance(parameter, Int) else ()
        if isinstance(parameter, Categorical):
            values = parameter.grid()
        if not values or not all(type(value) is int and value >= 1 for value in values):
            raise ValueError(
                "batch_size must be a number, or the name of a parameter that every trial has and whose values are "
                f"whole numbers from 1; got {self.batch_size!r}"
            )

    def batch_size_for(self, params: Mapping[str, Any]) -> int:
        """The batch size of a trial with these params."""
        return self.batch_size if isinstance(self.batch_size, int) else int(params[self.batch_size])

    def differences(self, other: StudySpec) -> list[str]:
        """A word on each setting that differs from those of the stored study `other`."""
        ours_to_set = {"objective": {"told_by_name"}}
        mine, theirs = (spec.model_dump(mode="json", exclude=ours_to_set) for spec in (self, other))
        # As text: the order of a space's parameters decides what is drawn, and dicts compare without it.
        return [
            f"{key}: {mine[key]!r} here, {theirs[key]!r} stored{self._way_back(key, other)}"
            for key in mine
            if (key, theirs[key]) != ("avoid_failures", None)  # older than the setting: it goes on as it began
            and json.dumps(mine[key]) != json.dumps(theirs[key])
        ]

    def _way_back(self, key: str, other: StudySpec) -> str:
        """Before directions were told from names, one that was left out was `minimize`: such a study can go on so."""
        stored = other.objective.direction
        if key != "objective" or not self.objective.told_by_name or stored == self.objective.direction:
            return ""
        return f"; to continue the stored study, set direction = {stored!r} in [objective]"


def _check_option(kind: str, name: str, registry: Mapping[str, Any]) -> None:
    if name not in registry:
        raise ValueError(f"{kind} must be one of {', '.join(registry)}; got {name!r}{did_you_mean(name, registry)}")


def study_spec_from(settings: Mapping[str, Any], source: str) -> StudySpec:
    """A StudySpec from plain settings.

    Args:
        settings: as in a study file.
        source: where they come from, for the message.

    Raises:
        InputError: one line with the first rule that is broken, and how many more are.
    """
    _check_keys(settings, source)
    try:
        return StudySpec.model_validate(dict(settings))
    except ValidationError as error:
        first, *others = error.errors()
        more = f" (and {len(others)} more error{'s' * (len(others) > 1)})" if others else ""
        raise InputError(f"{source}: {_line_from(first)}{more}") from None


def _check_keys(settings: Mapping[str, Any], source: str) -> None:
    """Unknown settings, answered with the nearest known one."""
    known: dict[str, Callable[[], list[str]]] = {
        "": lambda: list(StudySpec.model_fields),
        "objective": lambda: [field for field in Objective.model_fields if field != "told_by_name"],
        "budget": lambda: list(Budget.model_fields),
        "resources": lambda: list(Resources.model_fields),
    }
    for table, fields in known.items():
        part = settings if not table else settings.get(table, {})
        if not isinstance(part, Mapping):
            continue
        for key in part:
            if key not in fields() and (table, key) != ("objective", "told_by_name"):
                where = f"{table}.{key}" if table else key
                way_out = did_you_mean(str(key), fields(), "; ") or f"; known settings are {', '.join(fields())}"
                raise InputError(f"{source}: there is no setting {where}{way_out}")


def _line_from(error: Any) -> str:
    """Pydantic's error as `setting: rule; got value`."""
    # Pydantic names the branch of a union it tried, such as constrained-int or function-before[...]: not a setting.
    where = ".".join(str(part) for part in error["loc"] if not re.search(r"[-\[]", str(part)) and part not in _TYPES)
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{where} is missing; every study needs this setting"
    if error["type"] == "value_error":
        return f"{where}{'' if message.startswith('must ') else ':'} {message}" if where else message
    return f"{where} must be {rule_from(error)}; got {error['input']!r}"
