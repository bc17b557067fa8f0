"""Where a trial's model comes from: built anew, or kept from an earlier trial with the program that trains it.

Knows the builder, the data as tensors and the kept models. Must not know epochs, reports or checkpoints.
"""

from __future__ import annotations

import dataclasses
import types
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from bandstand.study.context import Context
from bandstand.study.study_spec import StudySpec
from bandstand_workers import keras_session
from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.constants import find_slots
from bandstand_workers.programs.python_state.code_origin import is_users
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.programs.python_state.walk_results import PythonState
from bandstand_workers.programs.reuse.kept_models import KeptModel, KeptModels
from bandstand_workers.programs.reuse.lending_check import difference_in_steps, difference_in_validation
from bandstand_workers.programs.reuse.signature import signature_of
from bandstand_workers.programs.suitability import reason_for_fit
from bandstand_workers.training.data.loading import Data
from bandstand_workers.training.memory.shortage import is_shortage
from bandstand_workers.training.trial_models.model_building import ModelBuilding
from bandstand_workers.training.trial_models.program_making import ProgramMaking
from bandstand_workers.training.user_code.errors import essential_line

__all__ = ["ModelSource", "TrialModel"]

_COMPARED_STEPS = 2
"""Trials for which a training step is compared, of each set of params that differ in models of the same classes. Two,
because one value may agree by chance."""
_LITTER_LIMIT = 16.0
"""Trials that traced something, after which their graphs and kernels are let go."""
_LITTER_OF_A_BUILD = 0.1
"""What a model that was built and not traced leaves behind, in proportion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialModel:
    """A compiled model in the state that its builder gives it."""

    model: Any
    lent: KeptModel | None = None  # with the program that trains it by compiled epochs; None: `fit` trains it
    kept: bool = False  # it was there before the trial
    reason: str | None = None  # why `fit` trains it, where compiled epochs were wanted

    @property
    def signature(self) -> str | None:
        """Of its program; None where there is none."""
        return None if self.lent is None else self.lent.signature


class ModelSource:
    """Builds the models of one study; keeps those whose programs may serve again."""

    def __init__(self, spec: StudySpec, build: Callable[..., Any], data: Data, earlier: ModelSource | None = None):
        """Nothing is built yet.

        Args:
            spec: the study.
            build: its model builder.
            data: its data, as arrays.
            earlier: of a study with the same data, whose tensors and kept models go on serving.
        """
        self._spec = spec
        self.tensors: dict[str, Any] = {} if earlier is None else earlier.tensors
        """The data by split, as the backend's tensors; filled as they are asked for."""
        self.kept: KeptModels = KeptModels() if earlier is None else earlier.kept
        """The models whose programs may serve again."""
        self.notes: list[str] = []
        """What the user should know of how models were trained; whoever tells it empties it."""
        self.unshared: set[str] = set() if earlier is None else earlier.unshared
        """Signatures whose programs serve one trial alone."""
        self._made_with: dict[str, dict[str, Any]] = {}  # params that a signature's program was traced with
        self._compared: Counter[tuple[frozenset[type], frozenset[str]]] = Counter()
        self._of_trial: dict[int, tuple[str, list[float]]] = {}
        self._litter = 0.0
        self._policy = keras.config.dtype_policy()
        self.building = ModelBuilding(spec, build, data)
        self._making = ProgramMaking(spec, data, self.kept, self.tensors)

    @property
    def programs(self) -> int:
        """How many programs are kept."""
        return len(self.kept)

    def model_for(
        self,
        trial: int,
        params: Mapping[str, Any],
        seed: int,
        callbacks: list[Any],
        context: Context,
        *,
        restores: bool,
    ) -> TrialModel:
        """A model for a trial.

        Args:
            trial: its number.
            params: of the trial.
            seed: of the trial.
            callbacks: the user's, which decide whether compiled epochs will do.
            context: of the trial, for the builder.
            restores: whether its variables will be set from a checkpoint, so that they need no initial values.
        """
        with keras_session.EXCLUSIVE:
            keras_session.use_policy(self._policy)
            known = self._of_trial.get(trial) if restores else None
            lent = self.kept.take(known[0]) if known else None
            if lent is not None and known is not None:
                if any(map(_runs_users_code, callbacks)):
                    self.building.build_anew(seed, params, context)  # it may set globals that callbacks read
                # Not where globals have changed that its code reads: only its builder sets them again.
                if reason_for_fit(lent.model, callbacks) is None and lent.is_as_traced:
                    lent.renew_late(known[1])
                    self._making.resize(lent.program, params)
                    return TrialModel(model=lent.model, lent=lent, kept=True)
                self.kept.give_back(lent)
            model = self.building.build_anew(seed, params, context)
            if self._spec.trainer == "fit":
                return TrialModel(model=model)
            reason = reason_for_fit(model, callbacks)
            if reason is not None:
                return TrialModel(model=model, reason=reason)
            return self._compiled(trial, params, seed, context, model)

    def _compiled(self, trial: int, params: Mapping[str, Any], seed: int, context: Context, fresh: Any) -> TrialModel:
        state = read_python_state(fresh, find_slots(fresh))
        signature = signature_of(state, {} if self._making.any_size else self._making.sizes(params))
        if state.obstacle is not None or signature in self.unshared:
            return self._traced(trial, params, seed, context, fresh, self._own_state(trial, signature, state))
        lent = self.kept.take(signature)
        if lent is None:
            return self._traced(trial, params, seed, context, fresh, (signature, state))
        self._making.resize(lent.program, params)
        difference = self._lend(lent, fresh, state, params)
        if difference is not None:
            self.unshared.add(signature)
            self.notes.append(
                f"trial {trial} does not share a program, because the program would train it differently: {difference}"
            )
            model = self.building.build_anew(seed, params, context)
            state = read_python_state(model)
            return self._traced(trial, params, seed, context, model, self._own_state(trial, signature, state))
        self._of_trial[trial] = (signature, [slot.value for slot in state.slots])
        return TrialModel(model=lent.model, lent=lent, kept=True)

    def _own_state(self, trial: int, signature: str, state: PythonState) -> tuple[str, PythonState]:
        """For a program that serves one trial alone: a signature that no other has, and nothing to be varied."""
        return f"{signature}/{trial}", dataclasses.replace(state, slots=[])

    def _lend(self, lent: KeptModel, fresh: Any, state: PythonState, params: Mapping[str, Any]) -> str | None:
        """Make a kept model equal to a fresh one, and see whether its program does what the fresh one's own steps do.

        Returns:
            What differs; None if nothing.
        """
        constants = [slot.value for slot in state.slots]
        values = [found.value for found in state.variables]
        lent.renew(values, constants)
        made_with = self._made_with.setdefault(lent.signature, dict(params))
        changed = frozenset(name for name in params if params[name] != made_with.get(name))
        kind = _parts_of(fresh), changed
        try:
            difference = difference_in_validation(lent, fresh)
            if difference is None and self._compared[kind] < _COMPARED_STEPS:
                self._compared[kind] += 1
                difference = difference_in_steps(lent, fresh, state.variables, values, constants)
        except Exception as error:  # a user's step may raise where no program runs it
            if is_shortage(error):
                raise
            difference = f"it cannot be compared: {type(error).__name__}: {essential_line(error)}"
        lent.renew(values, constants)
        return difference

    def _traced(
        self,
        trial: int,
        params: Mapping[str, Any],
        seed: int,
        context: Context,
        model: Any,
        of: tuple[str, PythonState],
    ) -> TrialModel:
        """The model with a program of its own, which others may use if its signature is theirs."""
        signature, state = of
        try:
            lent = self._making.trace(signature, model, state, self._making.sizes(params))
        except Exception as error:  # a model may hold anything; `fit` tells what is its own fault
            if is_shortage(error):
                raise
            reason = f"it cannot be traced as one program: {type(error).__name__}: {essential_line(error)}"
            return TrialModel(model=self.building.build_anew(seed, params, context), reason=reason)
        hidden = lent.program.hidden_state(self._known_variables(lent))
        if hidden is not None:
            reason = f"it uses {hidden}, which no program can restore"
            return TrialModel(model=self.building.build_anew(seed, params, context), reason=reason)
        if "/" not in signature and self._cannot_serve_others(lent) is not None:
            self.unshared.add(signature)
            lent.signature = f"{signature}/{trial}"
        if "/" not in lent.signature:  # others may be lent it
            self._made_with.setdefault(lent.signature, dict(params))
        self.kept.lent(lent)
        self._of_trial[trial] = (lent.signature, [slot.value for slot in lent.slots])
        return TrialModel(model=lent.model, lent=lent)

    def _cannot_serve_others(self, lent: KeptModel) -> str | None:
        """What a traced program holds that no other model's values could take the place of; None if nothing."""
        state = lent.state_when_traced
        unknown = lent.program.unknown_constants(self._known_variables(lent), state.tensors)
        return state.obstacle or lent.unrenewable or unknown

    def _known_variables(self, lent: KeptModel) -> list[Any]:
        """All that a program of a model may read: what the model can reach, and the slots."""
        variables = [found.variable for found in lent.state_when_traced.variables]
        return variables + [variable for slot in lent.slots for variable in slot.backend_variables]

    def give_back(self, trial_model: TrialModel) -> None:
        """Have a model serve other trials, unless callbacks have changed it. One whose training raised is not given."""
        if trial_model.lent is not None:
            with keras_session.EXCLUSIVE:
                if trial_model.lent.is_as_traced:
                    self.kept.give_back(trial_model.lent)

    def follow_model(self, lent: KeptModel) -> None:
        """Have the program of a training that begins trace the model as callbacks have left it, if they changed it."""
        with keras_session.EXCLUSIVE:
            if not lent.is_as_traced:
                lent.program.retrace()

    def take_notes(self) -> tuple[str, ...]:
        """What the user should know since the last call."""
        notes, self.notes[:] = tuple(self.notes), []
        return notes

    def clean_up(self, trial_model: TrialModel | None) -> None:
        """Let go, now and then, of what trials leave behind: models are full of cycles, which only this frees."""
        kept = trial_model is not None and trial_model.kept
        with keras_session.EXCLUSIVE:
            self._litter += _LITTER_OF_A_BUILD if kept else 1
            if self._litter >= _LITTER_LIMIT:
                keras_session.clear(self._policy)
                self._litter = 0


def _runs_users_code(callback: Any) -> bool:
    """Whether a callback is of a class of the user's, or holds a function of the user's."""
    functions = [each for each in vars(callback).values() if isinstance(each, types.FunctionType | types.MethodType)]
    return is_users(type(callback)) or any(map(is_users, functions))


def _parts_of(model: Any) -> frozenset[type]:
    """The classes that a model is made of."""
    return frozenset(type(part) for part in (model, model.optimizer, *keras_parts.all_layers(model)))
