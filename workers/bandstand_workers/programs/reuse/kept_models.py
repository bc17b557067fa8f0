"""Models kept with their programs, so that a later trial of the same signature traces nothing.

Knows what must be put back into a used model so that it is as good as new. Must not know which trial wants it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from bandstand_workers.programs.building import build_optimizer
from bandstand_workers.programs.loop import EpochProgram
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.programs.python_state.walk_results import FoundVariable, PythonState

__all__ = ["KeptModel", "KeptModels"]


class KeptModel:
    """A model, the program that trains it, and what its variables looked like before the first step.

    Its *early* variables are those of a freshly built model, which another fresh model of the same signature has too,
    in the same order. *Late* ones came with the trace: an optimizer's moments, the sums of a metric.
    """

    def __init__(self, signature: str, model: Any, program: EpochProgram, state: PythonState):
        """Take over a freshly built model; its slots become variables, which its program must be traced with."""
        self.signature = signature
        self.model = model
        self.program = program
        self.early = [found.variable for found in state.variables]
        self.slots = state.slots
        self.late: list[tuple[FoundVariable, np.ndarray[Any, Any]]] = []
        self.state_when_traced = state
        build_optimizer(model)
        for slot in self.slots:
            slot.make_variable()

    def traced(self) -> None:
        """To be called when its program has been traced: all its trials begin from this state."""
        state = read_python_state(self.model, self.slots)
        early = {id(variable) for variable in self.early}
        self.late = [(found, found.value) for found in state.variables if id(found.variable) not in early]
        self.state_when_traced = state

    @property
    def is_as_traced(self) -> bool:
        """Whether the model is in Python's eyes what it was when its program was traced."""
        return read_python_state(self.model, self.slots).digest == self.state_when_traced.digest

    @property
    def unrenewable(self) -> str | None:
        """The variable that a trace made whose first value nothing tells; None where there is none.

        Keras's optimizers and metrics of one signature begin alike. A layer that is made in the first step does not,
        nor need an optimizer of the user's own, which may begin with copies of the weights.
        """
        for found, _ in self.late:
            begins_alike = isinstance(found.owner, keras.optimizers.Optimizer | keras.metrics.Metric)
            if not begins_alike or not type(found.owner).__module__.startswith("keras."):
                return found.path
        return None

    def renew(self, values: Sequence[Any], constants: Sequence[float]) -> None:
        """Make it equal to a fresh model of the same signature: every variable, and the constants.

        Args:
            values: of the fresh model's variables, in the order of the walk.
            constants: of the slots.
        """
        for variable, value in zip(self.early, values, strict=True):
            variable.assign(value)
        self.renew_late(constants)

    def put_back_late(self, fresh: Any) -> None:
        """Give a fresh model that has taken a step the first values of what the step made."""
        first = {found.path: value for found, value in self.late}
        for found in read_python_state(fresh).variables:
            if found.path in first:
                found.variable.assign(first[found.path])

    def renew_late(self, constants: Sequence[float]) -> None:
        """Put back what a fresh model does not have yet, and set the constants; the rest comes from elsewhere."""
        for found, initial in self.late:
            found.variable.assign(initial)
        for slot, value in zip(self.slots, constants, strict=True):
            if value != slot.value:
                slot.set(value)


class KeptModels:
    """The models of the programs used last, up to a number: each model holds its weights, each program a graph.

    A model is lent to one training at a time.
    """

    def __init__(self, limit: int = 32, models: int = 128):
        """Keep `limit` programs at most, and at most so many models, but one for each program."""
        self._limit = limit
        self._most_models = max(models, limit)
        self._programs: OrderedDict[str, tuple[EpochProgram, list[KeptModel]]] = OrderedDict()

    def __len__(self) -> int:
        """How many programs there are."""
        return len(self._programs)

    def take(self, signature: str) -> KeptModel | None:
        """A model of this signature that nobody trains, to be given back."""
        _, free = self._programs.get(signature, (None, []))
        return free.pop() if free else None

    def program(self, signature: str) -> EpochProgram | None:
        """A program of this signature, whose model may be in training."""
        return self._programs.get(signature, (None, []))[0]

    def lent(self, kept: KeptModel) -> None:
        """Count a new model as lent; the program not used for longest goes where there are too many."""
        _, free = self._programs.get(kept.signature, (None, []))
        self._programs[kept.signature] = kept.program, free
        self._programs.move_to_end(kept.signature)
        while len(self._programs) > self._limit:
            self._programs.popitem(last=False)

    def give_back(self, kept: KeptModel) -> None:
        """Have a model serve again; better not one whose training raised: nobody knows what that left behind."""
        if kept.signature in self._programs:
            self._programs[kept.signature][1].append(kept)
            self._programs.move_to_end(kept.signature)
        excess = sum(len(free) for _, free in self._programs.values()) - self._most_models
        for _, free in self._programs.values():
            dropped = min(max(excess, 0), max(len(free) - 1, 0))
            del free[:dropped]
            excess -= dropped
