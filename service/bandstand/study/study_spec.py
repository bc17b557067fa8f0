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
            "must be 'balanced' or a table of weights by class, whole numbers, such as { 0 = 1.0, 1 = 5.0 }; "
            f"got {value!r}"
        )
    return weights


class Resources(Frozen):
    """What one trainer is given, in Ray's units."""

    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    """CPUs of one trainer."""
    gpus: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """GPUs of one trainer. A fraction shares a card: with 0.25, four trainers use one."""
    memory_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Memory of one trainer in gigabytes (10^9 bytes). It is booked with Ray. A trainer that needs more is replaced."""
    trials_at_once: Annotated[int, Field(ge=1, le=256)] = 1
    """Trials that one trainer trains at the same time. Those of one architecture share a program. A number above 1
    needs Keras on JAX."""

    @field_validator("gpus")
    @classmethod
    def _whole_above_one(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(f"must be a whole number above 1, as Ray counts GPUs; got {value:g}")
        return value


class StudySpec(Frozen):
    """One study. Frozen; equal specs describe the same study.

    Raises pydantic's ValidationError when built directly; `study_spec_from` raises `InputError` with one line.
    """

    name: str
    """Name of the study: 1 to 100 printable characters. The same name with other settings is refused."""
    model: Reference
    """The function `build(params)` that returns a compiled Keras model. KerasTuner's `build_model(hp)` may stand
    instead; it is known by the name of its parameter."""
    data: Reference
    """The function `load()` that returns `{"train": (x, y), "validation": (x, y), "test": (x, y)}`. A third array of a
    split holds sample weights."""
    validation_split: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] | None = None
    """Share of the training data that is used for validation if `load` returns no validation data. The last rows are
    taken, as in Keras's `fit`."""
    class_weight: Annotated[Literal["balanced"] | dict[int, float] | None, BeforeValidator(_class_weight_from)] = None
    """Weight of a row of each class in training, as in Keras's `fit`. `"balanced"` gives all classes the same sum of
    weights. Default: no weights."""
    space: Space
    """The parameters that are searched, with their ranges."""
    objective: Objective = Objective()
    """What a trial is judged by. Default: the lowest `val_loss`."""
    sampler: str = _DEFAULT_SAMPLER
    """Name of a sampler or of a policy. The default with `asha` had the lowest mean regret of all pairs at 32 workers,
    on both sets of recorded learning curves."""
    sampler_options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it for each study
    """Options of the sampler or the policy."""
    pruner: str = ""
    """Name of a pruner. Default: `"asha"` with a sampler; a policy has no pruner."""
    pruner_options: dict[str, Any] = {}  # noqa: RUF012  # pydantic copies it for each study
    """Options of the pruner."""
    max_epochs: Positive
    """Epochs that complete a trial."""
    batch_size: Positive | str = 32
    """Examples in a training step: a number, or the name of the parameter of the space that holds it."""
    validation_batch_size: Positive | None = None
    """Examples in a validation step. Default: the batch size, as in Keras's `fit`."""
    budget: Budget = Budget()
    """What the study may spend."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of all that is random. The same seed gives the same study; with one worker it repeats exactly."""
    callbacks: tuple[Reference, ...] = ()
    """Functions `make()` or `make(params)` that return a Keras callback or a list of callbacks. They are called for
    each trial."""
    trainer: Literal["auto", "fit", "compiled"] = "auto"
    """How an epoch is trained. `compiled`: as one compiled program; a study that cannot be is refused. `fit`: by
    Keras's own loop. `auto`: as one program where that is possible, else by `fit`."""
    executor: Literal["actors", "tune"] = "actors"
    """What starts and feeds the processes that train. `actors`: Bandstand's own Ray actors. `tune`: Ray Tune."""
    resources: Resources = Resources()
    """What one trainer gets."""
    checkpoint_every: Positive | None = None
    """Epochs between two checkpoints of a trial. A trial that pauses always has one. Default: a checkpoint after 30
    seconds of training."""
    max_attempts: Positive = 3
    """How often a trial is begun at most if its worker dies."""
    notes: str = ""
    """Text for the report. With `--style writeup`, a line `## Data summary` says under which heading the text below it
    belongs."""

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
            raise ValueError("budget.gpu_hours needs trainers with GPUs; got resources.gpus = 0: set it, say to 1")
        if self.executor == "tune" and self.resources.trials_at_once > 1:
            raise ValueError(
                "resources.trials_at_once must be 1 with executor tune, whose processes have one trial each; "
                f"got {self.resources.trials_at_once}: leave it out, or the executor"
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
                "say [budget] epochs = 200"
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
                f'say executor = "{needed.name}", or sampler = "{needed.instead}"'
            )

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the user's functions: model, data, callbacks."""
        return tuple(reference for _, reference in self.named_references)

    @property
    def named_references(self) -> tuple[tuple[str, str], ...]:
        """The same, each with the setting that it is of."""
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
            f"parameter batch_size of the space does not decide the batches: batch_size of the study does, "
            f'{self.batch_size}; say batch_size = "batch_size" to search it',
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
                "batch_size must be a number or name an always-active parameter of the space whose values are "
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
            if json.dumps(mine[key]) != json.dumps(theirs[key])
        ]

    def _way_back(self, key: str, other: StudySpec) -> str:
        """Before directions were told from names, one that was left out was `minimize`: such a study can go on so."""
        stored = other.objective.direction
        if key != "objective" or not self.objective.told_by_name or stored == self.objective.direction:
            return ""
        return f", which goes on with direction = {stored!r} in the study"


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
        more = f" (and {len(others)} more)" if others else ""
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
                way_out = did_you_mean(str(key), fields(), "; ") or f"; it may be {', '.join(fields())}"
                raise InputError(f"{source}: there is no setting {where}{way_out}")


def _line_from(error: Any) -> str:
    """Pydantic's error as `setting: rule; got value`."""
    # Pydantic names the branch of a union it tried, such as constrained-int or function-before[...]: not a setting.
    where = ".".join(str(part) for part in error["loc"] if not re.search(r"[-\[]", str(part)) and part not in _TYPES)
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{where} is missing; every study needs it"
    if error["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where} must be {rule_from(error)}; got {error['input']!r}"
